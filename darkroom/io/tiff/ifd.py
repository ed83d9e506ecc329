"""TIFF directories as bytes: packing tag values, writing directories, reading EXIF blocks.

The same structure serves TIFF files and the EXIF blocks of JPEG and PNG (TIFF 6.0, section 2;
EXIF 2.3, section 4.5; BigTIFF as libtiff defines it).
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from darkroom.errors import InputError
from darkroom.metadata import Tag

ByteOrder: TypeAlias = Literal["<", ">"]
Directory: TypeAlias = Literal["image", "exif", "gps", "interop"]

# Bytes and struct code of each data type; rationals are two numbers a value.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 5: "I", 6: "b", 7: "B", 8: "h", 9: "i", 10: "i", 11: "f"}
_CODES |= {12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965
MAX_ENTRIES = 4096  # of one directory: real ones have tens
EMPTY = "it is empty"  # which matters only of a tag that must not be
# Tags that point to a directory: number -> the directory they stand in, and the one they mean.
POINTERS: dict[int, tuple[Directory, Directory]] = {
    EXIF_IFD: ("image", "exif"),
    GPS_IFD: ("image", "gps"),
    INTEROP_IFD: ("exif", "interop"),
}

Read: TypeAlias = Callable[[int, int], bytes]  # (offset, count) -> exactly count bytes


class IfdError(ValueError):
    """A directory does not make sense."""


@dataclass(slots=True)
class Entries:
    """What one directory holds.

    Attributes:
        tags: the entries that can be read, values as raw bytes.
        damaged: what is wrong with each of the others, by tag number.
        ordered: whether they stand in ascending order, as they must.
    """

    tags: list[Tag] = field(default_factory=list)
    damaged: dict[int, str] = field(default_factory=dict)
    ordered: bool = True


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
) -> Entries:
    """The entries of the directory at `offset`.

    An entry that is damaged costs only itself: of unknown type, of more than `limit` bytes, or
    with its value outside the file.

    Raises:
        IfdError: if the number of entries, or the size of all values together, is absurd, or most
            entries are damaged.
    """
    size = struct.calcsize(layout.count_code)
    number = struct.unpack(layout.count_code, read(offset, size))[0]
    if not 0 < number <= MAX_ENTRIES:
        raise IfdError(f"a directory of {number} entries")
    table = read(offset + size, number * layout.entry)
    code = layout.order + ("HHQ" if layout.big else "HHI")
    pointer_code = layout.order + ("Q" if layout.big else "I")
    found = Entries()
    budget, before = 4 * limit, -1
    for at in range(0, len(table), layout.entry):
        name, dtype, count = struct.unpack_from(code, table, at)
        found.ordered &= name > before
        before = name
        length = SIZES.get(dtype, 0) * count
        field = table[at + layout.entry - layout.pointer : at + layout.entry]
        if not 0 < length <= limit:
            found.damaged[name] = _fault(dtype, length)
            continue
        if length > layout.pointer:
            budget -= length
            if budget < 0:
                raise IfdError("its values overlap")
            try:
                field = read(struct.unpack(pointer_code, field)[0], length)
            except (InputError, IfdError):
                found.damaged[name] = "its value lies outside the file"
                continue
        found.tags.append(Tag(name, dtype, count, field[:length], ifd))
    if len(found.damaged) > max(1, len(found.tags)):
        raise IfdError(f"{len(found.damaged)} of {number} entries are damaged")
    return found


def _fault(dtype: int, length: int) -> str:
    if dtype not in SIZES:
        return f"its type {dtype} is unknown"
    return f"it is {length:,} bytes long" if length else EMPTY


def sub_directories(
    read: Read, tags: Iterable[Tag], layout: Layout, limit: int, losses: list[str]
) -> list[Tag]:
    """Entries of the EXIF, GPS and interoperability directories that `tags` lead to.

    What of them is damaged goes to `losses`.
    """
    found: list[Tag] = []
    todo = [tag for tag in tags if tag.code in POINTERS]
    while todo:
        tag = todo.pop(0)
        stands, ifd = POINTERS[tag.code]
        if tag.ifd != stands or any(each.ifd == ifd for each in found):
            continue
        try:
            entries = parse_directory(
                read, int(unpack_value(tag, layout.order)), layout, limit, ifd
            )
        except Exception:
            losses.append(f"{ifd.upper()} directory (damaged in the source)")
            continue
        losses += damaged_phrases(entries.damaged, ifd)
        found += entries.tags
        todo += [each for each in entries.tags if each.code in POINTERS]
    return [tag for tag in found if (tag.code, tag.ifd) != (INTEROP_IFD, "exif")]


def damaged_phrases(damaged: dict[int, str], ifd: Directory = "image") -> list[str]:
    """A phrase each for the tags of a directory that cannot be read, empty ones left out."""
    return [damaged_phrase(code, why, ifd) for code, why in damaged.items() if why != EMPTY]


def damaged_phrase(code: int, why: str, ifd: str = "image") -> str:
    """What to say of a tag that cannot be read."""
    return f"{tag_name(code, ifd)} (damaged in the source: {why})"


def tag_name(code: int, ifd: str = "image") -> str:
    """The name of a tag in the TIFF, EXIF or DNG specification, or its number.

    Args:
        code: tag number.
        ifd: "image", "exif", "gps" or "interop".
    """
    import tifffile

    tables = {
        "exif": tifffile.TIFF.EXIF_TAGS,
        "gps": tifffile.TIFF.GPS_TAGS,
        "interop": tifffile.TIFF.IOP_TAGS,
    }
    names = tables.get(ifd, tifffile.TIFF.TAGS)
    return str(names[code]) if code in names else f"tag {code}"


def parse_exif(block: bytes, losses: list[str] | None = None) -> tuple[ByteOrder, list[Tag]]:
    """The tags of an EXIF block (a TIFF stream, with or without its "Exif" prefix).

    Args:
        block: the bytes.
        losses: gets a phrase for each tag that is damaged.

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
    entries = parse_directory(read, start, layout, len(block))
    lost = damaged_phrases(entries.damaged)
    tags = entries.tags + sub_directories(read, entries.tags, layout, len(block), lost)
    if losses is not None:
        losses += lost
    return order, [tag for tag in tags if tag.ifd != "image" or tag.code not in POINTERS]


def pack_exif(tags: Iterable[Tag], order: ByteOrder) -> bytes:
    """An EXIF block of these tags; empty if there are none."""
    tags = list(tags)
    if not tags:
        return b""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return header + pack_directories(tags, Layout(False, order), 8)


def pack_directories(tags: list[Tag], layout: Layout, offset: int, following: int = 0) -> bytes:
    """The image directory at `offset`, followed by the directories it leads to."""
    own: dict[Directory, list[Tag]] = {ifd: [] for ifd in ("image", "exif", "gps", "interop")}
    for tag in tags:
        if POINTERS.get(tag.code, ("",))[0] != tag.ifd:
            own[tag.ifd].append(tag)
    pointer_type = LONG8 if layout.big else LONG
    # Pointers have a fixed size, so a first pass with zeros tells where things will lie.
    for code, (stands, ifd) in reversed(POINTERS.items()):
        if own[ifd]:
            own[stands].append(Tag(code, pointer_type, 1, 0, stands))
    starts: dict[Directory, int] = {}
    at = offset
    for ifd, entries in own.items():
        starts[ifd] = at
        at += len(pack_directory(entries, layout, at)) if entries else 0
    out = b""
    for ifd, entries in own.items():
        real = [
            Tag(tag.code, tag.dtype, 1, starts[POINTERS[tag.code][1]], tag.ifd)
            if POINTERS.get(tag.code, ("",))[0] == ifd
            else tag
            for tag in entries
        ]
        if real:
            out += pack_directory(real, layout, starts[ifd], following if ifd == "image" else 0)
    return out
