"""What a judge's network is shown of a candidate: its pixels near by, its surroundings coarser.

Figures of a candidate say little of what it lies on. Whether a bright line is a hair on the film or
one of many reeds, a disc a speck or a lamp, is seen at a glance by whoever sees the picture; so the
network is shown it, with what the first network thought of each pixel and would put there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.scan import Bytes, Float, luminance

SIDE = 48  # pixels of either view
COARSER = 4  # times that the far view shows the picture smaller
LONGEST = 40  # pixels; what is longer is shown smaller, in both views
AROUND = COARSER * SIDE // 2  # pixels around a candidate that are looked at
LOCAL = 9  # pixels of the mean that detail is measured against
LEVELS, SHARE = 255.0, 127.0
PLANES = 6  # of either view

Coded: TypeAlias = NDArray[np.int8]
Pool: TypeAlias = Callable[[Float, int], Float]


@dataclass(frozen=True, slots=True)
class Views:
    """Two views of a candidate, about the middle of its mask.

    Attributes:
        near: int8 (6, 48, 48): luminance less the fill's mean within the mask, and scan less fill
            where anything was found, in levels; score and mask, 127 is 1; red and blue less
            luminance, in levels.
        far: int8 (6, 48, 48), `COARSER` times coarser: luminance as above, the brightest and the
            darkest detail, in levels; the greatest score, the mask, and how much is picture.
        scale: how many times smaller both show it.
    """

    near: Coded
    far: Coded
    scale: int


def candidate_views(image: Float, fill: Float, score: Float, mask: Bytes, low: float) -> Views:
    """The views of a candidate.

    Args:
        image: float32 (H, W, C) in [0, 1], the scan around it.
        fill: the same shape, what it would be repaired with; read where the score is `low` or more.
        score: float32 (H, W) in [0, 1].
        mask: uint8 (H, W), 255 in what would be repaired.
        low: score from which a pixel belongs to a candidate.
    """
    import cv2

    inside = mask > 0
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    height, width = (int(at[-1] - at[0]) + 1 for at in (rows, columns))
    place = int(rows[0]) + height // 2, int(columns[0]) + width // 2
    scale = max(1, -(-max(height, width) // LONGEST))
    seen, filled = luminance(image), luminance(fill)
    level = np.float32(filled[inside].mean())
    marked = inside.astype(np.float32)
    step, area, most = COARSER * scale, _mean, _greatest
    zero = np.float32(0)

    def near(plane: Float, units: float, base: np.float32 = zero) -> Coded:
        part = _square(plane, place, SIDE // 2 * scale, base)
        return _coded(area(part, scale), units, base)

    def far(plane: Float, units: float, how: Pool, base: np.float32 = zero) -> Coded:
        return _coded(how(_square(plane, place, SIDE // 2 * step, base), step), units, base)

    grey = image.shape[2] == 1
    blank = np.zeros((SIDE, SIDE), np.int8)
    change = np.where(score >= low, seen - filled, zero)
    detail = seen - cv2.blur(seen, (LOCAL, LOCAL))
    close = (
        near(seen, LEVELS, level),
        near(change, LEVELS),
        near(score, SHARE),
        near(marked, SHARE),
        blank if grey else near(image[..., 0] - seen, LEVELS),
        blank if grey else near(image[..., -1] - seen, LEVELS),
    )
    around = (
        far(seen, LEVELS, area, level),
        far(detail, LEVELS, most),
        far(-detail, LEVELS, most),
        far(score, SHARE, most),
        far(marked, SHARE, most),
        far(np.ones_like(seen), SHARE, area),
    )
    return Views(np.stack(close), np.stack(around), scale)


def _square(plane: Float, place: tuple[int, int], half: int, beyond: np.float32) -> Float:
    """The square of 2 x `half` pixels about a place, `beyond` where the picture ends."""
    height, width = plane.shape
    wanted = Window(place[1] - half, place[0] - half, 2 * half, 2 * half)
    there = wanted.intersect(Window(0, 0, width, height))
    found = np.full((2 * half, 2 * half), beyond, np.float32)
    found[there.relative_to(wanted).slices] = plane[there.slices]
    return found


def _greatest(plane: Float, step: int) -> Float:
    """Maxima of squares of so many pixels; row by row, which is faster than a reduction."""
    rows = reduce(np.maximum, (plane[i::step] for i in range(step)))
    return reduce(np.maximum, (rows[:, i::step] for i in range(step)))


def _mean(plane: Float, step: int) -> Float:
    """Means of squares of so many pixels."""
    import cv2

    if step == 1:
        return plane
    return np.asarray(cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _coded(plane: Float, units: float, base: np.float32) -> Coded:
    coded = np.rint((plane - base) * np.float32(units))
    return np.asarray(np.clip(coded, -127, 127), np.int8)
