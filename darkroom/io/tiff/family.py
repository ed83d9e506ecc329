"""The TIFF family: what to do with a file that begins like a TIFF."""

from pathlib import Path

from darkroom.errors import InputError
from darkroom.io.files import PositionedFile
from darkroom.io.scratch import Scratch
from darkroom.io.tiff.open import CameraRaw, open_tiff
from darkroom.io.tiff.write import TiffSink
from darkroom.scan import Scan, ScanInfo

# Suffixes of camera raw files that scanners write too: their tags tell.
SCANNER_SUFFIXES = (".dng", ".nef", ".fff", ".3f")


def open_tiff_or_raw(path: Path, *, cache_bytes: int, max_pixels: int, scratch: Scratch) -> Scan:
    """Open a TIFF, or hand a camera's raw file that is built like one to LibRaw."""
    from darkroom.io.registry import RAW_SUFFIXES

    def raw(codec: str | None = None) -> Scan:
        from darkroom.io.raw.libraw import open_raw

        limits = {"cache_bytes": cache_bytes, "max_pixels": max_pixels}
        return open_raw(path, **limits, scratch=scratch, codec=codec)

    suffix = path.suffix.lower()
    if _camera_magic(path) or (suffix in RAW_SUFFIXES and suffix not in SCANNER_SUFFIXES):
        return raw()
    try:
        return open_tiff(path, cache_bytes=cache_bytes, max_pixels=max_pixels, scratch=scratch)
    except CameraRaw as camera:
        return raw(camera.codec)
    except InputError as reason:
        if suffix not in RAW_SUFFIXES:
            raise
        try:
            return raw()
        except InputError:
            raise reason from None


def _camera_magic(path: Path) -> bool:
    """Canon's CR2 and Phase One's IIQ say what they are right after the TIFF header."""
    with PositionedFile(path) as file:
        return file.head(12)[8:12] in (b"CR\x02\0", b"IIII", b"MMMM")


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
