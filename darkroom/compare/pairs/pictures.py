"""Pictures by bands of rows, so that a whole scan need not fit in memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.pairs.levels import grey_levels
from darkroom.damage.difference import artefact_mask
from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.scan import Pixels, Scan, ScanInfo

BAND_PIXELS = 16_000_000


def read_rows(scan: Scan, top: int, bottom: int) -> Pixels:
    """The picture samples of some rows, infrared and alpha left out: (rows, W, 1 or 3)."""
    info = scan.info
    return scan.read(Window(0, top, info.width, bottom - top))[..., : info.channels]


def bands(info: ScanInfo, band_pixels: int) -> Iterator[tuple[int, int]]:
    """(top, bottom) of bands of whole rows of about `band_pixels`; one band for a small picture."""
    if info.width * info.height <= band_pixels:
        yield 0, info.height
        return
    rows = max(64, band_pixels // info.width)
    for top in range(0, info.height, rows):
        yield top, min(top + rows, info.height)


def truth_mask(scan: Pixels, truth: Pixels, mark: Pixels | None) -> NDArray[np.bool_]:
    """Which pixels are damaged: bool (H, W).

    Args:
        scan: (H, W, S).
        truth: (H, W, S), any sample type.
        mark: (H, W, S) of a mask file, half or more of its range meaning damaged; or None to
            conclude the damage from the difference of scan and truth.
    """
    if mark is not None:
        return grey_levels(mark) >= 128
    mask: NDArray[np.bool_] = artefact_mask(grey_levels(scan), grey_levels(truth)).astype(bool)
    return mask


def require_equal_size(first: ScanInfo, second: ScanInfo) -> None:
    """Check that two pictures of one pair have one size.

    Raises:
        InputError: they have not.
    """
    if (first.width, first.height) != (second.width, second.height):
        raise InputError(
            f"{first.path} is {first.width} x {first.height} pixels, "
            f"{second.path} is {second.width} x {second.height}",
            hint="scan and ground truth must lie pixel on pixel; darkroom dataset build registers",
        )
