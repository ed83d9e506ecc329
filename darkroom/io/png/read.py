"""PNG, read as a stream: 8 and 16 bits, grey or RGB, with or without alpha.

The rows are inflated a band at a time; each band's filters are undone by libpng itself, which
gets the band as a small PNG of its own, headed by the last row of the band before. So any size
is read exactly, in a few MiB. Source: PNG specification, third edition.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io.exif import (
    STALE_THUMBNAIL,
    exif_orientation,
    exif_resolution,
    without_thumbnail,
)
from darkroom.io.files import TRUNCATED_HINT, PositionedFile, check_size, reading
from darkroom.io.png.chunks import (
    CHANNELS,
    SIGNATURE,
    XMP_KEY,
    Header,
    carried,
    chunk,
    kept,
    profile,
    resolution,
    scan_chunks,
    texts,
)
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.spooled import SpooledScan
from darkroom.metadata import Chunk, Metadata
from darkroom.scan import ScanInfo

_BAND = 2 << 20


@dataclass(frozen=True, slots=True)
class Pass:
    """A grid of pixels that a PNG stores as an image of its own: first row and column, steps."""

    y: int
    x: int
    down: int
    across: int

    def rows(self, header: Header) -> int:
        """Rows of the grid."""
        return -(-(header.height - self.y) // self.down)

    def columns(self, header: Header) -> int:
        """Columns of the grid."""
        return -(-(header.width - self.x) // self.across)

    def store(self, spool: Spool, row: int, pixels: NDArray[Any]) -> None:
        """Put rows of the grid, from `row` on, to their places in the image."""
        top = self.y + row * self.down
        window = Window(0, top, spool.width, (len(pixels) - 1) * self.down + 1)
        if (self.down, self.across) == (1, 1):
            spool.write(window, pixels)
            return
        if self.across == 1:  # whole rows: nothing of them is there yet
            for i, line in enumerate(pixels):
                spool.write(Window(0, top + i * self.down, spool.width, 1), line[None])
            return
        step = max(1, _BAND // (spool.width * spool.samples * spool.dtype.itemsize * self.down))
        for first in range(0, len(pixels), step):
            part = pixels[first : first + step]
            y = top + first * self.down
            window = Window(0, y, spool.width, (len(part) - 1) * self.down + 1)
            image = spool.read(window).copy()
            image[:: self.down, self.x :: self.across] = part
            spool.write(window, image)


# Adam7: PNG specification, third edition, section 8.2.
ADAM7 = (
    *(Pass(0, 0, 8, 8), Pass(0, 4, 8, 8), Pass(4, 0, 8, 4), Pass(0, 2, 4, 4)),
    *(Pass(2, 0, 4, 2), Pass(0, 1, 2, 2), Pass(1, 0, 2, 1)),
)


def open_png(path: Path, *, cache_bytes: int, max_pixels: int, scratch: Scratch) -> SpooledScan:
    """Open a PNG; see `darkroom.io.open_scan`.

    Raises:
        InputError: if it is damaged, or has a palette or fewer than 8 bits.
    """
    file = PositionedFile(path)
    try:
        with reading(path, "PNG file"):
            lost: list[str] = []
            header, chunks, data = scan_chunks(file, lost)
            check_size(path, header.width, header.height, max_pixels)
            info = _describe(path, header, chunks, lost)

        def decode(spool: Spool) -> None:
            _decode(file, header, data, spool)

        return SpooledScan(info, decode, scratch, file.close)
    except BaseException:
        file.close()
        raise


def _describe(path: Path, header: Header, chunks: list[Chunk], lost: list[str]) -> ScanInfo:
    first: dict[str, bytes] = {}
    for each in chunks:
        first.setdefault(each.name, each.data)
    text = list(texts(chunks, lost))
    xmp = next((value for key, value in text if key == XMP_KEY), None)
    channels, extra = CHANNELS[header.colour]
    exif, thumbnail = without_thumbnail(first.get("eXIf"))
    lost += [STALE_THUMBNAIL] * thumbnail
    lost += dict.fromkeys(f"PNG chunk {each.name}" for each in chunks if not kept(each.name))
    return ScanInfo(
        path=path,
        format="png",
        width=header.width,
        height=header.height,
        channels=channels,
        dtype=np.dtype(np.uint8 if header.bits == 8 else np.uint16),
        extra=extra,
        photometric="rgb" if channels == 3 else "minisblack",
        profile=profile(first),
        resolution=resolution(first) or exif_resolution(exif),
        orientation=exif_orientation(exif),
        metadata=Metadata(
            exif=exif,
            xmp=xmp.encode() if xmp else None,
            text=tuple(pair for pair in text if pair[0] != XMP_KEY),
            chunks=tuple(carried(chunks)),
            left_out=tuple(lost),
        ),
        extra_kinds=(2,) * extra,
        layout=f"{header.bits}-bit, {'interlaced' if header.interlaced else 'rows'}, deflate",
    )


def _decode(
    file: PositionedFile, header: Header, data: list[tuple[int, int]], spool: Spool
) -> None:
    """Inflate, unfilter and store the image band by band, pass by pass.

    Without interlacing there is one pass, which holds every row and column.
    """
    passes = [Pass(0, 0, 1, 1)] if not header.interlaced else list(ADAM7)
    passes = [p for p in passes if p.y < header.height and p.x < header.width]
    pixel = spool.samples * spool.dtype.itemsize
    wanted = sum(p.rows(header) * (p.columns(header) * pixel + 1) for p in passes)
    blocks = _inflated(file, data, wanted)
    held = bytearray()
    for part in passes:
        part_header = replace(header, width=part.columns(header), interlaced=False)
        size = part.columns(header) * pixel + 1
        previous, row = bytes(size - 1), 0
        while row < part.rows(header):
            rows = min(max(1, _BAND // size), part.rows(header) - row)
            while len(held) < rows * size:
                block = next(blocks, None)
                if block is None:
                    raise InputError(
                        f"{file.path}: truncated: row {part.y + row * part.down} of "
                        f"{header.height} is not there",
                        hint=TRUNCATED_HINT,
                    )
                held += block
            band = b"\0" + previous + bytes(held[: rows * size])
            pixels = _unfilter(part_header, band, rows + 1)[1:]
            del held[: rows * size]
            part.store(spool, row, pixels)
            previous = pixels[-1].astype(spool.dtype.newbyteorder(">")).tobytes()
            row += rows
    for _ in blocks:
        pass  # to the end, for the checksums


def _unfilter(header: Header, rows: bytes, height: int) -> NDArray[Any]:
    """Filtered rows to pixels (height, width, samples), by way of a PNG that holds just them."""
    body = chunk(b"IDAT", zlib.compress(rows, 0))
    image = SIGNATURE + chunk(b"IHDR", header.pack(height)) + body + chunk(b"IEND", b"")
    pixels = np.asarray(imagecodecs.png_decode(image))
    return pixels.reshape(height, header.width, -1)


def _inflated(file: PositionedFile, data: list[tuple[int, int]], wanted: int) -> Iterator[bytes]:
    """The image data inflated in blocks, checksums checked, to their end."""
    inflater, produced = zlib.decompressobj(), 0
    for compressed in _compressed(file, data):
        rest = compressed
        while rest and not inflater.eof:
            block = inflater.decompress(rest, _BAND)
            rest = inflater.unconsumed_tail
            produced += len(block)
            if produced > wanted:
                raise InputError(f"{file.path}: holds more pixels than its header says")
            yield block
    if not inflater.eof:
        raise InputError(f"{file.path}: truncated: the image data end early", hint=TRUNCATED_HINT)


def _compressed(file: PositionedFile, data: list[tuple[int, int]]) -> Iterator[bytes]:
    for offset, length in data:
        check = zlib.crc32(b"IDAT")
        for at in range(0, length, 1 << 20):
            piece = file.read(offset + at, min(1 << 20, length - at))
            check = zlib.crc32(piece, check)
            yield piece
        if check != struct.unpack(">I", file.read(offset + length, 4))[0]:
            raise InputError(f"{file.path}: the image data are damaged", hint=TRUNCATED_HINT)
