"""Whether the samples of a TIFF page are linear in light, and what in the file says so.

Sources: DNG 1.7 (LinearRaw, LinearizationTable); VueScan's and SilverFast's manuals on raw files;
EXIF 2.3, section 4.6.5 (ColorSpace).
"""

from typing import Any

import numpy as np

from darkroom.io.encoding import icc_judgement
from darkroom.io.tiff import tags as T
from darkroom.io.tiff.ifd import unpack_value
from darkroom.io.tiff.pages import LINEAR_RAW, Page
from darkroom.metadata import Tag
from darkroom.scan import ColorProfile, Encoding, Plane

CAMERA_MODEL, COLOR_MATRIX = 50708, 50721
LINEARIZATION_TABLE, EXIF_COLOR_SPACE, SRGB = 50712, 40961, 1
WRITERS = (T.SOFTWARE, T.DESCRIPTION, T.MAKE, T.MODEL)


def page_profile(
    page: Page,
    main: dict[int, Tag],
    exif: dict[int, Tag],
    dtype: np.dtype[Any],
    infrared: Plane | None,
) -> ColorProfile:
    """The profile and encoding of a page.

    Args:
        page: the picture.
        main: its tags, and those of the first page that it lacks, by number.
        exif: those of its EXIF directory.
        dtype: of its samples.
        infrared: its infrared plane, if the file has one.
    """
    icc = main[T.ICC].value if T.ICC in main else None
    if page.photometric == LINEAR_RAW:
        if LINEARIZATION_TABLE in page.entries:
            reason = "a LinearizationTable turns the stored values into light"
            return ColorProfile(icc, Encoding.GAMMA, reason)
        return ColorProfile(icc, Encoding.LINEAR, "photometric LinearRaw means linear samples")
    encoding, reason = icc_judgement(icc)
    if encoding is not Encoding.UNKNOWN:
        return ColorProfile(icc, encoding, reason)
    deep = dtype.itemsize > 1
    if written_by("vuescan", main) and page.samples in (1, 2, 3, 4):
        # VueScan's raw files are untagged: linear above 8 bits, gamma 2.2 at 8 bits.
        encoding = Encoding.LINEAR if deep else Encoding.GAMMA
        curve = "above 8 bits are linear" if deep else "of 8 bits have gamma 2.2"
        return ColorProfile(icc, encoding, f"raw files of VueScan {curve}")
    raw = (infrared is not None and infrared.where == "page") or _says(" hdr", main)
    if written_by("silverfast", main) and deep and raw:
        reason = "SilverFast wrote it as HDR raw, which is linear"
        return ColorProfile(icc, Encoding.LINEAR, reason)
    space = exif.get(EXIF_COLOR_SPACE)
    if space is not None and unpack_value(space, page.layout.order) == SRGB:
        return ColorProfile(icc, Encoding.GAMMA, "EXIF ColorSpace says sRGB")
    if not icc and {CAMERA_MODEL, COLOR_MATRIX} & main.keys() and T.DNG_VERSION not in main:
        # What darkroom makes of a scanner's DNG: its colour tags stay, its version cannot.
        return ColorProfile(icc, Encoding.LINEAR, "colour tags of a DNG stand for linear samples")
    missing = "no ICC profile" if not icc else reason
    return ColorProfile(icc, encoding, f"{missing} and no known scanner program")


def written_by(name: str, main: dict[int, Tag]) -> bool:
    """Whether Software names a program (lower case)."""
    return T.SOFTWARE in main and name in _text(main[T.SOFTWARE])


def _says(words: str, main: dict[int, Tag]) -> bool:
    return any(words in f" {_text(main[code])}" for code in WRITERS if code in main)


def _text(tag: Tag) -> str:
    return str(unpack_value(tag, "<")).lower()
