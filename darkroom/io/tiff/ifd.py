"""TIFF directories as bytes: packing tag values, writing directories, reading EXIF blocks.

The same structure serves TIFF files and the EXIF blocks of JPEG and PNG (TIFF 6.0, section 2;
EXIF 2.3, section 4.5; BigTIFF as libtiff defines it).
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from darkroom.scan import Tag

ByteOrder: TypeAlias = Literal["<", ">"]
Directory: TypeAlias = Literal["image", "exif", "gps"]

# Bytes and struct code of each data type; rationals are two numbers a value.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 5: "I", 6: "b", 7: "B", 8: "h", 9: "i", 10: "i", 11: "f"}
_CODES |= {12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965
MAX_ENTRIES = 4096  # of one directory: real ones have tens
POINTERS: dict[int, Directory] = {EXIF_IFD: "exif", GPS_IFD: "gps"}

Read: TypeAlias = Callable[[int, int], bytes]  # (offset, count) -> exactly count bytes


class IfdError(ValueError):
    """A directory does not make sense."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Field widths of classic TIFF or BigTIFF."""

    big: bool
    order: ByteOrder

    @property
    def pointer(self) -> int:
        """Bytes of an offset, and of the value field of an entry."""
        return 8 if self.big else 4

    @property
    def entry(self) -> int:
        """Bytes of one directory entry."""
        return 20 if self.big else 12

    @property
    def count_code(self) -> str:
        """Struct code of the number of entries."""
        return self.order + ("Q" if self.big else "H")

    def pack_header(self, first: int) -> bytes:
        """The start of a file whose first directory is at `first`."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(self.order + "HHHQ", 43, 8, 0, first)
        return mark + struct.pack(self.order + "HI", 42, first)

    def pack_pointer(self, value: int) -> bytes:
        """An offset as it is stored."""
        return struct.pack(self.order + ("Q" if self.big else "I"), value)


def pack_value(tag: Tag, order: ByteOrder) -> bytes:
    """The bytes of a tag's values; bytes are taken as they are.

    Raises:
        IfdError: if the value does not fit the data type.
    """
    value = tag.value
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8") + b"\0"
    values = np.atleast_1d(np.asarray(value)).ravel().tolist()
    try:
        return struct.pack(f"{order}{len(values)}{_CODES[tag.dtype]}", *values)
    except (KeyError, struct.error) as error:
        raise IfdError(f"tag {tag.code}: {error}") from error


def unpack_value(tag: Tag, order: ByteOrder) -> Any:
    """A tag's value as a str, a number, or a tuple of numbers (two for each rational)."""
    if not isinstance(tag.value, bytes):
        return tag.value
    if tag.dtype == ASCII:
        return tag.value.split(b"\0", 1)[0].decode("utf-8", "replace")
    size = SIZES[tag.dtype] // (2 if tag.dtype in (5, 10) else 1)
    count = len(tag.value) // size
    values = struct.unpack_from(f"{order}{count}{_CODES[tag.dtype]}", tag.value)
    return values[0] if len(values) == 1 else values


def retype(tag: Tag, source: ByteOrder, target: ByteOrder) -> Tag:
    """The tag with its bytes turned to another byte order, if its type has one."""
    if source == target or not isinstance(tag.value, bytes):
        return tag
    width = SIZES[tag.dtype] // (2 if tag.dtype in (5, 10) else 1)
    if width == 1:
        return tag
    turned = np.frombuffer(tag.value, f"u{width}").byteswap().tobytes()
    return Tag(tag.code, tag.dtype, tag.count, turned, tag.ifd)


def pack_directory(tags: Iterable[Tag], layout: Layout, offset: int, following: int = 0) -> bytes:
    """A directory with the values that do not fit its entries, to be stored at `offset`.

    Args:
        tags: entries; the last one of a code wins.
        layout: classic or big, and the byte order.
        offset: where the bytes will stand; must be even.
        following: offset of the next directory, or 0.
    """
    entries = sorted({tag.code: tag for tag in tags}.values(), key=lambda tag: tag.code)
    head = struct.calcsize(layout.count_code) + layout.entry * len(entries) + layout.pointer
    table, values = bytearray(struct.pack(layout.count_code, len(entries))), bytearray()
    code = layout.order + ("HHQ" if layout.big else "HHI")
    for tag in entries:
        data = pack_value(tag, layout.order)
        count = len(data) // SIZES[tag.dtype]
        table += struct.pack(code, tag.code, tag.dtype, count)
        if len(data) <= layout.pointer:
            table += data.ljust(layout.pointer, b"\0")
        else:
            values += b"\0" * (-(head + len(values)) % 2)
            table += layout.pack_pointer(offset + head + len(values))
            values += data
    values += b"\0" * (-(head + len(values)) % 2)
    return bytes(table + layout.pack_pointer(following) + values)


def parse_directory(
    read: Read, offset: int, layout: Layout, limit: int, ifd: Directory = "image"
) -> list[Tag]:
    """The entries of the directory at `offset`, values as raw bytes.

    Entries of unknown type, or whose value would be larger than `limit` bytes, are left out.

    Raises:
        IfdError: if the number of entries, or the size of all values together, is absurd.
    """
    size = struct.calcsize(layout.count_code)
    number = struct.unpack(layout.count_code, read(offset, size))[0]
    if not 0 < number <= MAX_ENTRIES:
        raise IfdError(f"a directory of {number} entries")
    table = read(offset + size, number * layout.entry)
    code = layout.order + ("HHQ" if layout.big else "HHI")
    pointer_code = layout.order + ("Q" if layout.big else "I")
    tags = []
    budget = 4 * limit
    for at in range(0, len(table), layout.entry):
        number, dtype, count = struct.unpack_from(code, table, at)
        length = SIZES.get(dtype, 0) * count
        field = table[at + layout.entry - layout.pointer : at + layout.entry]
        if not 0 < length <= limit:
            continue
        if length > layout.pointer:
            budget -= length
            if budget < 0:
                raise IfdError("its values overlap")
            field = read(struct.unpack(pointer_code, field)[0], length)
        tags.append(Tag(number, dtype, count, field[:length], ifd))
    return tags


def sub_directories(read: Read, tags: Iterable[Tag], layout: Layout, limit: int) -> list[Tag]:
    """Entries of the EXIF and GPS directories that `tags` point to; damaged ones are left out."""
    found: list[Tag] = []
    for tag in tags:
        if tag.code in POINTERS and tag.ifd == "image":
            offset = unpack_value(tag, layout.order)
            try:
                found += parse_directory(read, int(offset), layout, limit, POINTERS[tag.code])
            except Exception:
                continue
    return [tag for tag in found if tag.code != INTEROP_IFD]


def parse_exif(block: bytes) -> tuple[ByteOrder, list[Tag]]:
    """The tags of an EXIF block (a TIFF stream, with or without its "Exif" prefix).

    Raises:
        IfdError: if it is not one.
    """
    block = block.removeprefix(b"Exif\0\0")
    if block[:4] not in (b"II*\0", b"MM\0*"):
        raise IfdError("not an EXIF block")
    order: ByteOrder = "<" if block[:2] == b"II" else ">"

    def read(offset: int, count: int) -> bytes:
        data = block[offset : offset + count]
        if len(data) != count:
            raise IfdError("the EXIF block is cut short")
        return data

    layout = Layout(False, order)
    start = struct.unpack(order + "I", read(4, 4))[0]
    tags = parse_directory(read, start, layout, len(block))
    tags += sub_directories(read, tags, layout, len(block))
    return order, [tag for tag in tags if tag.ifd != "image" or tag.code not in POINTERS]


def pack_exif(tags: Iterable[Tag], order: ByteOrder) -> bytes:
    """An EXIF block of these tags; empty if there are none."""
    tags = list(tags)
    if not tags:
        return b""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return header + pack_directories(tags, Layout(False, order), 8)


def pack_directories(tags: list[Tag], layout: Layout, offset: int, following: int = 0) -> bytes:
    """The image directory at `offset`, followed by the EXIF and GPS directories it points to."""
    image = [tag for tag in tags if tag.ifd == "image" and tag.code not in POINTERS]
    present = [(code, ifd) for code, ifd in POINTERS.items() if any(t.ifd == ifd for t in tags)]
    pointer_type = LONG8 if layout.big else LONG
    # Pointers have a fixed size, so a first pass with zeros tells where things will lie.
    blank = [Tag(code, pointer_type, 1, 0) for code, _ in present]
    end = offset + len(pack_directory(image + blank, layout, offset, following))
    blocks = b""
    pointers = []
    for code, ifd in present:
        pointers.append(Tag(code, pointer_type, 1, end + len(blocks)))
        entries = [tag for tag in tags if tag.ifd == ifd]
        blocks += pack_directory(entries, layout, end + len(blocks))
    return pack_directory(image + pointers, layout, offset, following) + blocks
