"""From a sensitivity of 0 to 100 to thresholds of the score, by what validation measured."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Anchor: TypeAlias = tuple[float, float, float]  # sensitivity, low, high

FALSE_ALARMS = ((0, 1.0), (50, 5.0), (100, 25.0))  # sensitivity, most false alarms a megapixel
DEFAULT: tuple[Anchor, ...] = ((0.0, 0.6, 0.99), (50.0, 0.5, 0.95), (100.0, 0.4, 0.9))


def anchors(
    sweep: Mapping[str, Mapping[str, float]], allowed: Sequence[tuple[float, float]]
) -> list[list[float]]:
    """Choose thresholds for some sensitivities: those that leave the least error.

    Args:
        sweep: "low/high" -> figures with `sse_ratio` and `false_per_mp`.
        allowed: (sensitivity, most false alarms a megapixel), both rising.

    Returns:
        [sensitivity, low, high] for each; thresholds never rise with sensitivity.
    """
    chosen: list[list[float]] = []
    for sensitivity, most in allowed:
        within = [k for k, f in sweep.items() if f["false_per_mp"] <= most]
        if within:
            pick = min(within, key=lambda k: sweep[k]["sse_ratio"])
        else:
            pick = min(sweep, key=lambda k: sweep[k]["false_per_mp"])
        low, high = (float(t) for t in pick.split("/"))
        if chosen:
            low, high = min(low, chosen[-1][1]), min(high, chosen[-1][2])
        chosen.append([float(sensitivity), low, high])
    return chosen
