"""Pixels of any scan as grey levels, the scale in which all figures are given."""

import numpy as np

from darkroom.errors import InputError
from darkroom.scan import Float, Pixels

# ITU-R BT.601 luma in 16-bit fixed point, so that 8-bit colour gives whole levels.
LUMA = np.array([19595, 38470, 7471], np.uint32)


def grey_levels(pixels: Pixels) -> Float:
    """Luma on the scale of 8-bit grey levels.

    Args:
        pixels: (H, W) or (H, W, S) in uint8, uint16 or float32 (floats in [0, 1]). The first three
            of three or more samples are taken for red, green and blue, the first of fewer for grey.

    Returns:
        float32 (H, W) in [0, 255]; whole numbers for uint8, steps of 1/257 for grey uint16.

    Raises:
        InputError: for any other sample type.
    """
    if pixels.ndim == 3 and pixels.shape[2] < 3:
        pixels = pixels[..., 0]
    if pixels.dtype == np.uint8:
        grey = pixels if pixels.ndim == 2 else (_luma(pixels) + 0x8000) >> 16
        return grey.astype(np.float32)
    if pixels.dtype == np.uint16:
        grey = pixels if pixels.ndim == 2 else _luma(pixels) / 65536
        return (grey / np.float32(257)).astype(np.float32)
    if pixels.dtype.kind == "f":
        grey = pixels if pixels.ndim == 2 else pixels[..., :3] @ (LUMA / 65536)
        finite = np.nan_to_num(grey.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0)
        scaled: Float = np.clip(finite, 0, 1) * np.float32(255)
        return scaled
    raise InputError(f"samples of type {pixels.dtype} cannot be compared")


def classes(levels: Float) -> Pixels:
    """Grey levels rounded to the 256 classes of the confusion matrix: uint8 (H, W)."""
    rounded: Pixels = np.floor(levels + 0.5).clip(0, 255).astype(np.uint8)
    return rounded


def _luma(pixels: Pixels) -> Pixels:
    weighted: Pixels = pixels[..., :3].astype(np.uint32) @ LUMA
    return weighted
