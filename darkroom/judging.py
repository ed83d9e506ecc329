"""A judge of candidates for networks: is repairing this component worth the risk?

A network scores pixels. Whether to repair a component is a decision of its own, since a wrong
repair of something large and bright costs more than many right ones of specks gain. The judge is
a logistic regression on a few figures of the component's scores, of the change its repair would
make, and of what else is found near by (dust seldom comes alone, a catch-light does), fitted on
pictures by `darkroom weights calibrate` and kept with the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkroom.scan import Bytes, Float

NAMES = (
    "score_max",
    "score_mean",
    "area_sure",
    "area",
    "length",
    "change_mean",
    "change_max",
    "change_signed",
    "change_energy",
    "company",
    "company_energy",
)
SURE = 0.9
LEVELS = 255.0
SURROUNDINGS = 64  # pixels to each side of a component in which company counts


def component_features(score: Float, change: Float, mask: Bytes, low: float) -> Float:
    """float32 (len(NAMES),): what the judge goes by.

    Scores count as log-odds; areas, length, energy and company as logarithms.

    Args:
        score: float32 (H, W) in [0, 1].
        change: float32 (H, W), scan less fill, both in [0, 1]; read where the score is `low` or
            more.
        mask: uint8 (H, W), 255 in the component.
        low: score from which a pixel belongs to a candidate.
    """
    near = surroundings(mask)
    score, change, mask = score[near], change[near], mask[near]
    inside = mask > 0
    others = (score >= low) & ~inside
    per_pixel = 10_000 / score.size  # as much as there would be on 100 x 100 pixels
    # Scores are kept in bytes: the outermost are as sure as half a step allows.
    sure = np.clip(score[inside], 0.5 / 255, 254.5 / 255)
    odds, changed = np.log(sure / (1 - sure)), change[inside]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    length = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    return np.array(
        (
            odds.max(),
            odds.mean(),
            np.log1p((sure > SURE).sum()),
            np.log1p(inside.sum()),
            np.log(length),
            np.abs(changed).mean(),
            np.abs(changed).max(),
            changed.mean(),
            np.log1p(LEVELS**2 * (changed**2).sum()),
            np.log1p(per_pixel * score[others].sum()),
            np.log1p(per_pixel * LEVELS**2 * (score[others] * change[others] ** 2).sum()),
        ),
        np.float32,
    )


def surroundings(mask: Bytes) -> tuple[slice, slice]:
    """(rows, columns) of the marked pixels and `SURROUNDINGS` around, as far as they are there."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    down, right = (
        slice(max(0, int(at[0]) - SURROUNDINGS), int(at[-1]) + SURROUNDINGS + 1)
        for at in (rows, columns)
    )
    return down, right


@dataclass(frozen=True, slots=True)
class LinearJudge:
    """A logistic regression and the bar it sets at each sensitivity.

    Attributes:
        coefficients: of each of `names`.
        intercept: log-odds to start from.
        bars: (sensitivity, log-odds needed), sensitivities rising, bars falling.
        names: of the features it goes by, all of them or some.
    """

    coefficients: tuple[float, ...]
    intercept: float
    bars: tuple[tuple[float, float], ...]
    names: tuple[str, ...] = NAMES

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "LinearJudge":
        """From what `table` made.

        Raises:
            ValueError: it was fitted for other features, or is malformed.
        """
        names = tuple(table.get("features", ()))
        if not set(names) <= set(NAMES):
            raise ValueError("the judge was fitted for other features")
        coefficients = tuple(float(c) for c in table["coefficients"])
        bars = tuple((float(s), float(b)) for s, b in table["bars"])
        if len(coefficients) != len(names) or not names or not bars:
            raise ValueError("malformed judge")
        return cls(coefficients, float(table["intercept"]), bars, names)

    def table(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "features": list(self.names),
            "coefficients": list(self.coefficients),
            "intercept": self.intercept,
            "bars": [list(bar) for bar in self.bars],
        }

    def log_odds(self, features: Float) -> Float:
        """Log-odds that a repair is worth it: () for all features (n,), (m,) for (m, n)."""
        own = features[..., [NAMES.index(name) for name in self.names]]
        odds = own @ np.asarray(self.coefficients) + self.intercept
        return np.asarray(odds, np.float32)

    def bar(self, sensitivity: float) -> float:
        """The log-odds needed."""
        at, bars = zip(*self.bars, strict=True)
        return float(np.interp(sensitivity, at, bars))

    def confidence(self, features: Float, sensitivity: float) -> float:
        """In [0, 1]; 0.5 just clears the bar."""
        margin = float(self.log_odds(features)) - self.bar(sensitivity)
        return float(1 / (1 + np.exp(-np.clip(margin, -30, 30))))


def fit(
    features: Float, worth: Float, weight: Float, strength: float = 1.0
) -> tuple[tuple[float, ...], float]:
    """Coefficients and intercept of a logistic regression on standardised features.

    Args:
        features: (m, len(NAMES)).
        worth: (m,) 1 where the repair made the picture better, else 0.
        weight: (m,) weight of each candidate.
        strength: of the penalty on coefficients, per unit of mean weight.

    Raises:
        ValueError: all candidates are alike.
    """
    from scipy.optimize import minimize

    if not len(worth) or worth.min() == worth.max():
        raise ValueError("a judge needs candidates worth repairing and others")
    centre, spread = features.mean(0), features.std(0) + 1e-6
    x = (features - centre) / spread
    x = np.concatenate((x, np.ones((len(x), 1))), 1).astype(np.float64)
    sign, share = 2.0 * worth - 1, weight / weight.mean()

    def loss(c: Any) -> tuple[float, Any]:
        margin = sign * (x @ c)
        value = (share * np.logaddexp(0, -margin)).sum() + strength * (c[:-1] ** 2).sum() / 2
        slope = -share * sign / (1 + np.exp(np.clip(margin, -500, 500)))
        gradient = x.T @ slope
        gradient[:-1] += strength * c[:-1]
        return float(value), gradient

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    coefficients = found[:-1] / spread
    return tuple(float(c) for c in coefficients), float(found[-1] - coefficients @ centre)


def leave_one_out(
    features: Float, worth: Float, weight: Float, groups: Sequence[str], strength: float = 1.0
) -> Float:
    """Log-odds of each candidate by a judge fitted on the other groups: float32 (m,).

    Raises:
        ValueError: fewer than two groups, or one holds all that is worth repairing.
    """
    names = np.asarray(groups)
    odds = np.zeros(len(worth), np.float32)
    if len(set(groups)) < 2:
        raise ValueError("a judge needs candidates from two photographs or more")
    for name in sorted(set(groups)):
        own = names == name
        judge = LinearJudge(*fit(features[~own], worth[~own], weight[~own], strength), ())
        odds[own] = judge.log_odds(features[own])
    return odds
