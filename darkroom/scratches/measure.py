"""A candidate, measured: its cross-section, and how much it stands out at each place along it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Float
from darkroom.scratches.strips import HALF, STEPS

CORE = 16  # pixels from the course within which a scratch and its rims lie
NEAR = 6  # pixels beside it that tell what the picture is like there
PEAK = 3  # pixels from the course within which the middle lies
RIM_SHARE = 0.12  # of the peak, where the cross-section ends
MAD_TO_SIGMA = 1.4826
LEAST = 1e-4  # contrast and doubt below which rounding rules

Curve = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate, measured.

    Attributes:
        sign: 1 brighter, -1 darker than its sides.
        colour: float (C,), how the channels share in it; sums of squares to 1.
        profile: float (2 HALF + 1,), its cross-section in that direction, positive inside.
        left, right: pixels from the course to the ends of the cross-section, left negative.
        width: pixels across at half height.
        line: float (groups,), its level.
        before, after: float (groups,), the levels of its two sides.
        doubts: float (groups,), the spread of contrasts measured beside it, where no line is.
        doubt: the usual one of those.
        core: mean of the profile over the part that `line` is the level of.
        features: what the decision is made on.
    """

    sign: int
    colour: Curve
    profile: Curve
    left: int
    right: int
    width: float
    line: Curve
    before: Curve
    after: Curve
    doubts: Curve
    doubt: float
    core: float
    features: dict[str, float]

    @property
    def beside(self) -> Curve:
        """float (groups,): the level that the picture has there without the line."""
        return (self.before + self.after) / 2

    @property
    def contrast(self) -> Curve:
        """float (groups,): line less its sides, positive where it is of its sign."""
        return self.sign * (self.line - self.beside)

    @property
    def typical(self) -> float:
        """The usual contrast, more than 0."""
        return max(float(np.median(self.contrast)), LEAST)

    @property
    def shape(self) -> Curve:
        """float (right - left + 1,): the cross-section, its mean over the core 1."""
        return self.profile[HALF + self.left : HALF + self.right + 1] / self.core

    def cover(self) -> tuple[float, float]:
        """(a, b): a robust straight line a + b s through the contrast over the level s beside it.

        A scratch that adds light or takes a share away has b of 0; one that covers the film by a
        share has minus that share. Least squares, weighed again and again after Huber.
        """
        middle = float(self.beside.mean())
        level, contrast = self.beside - middle, self.contrast
        a, b = float(np.median(contrast)), 0.0
        if float(level.std()) < 2 * self.doubt / len(level) ** 0.5:
            return a, 0.0
        for _ in range(10):
            rest = np.abs(contrast - a - b * level)
            weight = np.minimum(1, self.doubt / np.maximum(rest, 1e-9))
            total, mean = float(weight.sum()), float((weight * level).sum())
            square = float((weight * level**2).sum())
            both = float((weight * level * contrast).sum())
            alone = float((weight * contrast).sum())
            size = max(total * square - mean**2, 1e-12)
            a, b = (square * alone - mean * both) / size, (total * both - mean * alone) / size
        b = float(np.clip(b, -1.0, 1.0))
        return a - b * middle, b

    def expected(self) -> Curve:
        """float (groups,): the contrast that the level beside the line lets expect."""
        a, b = self.cover()
        return np.maximum(a + b * self.beside, 0.2 * self.typical)


def measure(strip: Float, sign: int) -> Measured | None:
    """Measure a candidate, or None where nothing stands out of the sides.

    Args:
        strip: float32 (groups, 2 HALF + 1, C), the picture along its course.
        sign: 1 brighter, -1 darker than the sides.
    """
    raw = strip.astype(np.float64)
    excess = raw - _baseline(raw)
    typical = np.median(excess, axis=0)  # (across, C)
    colour = np.maximum((sign * typical[np.abs(STEPS) <= PEAK]).max(axis=0), 0)
    size = float(np.sqrt((colour**2).sum()))
    if size <= 0:
        return None
    colour = colour / size
    profile = sign * np.median(excess @ colour, axis=0)
    middle = HALF - PEAK + int(np.argmax(profile[HALF - PEAK : HALF + PEAK + 1]))
    top = float(profile[middle])
    if top <= 0:
        return None
    error = MAD_TO_SIGMA * float(np.median(np.abs(profile[np.abs(STEPS) > CORE])))
    left, right = _extent(np.abs(profile), middle, max(RIM_SHARE * top, 2 * error))
    inner = _extent(profile, middle, 0.5 * top)
    core = slice(inner[0], inner[1] + 1)
    plane = raw @ colour  # (groups, across)
    line, before, after = _levels(plane, core, (left, right), 0)
    doubts, doubt = _doubts(plane, core, (left, right))
    return Measured(
        sign,
        colour,
        profile,
        left - HALF,
        right - HALF,
        float(core.stop - core.start),
        line,
        before,
        after,
        doubts,
        doubt,
        float(profile[core].mean()),
        {},
    )


def smooth(values: Curve) -> Curve:
    """Means over eight groups along."""
    kernel = np.ones(8) / 8
    return np.convolve(np.pad(values, (4, 3), mode="edge"), kernel, mode="valid")


def _baseline(raw: Curve) -> Curve:
    """The picture across the line, from what lies on its left straight to what lies right."""
    left = raw[:, (STEPS >= -CORE - 8) & (STEPS < -CORE)].mean(axis=1)
    right = raw[:, (STEPS > CORE) & (STEPS <= CORE + 8)].mean(axis=1)
    share = np.clip((STEPS + CORE + 4.5) / (2 * CORE + 9), 0, 1)[None, :, None]
    return np.asarray(left[:, None] * (1 - share) + right[:, None] * share, np.float64)


def _extent(shape: Curve, middle: int, least: float) -> tuple[int, int]:
    """First and last place about the middle up to which a cross-section stays above a level.

    One place below it, between a line and its rim, does not end it.
    """
    first = last = middle
    while first > HALF - CORE and max(shape[first - 1], shape[first - 2]) > least:
        first -= 1
    while last < HALF + CORE and max(shape[last + 1], shape[last + 2]) > least:
        last += 1
    return first, last


def _levels(
    plane: Curve, core: slice, ends: tuple[int, int], shift: int
) -> tuple[Curve, Curve, Curve]:
    """(line, before, after): mean levels along, of a line moved across by `shift`."""
    left, right = ends[0] + shift, ends[1] + shift
    line = plane[:, core.start + shift : core.stop + shift].mean(axis=1)
    before = plane[:, left - NEAR : left].mean(axis=1)
    return line, before, plane[:, right + 1 : right + 1 + NEAR].mean(axis=1)


def _doubts(plane: Curve, core: slice, ends: tuple[int, int]) -> tuple[Curve, float]:
    """Spreads of contrast to the left and the right of the line, and the usual one."""
    away = ends[1] - ends[0] + 1 + NEAR
    found = []
    for shift in (-away, away):
        if ends[0] + shift >= NEAR and ends[1] + shift + NEAR < plane.shape[1]:
            line, before, after = _levels(plane, core, ends, shift)
            found.append(line - (before + after) / 2)
    if not found:  # the strip ends: what the course itself varies by must do
        line, before, after = _levels(plane, core, ends, 0)
        contrast = line - (before + after) / 2
        found = [contrast - np.median(contrast)]
    doubt = max(MAD_TO_SIGMA * float(np.median(np.abs(np.concatenate(found)))), LEAST)
    spread = np.sqrt(np.mean(np.square(found), axis=0))
    return np.maximum(smooth(np.minimum(spread, 6 * doubt)), 0.5 * doubt), doubt
