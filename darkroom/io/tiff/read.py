"""Pixels of one TIFF page by window, in bounded memory.

Three ways, by how the page is stored: uncompressed strips are read at the very bytes wanted;
compressed strips and tiles are decoded into a cache of limited size; pages whose segments are
too large for that are unpacked once, as a stream where the codec allows it, to a disk spool.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io.files import TRUNCATED_HINT, PositionedFile, reading
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.tiff import codecs
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.codecs import Coding, SegmentError
from darkroom.io.tiff.pages import Page
from darkroom.io.tiff.stream import MAPPED_MEMORY, STREAMED, Segment, stream_rows
from darkroom.machine import processors
from darkroom.scan import BaseScan, Pixels, ReadCost, ScanInfo

# The most that a byte of each codec can expand to; more means a damaged header.
_EXPANSION = {codecs.PACKBITS: 64, codecs.LZW: 4096, codecs.DEFLATE: 1040, codecs.OLD_DEFLATE: 1040}
_JOINED_WHOLE = 16 << 20  # bytes read at a time where whole rows are wanted
_JOINED_READ = 2 << 20  # and where only a part of each is,
_JOINED_ROW = 128 << 10  # if a row has no more bytes than this
_NARROW = 1024  # columns of tiles of which several fit under one window
_MANY, _CRUMB = 100_000, 1 << 10  # more segments than this, of fewer bytes, are refused
_LEAST_ROWS = 192  # fewer in the cache, and it costs less to unpack all to disk
_THREADS = min(4, processors())


class TiffScan(BaseScan):
    """An open page of a TIFF file; see `darkroom.scan.Scan`.

    Args:
        file: the open file; closed with the scan.
        page: the page to read.
        info: its description; `info.dtype` and `info.samples` are what `read` gives.
        cache_bytes: most memory for decoded segments.
        scratch: where a spool goes if one is needed.
        warnings: what the user should know.

    Raises:
        InputError: if segments are missing or lie outside the file.
    """

    def __init__(
        self,
        file: PositionedFile,
        page: Page,
        info: ScanInfo,
        *,
        cache_bytes: int,
        scratch: Scratch,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self._file, self._page, self._scratch = file, page, scratch
        self._coding = page_coding(page, info.dtype)
        self._columns, self._rows = page.segment_size
        self._planes = page.samples if page.planar else 1
        if self._columns < 1 or self._rows < 1:
            raise InputError(f"{file.path}: its tiles have no size", hint=TRUNCATED_HINT)
        self._across = -(-page.width // self._columns)
        self._down = -(-page.height // self._rows)
        self._offsets, self._counts = self._locate()
        self._lock = threading.Lock()
        self._cache: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._cached_bytes, self._cache_bytes = 0, cache_bytes
        self._pool: ThreadPoolExecutor | None = None
        self._spool: Spool | None = None
        self._direct = (
            page.compression == codecs.NONE and not page.tiled and not self._coding.reversed_bits
        )
        super().__init__(info, self._reading_cost(info.nbytes), warnings)

    # -- geometry -----------------------------------------------------------------------------

    @property
    def band_bytes(self) -> int:
        """Decoded bytes of one row of tiles or strips, all planes."""
        return self._across * self._planes * self._coding.row_bytes(self._columns) * self._rows

    @property
    def needs_spool(self) -> bool:
        """Whether segments are too large to be decoded into the cache."""
        enough = min(_LEAST_ROWS, self._page.height)
        return not self._direct and (self._held < 2 or self._held_rows < enough)

    @property
    def _held(self) -> int:
        """Rows of tiles or strips that the cache has room for."""
        return self._cache_bytes // self.band_bytes

    @property
    def _held_rows(self) -> int:
        """Rows that a window may have, wherever it begins, if all it touches is to be held."""
        return self._page.height if self._held >= self._down else (self._held - 1) * self._rows

    def _reading_cost(self, nbytes: int) -> ReadCost:
        if self._direct:
            return ReadCost("read where the pixels lie", min(_JOINED_WHOLE, nbytes))
        if not self.needs_spool:
            kind = "tiles" if self._page.tiled else "strips"
            most = max(self._cache_bytes, self.band_bytes)
            whole = self._page.height * self.band_bytes // self._rows
            # Windows side by side share the whole of a strip, and of narrow tiles next to nothing.
            rows = self._held_rows if self._columns > _NARROW else None
            return ReadCost(f"a row of {kind} at a time", min(most, whole), rows=rows)
        disk = nbytes
        if self._page.compression not in STREAMED:
            disk += int(self._counts.max()) + self.band_bytes
        slices = 4 * self._slice_rows() * self.band_bytes // self._rows
        return ReadCost("unpacked once to disk", slices + MAPPED_MEMORY, disk)

    def _locate(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Offsets and byte counts of all segments, checked against the file's size."""
        path, number = self._file.path, self._across * self._down * self._planes
        if number > _MANY and self._coding.row_bytes(self._columns) * self._rows < _CRUMB:
            raise InputError(
                f"{path}: its picture is cut into {number:,} pieces of {self._columns} x "
                f"{self._rows} pixels, which would take minutes to put together",
                hint="open it in another program and save it again",
            )
        offsets, counts = self._page.offsets, self._page.counts
        row_bytes = self._coding.row_bytes(self._columns)
        if len(offsets) < number:
            raise InputError(
                f"{path}: {len(offsets)} segments of {number} are there", hint=TRUNCATED_HINT
            )
        rows = np.full(self._down, self._rows)
        if not self._page.tiled:
            rows[-1] = self._page.height - (self._down - 1) * self._rows
        wanted = np.tile(np.repeat(rows, self._across) * row_bytes, self._planes)
        offsets = offsets[:number]
        if len(counts) < number:
            if self._page.compression != codecs.NONE:
                raise InputError(f"{path}: the sizes of segments are missing", hint=TRUNCATED_HINT)
            counts = wanted
        counts = counts[:number]
        if (offsets <= 0).any() or (counts <= 0).any():
            raise InputError(f"{path}: some segments are missing", hint=TRUNCATED_HINT)
        if (counts > self._file.size - offsets).any():
            raise InputError(
                f"{path}: truncated: pixels lie past the end of the file", hint=TRUNCATED_HINT
            )
        expansion = _EXPANSION.get(self._page.compression)
        if self._page.compression == codecs.NONE:
            expansion = 1
        if expansion and (wanted > counts * expansion + 64 * (expansion > 1)).any():
            raise InputError(
                f"{path}: truncated: segments are too short for the size of the image",
                hint=TRUNCATED_HINT,
            )
        return offsets, counts

    # -- reading ------------------------------------------------------------------------------

    def _read(self, window: Window) -> Pixels:
        with reading(self._file.path, "TIFF file"):
            if self._direct:
                return self._read_direct(window)
            with self._lock:
                if self.needs_spool:
                    return self._unpacked().read(window)
                return self._read_segments(window)

    def _read_direct(self, window: Window) -> Pixels:
        """Uncompressed strips: only the rows and columns wanted, joined reads where possible."""
        row_bytes, pixel = self._coding.row_bytes(self._columns), self._coding.row_bytes(1)
        out = np.empty((window.height, window.width, self.info.samples), self.info.dtype)
        stored = self.info.dtype.newbyteorder(self._coding.order)
        rows = np.arange(window.y, window.bottom)
        for plane in range(self._planes):
            at = self._offsets[plane * self._down + rows // self._rows]
            at = at + rows % self._rows * row_bytes + window.x * pixel
            target = out[..., plane : plane + 1] if self._planes > 1 else out
            # A read costs as much as copying what lies to the left and right of a few rows, and
            # threads would queue for the interpreter after each.
            joined = _JOINED_READ if row_bytes <= _JOINED_ROW else 0
            if window.width == self._columns:
                joined = _JOINED_WHOLE
            for start, stop in _runs(at, row_bytes, joined // row_bytes or 1):
                span = (stop - start - 1) * row_bytes + window.width * pixel
                data = self._file.read(int(at[start]), span)
                shape = (stop - start, window.width, self._coding.samples)
                strides = (row_bytes, pixel, stored.itemsize)
                target[start:stop] = np.ndarray(shape, stored, data, strides=strides)
        return out

    def _read_segments(self, window: Window) -> Pixels:
        out = np.empty((window.height, window.width, self.info.samples), self.info.dtype)
        if not window.area:
            return out
        down = range(window.y // self._rows, -(-window.bottom // self._rows))
        across = range(window.x // self._columns, -(-window.right // self._columns))
        wanted = [
            (plane * self._down + row) * self._across + column
            for row in down
            for column in across
            for plane in range(self._planes)
        ]
        # A few at a time, so that no more lies outside the cache than threads can hold.
        for start in range(0, len(wanted), 2 * _THREADS):
            numbers = wanted[start : start + 2 * _THREADS]
            for number, pixels in zip(numbers, self._segments(numbers), strict=True):
                self._place(out, window, number, pixels)
        return out

    def _place(self, out: Pixels, window: Window, number: int, pixels: Pixels) -> None:
        here, plane = self._segment_window(number)
        part = here.intersect(window)
        target = out[..., plane : plane + 1] if self._planes > 1 else out
        target[part.relative_to(window).slices] = pixels[part.relative_to(here).slices]

    def _segment_window(self, number: int) -> tuple[Window, int]:
        """The pixels a segment covers within the image, and its plane."""
        plane, place = divmod(number, self._across * self._down)
        row, column = divmod(place, self._across)
        window = Window(column * self._columns, row * self._rows, self._columns, self._rows)
        return window.clip(self._page.width, self._page.height), plane

    def _segments(self, numbers: list[int]) -> list[NDArray[Any]]:
        missing = [number for number in numbers if number not in self._cache]
        if len(missing) > 1 and _THREADS > 1:
            self._pool = self._pool or ThreadPoolExecutor(_THREADS, "tiff")
            decoded = list(self._pool.map(self._decode, missing))
        else:
            decoded = [self._decode(number) for number in missing]
        fresh = dict(zip(missing, decoded, strict=True))
        result = []
        for number in numbers:
            if number in fresh:
                result.append(fresh[number])
            else:
                self._cache.move_to_end(number)
                result.append(self._cache[number])
        for number, pixels in fresh.items():
            self._cache[number] = pixels
            self._cached_bytes += pixels.nbytes
        while self._cached_bytes > self._cache_bytes:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return result

    def _decode(self, number: int) -> NDArray[Any]:
        data = self._file.read(int(self._offsets[number]), int(self._counts[number]))
        rows = self._rows if self._page.tiled else self._segment_window(number)[0].height
        try:
            return codecs.decode(data, self._coding, self._columns, rows, self._rows)
        except SegmentError as error:
            raise self._damaged(number, error) from error

    def _damaged(self, number: int, error: Exception) -> InputError:
        kind = "tile" if self._page.tiled else "strip"
        return InputError(
            f"{self._file.path}: {kind} {number} is damaged: {error}", hint=TRUNCATED_HINT
        )

    def _unpacked(self) -> Spool:
        """The page on disk, every segment decoded once."""
        if self._spool is None:
            info = self.info
            spool = self._scratch.spool(info.width, info.height, info.samples, info.dtype)
            try:
                for row in range(self._down):
                    self._unpack_row(spool, row)
            except BaseException:
                spool.close()
                raise
            self._spool = spool
        return self._spool

    def _unpack_row(self, spool: Spool, row: int) -> None:
        """One row of segments, in slices of rows, all planes and columns side by side."""
        height = min(self._rows, self._page.height - row * self._rows)
        slices: list[Iterator[NDArray[Any]]] = []
        for column in range(self._across):
            for plane in range(self._planes):
                slices.append(self._stream((plane * self._down + row) * self._across + column))
        y, stop = row * self._rows, row * self._rows + height
        while y < stop:
            parts = [next(part) for part in slices]
            rows = min(len(parts[0]), stop - y)
            columns = [
                np.concatenate(parts[i : i + self._planes], axis=2)
                for i in range(0, len(parts), self._planes)
            ]
            pixels = np.concatenate(columns, axis=1) if len(columns) > 1 else columns[0]
            spool.write(Window(0, y, self.info.width, rows), pixels[:rows, : self.info.width])
            y += rows

    def _stream(self, number: int) -> Iterator[NDArray[Any]]:
        """The rows of one segment in slices of equal height."""
        rows = self._rows if self._page.tiled else self._segment_window(number)[0].height
        segment = Segment(
            self._file.read,
            int(self._offsets[number]),
            int(self._counts[number]),
            self._coding,
            self._columns,
            rows,
            self._rows,
        )
        try:
            yield from stream_rows(segment, self._slice_rows(), self._scratch)
        except SegmentError as error:
            raise self._damaged(number, error) from error

    def _slice_rows(self) -> int:
        """Rows of a slice while unpacking: about 2 MiB for all segments side by side."""
        row_bytes = self._coding.row_bytes(self._columns) * self._across * self._planes
        return max(1, min(self._rows, (2 << 20) // row_bytes))

    def close(self) -> None:
        """Release the file, the cache and the spool."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        if self._spool:
            self._spool.close()
            self._spool = None
        self._cache.clear()
        self._cached_bytes = 0
        self._file.close()


def page_coding(page: Page, dtype: np.dtype[Any]) -> Coding:
    """How the segments of a page are coded."""
    return Coding(
        compression=page.compression,
        predictor=page.predictor,
        order=page.layout.order,
        dtype=dtype,
        samples=1 if page.planar else page.samples,
        reversed_bits=page.first(T.FILL_ORDER, 1) == 2 and page.compression != codecs.JPEG,
        ycc=page.photometric == 6,
        tables=page.data(T.JPEG_TABLES),
    )


def _runs(offsets: NDArray[np.int64], step: int, most: int) -> Iterator[tuple[int, int]]:
    """Index ranges of at most `most` offsets that follow each other by exactly `step`."""
    breaks = (np.flatnonzero(np.diff(offsets) != step) + 1).tolist()
    for first, end in pairwise((0, *breaks, len(offsets))):
        for start in range(first, end, most):
            yield start, min(start + most, end)
