"""The course of a line to a fraction of a pixel: without it, what is taken off misses the line."""

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Float
from darkroom.scratches.evidence import BLOCK, GROUP, GROUPS
from darkroom.scratches.measure import Curve, Measured
from darkroom.scratches.strips import HALF, STEPS, course

STRAY = 2.5  # pixels that a block may lie beside the course found at first
STEP = 0.25
NEIGHBOURS = 2.0  # blocks over which a course bends


def refine(middle: Curve, strip: Float, seen: Measured) -> Curve:
    """The place across in each block, float (blocks,).

    Each block is laid over the cross-section of the whole line where both agree best; where it
    shows the line too faintly to tell, its neighbours do.

    Args:
        middle: the course that the strip was cut along.
        strip: float32 (groups, 2 HALF + 1, C).
        seen: what was measured on it.
    """
    blocks = min(len(middle), len(strip) // GROUPS)
    plane = strip[: blocks * GROUPS] @ seen.colour.astype(np.float32)
    level = plane.reshape(blocks, GROUPS, -1).mean(axis=1).astype(np.float64)
    near = slice(HALF + seen.left - 4, HALF + seen.right + 5)
    level = seen.sign * (level - np.median(level[:, near], axis=1)[:, None])[:, near]
    shifts = np.arange(-STRAY, STRAY + STEP / 2, STEP)
    shape = seen.profile - float(np.median(seen.profile[near]))
    laid = np.array([np.interp(STEPS[near], STEPS + shift, shape) for shift in shifts])
    agree = level @ laid.T / np.sqrt((laid**2).sum(axis=1))
    best = shifts[np.argmax(agree, axis=1)]
    weight = np.clip(agree.max(axis=1), 0, np.median(agree.max(axis=1)) * 2 + 1e-9) ** 2
    cut = np.rint(course(middle, np.arange(blocks) * BLOCK + (BLOCK - 1) / 2))
    reach = np.arange(-int(3 * NEIGHBOURS), int(3 * NEIGHBOURS) + 1)
    kernel = np.exp(-((reach / NEIGHBOURS) ** 2) / 2)
    out = np.asarray(middle, np.float64).copy()
    out[:blocks] = _mean_line(cut + best, weight + 1e-9, kernel)
    return out


def _mean_line(values: Curve, weight: Curve, kernel: Curve) -> Curve:
    """Weighted local straight lines through a series, so that its ends keep their slope."""
    at = np.arange(len(values)) - len(values) / 2

    def local(series: NDArray[np.float64]) -> Curve:
        half = len(kernel) // 2
        return np.convolve(series, kernel)[half : half + len(series)]

    one, x, y = local(weight), local(weight * at), local(weight * values)
    xx, xy = local(weight * at**2), local(weight * at * values)
    size = one * xx - x**2
    slope = np.where(size > 1e-9, (one * xy - x * y) / np.maximum(size, 1e-9), 0.0)
    return np.asarray((y - slope * x) / one + slope * at, np.float64)


def laid_straight(strip: Float, old: Curve, new: Curve) -> Float:
    """A strip cut along one course, as if it had been cut along another, near by."""
    along = np.arange(len(strip)) * GROUP + (GROUP - 1) / 2
    shift = course(new, along) - np.rint(course(old, along))
    places = np.clip(np.arange(strip.shape[1]) + shift[:, None], 0, strip.shape[1] - 1)
    low = np.minimum(places.astype(np.intp), strip.shape[1] - 2)
    share = (places - low)[..., None].astype(np.float32)
    rows = np.arange(len(strip))[:, None]
    return np.asarray(strip[rows, low] * (1 - share) + strip[rows, low + 1] * share, np.float32)
