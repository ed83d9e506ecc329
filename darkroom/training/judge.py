"""Fitting the judge of a network's candidates on held-out pictures.

Every component of the score is repaired on its own and weighed: did the picture come nearer to
its truth? The figures reported are those of judges fitted without the photograph they judge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage as ndi

from darkroom.damage.difference import DAMAGED, EIGHT, LEVELS, MIN_PIXELS
from darkroom.judging import NAMES, LinearJudge, component_features, fit, leave_one_out
from darkroom.pairs.read import Picture
from darkroom.scan import luminance
from darkroom.training.trainable import Trainable
from darkroom.training.validate import (
    FALSE_CHANGE,
    FALSE_SIZE,
    NEAR,
    Figures,
    Tally,
    restored,
    tally,
)

Float: TypeAlias = NDArray[np.float32]

FALSE_ALARMS = ((0.0, 0.5), (25.0, 1.5), (50.0, 3.0), (75.0, 8.0), (100.0, 20.0))
"""Sensitivity and the most false alarms a megapixel it may cost on the pictures fitted on."""

MIDDLE = 50.0
BARS = 60  # tried for the middle of the scale
FLOOR = 20.0  # levels; weight of a candidate that hardly matters


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a network proposes for a picture.

    Attributes:
        picture: the pair.
        labels: int32 (H, W), the number of the component a pixel is in, 0 for none.
        fill: float32 of the picture's shape, in levels, whole numbers.
        features: float32 (m, n) of components 1 to m.
        gain: float32 (m,) squared error that repairing each takes away.
        false: bool (m,), whether a repair would count as a false alarm.
    """

    picture: Picture
    labels: NDArray[np.int32]
    fill: Float
    features: Float
    gain: Float
    false: NDArray[np.bool_]

    def repaired(self, accepted: NDArray[np.bool_]) -> Tally:
        """The figures with the accepted components repaired."""
        chosen = np.concatenate(([False], accepted))[self.labels]
        if self.fill.ndim == 3:
            chosen = chosen[..., None]
        return tally(self.picture, np.where(chosen, self.fill, self.picture.scan))


def propose(trainable: Trainable, picture: Picture, low: float) -> Proposal:
    """Components of the score at or above `low`, each weighed on its own.

    Args:
        trainable: the network, in evaluation mode.
        picture: the pair.
        low: threshold of the score.
    """
    score, fill = restored(trainable, trainable.module, picture, torch.device("cpu"))
    score = (np.rint(score * 255) / 255).astype(np.float32)  # as the pipeline keeps it
    fill = np.rint(fill * LEVELS).clip(0, LEVELS).astype(np.float32)
    labels, _ = ndi.label(score >= low, EIGHT)
    scan, truth = picture.scan, picture.truth
    change = luminance(np.atleast_3d(scan - fill).astype(np.float32))
    error, left = (((p - truth) ** 2).reshape(*labels.shape, -1).mean(2) for p in (scan, fill))
    mask = np.zeros(labels.shape, np.uint8)
    near = ndi.binary_dilation(picture.state == DAMAGED, EIGHT, iterations=NEAR)
    features, gain, false, kept = [], [], [], np.zeros_like(labels)
    for number, box in enumerate(ndi.find_objects(labels), 1):
        own = labels[box] == number
        if own.sum() < MIN_PIXELS:
            continue
        mask[box][own] = 255
        features.append(component_features(score, change / LEVELS, mask, low))
        mask[box][own] = 0
        gain.append(error[box][own].sum() - left[box][own].sum())
        plain = own & (np.abs(change[box]) >= FALSE_CHANGE)
        false.append(plain.sum() >= FALSE_SIZE and not near[box][plain].any())
        kept[box][own] = len(gain)
    return Proposal(
        picture,
        kept.astype(np.int32),
        fill,
        np.array(features, np.float32).reshape(len(gain), len(NAMES)),
        np.array(gain, np.float32),
        np.array(false, bool),
    )


def fit_judge(
    trainable: Trainable, pictures: Sequence[Picture], groups: Sequence[str], low: float
) -> tuple[LinearJudge, dict[str, Figures]]:
    """Fit a judge and its bars.

    Args:
        trainable: the network, in evaluation mode.
        pictures: what it is fitted on; none that figures are reported for.
        groups: of each picture, what belongs together; judges are tried on other groups than
            they were fitted on.
        low: threshold of the score from which a pixel belongs to a candidate.

    Returns:
        The judge fitted on all, and "sensitivity S" -> figures of judges fitted without the
        group they judge.

    Raises:
        ValueError: too few candidates, or all of one group.
    """
    proposals = [propose(trainable, p, low) for p in pictures]
    features = np.concatenate([p.features for p in proposals])
    gain = np.concatenate([p.gain for p in proposals])
    false = np.concatenate([p.false for p in proposals])
    names = [g for p, g in zip(proposals, groups, strict=True) for _ in p.gain]
    worth, weight = (gain > 0).astype(np.float32), np.sqrt(np.abs(gain)) + FLOOR
    odds = leave_one_out(features, worth, weight, names)
    megapixels = sum(p.state.size for p in pictures) / 1e6
    bars = choose_bars(odds, gain, false, megapixels)
    ends = np.cumsum([len(p.gain) for p in proposals])
    figures: dict[str, Figures] = {}
    for sensitivity, bar in bars:
        total = Tally()
        for proposal, own in zip(proposals, np.split(odds >= bar, ends[:-1]), strict=True):
            total.add(proposal.repaired(own))
        figures[name_of(sensitivity)] = total.figures()
    coefficients, intercept = fit(features, worth, weight)
    return LinearJudge(coefficients, intercept, bars), figures


def choose_bars(
    odds: Float, gain: Float, false: NDArray[np.bool_], megapixels: float
) -> tuple[tuple[float, float], ...]:
    """The bar at each sensitivity of `FALSE_ALARMS`, never rising.

    The middle of the scale takes the bar within its allowance that leaves the least error, the
    others the lowest bar within theirs.
    """
    wrong = np.sort(odds[false])[::-1]
    bars: list[tuple[float, float]] = []
    for sensitivity, most in FALSE_ALARMS:
        allowed = int(most * megapixels)
        bar = float(wrong[allowed]) + 1e-4 if allowed < len(wrong) else float(odds.min())
        if sensitivity == MIDDLE:
            tried = np.linspace(bar, float(np.quantile(odds, 0.99)), BARS)
            bar = float(max(tried, key=lambda b: float(gain[odds >= b].sum())))
        bars.append((sensitivity, min(bar, bars[-1][1]) if bars else bar))
    return tuple(bars)


def name_of(sensitivity: float) -> str:
    """What figures at a sensitivity are called."""
    return f"sensitivity {sensitivity:g}"
