"""Pixels of any scan as grey levels, the scale in which all figures are given."""

import numpy as np

from darkroom.errors import InputError
from darkroom.scan import Float, Pixels, luminance


def grey_levels(pixels: Pixels) -> Float:
    """Luminance on the scale of 8-bit grey levels.

    Args:
        pixels: (H, W) or (H, W, S) in uint8, uint16 or float32 (floats in [0, 1]). The first three
            of three or more samples are taken for red, green and blue, the first of fewer for grey.

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
        grey = np.nan_to_num(luminance(planes.astype(np.float32)), nan=0.0, posinf=1.0, neginf=0.0)
        return np.clip(grey, 0, 1) * np.float32(255)
    raise InputError(f"samples of type {pixels.dtype} cannot be compared")


def classes(levels: Float) -> Pixels:
    """Grey levels rounded to the 256 classes of the confusion matrix: uint8 (H, W)."""
    rounded: Pixels = np.floor(levels + 0.5).clip(0, 255).astype(np.uint8)
    return rounded
