"""The merged picture of a Photoshop file, and single channels of its layers."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from darkroom.errors import InputError
from darkroom.geometry import Window, bands
from darkroom.io.encoding import icc_judgement
from darkroom.io.files import TRUNCATED_HINT, PositionedFile, check_size, reading
from darkroom.io.photoshop import EXIF, ICC, IPTC, RESOLUTION, XMP, resources
from darkroom.io.psd.layout import (
    GREY,
    RAW,
    RGB,
    RLE,
    ZIP,
    ZIP_DELTA,
    Header,
    Layer,
    Order,
    Read,
    Sections,
    file_layers,
    find_sections,
    parse_header,
)
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.spooled import BAND_MEMORY, SpooledScan
from darkroom.metadata import Metadata
from darkroom.scan import ColorProfile, ScanInfo

BAND = 4 << 20  # bytes of rows decoded in one go
SAVE_HINT = "save it as a TIFF or PNG"


def open_psd(path: Path, *, cache_bytes: int, max_pixels: int, scratch: Scratch) -> SpooledScan:
    """Open the merged picture of a PSD or PSB; see `darkroom.io.open_scan`.

    Raises:
        InputError: if it is damaged, or not grey or RGB of 8 or 16 bits.
    """
    file = PositionedFile(path)
    try:
        with reading(path, "Photoshop file"):
            header = parse_header(file.head(26))
            sections = find_sections(file.read, header)
            info = _describe(file, header, sections, max_pixels)

        def decode(spool: Spool) -> None:
            _decode(file, header, sections.merged, spool)

        return SpooledScan(info, decode, scratch, file.close, memory=BAND_MEMORY)
    except BaseException:
        file.close()
        raise


def _describe(
    file: PositionedFile, header: Header, sections: Sections, max_pixels: int
) -> ScanInfo:
    path = file.path
    check_size(path, header.width, header.height, max_pixels)
    if header.mode not in (GREY, RGB) or header.bits not in (8, 16):
        raise InputError(
            f"{path}: a Photoshop file of mode {header.mode} and {header.bits} bits is not "
            "supported",
            hint="convert it to grey or RGB of 8 or 16 bits first",
        )
    channels = 3 if header.mode == RGB else 1
    extra = header.channels - channels
    if extra < 0:
        raise InputError(f"{path}: its header is damaged", hint=TRUNCATED_HINT)
    found = {number: data for number, _, _, data in resources(file.read(*sections.resources))}
    layers = len(file_layers(file.read, header, sections.layers))
    text = f"{layers} layer{'s' * (layers > 1)} (only the merged picture is read)"
    icc = found.get(ICC)
    return ScanInfo(
        path=path,
        format="psd",
        width=header.width,
        height=header.height,
        channels=channels,
        dtype=np.dtype(np.uint8 if header.bits == 8 else np.uint16),
        extra=extra,
        photometric="rgb" if channels == 3 else "minisblack",
        profile=ColorProfile(icc, *icc_judgement(icc)),
        resolution=_resolution(found.get(RESOLUTION, b"")),
        metadata=Metadata(
            exif=found.get(EXIF),
            xmp=found.get(XMP),
            iptc=found.get(IPTC),
            left_out=(text,) if layers else (),
        ),
        extra_kinds=(0,) * extra,
        layout=f"{header.bits}-bit, merged picture of a {'PSB' if header.big else 'PSD'}",
    )


def _resolution(data: bytes) -> tuple[float, float] | None:
    if len(data) < 12:
        return None
    x, y = struct.unpack_from(">I", data)[0], struct.unpack_from(">I", data, 8)[0]
    return (x / 65536, y / 65536) if x and y else None


def _decode(file: PositionedFile, header: Header, at: int, spool: Spool) -> None:
    """Store the merged picture: planes of rows, raw or packed row by row."""
    dtype = header.dtype
    row_bytes = header.width * dtype.itemsize
    plane = row_bytes * header.height
    compression = struct.unpack(">H", file.read(at, 2))[0]
    if compression not in (RAW, RLE):
        raise InputError(f"{file.path}: its merged picture is packed unusually", hint=SAVE_HINT)
    at += 2
    starts: NDArray[np.int64] = np.arange(header.channels * header.height + 1) * row_bytes + at
    if compression == RLE:
        number, code = header.channels * header.height, ">u4" if header.big else ">u2"
        table = file.read(at, number * np.dtype(code).itemsize)
        sizes = np.frombuffer(table, code).astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)]) + at + len(table)
    if int(starts[-1]) > file.size or plane == 0:
        raise InputError(f"{file.path}: truncated: pixels are missing", hint=TRUNCATED_HINT)
    for window in bands(header.width, header.height, max(1, BAND // (row_bytes * spool.samples))):
        planes = []
        for channel in range(header.channels):
            first = channel * header.height + window.y
            ends = starts[first : first + window.height + 1]
            data = file.read(int(ends[0]), int(ends[-1] - ends[0]))
            if compression == RLE:
                data = _unpacked_rows(data, ends - ends[0], row_bytes)
            rows = np.frombuffer(data, dtype).reshape(window.height, window.width)
            planes.append(rows.astype(spool.dtype))
        spool.write(window, np.stack(planes, axis=2))


def _unpacked_rows(data: bytes, ends: NDArray[np.int64], row_bytes: int) -> bytes:
    """Rows packed by PackBits one by one: `ends` holds where each begins and the last one ends."""
    out = b"".join(
        bytes(imagecodecs.packbits_decode(data[begin:end], out=row_bytes))
        for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    )
    if len(out) != row_bytes * (len(ends) - 1):
        raise ValueError("a row is cut short")
    return out


def read_channel(
    read: Read, layer: Layer, number: int, window: Window, header: Header, order: Order = ">"
) -> NDArray[Any]:
    """One channel of a layer: (window.height, window.width), uint8 or uint16.

    Args:
        read: gives bytes of the file.
        layer: the layer.
        number: which channel; -1 is opacity.
        window: what the channel covers.
        header: says how many bits a sample has.
        order: byte order of 16-bit samples and of counts.

    Raises:
        ValueError: if the data are damaged.
    """
    start, length = layer.channels[number]
    dtype = header.dtype.newbyteorder(order)
    row_bytes, rows = window.width * dtype.itemsize, window.height
    wanted = row_bytes * rows
    if not wanted:
        return np.zeros((rows, window.width), dtype.newbyteorder("="))
    compression = struct.unpack(order + "H", read(start, 2))[0]
    data = read(start + 2, length - 2)
    unpack: dict[int, Callable[[], bytes]] = {
        RAW: lambda: data[:wanted],
        RLE: lambda: _rle(data, rows, row_bytes, header.big, order),
        ZIP: lambda: zlib.decompressobj().decompress(data, wanted),
        ZIP_DELTA: lambda: zlib.decompressobj().decompress(data, wanted),
    }
    if compression not in unpack:
        raise ValueError(f"compression {compression}")
    raw = unpack[compression]()
    if len(raw) != wanted:
        raise ValueError("a channel is cut short")
    pixels = np.frombuffer(raw, dtype).reshape(rows, window.width).astype(dtype.newbyteorder("="))
    if compression == ZIP_DELTA:
        pixels = np.asarray(imagecodecs.delta_decode(pixels, axis=1))
    return pixels


def _rle(data: bytes, rows: int, row_bytes: int, big: bool, order: Order) -> bytes:
    code = np.dtype(order + ("u4" if big else "u2"))
    sizes = np.frombuffer(data[: rows * code.itemsize], code).astype(np.int64)
    if len(sizes) != rows:
        raise ValueError("a channel is cut short")
    ends = np.concatenate([[0], np.cumsum(sizes)]) + rows * code.itemsize
    return _unpacked_rows(data, ends, row_bytes)
