"""How far an artefact reaches beyond the pixels that gave it away."""

from functools import cache

import numpy as np

from darkroom.scan import Bytes, Float

SQUARE = np.ones((3, 3), np.uint8)
REACH = 4  # soft edges end within this many pixels
CLOSE = 14  # pixels around an artefact that its repair and its edge can depend on
RIM = 1.0  # the edge goes on while the smoothed excess is above this many noise deviations


def estimate(image: Float, hole: Bytes) -> Float:
    """The image (H, W) with the non-zero pixels of `hole` filled roughly, for measuring."""
    import cv2

    # Working in 16 bits keeps grain that 8 bits would round off; floats are much slower here.
    pixels = np.rint(image * np.float32(65535)).astype(np.uint16)
    filled = cv2.inpaint(pixels, hole, 3, cv2.INPAINT_NS)
    return np.asarray(filled, np.float32) * np.float32(1 / 65535)


def close_up(mask: Bytes) -> tuple[slice, slice]:
    """(rows, columns) of the marked pixels with `CLOSE` pixels around, as far as they are there."""
    import cv2

    x, y, width, height = cv2.boundingRect(mask)
    rows = slice(max(0, y - CLOSE), y + height + CLOSE)
    return rows, slice(max(0, x - CLOSE), x + width + CLOSE)


@cache
def ellipse(radius: int) -> Bytes:
    """A disk as a structuring element."""
    import cv2

    size = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def refine_mask(image: Float, mask: Bytes, noise: float) -> Bytes:
    """The mask grown over the artefact's soft edge, and by one pixel more.

    Args:
        image: float32 (H, W) in [0, 1].
        mask: uint8 (H, W), 255 in the component.
        noise: standard deviation of the grain.
    """
    import cv2

    close = close_up(mask)
    image, out, mask = image[close], np.zeros_like(mask), mask[close]
    reach = np.asarray(cv2.dilate(mask, ellipse(REACH)), np.uint8)
    excess = np.asarray(cv2.blur(image - estimate(image, reach), (3, 3)))
    sign = np.sign(np.add.reduce(excess[mask > 0]))
    soft = reach * (sign * excess > RIM * noise)
    grown = mask
    for _ in range(REACH - 1):
        grown = mask | (cv2.dilate(grown, ellipse(1)) & soft)
    out[close] = cv2.dilate(grown, SQUARE)
    return out
