"""JPEG, written only when asked for by suffix: it changes every pixel a little."""

import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from darkroom.errors import UsageError
from darkroom.io.atomic import writing
from darkroom.io.exif import exif_of_tags
from darkroom.io.jpeg.read import (
    APP1,
    APP2,
    APP13,
    COMMENT,
    EXIF_MARK,
    ICC_MARK,
    IRB_MARK,
    XMP_MARK,
)
from darkroom.io.sink import AtomicSink
from darkroom.io.tiff import tags as T
from darkroom.scan import Pixels, ScanInfo

LARGEST_SEGMENT = 65533
QUALITY = 95


class JpegSink(AtomicSink):
    """A JPEG being written; see `darkroom.io.sink.ScanSink`. Keeps the whole image in memory.

    Raises:
        UsageError: if JPEG cannot hold such pixels.
        OutputError: as `AtomicFile`.
    """

    def __init__(self, path: Path, info: ScanInfo, *, overwrite: bool = False) -> None:
        if info.dtype != np.uint8 or info.extra or info.photometric == "miniswhite":
            raise UsageError(
                f"{path}: JPEG holds 8-bit grey or RGB only", hint="write a .tif instead"
            )
        if max(info.width, info.height) > 65500:
            raise UsageError(f"{path}: too large for a JPEG", hint="write a .tif instead")
        self.layout = f"JPEG, 8-bit, quality {QUALITY}"
        self.exact = False
        self.losses = ["exact pixels (JPEG changes every one of them a little)"]
        self.losses += info.metadata.left_out
        self._header = _header_segments(info, self.losses)
        self._pixels = np.empty((info.height, info.width, info.samples), np.uint8)
        super().__init__(path, info, overwrite=overwrite)

    def write_rows(self, rows: Pixels) -> None:
        """The next rows: (n, width, samples)."""
        first = self._count(rows)
        self._pixels[first : first + len(rows)] = rows

    def _complete(self) -> None:
        """Encode the image."""
        self._require_all()
        pixels = self._pixels if self.info.samples == 3 else self._pixels[..., 0]
        data = imagecodecs.jpeg8_encode(pixels, level=QUALITY, subsampling="444")
        with writing(self.path):
            self._atomic.file.write(_with_header(bytes(data), self.info, self._header))


def create_jpeg(
    path: Path,
    info: ScanInfo,
    *,
    compression: str | None = None,
    overwrite: bool = False,
    **_: Any,
) -> JpegSink:
    """A sink for a JPEG."""
    return JpegSink(path, info, overwrite=overwrite)


def _with_header(data: bytes, info: ScanInfo, header: bytes) -> bytes:
    """The stream with metadata segments, which come after the JFIF segment if there is one."""
    if data[2:4] != b"\xff\xe0" or data[6:11] != b"JFIF\0":
        return data[:2] + header + data[2:]
    x, y = (round(value) for value in info.resolution or (0, 0))
    density = data[13:18]
    if min(x, y) > 0 and max(x, y) < 1 << 16:
        density = struct.pack(">BHH", 1, x, y)
    return data[:13] + density + data[18:20] + header + data[20:]


def _header_segments(info: ScanInfo, losses: list[str]) -> bytes:
    """EXIF, XMP, ICC and Photoshop segments; what does not fit goes to `losses`."""
    out = b""
    metadata, icc = info.metadata, info.profile.icc or b""
    exif = metadata.exif or exif_of_tags(info, losses, keep=frozenset({T.PHOTOSHOP}))
    blocks = [(APP1, EXIF_MARK, exif, "EXIF"), (APP1, XMP_MARK, metadata.xmp, "XMP")]
    photoshop = [tag.value for tag in metadata.tags if tag.code == T.PHOTOSHOP]
    blocks.append((APP13, IRB_MARK, photoshop[0] if photoshop else b"", "Photoshop resources"))
    for marker, mark, data, name in blocks:
        if data and len(mark) + len(data) > LARGEST_SEGMENT:
            losses.append(f"{name} (too large for a JPEG)")
        elif data:
            out += _segment(marker, mark + data)
    step = LARGEST_SEGMENT - 14
    count = -(-len(icc) // step)
    if count > 255:
        losses.append("ICC profile (too large for a JPEG)")
        count = 0
    for i in range(count):
        part = icc[i * step : (i + 1) * step]
        out += _segment(APP2, ICC_MARK + bytes([i + 1, count]) + part)
    for _, value in metadata.text:
        out += _segment(COMMENT, value.encode()[:LARGEST_SEGMENT])
    return out


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data
