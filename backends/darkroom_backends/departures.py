"""From how far a scan departs from what a network draws in its place to scores and fills."""

import torch
from torch import Tensor

from darkroom_backends.filters import box, surroundings

BRIGHTEST = 255.0  # levels of 8 bits are what departures are counted in
AROUND = 31  # pixels; side of the surroundings a departure is compared with
ROUNDS = 3  # of leaving out what departs by more than
OUTLIER = 2.5  # deviations
NORMAL = 1.25  # standard deviation of a normal distribution over its mean absolute deviation
DEVIATIONS, UNIT = 2.0, 3.0  # a departure of their product makes a score of 1 - 1/e
FLOOR = 2.0  # levels; least spread, so that grain in a flat sky is no artefact
DOUBTFUL = 0.4  # score from which a pixel has no say in its neighbours' level
MOST = 0.99  # so that thresholds of 1 find nothing, in bytes too
CANDIDATES = 0.5  # score from which a pixel belongs to a candidate for the judge


def judge_levels(observed: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """How improbable the observed levels are, and what they should be.

    A network misjudges more than it says: its own spread hardly knows where it draws badly. So a
    departure counts in units of how far the scan departs from the expectation all around, which is
    small in skies and large in foliage, and relative to the mean departure there. The score is
    1 - exp(-d / 3), d being in units of twice that deviation. What should be there is the
    expectation, corrected by how it errs in the surroundings that look undamaged.

    Args:
        observed: (N, 1, H, W) in levels.
        expected: by the network, of the same pixels.

    Returns:
        Score, 0 for what is usual there and up to `MOST`, and level, (N, 1, H, W) each.
    """
    departure = observed - expected
    usual, deviation = usual_departure(departure)
    spread = torch.sqrt((DEVIATIONS * deviation) ** 2 + FLOOR * FLOOR)
    score = (-torch.expm1(-(departure - usual).abs() / (UNIT * spread))).clamp(max=MOST)
    doubtful = (score > DOUBTFUL).to(score.dtype)
    level = expected + surroundings(departure, doubtful)
    return score, level


def usual_departure(departure: Tensor) -> tuple[Tensor, Tensor]:
    """Local mean and deviation of the departures, (N, 1, H, W) each, outliers left out."""
    weight = torch.ones_like(departure)
    for _ in range(ROUNDS):
        total = box(weight, AROUND) + 1e-3
        usual = box(weight * departure, AROUND) / total
        off = (departure - usual).abs()
        deviation = NORMAL * box(weight * off, AROUND) / total
        weight = (off <= OUTLIER * deviation + 1).to(departure.dtype)
    return usual, deviation
