"""From a sensitivity of 0 to 100 to thresholds of the score, by what validation measured."""

import math
from collections.abc import Mapping, Sequence

from darkroom_backends.calibration import Anchor, falling

DEFAULT: tuple[Anchor, ...] = ((0.0, 0.6, 0.99), (50.0, 0.4, 0.9), (100.0, 0.2, 0.5))


def anchors(
    sweep: Mapping[str, Mapping[str, float]], allowed: Sequence[tuple[float, float]]
) -> list[list[float]]:
    """Choose thresholds for some sensitivities: those that heal the most visible damage.

    Args:
        sweep: "low/high" -> figures with `visible` and `false_per_mp`.
        allowed: (sensitivity, most false alarms a megapixel), both rising.

    Returns:
        [sensitivity, low, high] for each; thresholds never rise with sensitivity. Where nothing
        keeps within what is allowed, the pair with the fewest false alarms.
    """

    def pick(most: float) -> str:
        within = [k for k, f in sweep.items() if f["false_per_mp"] <= most]
        if within:
            return max(within, key=lambda k: sweep[k]["visible"])
        return min(sweep, key=lambda k: sweep[k]["false_per_mp"])

    return falling(pick, allowed)


def thresholds(table: Sequence[Sequence[float]], sensitivity: float) -> tuple[float, float]:
    """(low, high) at a sensitivity, interpolated between anchors on the scale of log odds.

    Args:
        table: [sensitivity, low, high], sensitivities rising.
        sensitivity: 0 to 100; beyond the outermost anchor its thresholds hold.
    """
    rows = [tuple(row) for row in table]
    before = max((r for r in rows if r[0] <= sensitivity), default=rows[0])
    after = min((r for r in rows if r[0] >= sensitivity), default=rows[-1])
    share = (sensitivity - before[0]) / (after[0] - before[0]) if after[0] > before[0] else 0.0
    low, high = (
        _inverse((1 - share) * _log_odds(a) + share * _log_odds(b))
        for a, b in zip(before[1:], after[1:], strict=True)
    )
    return low, high


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def _inverse(x: float) -> float:
    return 1 / (1 + math.exp(-x))
