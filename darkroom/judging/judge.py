"""A judge of candidates: its model, and the bar that it sets at each sensitivity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.judging.features import DEAR, NAMES, SURROUNDINGS, Candidate
from darkroom.judging.seeing import SeeingNetwork
from darkroom.judging.views import AROUND
from darkroom.scan import Float
from darkroom.trees import Trees


@dataclass(frozen=True, slots=True)
class Linear:
    """A logistic regression.

    Attributes:
        coefficients: float32 (n,).
        intercept: log-odds to start from.
    """

    coefficients: Float
    intercept: float

    def sums(self, features: Float) -> Float:
        """Log-odds: () for the features (n,) of one, (m,) for (m, n)."""
        return np.asarray(features @ self.coefficients + self.intercept, np.float32)


@dataclass(frozen=True, slots=True)
class Judge:
    """What says how likely a repair is worth it, and the bar it sets at each sensitivity.

    Attributes:
        model: gives log-odds from the features that it goes by.
        bars: (sensitivity, log-odds needed), sensitivities rising, bars falling.
        names: of those features, in the model's order.
        relative: share of its own greatest score that a candidate's mask reaches, for which the
            judge was fitted (`darkroom.protocols.TileContract.relative`).
        caution: log-odds taken off for each unit of `change_energy` above `DEAR`, since a wrong
            repair of something large and plain costs more than many right ones of specks gain.
        network: sees the candidate too; the log-odds are the mean of both.
        gate: candidates of which the model says less are not shown to the network.
    """

    model: Trees | Linear
    bars: tuple[tuple[float, float], ...]
    names: tuple[str, ...] = NAMES
    relative: float = 0.0
    caution: float = 0.0
    network: SeeingNetwork | None = None
    gate: float = -np.inf

    def __post_init__(self) -> None:
        _check(self.names)
        if isinstance(self.model, Linear):
            known = len(self.model.coefficients) == len(self.names)
        else:
            known = int(self.model.feature.max()) < len(self.names)
        if self.network is not None:
            known = known and self.network.figures == len(NAMES) and self.names == NAMES
        if not (known and self.names and self.bars and 0 <= self.relative < 1):
            raise ValueError("malformed judge")

    @classmethod
    def of(cls, table: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> "Judge":
        """From what `table` and `arrays` made.

        Raises:
            ValueError: it was fitted for other features, or is malformed.
        """
        names = tuple(table.get("features", ()))
        relative, caution = (float(table.get(name, 0.0)) for name in ("relative", "caution"))
        _check(names)
        bars = tuple((float(s), float(b)) for s, b in table["bars"])
        model: Trees | Linear
        if "coefficients" in table:
            linear = np.array(table["coefficients"], np.float32)
            model = Linear(linear, float(table["intercept"]))
        else:
            model = Trees.of(arrays)
        gate = float(table.get("gate", -np.inf))
        return cls(model, bars, names, relative, caution, SeeingNetwork.of(arrays), gate)

    def table(self) -> dict[str, Any]:
        """All but trees and networks, as JSON values."""
        table: dict[str, Any] = {
            "features": list(self.names),
            "bars": [list(bar) for bar in self.bars],
            "relative": self.relative,
            "caution": self.caution,
        }
        if self.network is not None:
            table["gate"] = self.gate
        if isinstance(self.model, Linear):
            table["coefficients"] = [float(c) for c in self.model.coefficients]
            table["intercept"] = self.model.intercept
        return table

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Trees and a network, by the names of their arrays."""
        trees = self.model.arrays() if isinstance(self.model, Trees) else {}
        return trees | (self.network.arrays() if self.network is not None else {})

    @property
    def margin(self) -> int:
        """Pixels around a candidate that it looks at."""
        return AROUND if self.network is not None else SURROUNDINGS

    def figures_odds(self, features: Float) -> Float:
        """Log-odds by figures alone: () for all features (n,), (m,) for (m, n)."""
        odds = self.model.sums(features[..., [NAMES.index(name) for name in self.names]])
        dear = np.maximum(features[..., NAMES.index("change_energy")] - np.float32(DEAR), 0)
        return np.asarray(odds - np.float32(self.caution) * dear, np.float32)

    def log_odds(self, candidate: Candidate) -> float:
        """Log-odds that the repair of a candidate is worth it."""
        features = candidate.features(self.names)
        odds = float(self.figures_odds(features))
        if self.network is None or odds < self.gate:
            return odds
        return (odds + self.network.odds(candidate.views(), features)) / 2

    def bar(self, sensitivity: float) -> float:
        """The log-odds needed."""
        at, bars = zip(*self.bars, strict=True)
        return float(np.interp(sensitivity, at, bars))

    def confidence(self, candidate: Candidate, sensitivity: float) -> float:
        """In [0, 1]; 0.5 just clears the bar."""
        margin = self.log_odds(candidate) - self.bar(sensitivity)
        return float(1 / (1 + np.exp(-np.clip(margin, -30, 30))))


def _check(names: tuple[str, ...]) -> None:
    if not set(names) <= set(NAMES):
        raise ValueError("the judge was fitted for other features")
