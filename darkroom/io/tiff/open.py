"""Opening a TIFF: which page is the picture, and what the file says of it.

Pages are chosen by their tags and size, never by their position: scanners put thumbnails first,
pictures into SubIFDs and infrared behind previews.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from darkroom.errors import InputError
from darkroom.io.files import TRUNCATED_HINT, PositionedFile, check_size, reading
from darkroom.io.photoshop import STALE_THUMBNAIL, without_thumbnails
from darkroom.io.scratch import Scratch
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.encoding import page_profile, written_by
from darkroom.io.tiff.ifd import damaged_phrase, unpack_value
from darkroom.io.tiff.pages import (
    CFA,
    COMPRESSIONS,
    LINEAR_RAW,
    OTHER_COMPRESSIONS,
    PHOTOMETRICS,
    Page,
    page_metadata,
    read_pages,
)
from darkroom.io.tiff.read import TiffScan
from darkroom.metadata import Metadata, Storage, Tag
from darkroom.scan import Plane, ScanInfo

DTYPES = {(8, 1): "u1", (8, 4): "u1", (16, 1): "u2", (16, 4): "u2", (32, 3): "f4"}
CONVERT_HINT = "convert it to 8- or 16-bit or 32-bit float grey or RGB first"
MAX_EXTRA = 8
REDUCED, MASK, DEPTH = 1, 4, 8  # bits of NewSubfileType (TIFF 6.0; DNG 1.5 for depth maps)
OUT_OF_ORDER = (
    "its TIFF tags are not in order; if one of them is damaged, the picture may be read wrongly"
)
SAME_SHAPE = 0.02  # how far the proportions of an infrared page may differ from the picture's


class CameraRaw(InputError):
    """The picture is a camera's raw data, which LibRaw has to develop.

    Args:
        path: the file.
        page: the picture.
    """

    def __init__(self, path: Path, page: Page) -> None:
        super().__init__(f"{path}: camera raw data")
        self.codec = OTHER_COMPRESSIONS.get(page.compression)


def open_tiff(
    path: Path,
    *,
    cache_bytes: int,
    max_pixels: int,
    scratch: Scratch,
    page_number: int | None = None,
) -> TiffScan:
    """Open the picture of a TIFF file, or the page of a number in reading order.

    Raises:
        CameraRaw: if the picture is camera raw data.
        InputError: if the file is damaged or of a kind not supported.
    """
    file = PositionedFile(path)
    try:
        with reading(path, "TIFF file"):
            pages = read_pages(file)
            page = choose_picture(path, pages) if page_number is None else pages[page_number]
            info = describe(file, pages, page, max_pixels)
            unsure = () if page.ordered else (OUT_OF_ORDER,)
            return TiffScan(
                file, page, info, cache_bytes=cache_bytes, scratch=scratch, warnings=unsure
            )
    except BaseException:
        file.close()
        raise


def choose_picture(path: Path, pages: list[Page]) -> Page:
    """The largest page that is a picture in full resolution; the first of several.

    Raises:
        InputError: if there is none.
    """
    whole = [page for page in pages if page.width and page.height]
    if not whole:
        raise InputError(f"{path}: holds no image", hint="it may be cut short")
    full = [page for page in whole if not page.subfile & (REDUCED | MASK | DEPTH)] or whole
    return max(full, key=lambda page: page.width * page.height)


def describe(file: PositionedFile, pages: list[Page], page: Page, max_pixels: int) -> ScanInfo:
    """What the file says of its picture."""
    path = file.path
    check_size(path, page.width, page.height, max_pixels)
    dtype, channels = sample_kind(path, page)
    extra = page.samples - channels
    _require_sound(path, page)
    lost: list[str] = []
    tags = page_metadata(file, page, lost)
    if page is not pages[0]:
        # A picture in a SubIFD: camera, date and the like stand in the first directory.
        tags += page_metadata(file, pages[0], lost)
    main = {tag.code: tag for tag in reversed(tags) if tag.ifd == "image"}
    exif = {tag.code: tag for tag in reversed(tags) if tag.ifd == "exif"}
    infrared = find_infrared(path, pages, page, channels, main)
    profile = page_profile(page, main, exif, dtype, infrared)
    orientation = _orientation(page, main, lost)
    metadata = Metadata(
        tags=_without_thumbnails(T.kept(tags), lost),
        xmp=_bytes(main, T.XMP),
        iptc=_bytes(main, T.IPTC),
        left_out=(*left_out(pages, page, infrared), *dict.fromkeys(lost)),
    )
    return ScanInfo(
        path=path,
        format="tiff",
        width=page.width,
        height=page.height,
        channels=channels,
        dtype=dtype,
        extra=extra,
        photometric=_photometric(page, channels),
        profile=profile,
        resolution=_resolution(page, main),
        orientation=orientation,
        metadata=metadata,
        infrared=infrared,
        extra_kinds=_extra_kinds(page, channels, infrared),
        storage=storage(page),
        layout=layout(page, dtype),
    )


def _without_thumbnails(tags: tuple[Tag, ...], losses: list[str]) -> tuple[Tag, ...]:
    """The tags, Photoshop's thumbnail of the uncleaned picture taken out of its resources."""
    kept = []
    for tag in tags:
        if tag.code == T.PHOTOSHOP and tag.ifd == "image" and isinstance(tag.value, bytes):
            block, stale = without_thumbnails(tag.value)
            if stale:
                losses.append(STALE_THUMBNAIL)
                tag = Tag(tag.code, tag.dtype, len(block), block)
        kept.append(tag)
    return tuple(kept)


def _require_sound(path: Path, page: Page) -> None:
    """Refuse a page without a tag that its pixels depend on.

    Raises:
        InputError: if such a tag is damaged.
    """
    for code, why in page.damaged.items():
        if code in T.PIXEL_TAGS:
            raise InputError(
                f"{path}: the tag {T.tag_name(code)} is damaged: {why}", hint=TRUNCATED_HINT
            )


def _extra_kinds(page: Page, channels: int, infrared: Plane | None) -> tuple[int, ...]:
    """ExtraSamples to write; infrared is unspecified data, whatever its scanner called it."""
    extra = page.samples - channels
    kinds = list((page.extra_kinds + (0,) * extra)[:extra])
    if infrared and infrared.where == "sample":
        kinds[infrared.index - channels] = 0
    return tuple(kinds)


def sample_kind(path: Path, page: Page) -> tuple[np.dtype[Any], int]:
    """The dtype of a page's samples and the number of picture samples.

    Raises:
        CameraRaw: for colour filter arrays and camera codecs.
        InputError: for everything that is not supported.
    """
    photometric = page.photometric
    name = PHOTOMETRICS.get(photometric, f"photometric {photometric}")
    if photometric == CFA or (photometric == LINEAR_RAW and not _plain_linear_raw(page)):
        raise CameraRaw(path, page)
    if photometric not in (0, 1, 2, 6, LINEAR_RAW):
        raise InputError(f"{path}: {name} images are not supported", hint=CONVERT_HINT)
    if page.compression not in COMPRESSIONS:
        code = page.compression
        codec = OTHER_COMPRESSIONS.get(code, f"number {code}")
        raise InputError(
            f"{path}: TIFF compression {codec} is not supported",
            hint="save it with LZW, deflate or no compression",
        )
    if photometric == 6 and (page.compression != 7 or page.planar):
        raise InputError(f"{path}: YCbCr without JPEG is not supported", hint=CONVERT_HINT)
    if len(set(page.bits)) != 1 or len(set(page.sample_formats)) != 1:
        raise InputError(f"{path}: samples of unequal depth are not supported", hint=CONVERT_HINT)
    bits, kind = page.bits[0], page.sample_formats[0]
    if (bits, kind) not in DTYPES:
        kinds = {1: "integer", 2: "signed integer", 3: "floating point", 5: "complex", 6: "complex"}
        raise InputError(
            f"{path}: {bits}-bit {kinds.get(kind, 'unknown')} samples are not supported",
            hint=CONVERT_HINT,
        )
    _check_samples(path, page)
    channels = 3 if photometric in (2, 6) or (photometric == LINEAR_RAW and page.samples > 2) else 1
    if not channels <= page.samples <= channels + MAX_EXTRA:
        raise InputError(
            f"{path}: {page.samples} samples a pixel in an image of kind {name} are not supported",
            hint=CONVERT_HINT,
        )
    return np.dtype(DTYPES[bits, kind]), channels


def _plain_linear_raw(page: Page) -> bool:
    """Whether linear raw data are a scanner's, rather than a camera's that LibRaw develops.

    Scanner programs store them plainly; converters of camera files use lossless JPEG. But an
    infrared sample makes a scan of it, which LibRaw could not give back.
    """
    scan = page.samples not in (1, 3) and page.compression == 7
    return page.compression in (1, 5, 8) or scan


def _check_samples(path: Path, page: Page) -> None:
    if page.predictor not in (1, 2, 3) or (page.predictor == 3 and page.sample_formats[0] != 3):
        raise InputError(f"{path}: predictor {page.predictor} is not supported", hint=CONVERT_HINT)
    colours = 3 if page.photometric in (2, 6) else 1
    odd = page.samples != colours and page.photometric != LINEAR_RAW
    if page.compression == 7 and not page.planar and odd:
        raise InputError(f"{path}: JPEG with extra samples is not supported", hint=CONVERT_HINT)
    if page.samples > 1 and page.first(T.PLANAR, 1) not in (1, 2):
        raise InputError(f"{path}: the order of its samples is unknown", hint=CONVERT_HINT)
    if page.first(T.FILL_ORDER, 1) not in (1, 2):
        raise InputError(f"{path}: its bit order is unknown", hint=CONVERT_HINT)


def find_infrared(
    path: Path, pages: list[Page], picture: Page, channels: int, main: dict[int, Tag]
) -> Plane | None:
    """The infrared plane inside the file, if it has one.

    VueScan: the sample after the picture's, which ExtraSamples does not call alpha (or which
    VueScan wrote, or which stands in linear raw data, whatever is said). SilverFast HDRi: a grey
    page of the picture's shape with `NewSubfileType` 4; of several, the largest. Other programs: a
    grey page of exactly the size of a colour picture and as many bits, if there is one of that
    kind only; whether it is infrared its pixels must tell.
    """
    scanner = written_by("vuescan", main) or picture.photometric == LINEAR_RAW
    unspecified = not any(kind in (1, 2) for kind in picture.extra_kinds)
    if picture.samples > channels and (unspecified or scanner):
        return Plane("sample", channels, path, picture.width, picture.height)
    others = [page for page in pages if page is not picture]
    planes = [page for page in others if _may_be_infrared(page, picture)]
    if not planes and channels == 3:
        planes = [page for page in others if _is_like(page, picture)]
        planes = planes if len(planes) == 1 else []
    if not planes:
        return None
    page = max(planes, key=lambda page: page.width * page.height)
    return Plane("page", page.number, path, page.width, page.height)


def _may_be_infrared(page: Page, picture: Page) -> bool:
    grey = page.samples == 1 and page.photometric in (0, 1) and page.bits[0] in (8, 16)
    if page.subfile != MASK or not grey or not page.width or not page.height:
        return False
    ratio = page.width * picture.height / (page.height * picture.width)
    return abs(ratio - 1.0) <= SAME_SHAPE


def _is_like(page: Page, picture: Page) -> bool:
    """Whether a page is grey and else as the picture, without saying what it is."""
    return (
        page.samples == 1
        and page.photometric in (0, 1)
        and not page.subfile & (REDUCED | MASK | DEPTH)
        and page.bits[0] == picture.bits[0]
        and (page.width, page.height) == (picture.width, picture.height)
    )


def left_out(pages: list[Page], picture: Page, infrared: Plane | None) -> tuple[str, ...]:
    """A phrase each for the pages that a cleaned scan will not hold."""
    carried = {picture.number}
    if infrared and infrared.where == "page":
        carried.add(infrared.index)
    others = [bool(page.subfile & REDUCED) for page in pages if page.number not in carried]
    previews, further = sum(others), len(others) - sum(others)
    phrases = []
    if previews:
        text = f"{previews} preview{'s' * (previews > 1)}"
        phrases.append(f"{text} (showing the picture before cleaning)")
    if further:
        phrases.append(f"{further} further page{'s' * (further > 1)}")
    return tuple(phrases)


def storage(page: Page) -> Storage:
    """Facts of storage that a writer may repeat."""
    return Storage(
        byteorder=page.layout.order,
        compression=COMPRESSIONS[page.compression].lower().replace("uncompressed", "none"),
        predictor=page.predictor,
        planar=page.planar,
        tile=page.segment_size if page.tiled else None,
        rows_per_strip=None if page.tiled else page.segment_size[1],
        page=page.label,
        subfile=page.subfile,
    )


def layout(page: Page, dtype: np.dtype[Any]) -> str:
    """The storage of a page for a person to read."""
    columns, rows = page.segment_size
    parts = [f"{dtype.itemsize * 8}-bit{' float' if dtype.kind == 'f' else ''}"]
    strips = f"strips of {rows} row{'s' * (rows > 1)}"
    if rows >= page.height:
        strips = "one strip"
    parts.append(f"tiles of {columns} x {rows}" if page.tiled else strips)
    parts.append(COMPRESSIONS[page.compression])
    if page.predictor > 1:
        parts.append(f"predictor {page.predictor}")
    if page.samples > 1:
        parts.append("planar" if page.planar else "chunky")
    parts.append("big-endian" if page.layout.order == ">" else "little-endian")
    if page.layout.big:
        parts.append("BigTIFF")
    return ", ".join(parts)


def _photometric(page: Page, channels: int) -> Literal["minisblack", "miniswhite", "rgb"]:
    if channels == 3:
        return "rgb"
    return "miniswhite" if page.photometric == 0 else "minisblack"


def _resolution(page: Page, main: dict[int, Tag]) -> tuple[float, float] | None:
    found = []
    for code in (T.X_RESOLUTION, T.Y_RESOLUTION):
        tag = main.get(code)
        value = unpack_value(tag, page.layout.order) if tag else None
        if not isinstance(value, tuple) or len(value) < 2 or not value[0] or not value[1]:
            return None
        found.append(value[0] / value[1])
    unit = _integer(page, main, T.RESOLUTION_UNIT, 2)
    if unit not in (2, 3):
        return None  # no absolute unit: only an aspect ratio
    scale = 2.54 if unit == 3 else 1.0
    return found[0] * scale, found[1] * scale


def _orientation(page: Page, main: dict[int, Tag], losses: list[str]) -> int:
    value = _integer(page, main, T.ORIENTATION, 0)
    if 1 <= value <= 8:
        return value
    if T.ORIENTATION in main:
        losses.append(damaged_phrase(T.ORIENTATION, "it is not 1 to 8"))
    return 1


def _integer(page: Page, main: dict[int, Tag], code: int, default: int) -> int:
    value = unpack_value(main[code], page.layout.order) if code in main else default
    value = value[0] if isinstance(value, tuple) else value
    return value if isinstance(value, int) else default


def _bytes(main: dict[int, Tag], code: int) -> bytes | None:
    return main[code].value if code in main else None
