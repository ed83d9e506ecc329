"""What tells a scratch from a line of the picture, as numbers."""

import numpy as np
from numpy.typing import NDArray

from darkroom.scratches.evidence import GROUPS
from darkroom.scratches.measure import LEAST, MAD_TO_SIGMA, Curve, Measured, smooth
from darkroom.scratches.strips import HALF

SECTIONS = 6  # of the course, each long enough that grain and texture average out
ENDS = 3  # blocks at each end of the course
FEWEST = 8  # groups that a slope is taken from


def features(seen: Measured, noise: float) -> dict[str, float]:
    """The features of a candidate by itself.

    Args:
        seen: the candidate.
        noise: standard deviation of the frame's grain.
    """
    return _constancy(seen) | _surroundings(seen, noise) | _crossing(seen)


def _constancy(seen: Measured) -> dict[str, float]:
    """Whether it is there, and as strong, all along: masts end, and fade into what is behind."""
    contrast, typical = seen.contrast, seen.typical
    blocks = len(contrast) // GROUPS
    level = np.median(contrast[: blocks * GROUPS].reshape(blocks, GROUPS), axis=1)
    strong = level > 0.5 * typical
    parts = np.array([float(np.median(part)) for part in np.array_split(contrast, SECTIONS)])
    return {
        "clear": typical / seen.doubt,
        "strength": typical / seen.doubt * len(contrast) ** 0.5,
        "share": float((contrast > 0).mean()),
        "present": float(strong.mean()),
        "ends": float(strong[:ENDS].mean() + strong[-ENDS:].mean()) / 2,
        "uneven": MAD_TO_SIGMA * float(np.median(np.abs(level - typical))) / typical,
        "least_section": float(np.sort(parts)[1]) / typical,
        "section_spread": float(parts.std() / max(abs(parts.mean()), LEAST)),
    }


def _surroundings(seen: Measured, noise: float) -> dict[str, float]:
    """Whether it lies by itself: frames, rails and blinds have steps and lines beside them."""
    top = float(seen.profile.max())
    ends = HALF + seen.left, HALF + seen.right
    outside = np.abs(np.concatenate([seen.profile[: ends[0] - 1], seen.profile[ends[1] + 2 :]]))
    return {
        "step": abs(float(np.median(seen.before - seen.after))) / seen.typical,
        "isolation": float(outside.max()) / top,
        "isolation90": float(np.percentile(outside, 90)) / top,
        "top_noise": top / max(noise, LEAST),
        "width": seen.width,
    }


def _crossing(seen: Measured) -> dict[str, float]:
    """Whether the picture goes on through it: what stands before a picture hides it."""
    contrast, line, beside = seen.contrast, seen.line, seen.beside
    here = contrast > 0.5 * seen.typical
    both = here[1:] & here[:-1]
    d_line, d_beside = np.diff(line)[both], np.diff(beside)[both]
    d_before, d_after = np.diff(seen.before)[both], np.diff(seen.after)[both]
    level, own = beside[here], line[here]
    slope, residual = 0.0, 9.0
    if len(level) > FEWEST:
        level, own = level - level.mean(), own - own.mean()
        slope = _slope(own, level)
        residual = MAD_TO_SIGMA * float(np.median(np.abs(own - slope * level))) / seen.typical
    spread = float(smooth(beside)[here].std()) if here.any() else 0.0
    return {
        "residual": residual,
        "residual_null": seen.doubt / seen.typical,
        "b": slope,
        "follows": _slope(d_line, d_beside),
        "follows_corr": _correlation(d_line, d_beside),
        "coherent": _correlation(d_before, d_after),
        "side_spread": spread,
        "side_spread_rel": spread / seen.typical,
    }


def _slope(y: Curve, x: Curve) -> float:
    """Of the straight line through the origin."""
    square = float((x**2).sum())
    return float((x * y).sum()) / square if len(x) >= FEWEST and square > 0 else 0.0


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """About zero, not about the means."""
    size = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum()) / size if len(x) >= FEWEST and size > 0 else 0.0
