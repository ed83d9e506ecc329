"""Camera raw files, developed by LibRaw: 16 bits, linear, as bright as they were exposed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
from threadpoolctl import threadpool_limits

from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io.encoding import linear_srgb_profile
from darkroom.io.files import TRUNCATED_HINT, PositionedFile, check_size, reading
from darkroom.io.jpeg.header import jpeg_size, segments
from darkroom.io.scratch import Scratch, Spool
from darkroom.io.spooled import SpooledScan
from darkroom.io.tiff import codecs as codecs
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.ifd import ByteOrder, parse_exif
from darkroom.io.tiff.open import choose_picture
from darkroom.io.tiff.open import left_out as pages_left_out
from darkroom.io.tiff.pages import CFA, LINEAR_RAW, Page, page_metadata, read_pages
from darkroom.metadata import Metadata, Storage, Tag
from darkroom.scan import ColorProfile, Encoding, ScanInfo

BYTES_A_PIXEL = 22  # the most that developing takes, measured: 16 for a mosaic, 22 for linear DNG
SENSOR_LOST = "the sensor's own samples (LibRaw develops them)"
JPEG_HEADER = 4096  # bytes in which a block's frame header comes
XTRANS_PERIOD = 6  # rows after which the colour filters repeat
_ORIENTATIONS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's flip -> EXIF


def open_raw(
    path: Path,
    *,
    cache_bytes: int,
    max_pixels: int,
    scratch: Scratch,
    codec: str | None = None,
) -> SpooledScan:
    """Open a camera raw file; see `darkroom.io.open_scan`.

    Args:
        path: the file.
        cache_bytes: not used.
        max_pixels: as for `open_scan`.
        scratch: as for `open_scan`.
        codec: what its samples are compressed with, where LibRaw may not know it.

    Raises:
        InputError: if LibRaw does not know it or it is damaged.
    """
    with PositionedFile(path) as file:  # missing, empty or forbidden files get their own messages
        _check_claims(file)
    with _libraw(path, codec) as raw:
        info = _describe(path, raw, max_pixels)
    needed = BYTES_A_PIXEL * info.width * info.height
    scratch.require_memory(path, needed, "LibRaw develops a raw file as a whole")

    def decode(spool: Spool) -> None:
        with _libraw(path, codec) as raw, _reproducible(raw):
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


def _check_claims(file: PositionedFile) -> None:
    """Refuse lossless JPEG that claims more samples than its bytes have bits.

    LibRaw would go on decoding past the end of the data, for minutes.

    Raises:
        InputError: if a strip or tile does.
    """
    try:
        blocks = [block for page in read_pages(file) for block in _jpeg_blocks(page)]
    except Exception:
        return  # not built like a TIFF; LibRaw judges it
    for offset, stated in blocks:
        count = min(stated, file.size - offset)
        try:
            size = jpeg_size(file.read(offset, min(count, JPEG_HEADER)))
        except (ValueError, InputError):
            continue
        if size.width * size.height * size.components > 8 * count:
            raise InputError(
                f"{file.path}: damaged: {count:,} bytes of JPEG claim to be "
                f"{size.width} x {size.height} pixels",
                hint=TRUNCATED_HINT,
            )


def _jpeg_blocks(page: Page) -> list[tuple[int, int]]:
    """Offset and size of each strip or tile in lossless JPEG."""
    if page.compression != codecs.JPEG or page.photometric not in (CFA, LINEAR_RAW):
        return []
    return list(zip(page.offsets.tolist(), page.counts.tolist(), strict=False))


@contextmanager
def _libraw(path: Path, codec: str | None) -> Iterator[Any]:
    """A raw file opened by LibRaw, whose refusals become InputErrors."""
    try:
        with reading(path, "camera raw file"), rawpy.imread(str(path)) as raw:
            yield raw
    except InputError as error:
        if not isinstance(error.__cause__, rawpy.LibRawError):
            raise
        reason = _reason(error.__cause__)
        if codec is not None:
            raise InputError(
                f"{path}: its raw data are compressed with {codec}, which LibRaw here cannot read",
                hint="convert it to a DNG without that compression, or to a 16-bit TIFF",
            ) from error.__cause__
        raise InputError(
            f"{path}: not readable as a camera raw file: {reason}",
            hint=TRUNCATED_HINT if "nsupported" not in reason else None,
        ) from error.__cause__


def _reproducible(raw: Any) -> AbstractContextManager[Any]:
    """Keeps LibRaw to one thread for X-Trans sensors.

    With several, a few samples where its tiles meet come out differently from one run to the next
    (seen with LibRaw 0.22.2).
    """
    pattern = raw.raw_pattern
    if pattern is None or len(pattern) != XTRANS_PERIOD:
        return nullcontext()
    one: AbstractContextManager[Any] = threadpool_limits(1, user_api="openmp")
    return one


def _reason(error: Exception) -> str:
    text = error.args[0] if error.args else type(error).__name__
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _describe(path: Path, raw: Any, max_pixels: int) -> ScanInfo:
    width, height = _developed_size(raw.sizes)
    check_size(path, width, height, max_pixels)
    tags, order, left_out = _camera_tags(path, raw)
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
        metadata=Metadata(tags=tuple(tags), left_out=(SENSOR_LOST, *left_out)),
        storage=Storage(byteorder=order),
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


def _camera_tags(path: Path, raw: Any) -> tuple[list[Tag], ByteOrder, list[str]]:
    """The tags of a raw file that hold for the developed picture too, and what is left out.

    They are its own where it is built like a TIFF, else those of its preview.
    """
    left_out: list[str] = []
    try:
        with PositionedFile(path) as file:
            pages = read_pages(file)
            page = pages[0]
            found, order = page_metadata(file, page, left_out), page.layout.order
            left_out += pages_left_out(pages, choose_picture(path, pages), None)
    except Exception:
        try:
            thumb = raw.extract_thumb()
            if thumb.format != rawpy.ThumbFormat.JPEG:
                return [], "<", []
            blocks = (data for marker, data in segments(thumb.data) if marker == 0xE1)
            block = next(data for data in blocks if data[:4] == b"Exif")
            order, found = parse_exif(block, left_out)
        except Exception:
            return [], "<", []
    keep = T.EXIF_IMAGE_TAGS | T.EP_TAGS | T.DNG_COLOUR
    tags = T.kept(found)
    other = [tag for tag in tags if tag.ifd == "image" and tag.code not in keep]
    if other:
        names = ", ".join(T.tag_name(tag.code) for tag in other)
        left_out.append(f"tags of the raw data ({names})")
    # The preview's resolution is not the picture's.
    keep -= {T.X_RESOLUTION, T.Y_RESOLUTION, T.RESOLUTION_UNIT}
    return [tag for tag in tags if tag.ifd != "image" or tag.code in keep], order, left_out
