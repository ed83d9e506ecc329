"""Figures of a candidate that a judge goes by.

They are of the candidate's scores, of the change its repair would make, and of what is near by:
dust seldom comes alone, a catch-light does, and dust is brighter or darker than what it lies on,
while grain, hair and foliage are both.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.judging.views import AROUND, Views, candidate_views
from darkroom.scan import Bytes, Float, Tile, luminance

Where: TypeAlias = NDArray[np.bool_]

SCORES = ("score_max", "score_mean", "area_sure", "area", "area_low", "length", "width", "slender")
CHANGES = ("change_mean", "change_max", "change_signed", "change_energy")
COMPANY = ("company", "company_energy", "company_like", "company_unlike")
PICTURE = (
    "alike",
    "opposite",
    "alike_near",
    "opposite_near",
    "over_grain",
    "texture",
    "ring_high",
    "ring_low",
    "ring_sides",
    "fill_offset",
    "fill_rough",
)
COLOUR = ("hue", "least_channel")
NAMES = SCORES + CHANGES + COMPANY + PICTURE + COLOUR

SURE = 0.9
LEVELS = np.float32(255.0)
SURROUNDINGS = 64  # pixels to each side of a component in which company counts
NEAR = 24  # the same, close by
DEAR = 11.5  # `change_energy` from which a mistake is dear: 100,000 squared levels
LEAST = np.float32(1 / 255)  # a change that counts as any
SMOOTH = 15  # pixels of the mean that the picture is measured against
INNER, OUTER = 5, 17  # sides of the squares between which the ring around a component lies


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate and what is around, as its finder saw them.

    Attributes:
        image: float32 (H, W, C) in [0, 1], the scan.
        fill: the same shape, what it would be repaired with; there where the score is `low`.
        score: float32 (H, W) in [0, 1].
        mask: uint8 (H, W), 255 in what would be repaired.
        low: score from which a pixel belongs to a candidate.
    """

    image: Float
    fill: Float
    score: Float
    mask: Bytes
    low: float

    @classmethod
    def of(cls, crop: Tile, low: float, scale: int = 1) -> "Candidate":
        """From the tile of a `darkroom.protocols.ComponentJudge`, `scale` times smaller."""
        assert crop.mask is not None and crop.score is not None and crop.fill is not None
        # As large as the network saw it; of something tiny, all there is.
        step = scale if crop.mask[::scale, ::scale].any() else 1
        part = slice(None, None, step), slice(None, None, step)
        return cls(crop.image[part], crop.fill[part], crop.score[part], crop.mask[part], low)

    def features(self, wanted: Collection[str] = NAMES) -> Float:
        """See `candidate_features`."""
        return candidate_features(self.image, self.fill, self.score, self.mask, self.low, wanted)

    def views(self) -> Views:
        """See `darkroom.views.candidate_views`."""
        around = surroundings(self.mask, AROUND)
        planes = self.image[around], self.fill[around], self.score[around]
        return candidate_views(*planes, self.mask[around], self.low)


@dataclass(frozen=True, slots=True)
class _Near:
    """A component and its surroundings: planes (H, W), changes are scan less fill."""

    luminance: Float
    change: Float
    score: Float
    mask: Where
    whole: Where  # the component as far as any candidate goes, which `mask` is part of
    close: tuple[slice, slice]

    @property
    def sign(self) -> float:
        return 1.0 if self.change[self.mask].sum() >= 0 else -1.0

    @property
    def contrast(self) -> float:
        return float(max(np.abs(self.change[self.mask]).mean(), LEAST))


def candidate_features(
    image: Float,
    fill: Float,
    score: Float,
    mask: Bytes,
    low: float,
    wanted: Collection[str] = NAMES,
) -> Float:
    """float32 (len(NAMES),): what the judge goes by.

    Scores count as log-odds; areas, lengths, energy and company as logarithms; the picture around
    in units of the mean change that the repair would make.

    Args:
        image: float32 (H, W, C) in [0, 1], the scan.
        fill: the same shape, what it would be repaired with; read where the score is `low` or more.
        score: float32 (H, W) in [0, 1].
        mask: uint8 (H, W), 255 in what would be repaired.
        low: score from which a pixel belongs to a candidate.
        wanted: features that will be looked at. Those of the picture around cost as much as all
            others; where none of a group is wanted, the group is 0.
    """
    down, right = surroundings(mask, SURROUNDINGS)
    image, fill, score = (p[down, right] for p in (image, fill, score))
    inside = mask[down, right] > 0
    near = _Near(
        np.ascontiguousarray(luminance(image)),
        luminance(image - fill),
        score,
        inside,
        _whole(score, inside, low),
        surroundings(inside, NEAR),
    )
    others = (score >= low) & ~near.whole
    groups: dict[tuple[str, ...], Callable[[], tuple[float, ...]]] = {
        SCORES: lambda: _scores(near),
        CHANGES: lambda: _changes(near),
        COMPANY: lambda: _company(near, others),
        PICTURE: lambda: _picture(near, fill),
        COLOUR: lambda: _colour(image[inside], fill[inside]),
    }
    needed = {"change_energy", *wanted}  # which caution goes by
    values: list[float] = []
    for names, take in groups.items():
        values += take() if needed.intersection(names) else (0.0,) * len(names)
    return np.array(values, np.float32)


def surroundings(mask: NDArray[Any], margin: int = SURROUNDINGS) -> tuple[slice, slice]:
    """(rows, columns) of the marked pixels and `margin` around, as far as they are there."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    down, right = (
        slice(max(0, int(at[0]) - margin), int(at[-1]) + margin + 1) for at in (rows, columns)
    )
    return down, right


def _whole(score: Float, inside: Where, low: float) -> Where:
    """The connected pixels of `low` or more around a mask."""
    import cv2

    possible = ((score >= low) | inside).view(np.uint8)
    count, labels = cv2.connectedComponents(possible, connectivity=8)
    own = np.zeros(count, np.bool_)
    own[labels[inside]] = True
    return np.asarray(own[labels], np.bool_)


def _scores(near: _Near) -> tuple[float, ...]:
    # Scores are kept in bytes: the outermost are as sure as half a step allows.
    sure = np.clip(near.score[near.mask], 0.5 / 255, 254.5 / 255)
    odds = np.log(sure / (1 - sure))
    rows, columns = np.nonzero(near.mask)
    y, x = rows - rows.mean(), columns - columns.mean()
    xx, yy, xy = (x * x).mean(), (y * y).mean(), (x * y).mean()
    root = np.hypot((xx - yy) / 2, xy)
    major, minor = (np.sqrt(max((xx + yy) / 2 + r, 0) + 1 / 12) for r in (root, -root))
    return (
        odds.max(),
        odds.mean(),
        np.log1p((sure > SURE).sum()),
        np.log1p(len(rows)),
        np.log1p(near.whole.sum()),
        np.log(max(np.ptp(rows), np.ptp(columns)) + 1),
        len(rows) / (4 * major),
        major / minor,
    )


def _changes(near: _Near) -> tuple[float, ...]:
    changed = near.change[near.mask]
    size = np.abs(changed)
    energy = np.log1p(LEVELS**2 * (changed**2).sum())
    return size.mean(), size.max(), changed.mean(), energy


def _company(near: _Near, others: Where) -> tuple[float, ...]:
    """How much else is found, and how much of it as bright or dark as this, and not."""
    per_pixel = 10_000 / near.score.size  # as much as there would be on 100 x 100 pixels
    weight = np.where(others, near.score, np.float32(0))
    same = near.sign * near.change > 0
    return (
        np.log1p(per_pixel * weight.sum()),
        np.log1p(per_pixel * LEVELS**2 * (weight * near.change**2).sum()),
        np.log1p(per_pixel * weight[same].sum()),
        np.log1p(per_pixel * weight[~same].sum()),
    )


def _picture(near: _Near, fill: Float) -> tuple[float, ...]:
    """Whether the picture has more of the kind, of this polarity and of the other."""
    import cv2

    plane, contrast = near.luminance, near.contrast
    whole = near.whole.view(np.uint8)
    inner, outer = (cv2.dilate(whole, np.ones((n, n), np.uint8)) > 0 for n in (INNER, OUTER))
    away, ring = ~inner, outer & ~inner
    local = np.float32(near.sign) * (plane - cv2.blur(plane, (SMOOTH, SMOOTH)))
    up, down = ((v > 0.5 * contrast) & away for v in (local, -local))
    free, free_close = (max(int(np.count_nonzero(a)), 1) for a in (away, away[near.close]))
    around = near.sign * plane[ring] if ring.any() else near.sign * plane[near.mask]
    below, middle, above = (float(v) for v in np.percentile(around, (5, 50, 95)))
    filled = luminance(fill)[near.mask]
    return (
        np.count_nonzero(up) / free,
        np.count_nonzero(down) / free,
        np.count_nonzero(up[near.close]) / free_close,
        np.count_nonzero(down[near.close]) / free_close,
        contrast / max(_grain(plane), 0.3 * float(LEAST)),
        float(np.abs(local[near.close]).mean()) / contrast,
        (above - middle) / contrast,
        (middle - below) / contrast,
        _sides(near, ring) / contrast,
        (near.sign * float(filled.mean()) - middle) / contrast,
        float(filled.std()) / contrast,
    )


def _grain(plane: Float) -> float:
    """Standard deviation of the grain: Immerkær, "Fast noise variance estimation", CVIU 1996."""
    if min(plane.shape) < 3:
        return 0.0
    columns = plane[:, :-2:3] - 2 * plane[:, 1:-1:3] + plane[:, 2::3]
    response = columns[:-2] - 2 * columns[1:-1] + columns[2:]
    return float(1.4826 / 6 * np.median(np.abs(response)))


def _sides(near: _Near, ring: Where) -> float:
    """How much the levels on both sides of it differ, along its shorter axis: an edge's do."""
    rows, columns = np.nonzero(near.mask)
    y, x = rows - rows.mean(), columns - columns.mean()
    angle = 0.5 * np.arctan2(2 * (x * y).mean(), (x * x).mean() - (y * y).mean())
    at_rows, at_columns = np.nonzero(ring)
    across = np.cos(angle) * (at_rows - rows.mean()) - np.sin(angle) * (at_columns - columns.mean())
    levels = near.luminance[ring]
    one, other = levels[across > 1], levels[across < -1]
    return float(abs(one.mean() - other.mean())) if one.size and other.size else 0.0


def _colour(image: Float, fill: Float) -> tuple[float, float]:
    """How the channels differ in what is taken away: (0, 1) where they agree, as in grey."""
    taken = (image - fill).mean(axis=0)
    mean = float(taken.mean())
    size = max(abs(mean), float(LEAST))
    return float(np.abs(taken - mean).max()) / size, float((np.sign(mean) * taken).min()) / size
