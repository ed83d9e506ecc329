"""Camera raw files, developed by LibRaw: 16 bits, linear, as bright as they were exposed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rawpy

from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io import tiff_tags as T
from darkroom.io.encoding import linear_srgb_profile
from darkroom.io.files import TRUNCATED_HINT, PositionedFile, check_size, reading
from darkroom.io.ifd import parse_exif
from darkroom.io.jpeg_header import segments
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.spooled import SpooledScan
from darkroom.io.tiff_pages import page_metadata, read_pages
from darkroom.scan import ColorProfile, Encoding, Metadata, ScanInfo, Tag

BYTES_A_PIXEL = 22  # the most that developing takes, measured: 16 for a mosaic, 22 for linear DNG
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's flip -> EXIF


def open_raw(path: Path, *, cache_bytes: int, max_pixels: int, scratch: Scratch) -> SpooledScan:
    """Open a camera raw file; see `darkroom.io.open_scan`.

    Raises:
        InputError: if LibRaw does not know it or it is damaged.
    """
    with PositionedFile(path):
        pass  # missing, empty or forbidden files get their own messages
    with _libraw(path) as raw:
        info = _describe(path, raw, max_pixels)
    needed = BYTES_A_PIXEL * info.width * info.height
    scratch.require_memory(path, needed, "LibRaw develops a raw file as a whole")

    def decode(spool: Spool) -> None:
        with _libraw(path) as raw:
            pixels = raw.postprocess(
                use_camera_wb=True,
                no_auto_bright=True,
                gamma=(1, 1),
                output_bps=16,
                user_flip=0,
                output_color=rawpy.ColorSpace.sRGB,
            )
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if pixels.shape != (spool.height, spool.width, spool.samples):
            raise InputError(f"{path}: LibRaw gives {pixels.shape[1]} x {pixels.shape[0]} pixels")
        spool.write(Window(0, 0, spool.width, spool.height), pixels)

    return SpooledScan(info, decode, scratch, memory=needed)


@contextmanager
def _libraw(path: Path) -> Iterator[Any]:
    """A raw file opened by LibRaw, whose refusals become InputErrors."""
    try:
        with reading(path, "camera raw file"), rawpy.imread(str(path)) as raw:
            yield raw
    except InputError as error:
        if not isinstance(error.__cause__, rawpy.LibRawError):
            raise
        reason = _reason(error.__cause__)
        raise InputError(
            f"{path}: not readable as a camera raw file: {reason}",
            hint=TRUNCATED_HINT if "nsupported" not in reason else None,
        ) from error.__cause__


def _reason(error: Exception) -> str:
    text = error.args[0] if error.args else type(error).__name__
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _describe(path: Path, raw: Any, max_pixels: int) -> ScanInfo:
    width, height = _developed_size(raw.sizes)
    check_size(path, width, height, max_pixels)
    tags, order = _camera_tags(path, raw)
    return ScanInfo(
        path=path,
        format="raw",
        width=width,
        height=height,
        channels=3 if raw.num_colors > 1 else 1,
        dtype=np.dtype(np.uint16),
        photometric="rgb" if raw.num_colors > 1 else "minisblack",
        profile=ColorProfile(
            linear_srgb_profile() if raw.num_colors > 1 else None,
            Encoding.LINEAR,
            "LibRaw develops it to linear samples",
        ),
        orientation=_ORIENTATIONS.get(raw.sizes.flip, 1),
        metadata=Metadata(tags=tuple(tags)),
        storage={"byteorder": order},
        layout="camera raw, developed to linear 16-bit",
    )


def _developed_size(sizes: Any) -> tuple[int, int]:
    """Columns and rows after LibRaw has stretched pixels that are not square."""
    width, height, aspect = sizes.width, sizes.height, sizes.pixel_aspect
    if 0 < aspect < 0.995:
        height = int(height / aspect + 0.5)
    elif aspect > 1.005:
        width = int(width * aspect + 0.5)
    return width, height


def _camera_tags(path: Path, raw: Any) -> tuple[list[Tag], str]:
    """The EXIF tags of a raw file: its own where it is built like a TIFF, else its preview's."""
    try:
        with PositionedFile(path) as file:
            page = read_pages(file)[0]
            found, order = page_metadata(file, page), page.layout.order
    except Exception:
        try:
            thumb = raw.extract_thumb()
            if thumb.format != rawpy.ThumbFormat.JPEG:
                return [], "<"
            blocks = (data for marker, data in segments(thumb.data) if marker == 0xE1)
            order, found = parse_exif(next(data for data in blocks if data[:4] == b"Exif"))
        except Exception:
            return [], "<"
    # The preview's resolution is not the picture's, and pointers would point nowhere.
    dropped = {T.X_RESOLUTION, T.Y_RESOLUTION, T.RESOLUTION_UNIT}
    keep = T.EXIF_IMAGE_TAGS - dropped
    return [tag for tag in T.kept(found) if tag.ifd != "image" or tag.code in keep], order
