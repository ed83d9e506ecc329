"""Bringing back what film shows through thin dust, stains and smears.

Whatever lies on film and lets some light through only dims the picture there. Dividing by its
transmission restores the film itself, grain and all, which no inpainting can. How deep the picture
is dimmed for a depth in infrared was measured on the frame, so that it also holds for inverted
negatives, where dust brightens.
"""

import numpy as np

from darkroom.infrared import from_log_light, log_light, log_transmission, mean5
from darkroom.scan import Float, InfraredStats, Tile

FADE = 0.1  # of transmission, over which division gives way to the fill
OPAQUE_REACH = 3  # pixels about opaque ones that are filled too
WHITE = 0.995  # where dust brightens, nothing is left to divide above
# At rims infrared and picture differ by their focus, so that one cannot be divided by the other:
# where log transmission varies by more within 5 x 5 pixels, absolutely and as a share of its depth.
STEEP, STEADY = 0.7, 0.35
DEPTH = 5  # pixels from the rim beyond which a fill knows less than even a doubtful division


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
    weight = _soundness(crop, lost, thinnest, brightens=min(stats.exponents) < 0)
    inside = weight > 0
    if not inside.any():
        return fill
    light = log_light(crop.image[inside])
    light -= np.minimum(lost[inside], 0)[:, None] * np.asarray(stats.exponents, np.float32)
    share = weight[inside][:, None]
    out = fill.copy()
    out[inside] = share * from_log_light(light) + (1 - share) * fill[inside]
    return out


def _soundness(crop: Tile, lost: Float, thinnest: float, *, brightens: bool) -> Float:
    """Share of the division at each pixel, float32 (H, W) in [0, 1]."""
    import cv2

    assert crop.mask is not None
    weight = np.clip((np.exp(lost) - np.float32(thinnest)) / np.float32(FADE), 0, 1)
    size = 2 * OPAQUE_REACH + 1
    opaque = cv2.dilate((weight == 0).astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    deep = cv2.distanceTransform((crop.mask > 0).astype(np.uint8), cv2.DIST_L2, 3) > DEPTH
    kernel = np.ones((5, 5), np.uint8)
    steep = cv2.dilate(lost, kernel) - cv2.erode(lost, kernel) > np.maximum(STEEP, -STEADY * lost)
    doubtful = steep
    if brightens:
        doubtful |= (crop.image >= WHITE).any(axis=2)
    weight[opaque | (doubtful & ~deep) | (crop.mask == 0)] = 0
    return np.asarray(weight, np.float32)
