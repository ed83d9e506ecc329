"""Fitting trees with scikit-learn, which nothing but the fitting needs."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from darkroom.errors import BackendError
from darkroom.scan import Float
from darkroom.trees import Trees

ROUNDS = 120
SHAPE = {
    # Small and shrunken: larger trees did more harm on families that they had not seen.
    "max_leaf_nodes": 6,
    "learning_rate": 0.08,
    "l2_regularization": 5.0,
    "min_samples_leaf": 30,
    "early_stopping": False,
    "random_state": 0,
}


def fit_trees(
    features: Float, worth: NDArray[Any], weight: NDArray[Any], *, rounds: int = ROUNDS
) -> Trees:
    """Gradient-boosted trees whose sum is the log-odds of `worth`.

    By scikit-learn's `HistGradientBoostingClassifier` (after Ke et al., "LightGBM", NIPS 2017);
    the same input gives the same trees.

    Args:
        features: float32 (m, n).
        worth: (m,) 1 or 0.
        weight: (m,) of each, positive.
        rounds: trees.

    Raises:
        BackendError: scikit-learn is not installed.
        ValueError: all are alike.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ModuleNotFoundError as error:
        raise BackendError(
            "fitting a judge needs scikit-learn", hint='Run `pip install "darkroom-film[judge]"`.'
        ) from error
    if not len(worth) or worth.min() == worth.max():
        raise ValueError("a judge needs candidates worth repairing and others")
    model = HistGradientBoostingClassifier(max_iter=rounds, **SHAPE)
    # Its threads wait for one another busily; on a shared machine one is faster than several.
    with threadpool_limits(1):
        model.fit(features, worth, sample_weight=weight / weight.mean())
    return _arrays(model)


def _arrays(model: Any) -> Trees:
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("f", "t", "l", "r", "v")}
    root, count = [], 0
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        here, leaf = np.arange(len(nodes)), nodes["is_leaf"].astype(bool)
        root.append(count)
        columns["f"].append(np.where(leaf, 0, nodes["feature_idx"]))
        columns["t"].append(np.where(leaf, 0, [_rounded_down(t) for t in nodes["num_threshold"]]))
        for name, side in (("l", "left"), ("r", "right")):
            columns[name].append(count + np.where(leaf, here, nodes[side]))
        columns["v"].append(np.where(leaf, nodes["value"], 0))
        count += len(nodes)
    feature, threshold, left, right, value = (np.concatenate(c) for c in columns.values())
    base = np.atleast_1d(np.squeeze(model._baseline_prediction))
    arrays = {"feature": feature, "threshold": threshold, "left": left, "right": right}
    return Trees.of(arrays | {"value": value, "root": np.array(root), "base": base})


def _rounded_down(threshold: float) -> float:
    """The largest float32 that is not above: then no float32 feature changes sides."""
    if not math.isfinite(threshold):
        return float(np.finfo(np.float32).max)
    near = np.float32(threshold)
    return float(near if near <= threshold else np.nextafter(near, np.float32(-np.inf)))
