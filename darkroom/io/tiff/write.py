"""Writing TIFF in a stream: pixels first, directories last, renamed when complete.

A writer of its own, because rows are pushed as they are finished and the EXIF and GPS
directories and private tags of the source have to be laid into the file byte for byte. Its files
are checked in the tests against tifffile, Pillow and OpenCV.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from darkroom.errors import OutputError, UsageError
from darkroom.geometry import bands
from darkroom.io.atomic import writing
from darkroom.io.infrared import open_infrared
from darkroom.io.sink import AtomicSink
from darkroom.io.tiff import codecs as codecs
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.carry import carried_tags
from darkroom.io.tiff.codecs import Coding
from darkroom.io.tiff.ifd import LONG, LONG8, SHORT, ByteOrder, Layout, pack_directories
from darkroom.machine import processors
from darkroom.metadata import Metadata, Tag
from darkroom.scan import Pixels, Scan, ScanInfo

CODES = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773, "zstd": 50000}
_GROWTH = {5: 1.4, 32773: 1.02}  # the most that incompressible data grow
CLASSIC_LIMIT = (1 << 32) - (1 << 25)  # bytes; leaves room for directories
STRIP_BYTES = 1 << 19
LARGEST_SEGMENT = 4 << 20
LARGEST_BAND = 64 << 20
_THREADS = min(4, processors())


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the segments of a page will be stored."""

    coding: Coding
    planes: int
    columns: int
    rows: int
    tiled: bool


@dataclass
class _PageWriter:
    """One page under way."""

    info: ScanInfo
    plan: _Plan
    tags: list[Tag]
    subfile: int = 0
    offsets: dict[int, tuple[int, int]] = field(default_factory=dict)  # segment -> offset, count
    band: Pixels = field(init=False)
    filled: int = 0
    done: int = 0

    def __post_init__(self) -> None:
        rows = self.plan.rows
        if not self.plan.tiled:  # enough strips at a time to keep all threads busy
            rows *= min(2 * _THREADS, -(-self.info.height // rows))
        self.band = np.empty((rows, self.info.width, self.info.samples), self.info.dtype)


class TiffSink(AtomicSink):
    """A TIFF being written; see `darkroom.io.sink.ScanSink`.

    Args:
        path: the final name.
        info: what the pixels are, and the metadata to carry.
        compression: "none", "lzw", "deflate", "packbits", "zstd", or None for the source's.
        overwrite: replace an existing file.
        more_bytes: size of further pages, so that BigTIFF is chosen in time.

    Raises:
        OutputError: as `AtomicFile`.
        UsageError: for an unknown compression.
    """

    def __init__(
        self,
        path: Path,
        info: ScanInfo,
        *,
        compression: str | None = None,
        overwrite: bool = False,
        more_bytes: int = 0,
    ) -> None:
        self.exact = True
        self.losses: list[str] = []
        order, tags = carried_tags(info, self.losses)
        plan = _plan(info, order, compression, self.losses)
        metadata = sum(len(tag.value) for tag in tags if isinstance(tag.value, bytes))
        growth = _GROWTH.get(plan.coding.compression, 1.01)
        if info.infrared and info.infrared.where == "page":
            more_bytes += 2 * info.infrared.width * info.infrared.height
        size = int((info.nbytes + more_bytes) * growth) + metadata
        self._layout = Layout(size > CLASSIC_LIMIT, order)
        self.layout = _describe(plan, info, self._layout)
        self._page = _PageWriter(info, plan, tags)
        self._pages = [self._page]
        self._pool = ThreadPoolExecutor(_THREADS, "tiff") if _THREADS > 1 else None
        super().__init__(path, info, overwrite=overwrite)
        self._at = len(self._layout.pack_header(0))
        with self._guard():
            self._atomic.file.write(bytes(self._at))

    def write_rows(self, rows: Pixels) -> None:
        """The next rows of the page: (n, width, samples)."""
        page = self._page
        expected = (page.info.width, page.info.samples)
        if rows.ndim != 3 or rows.shape[1:] != expected or rows.dtype != page.info.dtype:
            raise ValueError(f"rows of {rows.shape} {rows.dtype} in an image of {expected}")
        if page.done + page.filled + len(rows) > page.info.height:
            raise ValueError("more rows than the image has")
        while len(rows):
            take = min(len(rows), len(page.band) - page.filled)
            page.band[page.filled : page.filled + take] = rows[:take]
            page.filled += take
            rows = rows[take:]
            last = page.done + page.filled == page.info.height
            if page.filled == len(page.band) or last:
                self._flush(page)

    def add_page(
        self,
        info: ScanInfo,
        rows: Iterable[Pixels],
        *,
        subfile: int = 0,
        description: str | None = None,
        compression: str | None = None,
    ) -> None:
        """Append a further page once the one before has all its rows.

        Args:
            info: what the pixels are; its metadata are not carried.
            rows: its rows from the top, in pieces.
            subfile: NewSubfileType.
            description: ImageDescription of the page.
            compression: as for the sink; None for that of the first page.
        """
        self._finish_page()
        order = self._layout.order
        name = compression or _name(self._pages[0].plan.coding.compression)
        tags = [Tag(T.DESCRIPTION, 2, 0, description)] if description else []
        self._page = _PageWriter(info, _plan(info, order, name, []), tags, subfile)
        self._pages.append(self._page)
        for piece in rows:
            self.write_rows(piece)

    def _complete(self) -> None:
        """Write the directories."""
        self._carry_infrared()
        self._finish_page()
        with self._guard():
            first = self._write_directories()
            self._atomic.file.seek(0)
            self._atomic.file.write(self._layout.pack_header(first))

    def _carry_infrared(self) -> None:
        """Append the source's infrared page, as its own kind of page, where it had one."""
        plane = self.info.infrared
        if plane is None or plane.where != "page":
            return
        with cast(Scan, open_infrared(self.info, cache_bytes=LARGEST_BAND)) as scan:
            info = replace(scan.info, metadata=Metadata(), infrared=None)
            rows = max(1, STRIP_BYTES // (info.width * info.dtype.itemsize))
            pieces = (scan.read(window) for window in bands(info.width, info.height, rows))
            self.add_page(info, pieces, subfile=scan.info.storage.subfile)

    def _release(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    # -- pixels -------------------------------------------------------------------------------

    def _flush(self, page: _PageWriter) -> None:
        """Encode and write the segments that the band holds."""
        plan, band = page.plan, page.band[: page.filled]
        down = -(-page.info.height // plan.rows)
        across = -(-page.info.width // plan.columns)
        first = page.done // plan.rows
        numbers, pieces = [], []
        for plane in range(plan.planes):
            for y in range(0, len(band), plan.rows):
                for column in range(across):
                    numbers.append((plane * down + first + y // plan.rows) * across + column)
                    x = column * plan.columns
                    piece = band[y : y + plan.rows, x : x + plan.columns]
                    pieces.append(piece[..., plane : plane + 1] if plan.planes > 1 else piece)
        encode = self._pool.map if self._pool and len(pieces) > 1 else map
        encoded = encode(lambda piece: codecs.encode(_filled(piece, plan), plan.coding), pieces)
        with self._guard():
            for number, data in zip(numbers, encoded, strict=True):
                self._atomic.file.write(data)
                page.offsets[number] = (self._at, len(data))
                self._at += len(data)
        page.done += page.filled
        page.filled = 0

    def _finish_page(self) -> None:
        page = self._page
        if page.done != page.info.height:
            raise OutputError(
                f"{self.path}: only {page.done + page.filled} of {page.info.height} rows were "
                "written"
            )
        page.band = page.band[:0].copy()

    # -- directories --------------------------------------------------------------------------

    def _write_directories(self) -> int:
        """Append the directories of all pages; returns the offset of the first."""
        file = self._atomic.file
        padding = -self._at % 2
        file.write(bytes(padding))
        first = at = self._at + padding
        for i, page in enumerate(self._pages):
            tags = page.tags + self._storage_tags(page)
            block = pack_directories(tags, self._layout, at)
            if i + 1 < len(self._pages):
                block = pack_directories(tags, self._layout, at, at + len(block))
            if not self._layout.big and at + len(block) >= 1 << 32:
                raise OutputError(f"{self.path}: would be larger than a classic TIFF can be")
            file.write(block)
            at += len(block)
        return first

    def _storage_tags(self, page: _PageWriter) -> list[Tag]:
        info, plan = page.info, page.plan
        size = LONG8 if self._layout.big else LONG
        places = np.array([page.offsets[i] for i in range(len(page.offsets))], np.uint64)
        integer = info.dtype.kind == "u"
        values: list[tuple[int, int, Any]] = [
            (T.SUBFILE, LONG, page.subfile),
            (T.WIDTH, LONG, info.width),
            (T.HEIGHT, LONG, info.height),
            (T.BITS, SHORT, [8 * info.dtype.itemsize] * info.samples),
            (T.COMPRESSION, SHORT, plan.coding.compression),
            (T.PHOTOMETRIC, SHORT, {"miniswhite": 0, "minisblack": 1, "rgb": 2}[info.photometric]),
            (T.ORIENTATION, SHORT, info.orientation),
            (T.SAMPLES, SHORT, info.samples),
            (T.PLANAR, SHORT, 2 if plan.planes > 1 else 1),
            (T.SAMPLE_FORMAT, SHORT, [1 if integer else 3] * info.samples),
        ]
        if plan.tiled:
            values += [(T.TILE_WIDTH, LONG, plan.columns), (T.TILE_HEIGHT, LONG, plan.rows)]
            values += [(T.TILE_OFFSETS, size, places[:, 0]), (T.TILE_COUNTS, size, places[:, 1])]
        else:
            values += [(T.ROWS_PER_STRIP, LONG, plan.rows)]
            values += [(T.STRIP_OFFSETS, size, places[:, 0]), (T.STRIP_COUNTS, size, places[:, 1])]
        if plan.coding.predictor > 1:
            values.append((T.PREDICTOR, SHORT, plan.coding.predictor))
        if info.extra:
            kinds = (*info.extra_kinds, *([0] * info.extra))[: info.extra]
            values.append((T.EXTRA_SAMPLES, SHORT, kinds))
        return [Tag(code, dtype, 0, value) for code, dtype, value in values]

    def _guard(self) -> Any:
        return writing(self.path)


def losses(info: ScanInfo, compression: str | None = None) -> list[str]:
    """What of a source a TIFF cannot carry, one phrase each."""
    lost: list[str] = []
    order, _ = carried_tags(info, lost)
    _plan(info, order, compression, lost)
    return lost


def _plan(info: ScanInfo, order: ByteOrder, compression: str | None, losses: list[str]) -> _Plan:
    """Storage as the source has it, unless another compression is asked for."""
    store = info.storage
    known = store.compression
    name = compression or known or "deflate"
    if name == "jpeg" and compression is None:
        name = "deflate"
        losses.append("JPEG compression (written with deflate: it would change every pixel)")
    if name not in CODES:
        raise UsageError(f"unknown compression {name!r}", hint=f"one of {', '.join(CODES)}")
    code = CODES[name]
    if name == "none" or name == "packbits":
        predictor = 1
    elif name == known:
        predictor = store.predictor
    else:
        predictor = 3 if info.dtype.kind == "f" else 2
    planes = info.samples if store.planar and info.samples > 1 else 1
    coding = Coding(code, predictor, order, info.dtype, info.samples // planes)
    columns, rows, tiled = _segment_size(info, coding)
    return _Plan(coding, planes, columns, rows, tiled)


def _segment_size(info: ScanInfo, coding: Coding) -> tuple[int, int, bool]:
    """Columns and rows of a segment, and whether it is a tile: the source's if reasonable."""
    tile = info.storage.tile
    if tile:
        columns, rows = tile
        across = -(-info.width // columns)
        small = coding.row_bytes(columns) * rows <= LARGEST_SEGMENT
        if small and not (columns % 16 or rows % 16):
            band = across * columns * rows * info.samples * info.dtype.itemsize
            if band <= LARGEST_BAND:
                return columns, rows, True
    row = coding.row_bytes(info.width)
    rows = info.storage.rows_per_strip or 0
    if not 0 < rows * row <= LARGEST_SEGMENT or rows * row < STRIP_BYTES // 8:
        rows = max(1, STRIP_BYTES // row)
    return info.width, min(rows, info.height), False


def _filled(piece: Pixels, plan: _Plan) -> Pixels:
    """A tile at the right or lower edge, filled up to its size by repeating the last pixels."""
    if not plan.tiled or piece.shape[:2] == (plan.rows, plan.columns):
        return np.ascontiguousarray(piece)
    missing = ((0, plan.rows - piece.shape[0]), (0, plan.columns - piece.shape[1]), (0, 0))
    return np.pad(piece, missing, mode="edge")


def _name(code: int) -> str:
    return next((name for name, number in CODES.items() if number == code), "deflate")


def _describe(plan: _Plan, info: ScanInfo, layout: Layout) -> str:
    kind = "BigTIFF" if layout.big else "TIFF"
    shape = f"{'tiles' if plan.tiled else 'strips'} of {plan.columns} x {plan.rows}"
    predictor = f", predictor {plan.coding.predictor}" if plan.coding.predictor > 1 else ""
    bits = 8 * info.dtype.itemsize
    return f"{kind}, {bits}-bit, {shape}, {_name(plan.coding.compression)}{predictor}"
