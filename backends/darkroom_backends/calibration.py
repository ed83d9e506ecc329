"""From a sensitivity of 0 to 100 to thresholds of the score, by what validation measured."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

Anchor: TypeAlias = Sequence[float]  # sensitivity, low, high

FALSE_ALARMS = ((0, 1.0), (50, 5.0), (100, 25.0))  # sensitivity, most false alarms a megapixel
NEVER = 1.0  # a threshold that no score reaches
DEFAULT: tuple[Anchor, ...] = ((0.0, 0.6, 0.99), (50.0, 0.5, 0.95), (100.0, 0.4, 0.9))


def anchors(
    sweep: Mapping[str, Mapping[str, float]], allowed: Sequence[tuple[float, float]]
) -> list[list[float]]:
    """Choose thresholds for some sensitivities: those that leave the least error.

    Args:
        sweep: "low/high" -> figures with `sse_ratio` and `false_per_mp`.
        allowed: (sensitivity, most false alarms a megapixel), both rising.

    Returns:
        [sensitivity, low, high] for each; thresholds never rise with sensitivity. Where nothing
        within what is allowed is better than doing nothing, thresholds that find nothing.
    """

    def pick(most: float) -> str | None:
        good = [k for k, f in sweep.items() if f["false_per_mp"] <= most and f["sse_ratio"] < 1]
        return min(good, key=lambda k: sweep[k]["sse_ratio"], default=None)

    return falling(pick, allowed)


def falling(
    pick: Callable[[float], str | None], allowed: Sequence[tuple[float, float]]
) -> list[list[float]]:
    """[sensitivity, low, high] for each sensitivity; thresholds never rise with it.

    Args:
        pick: "low/high" for the most false alarms a megapixel, or None for nothing found.
        allowed: (sensitivity, most false alarms a megapixel), both rising.
    """
    chosen: list[list[float]] = []
    for sensitivity, most in allowed:
        picked = pick(most)
        low, high = (float(t) for t in picked.split("/")) if picked else (NEVER, NEVER)
        if chosen:
            low, high = min(low, chosen[-1][1]), min(high, chosen[-1][2])
        chosen.append([float(sensitivity), low, high])
    return chosen


def read_table(
    calibration: Mapping[str, Any], default: Sequence[Anchor] = DEFAULT
) -> list[list[float]]:
    """The anchors in a weights file, or the default.

    Raises:
        TypeError: they are no table of numbers.
        ValueError: rows of another length, or out of order.
    """
    table = [[float(x) for x in row] for row in calibration.get("thresholds", default)]
    rising = all(a[0] < b[0] for a, b in pairwise(table))
    if not table or any(len(row) != 3 for row in table) or not rising:
        raise ValueError("malformed calibration")
    return table


def thresholds(table: Sequence[Anchor], sensitivity: float) -> tuple[float, float]:
    """(low, high) at a sensitivity, interpolated between anchors.

    Args:
        table: [sensitivity, low, high], sensitivities rising.
        sensitivity: 0 to 100; beyond the outermost anchor its thresholds hold.
    """
    at, low, high = np.array(table, np.float64).T
    return float(np.interp(sensitivity, at, low)), float(np.interp(sensitivity, at, high))
