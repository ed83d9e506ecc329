"""Bringing back what film shows through thin dust, stains and smears.

Whatever lies on film and lets some light through only dims the picture there. Dividing by its
transmission restores the film itself, grain and all, which no inpainting can. How deep the picture
is dimmed for a depth in infrared was measured on the frame and is adjusted to each place, so that
it also holds for inverted negatives, where dust brightens.
"""

import numpy as np

from darkroom.infrared import (
    STEADY,
    from_log_light,
    log_light,
    log_transmission,
    mean5,
    steadiness,
)
from darkroom.scan import Float, InfraredStats, Tile

FADE = 0.1  # of transmission, over which division gives way to the fill
OPAQUE_REACH = 3  # pixels about opaque ones that are filled too
CLIPPED = (0.02, 0.98)  # nothing is left to divide beyond these
PRIOR = 2.0  # squared log transmissions that a place needs to have its own exponents half way


def divide(crop: Tile, fill: Float, stats: InfraredStats, thinnest: float) -> Float:
    """The fill, and in its place the divided picture wherever that is sound.

    Args:
        crop: the picture with its mask and infrared.
        fill: float32 (H, W, C), the repair by an inpainter.
        stats: of the frame.
        thinnest: least transmission that is divided by.

    Returns:
        float32 (H, W, C) in [0, 1]; outside the mask the fill.
    """
    assert crop.mask is not None
    if not stats.exponents or thinnest >= 1:
        return fill
    lost = mean5(log_transmission(crop, stats))
    weight = _soundness(crop, lost, thinnest)
    inside = weight > 0
    if not inside.any():
        return fill
    light, depth = log_light(crop.image), np.minimum(lost, 0)
    out = fill.copy()
    for channel, usual in enumerate(stats.exponents):
        seen, guess = light[..., channel][inside], log_light(fill[..., channel][inside])
        d = depth[inside]
        exponent = (float((seen - guess) @ d) + PRIOR * usual) / (float(d @ d) + PRIOR)
        divided = from_log_light(np.subtract(seen, np.float32(exponent) * d, dtype=np.float32))
        w = weight[inside]
        out[..., channel][inside] = w * divided + (1 - w) * fill[..., channel][inside]
    return out


def _soundness(crop: Tile, lost: Float, thinnest: float) -> Float:
    """Share of the division at each pixel, float32 (H, W) in [0, 1]."""
    import cv2

    assert crop.mask is not None
    weight = np.clip((np.exp(lost) - np.float32(thinnest)) / np.float32(FADE), 0, 1)
    unsound = (crop.image <= CLIPPED[0]).any(axis=2) | (crop.image >= CLIPPED[1]).any(axis=2)
    unsound |= weight == 0
    size = 2 * OPAQUE_REACH + 1
    unsound = cv2.dilate(unsound.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    weight[unsound | (steadiness(lost) > STEADY) | (crop.mask == 0)] = 0
    return np.asarray(weight, np.float32)
