"""The fixed front end, and filling, on arrays: what surrounds the network on a processor.

They are `model.front_end`, `model.colour_front_end` and `model.fill` without torch; a test compares
both. OpenCV sums float32 windows in double precision, so a pixel gets the same value wherever the
array around it begins.
"""

import cv2
import numpy as np

from darkroom.scan import LUMINANCE, Float
from darkroom_backends.unet.shape import CHROMA, FRONT

SIDES, SHARES = (5, 13, 25), (1.0, 0.05, 0.002)  # of the means that surroundings are mixed from
REACH = SIDES[-1] // 2 + 1  # pixels that matter to a fill on each side
SQUARE = np.ones((7, 7), np.uint8)
EDGE = cv2.BORDER_REPLICATE


def front_end(planes: Float, out: Float) -> Float:
    """The features of a picture.

    Args:
        planes: float32 (1, H, W), grey, or (3, H, W), red, green and blue, in [0, 1].
        out: float32 (FRONT, H, W), or (FRONT + CHROMA, H, W) where the network sees colour, which
            is filled.

    Returns:
        `out`.
    """
    if len(out) == FRONT:
        _of_grey(np.ascontiguousarray(planes[0]), out)
        return out
    red, green, blue = planes if len(planes) == 3 else (planes[0],) * 3
    weighted = (p * np.float32(w) for p, w in zip((red, green, blue), LUMINANCE, strict=True))
    grey = next(weighted)
    for plane in weighted:
        grey += plane
    _of_grey(grey, out)
    assert len(out) == FRONT + CHROMA
    for number, plane in enumerate((red, blue)):
        chroma = np.subtract(plane, grey)
        _departure(chroma, 7, 8.0, out[FRONT + number])
        _departure(chroma, 17, 6.0, out[FRONT + 2 + number])
    return out


def _of_grey(x: Float, out: Float) -> None:
    np.multiply(x, np.float32(2), out=out[0])
    out[0] -= np.float32(1)
    _departure(x, 3, 8.0, out[1])
    _departure(x, 7, 6.0, out[2])
    mean, spread, work = out[3], out[4], out[5]
    cv2.blur(x, (17, 17), dst=mean, borderType=EDGE)
    np.multiply(x, x, out=work)
    cv2.blur(work, (17, 17), dst=spread, borderType=EDGE)
    np.multiply(mean, mean, out=work)
    spread -= work
    np.maximum(spread, 0, out=spread)
    spread += np.float32(1e-5)
    np.sqrt(spread, out=spread)
    spread *= np.float32(8)
    np.subtract(x, mean, out=mean)
    mean *= np.float32(4)
    for kind, sign, plane in ((cv2.MORPH_OPEN, 6, out[5]), (cv2.MORPH_CLOSE, -6, out[6])):
        cv2.morphologyEx(x, kind, SQUARE, dst=plane, borderType=EDGE)
        np.subtract(x, plane, out=plane)
        plane *= np.float32(sign)


def _departure(x: Float, side: int, factor: float, out: Float) -> None:
    """From the mean of a square."""
    cv2.blur(x, (side, side), dst=out, borderType=EDGE)
    np.subtract(x, out, out=out)
    out *= np.float32(factor)


def fill(image: Float, damaged: Float, detail: Float, gate: Float) -> Float:
    """Values without the damage, float32 (H, W, C); what is at most `REACH` from an edge that is
    not the picture's own is not to be used.

    Args:
        image: float32 (H, W, C) in [0, 1].
        damaged: float32 (H, W), probability.
        detail: float32 (H, W), as for `model.fill`.
        gate: the same.
    """
    base = _surroundings(image, damaged)
    kept = np.tanh(gate)[..., None] * (image - base)
    filled: Float = base + np.float32(0.25) * detail[..., None] + kept
    return np.clip(filled, 0, 1, out=filled)


def _surroundings(image: Float, damaged: Float) -> Float:
    """Mean of the nearby pixels, the damaged ones left out."""
    trust = np.clip(1 - cv2.dilate(damaged, SQUARE[:3, :3], borderType=EDGE), 0, 1)
    trust = trust * trust + np.float32(1e-4)
    trusted = trust[..., None] * image
    total, weight = np.zeros_like(image), np.zeros_like(trust)
    for side, share in zip(SIDES, SHARES, strict=True):
        around = cv2.blur(trusted, (side, side), borderType=EDGE)
        total += np.float32(share) * around.reshape(image.shape)
        weight += np.float32(share) * cv2.blur(trust, (side, side), borderType=EDGE)
    return np.asarray(total / weight[..., None], np.float32)
