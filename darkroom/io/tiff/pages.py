"""The pages of a TIFF file: what each one holds and how its pixels are stored.

Directories are read with bounds on everything, so that a damaged or hostile file costs neither
time nor memory. Sources: TIFF 6.0, TIFF technical note 1 (SubIFDs), DNG 1.7, libtiff's BigTIFF.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from darkroom.io.files import PositionedFile
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.ifd import (
    ByteOrder,
    Entries,
    IfdError,
    Layout,
    Read,
    damaged_phrases,
    parse_directory,
    sub_directories,
    unpack_value,
)
from darkroom.metadata import Tag

MAX_PAGES = 512  # layers and previews come in tens
MAX_DEPTH = 3  # of SubIFDs
INTEGERS = (1, 3, 4, 13, 16, 18)  # data types

COMPRESSIONS = {1: "uncompressed", 5: "LZW", 7: "JPEG", 8: "deflate", 32946: "deflate"}
COMPRESSIONS |= {32773: "PackBits", 50000: "ZSTD"}
OTHER_COMPRESSIONS = {2: "CCITT", 3: "CCITT fax 3", 4: "CCITT fax 4", 6: "old-style JPEG"}
OTHER_COMPRESSIONS |= {34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 50001: "WebP"}
OTHER_COMPRESSIONS |= {34892: "lossy DNG JPEG", 52546: "JPEG XL", 50002: "JPEG XL", 34713: "NEF"}

PHOTOMETRICS = {0: "white is zero", 1: "black is zero", 2: "RGB", 3: "palette", 4: "mask"}
PHOTOMETRICS |= {5: "CMYK", 6: "YCbCr", 8: "CIELab", 9: "ICCLab", 32803: "colour filter array"}
PHOTOMETRICS |= {32844: "LogL", 32845: "LogLuv", 34892: "linear raw"}
CFA, LINEAR_RAW = 32803, 34892


@dataclass(frozen=True)
class Page:
    """One directory: its tags, and the facts of storage read from them.

    Attributes:
        number: position in reading order, SubIFDs after the page that owns them.
        label: the same for people: "0", "0.1" (second SubIFD of the first page).
        layout: field widths and byte order of the file.
        entries: all tags that can be read, values as raw bytes.
        damaged: what is wrong with each of the others.
        ordered: whether the tags stand in ascending order, as they must.
    """

    number: int
    label: str
    layout: Layout
    entries: dict[int, Tag] = field(repr=False)
    damaged: dict[int, str] = field(default_factory=dict, repr=False)
    ordered: bool = True

    def ints(self, code: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The values of an integer tag."""
        tag = self.entries.get(code)
        if tag is None or tag.dtype not in INTEGERS:
            return default
        value = unpack_value(tag, self.layout.order)
        return value if isinstance(value, tuple) else (value,)

    def first(self, code: int, default: int) -> int:
        """The first value of an integer tag."""
        return self.ints(code, (default,))[0]

    def text(self, code: int) -> str:
        """The value of an ASCII tag, or the empty string."""
        tag = self.entries.get(code)
        return str(unpack_value(tag, self.layout.order)).strip() if tag and tag.dtype == 2 else ""

    def data(self, code: int) -> bytes | None:
        """The raw bytes of a tag."""
        tag = self.entries.get(code)
        return None if tag is None else cast(bytes, tag.value)

    @cached_property
    def width(self) -> int:
        """Columns."""
        return self.first(T.WIDTH, 0)

    @cached_property
    def height(self) -> int:
        """Rows."""
        return self.first(T.HEIGHT, 0)

    @cached_property
    def samples(self) -> int:
        """Samples a pixel."""
        return self.first(T.SAMPLES, 1)

    @cached_property
    def bits(self) -> tuple[int, ...]:
        """Bits of each sample."""
        return self.ints(T.BITS, (1,))

    @cached_property
    def sample_formats(self) -> tuple[int, ...]:
        """1 unsigned, 2 signed, 3 floating point, 4 undefined; of each sample."""
        return self.ints(T.SAMPLE_FORMAT, (1,))

    @cached_property
    def compression(self) -> int:
        """TIFF compression code."""
        return self.first(T.COMPRESSION, 1)

    @cached_property
    def photometric(self) -> int:
        """TIFF photometric interpretation; -1 where the tag is missing."""
        return self.first(T.PHOTOMETRIC, -1)

    @cached_property
    def planar(self) -> bool:
        """Whether each sample is stored apart."""
        return self.first(T.PLANAR, 1) == 2 and self.samples > 1

    @cached_property
    def predictor(self) -> int:
        """1 none, 2 horizontal difference, 3 floating point."""
        return self.first(T.PREDICTOR, 1) if self.compression in (5, 8, 32946, 50000) else 1

    @cached_property
    def subfile(self) -> int:
        """NewSubfileType: bit 0 reduced, bit 1 page of many, bit 2 transparency mask."""
        old = {2: 1, 3: 2}.get(self.first(255, 0), 0)
        return self.first(T.SUBFILE, old)

    @cached_property
    def extra_kinds(self) -> tuple[int, ...]:
        """Meaning of extra samples: 0 unspecified, 1 associated alpha, 2 alpha."""
        return self.ints(T.EXTRA_SAMPLES)

    @cached_property
    def tiled(self) -> bool:
        """Tiles rather than strips."""
        return T.TILE_WIDTH in self.entries

    @cached_property
    def segment_size(self) -> tuple[int, int]:
        """(columns, rows) of a full tile or strip."""
        if self.tiled:
            return self.first(T.TILE_WIDTH, 0), self.first(T.TILE_HEIGHT, 0)
        rows = self.first(T.ROWS_PER_STRIP, 0) or self.height
        return self.width, min(rows, self.height)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each segment starts."""
        return self._array(T.TILE_OFFSETS if self.tiled else T.STRIP_OFFSETS)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Bytes of each segment; empty where the tag is missing."""
        return self._array(T.TILE_COUNTS if self.tiled else T.STRIP_COUNTS)

    def _array(self, code: int) -> NDArray[np.int64]:
        values = np.asarray(self.ints(code), np.uint64)
        return np.minimum(values, np.uint64(1 << 62)).astype(np.int64)


def read_pages(file: PositionedFile) -> list[Page]:
    """Every page and SubIFD of a TIFF file.

    A directory that cannot be read ends its chain; the pages before it still count.

    Raises:
        IfdError: if the first directory cannot be read.
    """
    layout, offset = read_header(file)
    read = _metered(file)
    pages: list[Page] = []
    seen: set[int] = set()
    for found, label in _walk(read, file.size, layout, offset, seen):
        entries: dict[int, Tag] = {}
        for tag in found.tags:
            entries.setdefault(tag.code, tag)
        damaged = dict(found.damaged)
        for code in T.PIXEL_TAGS & entries.keys() - {T.JPEG_TABLES}:
            if entries[code].dtype not in INTEGERS:
                damaged[code] = f"its type {entries.pop(code).dtype} is wrong"
        pages.append(Page(len(pages), label, layout, entries, damaged, found.ordered))
        if len(pages) == MAX_PAGES:
            break
    return pages


def _metered(file: PositionedFile) -> Read:
    """Reads of the file until they come to much more than it holds.

    Values do not overlap in a sound file; in a hostile one each of 512 pages may point at the same.
    """
    left = 2 * file.size + (1 << 20)

    def read(offset: int, count: int) -> bytes:
        nonlocal left
        left -= count
        if left < 0:
            raise IfdError("its values overlap")
        return file.read(offset, count)

    return read


def read_header(file: PositionedFile) -> tuple[Layout, int]:
    """Field widths, byte order, and the offset of the first directory."""
    head = file.head(16)
    order: ByteOrder = "<" if head[:2] == b"II" else ">"
    if head[:2] not in (b"II", b"MM") or len(head) < 8:
        raise IfdError("it does not begin like a TIFF")
    magic = struct.unpack_from(order + "H", head, 2)[0]
    if magic == 43 and len(head) == 16:
        return Layout(True, order), struct.unpack_from(order + "Q", head, 8)[0]
    if magic != 42:
        raise IfdError("it does not begin like a TIFF")
    return Layout(False, order), struct.unpack_from(order + "I", head, 4)[0]


def page_metadata(file: PositionedFile, page: Page, losses: list[str]) -> list[Tag]:
    """The page's tags with those of its EXIF and GPS directories; `losses` gets what is damaged."""
    metadata = {code: why for code, why in page.damaged.items() if code not in T.PIXEL_TAGS}
    losses += damaged_phrases(metadata)
    tags = list(page.entries.values())
    return tags + sub_directories(file.read, tags, page.layout, T.LARGEST_VALUE, losses)


def _walk(
    read: Read,
    size: int,
    layout: Layout,
    offset: int,
    seen: set[int],
    prefix: str = "",
    number: int = 0,
    depth: int = 0,
) -> Iterator[tuple[Entries, str]]:
    """A chain of directories and, after each, its SubIFDs; labelled prefix + number."""
    while offset and offset not in seen:
        seen.add(offset)
        try:
            entries = parse_directory(read, offset, layout, T.LARGEST_VALUE)
            following = _following(read, size, layout, offset)
        except Exception:
            if len(seen) == 1:
                raise
            return
        yield entries, f"{prefix}{number}"
        for tag in entries.tags:
            if tag.code == T.SUB_IFDS and tag.dtype in (4, 13, 16, 18) and depth < MAX_DEPTH:
                value = unpack_value(tag, layout.order)
                children = value if isinstance(value, tuple) else (value,)
                for n, child in enumerate(children[:MAX_PAGES]):
                    below = f"{prefix}{number}."
                    yield from _walk(read, size, layout, child, seen, below, n, depth + 1)
        offset, number = following, number + 1


def _following(read: Read, file_size: int, layout: Layout, offset: int) -> int:
    size = struct.calcsize(layout.count_code)
    number = struct.unpack(layout.count_code, read(offset, size))[0]
    code = layout.order + ("Q" if layout.big else "I")
    at = offset + size + number * layout.entry
    if at + layout.pointer > file_size:
        return 0  # some writers end the file right after the entries
    return int(struct.unpack(code, read(at, layout.pointer))[0])
