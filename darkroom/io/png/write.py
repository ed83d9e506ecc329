"""PNG, written as a stream: bands of rows are filtered and deflated by several threads.

The deflate streams of the bands are joined at byte boundaries (a sync flush), as pigz does.
Source: PNG specification, third edition; filter choice by least sum of absolute differences,
its section 12.7.
"""

import struct
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import UsageError
from darkroom.io.atomic import writing
from darkroom.io.exif import exif_of_tags
from darkroom.io.png.chunks import COLOUR, METRE, OTHERS, SIGNATURE, TEXTS, XMP_KEY, chunk
from darkroom.io.sink import AtomicSink
from darkroom.machine import processors
from darkroom.metadata import Chunk
from darkroom.scan import Pixels, ScanInfo

TIFF_HINT = "write a .tif instead"
_BAND = 1 << 20
_LEVEL = 6
_THREADS = min(4, processors())


class PngSink(AtomicSink):
    """A PNG being written; see `darkroom.io.sink.ScanSink`.

    Raises:
        UsageError: if PNG cannot hold such pixels.
        OutputError: as `AtomicFile`.
    """

    def __init__(self, path: Path, info: ScanInfo, *, overwrite: bool = False) -> None:
        self.exact = True
        self.losses: list[str] = []
        colour = _colour_type(path, info)
        bits = 8 * info.dtype.itemsize
        self.layout = f"PNG, {bits}-bit"
        self._pixel = info.samples * info.dtype.itemsize
        self._row_bytes = info.width * self._pixel
        self._previous: NDArray[np.uint8] = np.zeros((1, self._row_bytes), np.uint8)
        self._band_rows = max(1, _BAND // self._row_bytes)
        self._pending: list[Future[tuple[bytes, bytes]]] = []
        self._adler = 1
        header = struct.pack(">IIBBBBB", info.width, info.height, bits, colour, 0, 0, 0)
        start = SIGNATURE + chunk(b"IHDR", header) + _metadata_chunks(info, self.losses)
        self._pool = ThreadPoolExecutor(_THREADS, "png")
        super().__init__(path, info, overwrite=overwrite)
        # 0x789c: a zlib stream of the default kind follows (RFC 1950).
        self._write(start + chunk(b"IDAT", b"\x78\x9c"))

    def write_rows(self, rows: Pixels) -> None:
        """The next rows: (n, width, samples)."""
        self._count(rows)
        for y in range(0, len(rows), self._band_rows):
            band = rows[y : y + self._band_rows].astype(self.info.dtype.newbyteorder(">"))
            data = np.frombuffer(band.tobytes(), np.uint8).reshape(-1, self._row_bytes)
            self._pending.append(self._pool.submit(_compress, data, self._previous, self._pixel))
            self._previous = data[-1:]
            while len(self._pending) > 2 * _THREADS:
                self._take()

    def _take(self) -> None:
        packed, rows = self._pending.pop(0).result()
        self._adler = zlib.adler32(rows, self._adler)
        self._write(chunk(b"IDAT", packed))

    def _complete(self) -> None:
        """Write what is pending, and the end."""
        self._require_all()
        while self._pending:
            self._take()
        end = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15).flush(zlib.Z_FINISH)
        self._write(chunk(b"IDAT", end + struct.pack(">I", self._adler)))
        late = [each for each in self.info.metadata.chunks if each.late]
        for each in late:
            if each.name not in (*COLOUR, *OTHERS, *TEXTS):
                self._write(raw_chunk(each))
        self._write(chunk(b"IEND", b""))

    def _release(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _write(self, data: bytes) -> None:
        with writing(self.path):
            self._atomic.file.write(data)


def create_png(
    path: Path,
    info: ScanInfo,
    *,
    compression: str | None = None,
    overwrite: bool = False,
    **_: Any,
) -> PngSink:
    """A sink for a PNG; its compression is always deflate."""
    return PngSink(path, info, overwrite=overwrite)


def losses(info: ScanInfo) -> list[str]:
    """What of a source a PNG cannot carry, one phrase each.

    Raises:
        UsageError: if PNG cannot hold such pixels.
    """
    lost: list[str] = []
    _colour_type(info.path, info)
    _metadata_chunks(info, lost)
    return lost


def _colour_type(path: Path, info: ScanInfo) -> int:
    if info.dtype.kind == "f":
        raise UsageError(f"{path}: PNG cannot hold floating point samples", hint=TIFF_HINT)
    if info.photometric == "miniswhite":
        raise UsageError(f"{path}: PNG has no white-is-zero images", hint=TIFF_HINT)
    if info.extra and info.extra_kinds != (2,):
        raise UsageError(
            f"{path}: PNG has no place for an infrared or premultiplied sample", hint=TIFF_HINT
        )
    return (2 if info.channels == 3 else 0) + (4 if info.extra else 0)


def _compress(
    rows: NDArray[np.uint8], previous: NDArray[np.uint8], pixel: int
) -> tuple[bytes, bytes]:
    """Filtered rows as a piece of a raw deflate stream, and as they are."""
    filtered = filter_rows(rows, previous, pixel).tobytes()
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    return packer.compress(filtered) + packer.flush(zlib.Z_SYNC_FLUSH), filtered


def filter_rows(
    rows: NDArray[np.uint8], previous: NDArray[np.uint8], pixel: int
) -> NDArray[np.uint8]:
    """Rows with the PNG filter that suits each best, its number in front.

    Args:
        rows: uint8 (n, bytes).
        previous: uint8 (1, bytes), the row before the first.
        pixel: bytes of a pixel.

    Returns:
        uint8 (n, 1 + bytes).
    """
    up = np.concatenate([previous, rows[:-1]])
    left = np.zeros_like(rows)
    left[:, pixel:] = rows[:, :-pixel]
    # floor((left + up) / 2) without leaving 8 bits
    average = (left & up) + ((left ^ up) >> 1)
    # Paeth costs as much as the others together and gains little on grain.
    choices = [(1, rows - left), (2, rows - up), (3, rows - average)]
    costs = [np.abs(data.view(np.int8), dtype=np.int16).sum(axis=1) for _, data in choices]
    best = np.argmin(costs, axis=0)
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    for i, (number, data) in enumerate(choices):
        chosen = best == i
        out[chosen, 0] = number
        out[chosen, 1:] = data[chosen]
    return out


def _metadata_chunks(info: ScanInfo, losses: list[str]) -> bytes:
    """Everything between the header and the pixels; what has no place goes to `losses`."""
    metadata, icc = info.metadata, info.profile.icc
    losses += metadata.left_out
    carried = {each.name for each in metadata.chunks}
    out = [raw_chunk(each) for each in metadata.chunks if each.name in COLOUR]
    if icc:
        out.append(chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9)))
    out += [raw_chunk(each) for each in metadata.chunks if each.name in OTHERS]
    if "pHYs" not in carried and info.resolution:
        x, y = (round(value / METRE) for value in info.resolution)
        if 0 < max(x, y) < 1 << 31:
            out.append(chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    exif = metadata.exif or exif_of_tags(info, losses)
    if exif:
        out.append(chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    if carried.isdisjoint(TEXTS):
        out += [_text_chunk(key, value) for key, value in metadata.text]
    others = (each for each in metadata.chunks if each.name not in (*COLOUR, *OTHERS))
    out += [raw_chunk(each) for each in others if not each.late or each.name in TEXTS]
    if metadata.xmp:
        try:
            out.append(_text_chunk(XMP_KEY, metadata.xmp.rstrip(b"\0").decode("utf-8")))
        except UnicodeDecodeError:
            losses.append("XMP (not UTF-8)")
    if metadata.iptc:
        losses.append("IPTC")
    return b"".join(out)


def raw_chunk(each: Chunk) -> bytes:
    """A carried chunk as it was."""
    return chunk(each.name.encode("latin-1"), each.data)


def _text_chunk(key: str, value: str) -> bytes:
    name = key.encode("latin-1", "replace")[:79]
    try:
        if key != XMP_KEY:
            return chunk(b"tEXt", name + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        pass
    return chunk(b"iTXt", name + b"\0\0\0\0\0" + value.encode("utf-8"))
