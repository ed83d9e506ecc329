"""The judge of candidates: gradient-boosted trees, read from a table and evaluated in numpy.

The table is fitted by `benchmarks/fit_classical.py` on hand-retouched film and holds nothing but
numbers: which feature each node asks for, its threshold, and what each leaf adds to the log-odds
that repairing the candidate makes the picture better (Friedman, "Greedy function approximation: a
gradient boosting machine", Annals of Statistics, 2001).
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Float, FrameStats, Tile
from darkroom_backends.classical.features import NAMES, features

TABLE = "judge.json"
LARGE, LARGE_SLOPE = 4.0, 1.0  # logarithm of an area in pixels; log-odds per unit of it
MIDDLE = 50.0  # a sensitivity
PLAIN_FROM = 25.0  # the sensitivity from which the rule of plain ground holds
# On plain ground a feature is below (negative sign: above) this. Chosen on the families the trees
# were fitted on and those their bars were read off, where nearly all such candidates are artefacts.
PLAIN = {
    "far_high": 0.15,
    "far_low": 0.3,
    "ring_high": 0.1,
    "alike": 0.001,
    "width": 12.0,
    "contrast_ring": -8.0,
}


@dataclass(frozen=True, slots=True)
class Trees:
    """A sum of regression trees of equal depth, each node by its number in level order.

    Attributes:
        feature: int (trees, 2^depth - 1), the feature each inner node asks for.
        threshold: float32, same shape: go right if the feature is above it.
        leaf: float32 (trees, 2^depth), what each leaf adds.
        base: log-odds to start from.
        depth: questions a tree asks.
    """

    feature: NDArray[np.intp]
    threshold: Float
    leaf: Float
    base: float
    depth: int

    def log_odds(self, values: Float) -> float:
        """The sum over all trees for one candidate's features."""
        trees, inner = self.feature.shape
        # Positions in the tables laid out flat, which are much cheaper to take than (tree, node).
        start = np.arange(trees) * inner
        node = np.zeros(trees, np.intp)
        for _ in range(self.depth):
            at = start + node
            node = 2 * node + 1 + (values.take(self.feature.take(at)) > self.threshold.take(at))
        leaves = self.leaf.take(np.arange(trees) * self.leaf.shape[1] + node - inner)
        return self.base + float(leaves.sum())


@dataclass(frozen=True, slots=True)
class Judge:
    """Trees and the bar they have to clear at each sensitivity.

    Attributes:
        trees: the fitted sum.
        sensitivities: increasing, 0 to 100.
        bars: log-odds needed at each of those.
    """

    trees: Trees
    sensitivities: tuple[float, ...]
    bars: tuple[float, ...]

    @classmethod
    @cache
    def load(cls) -> "Judge":
        """The judge that comes with darkroom.

        Raises:
            ValueError: the table was fitted for other features.
        """
        table = json.loads(files(__package__).joinpath(TABLE).read_text("utf-8"))
        if tuple(table["features"]) != NAMES:
            raise ValueError(f"{TABLE} was fitted for other features: fit it again")
        trees = Trees(
            np.array(table["feature"], np.intp),
            np.array(table["threshold"], np.float32),
            np.array(table["leaf"], np.float32),
            float(table["base"]),
            int(table["depth"]),
        )
        return cls(trees, tuple(table["sensitivity"]), tuple(table["bar"]))

    def confidence(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """0.5 for a candidate that just clears the bar, in [0, 1]."""
        assert crop.mask is not None
        values = features(crop.luminance(), crop.mask, stats)
        large = values[NAMES.index("area")] > LARGE
        # The upper half of the scale is for faint specks: it makes nothing easier for large ones.
        asked = min(sensitivity, MIDDLE) if large else sensitivity
        bar = float(np.interp(asked, self.sensitivities, self.bars))
        margin = self.trees.log_odds(values) - float(caution(values)) - bar
        if sensitivity >= PLAIN_FROM and on_plain_ground(values):
            margin = max(margin, 0.0)
        return float(1.0 / (1.0 + np.exp(-np.clip(margin, -30.0, 30.0))))


def caution(values: Float) -> Float:
    """Log-odds taken off large candidates, since a wrong one costs its area.

    Args:
        values: features of one candidate (n,), or of many (m, n).

    Returns:
        float32 () or (m,).
    """
    area = values[..., NAMES.index("area")]
    return np.asarray(np.maximum(0, LARGE_SLOPE * (area - LARGE)), np.float32)


def on_plain_ground(values: Float) -> bool:
    """Whether a candidate stands alone and strong where the picture has nothing else.

    Then it is dust, however unlike the dust of the film that the trees were fitted on.
    """
    return all(
        values[NAMES.index(name)] < limit if limit > 0 else values[NAMES.index(name)] > -limit
        for name, limit in PLAIN.items()
    )
