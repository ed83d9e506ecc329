"""Is a candidate a scratch or a line of the picture? Log-odds from what was measured along it.

A logistic regression on features and their squares, fitted by `benchmarks/fit_scratches.py` on
photographs with drawn scratches and the lines of the same photographs. Of most weight: that the
line is as strong all along, that nothing like it stands beside it, that it does not lie on a step,
that the picture goes on through it, and that few others run in its direction.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

TABLE = "judge.json"
# Range of each feature, and whether its logarithm is taken.
RANGES: dict[str, tuple[float, float, bool]] = {
    "clear": (0.2, 20, True),
    "share": (0, 1, False),
    "present": (0, 1, False),
    "ends": (0, 1, False),
    "uneven": (0.1, 5, True),
    "least_section": (-1, 1.2, False),
    "section_spread": (0.03, 3, True),
    "strength": (3, 300, True),
    "step": (0.02, 3, True),
    "isolation": (0.03, 3, True),
    "isolation90": (0.02, 3, True),
    "residual": (0.08, 5, True),
    "residual_null": (0.05, 5, True),
    "b": (0, 1.2, False),
    "follows": (0, 1.2, False),
    "follows_corr": (0, 1, False),
    "coherent": (0, 1, False),
    "top_noise": (1, 300, True),
    "width": (0, 24, False),
    "score": (0, 4, False),
    "side_spread_rel": (0.1, 20, True),
    "side_spread": (0.01, 0.5, True),
    "crowd": (1, 40, True),
    "crowd_strong": (0.5, 20, True),
    "rival": (0, 4, False),
}


def vector(features: dict[str, float]) -> NDArray[np.float64]:
    """The features in the order of `RANGES`, limited, in logarithms where that is wanted."""
    values = []
    for name, (low, high, log) in RANGES.items():
        value = float(np.clip(np.nan_to_num(features[name]), low, high))
        values.append(float(np.log(value)) if log else value)
    return np.array(values)


@dataclass(frozen=True, slots=True)
class Judge:
    """The fitted regression.

    Attributes:
        mean, scale: float (n,), what features are brought to the same size by.
        linear, square: float (n,), weights of features and of their squares less 1.
        base: log-odds to start from.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    linear: NDArray[np.float64]
    square: NDArray[np.float64]
    base: float

    @classmethod
    @cache
    def load(cls) -> "Judge":
        """The judge that comes with darkroom.

        Raises:
            ValueError: the table was fitted for other features.
        """
        table = json.loads(files(__package__).joinpath(TABLE).read_text("utf-8"))
        if list(table["features"]) != list(RANGES):
            raise ValueError(f"{TABLE} was fitted for other features: fit it again")
        mean, scale, linear, square = (
            np.array(table[name], np.float64) for name in ("mean", "scale", "linear", "square")
        )
        return cls(mean, scale, linear, square, float(table["base"]))

    def log_odds(self, features: dict[str, float]) -> float:
        """The logarithm of the odds that a candidate is a scratch."""
        z = (vector(features) - self.mean) / self.scale
        return self.base + float(z @ self.linear + (z**2 - 1) @ self.square)
