"""Differences of tone between a scan and its ground truth: measured, and taken out if smooth."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Curve = NDArray[np.float64]

BINS = 64
MIN_PIXELS = 200  # in a bin, to count
NEGLIGIBLE = 0.5  # 8-bit levels: a curve that bends tones less is no curve


@dataclass(frozen=True, slots=True)
class Tone:
    """How the truth's tones map to the scan's.

    Attributes:
        levels: 8-bit levels of the truth.
        offset: (C, BINS) median of scan - truth there; zero if negligible.
        shift: largest offset in absolute value.
        spread: median over levels of the robust spread about the curve, in 8-bit levels.
    """

    levels: Curve
    offset: Curve
    shift: float
    spread: float

    @property
    def needed(self) -> bool:
        """Whether there is anything to correct."""
        return bool(self.offset.any())

    def record(self) -> dict[str, float]:
        """Figures for the manifest."""
        return {"shift": round(self.shift, 3), "spread": round(self.spread, 3)}

    def correct(self, truth: Array, scale: float) -> Array:
        """The truth (H, W, C) in the scan's tones, in its own type."""
        if not self.needed:
            return truth
        out = truth.astype(np.float32)
        for channel in range(truth.shape[2]):
            plane = out[..., channel]
            plane += scale * np.interp(plane / scale, self.levels, self.offset[channel])
        if truth.dtype.kind == "f":
            return out.astype(truth.dtype)
        return np.rint(np.clip(out, 0, np.iinfo(truth.dtype).max)).astype(truth.dtype)


def fit_tone(samples: Iterable[tuple[Array, Array]], scale: float) -> Tone:
    """The smooth curve between the tones of aligned pieces of scan and truth.

    Medians by level of the truth, which artefacts do not move, smoothed over three bins.

    Args:
        samples: pieces (H, W, C) of scan and truth.
        scale: their units in one 8-bit level.
    """
    pieces = list(samples)
    channels = pieces[0][0].shape[2]
    scan, truth = (
        np.concatenate([p[i].reshape(-1, channels).astype(np.float32) / scale for p in pieces])
        for i in (0, 1)
    )
    levels = (np.arange(BINS) + 0.5) * 256 / BINS
    offset, spread = np.zeros((channels, BINS)), []
    for c in range(channels):
        index = np.clip((truth[:, c] * BINS / 256).astype(int), 0, BINS - 1)
        difference = scan[:, c] - truth[:, c]
        known, values = [], []
        for level in range(BINS):
            here = difference[index == level]
            if len(here) >= MIN_PIXELS:
                known.append(level)
                values.append(float(np.median(here)))
                spread.append(1.4826 * float(np.median(np.abs(here - values[-1]))))
        if known:
            raw = np.interp(np.arange(BINS), known, values)
            padded = np.pad(raw, 1, mode="edge")
            offset[c] = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    shift = float(np.abs(offset).max())
    if shift < NEGLIGIBLE:
        offset[:] = 0
    return Tone(levels, offset, shift, float(np.median(spread)) if spread else 0.0)
