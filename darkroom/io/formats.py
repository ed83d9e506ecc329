"""The TIFF family: what to do with a file that begins like a TIFF."""

from pathlib import Path

from darkroom.io.scratch import Scratch
from darkroom.io.tiff_open import CameraRaw, open_tiff
from darkroom.io.tiff_write import TiffSink
from darkroom.scan import Scan, ScanInfo


def open_tiff_or_raw(path: Path, *, cache_bytes: int, max_pixels: int, scratch: Scratch) -> Scan:
    """Open a TIFF, or hand a camera's raw file that is built like one to LibRaw."""
    try:
        return open_tiff(path, cache_bytes=cache_bytes, max_pixels=max_pixels, scratch=scratch)
    except CameraRaw:
        from darkroom.io.raw import open_raw

        return open_raw(path, cache_bytes=cache_bytes, max_pixels=max_pixels, scratch=scratch)


def create_tiff(
    path: Path,
    info: ScanInfo,
    *,
    compression: str | None = None,
    overwrite: bool = False,
    more_bytes: int = 0,
) -> TiffSink:
    """A sink for a TIFF; see `TiffSink`."""
    return TiffSink(path, info, compression=compression, overwrite=overwrite, more_bytes=more_bytes)
