"""The sections of a Photoshop file, and the records of its layers.

Sources: Adobe Photoshop File Formats Specification (November 2019); Photoshop TIFF Technical Notes
(March 2002) on layers in TIFF files, which hold the same records in either byte order.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from darkroom.geometry import Window

SIGNATURE = b"8BPS"
GREY, RGB = 1, 3
LARGEST_SIDE = {False: 30_000, True: 300_000}  # of PSD and PSB
LARGEST_FILE = (1 << 31) - 1  # of PSD
RAW, RLE, ZIP, ZIP_DELTA = 0, 1, 2, 3
ALPHA, USER_MASK = -1, -2
MOST_LAYERS, MOST_CHANNELS = 8000, 56
# Blocks whose length takes 8 bytes in a PSB.
_WIDE_BLOCKS = {b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk"}
_WIDE_BLOCKS |= {b"lnk2", b"FEid", b"FXid", b"PxSD"}
TIFF_PREFIX = b"Adobe Photoshop Document Data Block\0"

Read = Callable[[int, int], bytes]  # (offset, count) -> exactly count bytes
Order = Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class Header:
    """The first section.

    Attributes:
        big: whether it is a PSB, whose lengths take 8 bytes.
        channels: of the merged picture.
        width: columns.
        height: rows.
        bits: of a sample: 1, 8, 16 or 32.
        mode: 1 grey, 3 RGB, and others.
    """

    big: bool
    channels: int
    width: int
    height: int
    bits: int
    mode: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a sample as stored; ValueError where darkroom has none for it."""
        if self.bits not in (8, 16):
            raise ValueError(f"{self.bits} bits a sample")
        return np.dtype(np.uint8 if self.bits == 8 else ">u2")

    def pack(self) -> bytes:
        """The section's bytes."""
        fields = (1 + self.big, self.channels, self.height, self.width, self.bits, self.mode)
        return SIGNATURE + struct.pack(">H6xHIIHH", *fields)


@dataclass(frozen=True, slots=True)
class Sections:
    """Where what comes after the header lies: (offset, length) each; `merged` is an offset."""

    resources: tuple[int, int]
    layers: tuple[int, int]
    merged: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer's record.

    Attributes:
        name: what the user calls it.
        window: the pixels that it has, in the coordinates of the picture.
        channels: (offset, length) of the data of each channel by its number.
        hidden: whether it is switched off.
        mask_window: what its user mask covers.
        mask_outside: value of the user mask elsewhere, 0 or 255.
    """

    name: str
    window: Window
    channels: dict[int, tuple[int, int]]
    hidden: bool
    mask_window: Window
    mask_outside: int


def parse_header(data: bytes) -> Header:
    """The header in the first 26 bytes of a file.

    Raises:
        ValueError: if it is none.
    """
    if len(data) < 26 or data[:4] != SIGNATURE:
        raise ValueError("not a Photoshop file")
    version, channels, height, width, bits, mode = struct.unpack_from(">H6xHIIHH", data, 4)
    if version not in (1, 2) or not 1 <= channels <= MOST_CHANNELS:
        raise ValueError("its header is damaged")
    return Header(version == 2, channels, width, height, bits, mode)


def find_sections(read: Read, header: Header) -> Sections:
    """Where the sections of a file are."""
    at = 26
    at += 4 + struct.unpack(">I", read(at, 4))[0]
    resources = (at + 4, struct.unpack(">I", read(at, 4))[0])
    at = sum(resources)
    code, size = _pointer(header.big, ">")
    layers = (at + size, struct.unpack(code, read(at, size))[0])
    return Sections(resources, layers, sum(layers))


def file_layers(read: Read, header: Header, section: tuple[int, int]) -> list[Layer]:
    """The layers of a PSD or PSB, from the bottom up.

    Raises:
        ValueError: if the records make no sense.
    """
    start, length = section
    if not length:
        return []
    code, size = _pointer(header.big, ">")
    count = struct.unpack(code, read(start, size))[0]
    if count:
        return parse_layers(read, start + size, header.big, ">")
    # With 16 bits a sample they stand in a block of their own, after the global mask.
    at = start + size
    at += 4 + struct.unpack(">I", read(at, 4))[0]
    for key, begin, _ in blocks(read, at, start + length, header.big, ">"):
        if key in (b"Lr16", b"Lr32", b"Layr"):
            return parse_layers(read, begin, header.big, ">")
    return []


def tiff_layers(data: bytes) -> tuple[list[Layer], Read, Order]:
    """The layers in a TIFF's tag 37724, how to read their data, and the byte order of samples.

    Raises:
        ValueError: if the tag holds none.
    """

    def read(offset: int, count: int) -> bytes:
        if offset + count > len(data):
            raise ValueError("the layers are cut short")
        return data[offset : offset + count]

    start = len(TIFF_PREFIX)
    order: Order = "<" if data[start : start + 4] in (b"MIB8", b"46B8") else ">"
    for key, begin, _ in blocks(read, start, len(data), False, order):
        if key in (b"Lr16", b"Lr32", b"Layr"):
            return parse_layers(read, begin, False, order), read, order
    raise ValueError("it holds no layers")


def blocks(
    read: Read, at: int, end: int, big: bool, order: Order
) -> Iterator[tuple[bytes, int, int]]:
    """(key, offset, length) of the blocks of additional information."""
    while at + 12 <= end:
        signature, key = read(at, 4), read(at + 4, 4)
        if order == "<":
            signature, key = signature[::-1], key[::-1]
        if signature not in (b"8BIM", b"8B64"):
            return
        code, size = _pointer((big and key in _WIDE_BLOCKS) or signature == b"8B64", order)
        length = struct.unpack(code, read(at + 8, size))[0]
        yield key, at + 8 + size, length
        at += 8 + size + length + -length % 4


def parse_layers(read: Read, at: int, big: bool, order: Order) -> list[Layer]:
    """The layers whose records begin at `at`, from the bottom up.

    Raises:
        ValueError: if the records make no sense.
    """
    number = abs(struct.unpack(order + "h", read(at, 2))[0])
    if number > MOST_LAYERS:
        raise ValueError(f"{number} layers")
    at += 2
    records = []
    for _ in range(number):
        record, at = _parse_record(read, at, big, order)
        records.append(record)
    layers = []
    for name, window, sizes, hidden, mask_window, outside in records:
        channels = {}
        for channel, length in sizes:
            channels[channel] = (at, length)
            at += length
        layers.append(Layer(name, window, channels, hidden, mask_window, outside))
    return layers


_Record = tuple[str, Window, list[tuple[int, int]], bool, Window, int]


def _parse_record(read: Read, at: int, big: bool, order: Order) -> tuple[_Record, int]:
    window = _rectangle(read(at, 16), order)
    count = struct.unpack(order + "H", read(at + 16, 2))[0]
    if count > MOST_CHANNELS:
        raise ValueError(f"a layer of {count} channels")
    at += 18
    code, size = _pointer(big, order)
    sizes = []
    for _ in range(count):
        channel = struct.unpack(order + "h", read(at, 2))[0]
        sizes.append((channel, struct.unpack(code, read(at + 2, size))[0]))
        at += 2 + size
    flags = read(at + 10, 1)[0]
    length = struct.unpack(order + "I", read(at + 12, 4))[0]
    at += 16
    end, mask_window, outside = at + length, Window(0, 0, 0, 0), 255
    mask = struct.unpack(order + "I", read(at, 4))[0]
    if mask >= 18:
        mask_window, outside = _rectangle(read(at + 4, 16), order), read(at + 20, 1)[0]
    at += 4 + mask
    at += 4 + struct.unpack(order + "I", read(at, 4))[0]
    letters = read(at, 1)[0]
    name = read(at + 1, letters).decode("latin-1")
    at += (1 + letters + 3) // 4 * 4
    for key, begin, size in blocks(read, at, end, big, order):
        if key == b"luni" and size >= 4:
            units = struct.unpack(order + "I", read(begin, 4))[0]
            text = read(begin + 4, min(2 * units, size - 4))
            name = text.decode("utf-16-le" if order == "<" else "utf-16-be", "replace").rstrip("\0")
    return (name, window, sizes, bool(flags & 2), mask_window, outside), end


def _rectangle(data: bytes, order: Order) -> Window:
    top, left, bottom, right = struct.unpack(order + "4i", data)
    if bottom < top or right < left:
        raise ValueError("a layer of no size")
    return Window(left, top, right - left, bottom - top)


def _pointer(wide: bool, order: Order) -> tuple[str, int]:
    """Struct code and size of a length."""
    return (order + "Q", 8) if wide else (order + "I", 4)
