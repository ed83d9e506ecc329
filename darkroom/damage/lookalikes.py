"""What looks like damage and is none: narrow detail of photographs, and highlights drawn in.

Dust lies on the film and hides the grain below; its edge is as sharp as the scanner. A catch-light
or a disc of unsharpness is in the picture: its edge is as soft as the lens, and grain runs on
across it. A data set of retouched film shows few subjects. Catch-lights, stars, letters, twigs and
spray are learnt faster from photographs in which nothing is damaged: each crop is softened and
given grain, so that it looks scanned, and whatever is found in it beside the damage added is a
false alarm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from darkroom.damage.difference import LEVELS
from darkroom.damage.grain import add_grain
from darkroom.scan import Float

Points: TypeAlias = NDArray[np.int64]

SPECK = 7  # pixels; what is narrower stands out from an opening of this size
LIKELY = 0.004  # share of pixels that count as looking like damage
KEPT = 2000  # positions kept of each picture
HARDEST = 0.6  # share of crops centred on what looks like damage
SOFTEST = 1.0  # pixels
GRAINY = 1.5  # pixels; what a Gaussian of this width takes away counts as grain


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph without damage.

    Attributes:
        plane: uint8 or float32 (H, W) or (H, W, 3), 0 to 255.
        lookalikes: (N, 2) rows and columns of pixels that stand out as damage would.
    """

    plane: NDArray[Any]
    lookalikes: Points


def lookalikes(plane: NDArray[Any], where: NDArray[np.bool_] | None = None) -> Points:
    """Where a picture has narrow detail much brighter or darker than around it.

    Args:
        plane: (H, W) or (H, W, C).
        where: (H, W), pixels to choose from; all if None.

    Returns:
        (N, 2) rows and columns, at most `KEPT`, evenly taken from the pixels that stand out most.
    """
    plane = plane if plane.ndim == 2 else plane.mean(axis=2)
    opened = ndi.maximum_filter(ndi.minimum_filter(plane, SPECK), SPECK)
    closed = ndi.minimum_filter(ndi.maximum_filter(plane, SPECK), SPECK)
    stands_out = np.maximum(plane - opened, closed - plane)
    if where is not None:
        stands_out = stands_out * where
    threshold = max(float(np.quantile(stands_out, 1 - LIKELY)), 1e-6)
    points: Points = np.argwhere(stands_out >= threshold)
    return points[:: max(1, len(points) // KEPT)][:KEPT]


def cut(photographs: Sequence[Photograph], side: int, rng: np.random.Generator) -> Float:
    """A crop that looks scanned: float32 (side, side) or (side, side, 3) in [0, 255].

    Half of the crops are taken at half the size, where the photograph is large enough.
    """
    photograph = photographs[int(rng.integers(len(photographs)))]
    shape = photograph.plane.shape[:2]
    wide = 2 * side if rng.random() < 0.5 and min(shape) >= 2 * side else side
    if len(photograph.lookalikes) and rng.random() < HARDEST:
        at = photograph.lookalikes[rng.integers(len(photograph.lookalikes))]
        at = at - rng.integers(wide // 8, wide - wide // 8, 2)
    else:
        at = np.array([rng.integers(0, n - wide + 1) for n in shape])
    y, x = (int(np.clip(a, 0, n - wide)) for a, n in zip(at, shape, strict=True))
    plane = photograph.plane[y : y + wide, x : x + wide].astype(np.float32)
    if wide > side:
        plane = plane.reshape(side, 2, side, 2, *plane.shape[2:]).mean((1, 3))
    soft = rng.uniform(0, SOFTEST)
    return add_grain(ndi.gaussian_filter(plane, (soft, soft, 0)[: plane.ndim]), rng)


def draw_highlight(rng: np.random.Generator) -> Float:
    """The opacity in [0, 1] of a catch-light, a disc of unsharpness or a glint, (h, w).

    Args:
        rng: draws all about it.
    """
    radius = float(np.exp(rng.uniform(np.log(1.5), np.log(12.0))))
    soft = rng.uniform(0.8, 2.5)
    side = int(2 * (radius + 3 * soft)) + 3
    u, v = _axes(side, (side - 1) / 2, rng.uniform(0, np.pi))
    squeeze = rng.uniform(0.15, 0.5) if rng.random() < 0.3 else rng.uniform(0.6, 1.0)
    away = np.hypot(u, v / squeeze)
    opacity = np.clip(radius - away + 0.5, 0, 1)
    if rng.random() < 0.3:  # a rim, perhaps not all around
        opacity *= 1 - rng.uniform(0.3, 1) * np.clip(0.7 * radius - away + 0.5, 0, 1)
        opacity *= np.clip(0.5 + u / radius * rng.uniform(0, 1), 0, 1)
    opacity = ndi.gaussian_filter(opacity, soft)
    return np.asarray(opacity * (rng.uniform(0.2, 1.0) / opacity.max()), np.float32)


def lit(plane: Float, opacity: Float, level: float) -> Float:
    """A place under a highlight, its grain kept.

    Args:
        plane: (h, w, C) in [0, 255].
        opacity: (h, w) in [0, 1].
        level: of the light, in [0, 255]; what is brighter stays.
    """
    smooth = ndi.gaussian_filter(plane, (GRAINY, GRAINY, 0))
    bright = plane + opacity[..., None] * np.maximum(level - smooth, 0)
    return np.asarray(np.clip(bright, 0, LEVELS), np.float32)


def _axes(side: int, middle: float, turn: float) -> tuple[Float, Float]:
    """Coordinates (side, side) along two axes turned by an angle, from the middle."""
    y, x = np.mgrid[:side, :side].astype(np.float32) - middle
    return x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
