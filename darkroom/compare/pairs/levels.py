"""Pixels of any scan as grey levels, the scale in which all figures are given."""

import numpy as np

from darkroom.errors import InputError
from darkroom.scan import Float, Pixels, luminance


def grey_levels(pixels: Pixels, white: float = 1.0) -> Float:
    """Luminance on the scale of 8-bit grey levels.

    Args:
        pixels: (H, W) or (H, W, S) in uint8, uint16 or float32. The first three of three or more
            samples are taken for red, green and blue, the first of fewer for grey.
        white: the float that white is; see `float_white`. Integers have their own.

    Returns:
        float32 (H, W) in [0, 255]; whole numbers for uint8, steps of 1/257 for grey uint16.

    Raises:
        InputError: for any other sample type.
    """
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    planes = planes[..., : 3 if planes.shape[2] >= 3 else 1]
    if planes.dtype == np.uint8:
        return np.rint(luminance(planes.astype(np.float32)))
    if planes.dtype == np.uint16:
        return luminance(planes.astype(np.float32)) / np.float32(257)
    if planes.dtype.kind == "f":
        grey = luminance(planes.astype(np.float32)) / np.float32(white)
        known = np.nan_to_num(grey, nan=0.0, posinf=1.0, neginf=0.0)
        scaled: Float = np.clip(known, 0, 1) * np.float32(255)
        return scaled
    raise InputError(f"samples of type {pixels.dtype} cannot be compared")


def float_white(greatest: float) -> float:
    """What white is in float samples whose greatest value is given.

    1 where they go no further, 255 or 65,535 where they come within a factor of 16 of it, else
    their own greatest value.
    """
    if greatest <= 1:
        return 1.0
    return next((white for white in (255.0, 65535.0) if white / 16 <= greatest <= white), greatest)


def classes(levels: Float) -> Pixels:
    """Grey levels rounded to the 256 classes of the confusion matrix: uint8 (H, W)."""
    rounded: Pixels = np.floor(levels + 0.5).clip(0, 255).astype(np.uint8)
    return rounded
