"""Sums of regression trees as plain arrays, evaluated in numpy.

Whatever library fitted them, all that is needed to use them is what each node asks and what each
leaf adds (Friedman, "Greedy function approximation: a gradient boosting machine", Annals of
Statistics, 2001).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Float

CHUNK = 4096  # candidates looked at together, for memory


@dataclass(frozen=True, slots=True)
class Trees:
    """A sum of binary trees whose nodes lie in one table.

    Attributes:
        feature: int32 (n,), the feature a node asks for.
        threshold: float32 (n,): go to `left` if the feature is at most this, else to `right`.
        left: int32 (n,), the number of a node; of a leaf, its own.
        right: the same.
        value: float32 (n,), what a leaf adds.
        root: int32 (trees,), where each tree begins.
        base: float32 (1,), what the sum starts from.
    """

    feature: NDArray[np.int32]
    threshold: Float
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: Float
    root: NDArray[np.int32]
    base: Float

    def __post_init__(self) -> None:
        count = len(self.feature)
        same = all(len(a) == count for a in (self.threshold, self.left, self.right, self.value))
        nodes = np.concatenate((self.left, self.right, self.root))
        if not (count and len(self.root) and len(self.base) == 1 and same):
            raise ValueError("malformed trees")
        if nodes.min() < 0 or nodes.max() >= count or self.feature.min() < 0:
            raise ValueError("malformed trees")
        # Children come after their parents, so that every walk ends.
        here = np.arange(count)
        leaf = (self.left == here) & (self.right == here)
        if not (leaf | ((self.left > here) & (self.right > here))).all():
            raise ValueError("malformed trees")

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Trees":
        """From what `arrays` made.

        Raises:
            ValueError: an array is missing, or they are no trees.
        """
        try:
            kinds = {name: kind for name, kind in _KINDS.items() if name in arrays}
            return cls(**{name: np.asarray(arrays[name], kind) for name, kind in kinds.items()})
        except TypeError as error:
            raise ValueError(f"malformed trees: {error}") from error

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name."""
        return {name: getattr(self, name) for name in _KINDS}

    def sums(self, features: Float) -> Float:
        """The sum over all trees, float32: () for the features (n,) of one, (m,) for (m, n)."""
        if features.ndim == 1:
            return np.asarray(self._sums(features[None])[0], np.float32)
        chunks = [self._sums(features[i : i + CHUNK]) for i in range(0, len(features), CHUNK)]
        return np.concatenate(chunks) if chunks else np.zeros(0, np.float32)

    def _sums(self, features: Float) -> Float:
        rows = np.arange(len(features))[:, None] * features.shape[1]
        node, flat = np.broadcast_to(self.root, (len(features), len(self.root))), features.ravel()
        while True:
            above = flat.take(rows + self.feature.take(node)) > self.threshold.take(node)
            step = np.where(above, self.right.take(node), self.left.take(node))
            if np.array_equal(step, node):
                # In order and in double precision, so that one and many give the same bits.
                sums = np.add.reduce(self.value.take(node).astype(np.float64), axis=1)
                return np.asarray(sums + self.base[0], np.float32)
            node = step


_KINDS: dict[str, Any] = {
    "feature": np.int32,
    "threshold": np.float32,
    "left": np.int32,
    "right": np.int32,
    "value": np.float32,
    "root": np.int32,
    "base": np.float32,
}
