"""Trees as plain arrays."""

import numpy as np
import pytest

from darkroom.trees import Trees

# One question, whether feature 1 is above 0.5, and a tree that is a single leaf.
STUMP = {
    "feature": [1, 0, 0, 0],
    "threshold": [0.5, 0, 0, 0],
    "left": [1, 1, 2, 3],
    "right": [2, 1, 2, 3],
    "value": [0, -2, 3, 10],
    "root": [0, 3],
    "base": [0.25],
}


def arrays(**changes):
    return {name: np.array(v) for name, v in (STUMP | changes).items()}


def test_a_sum_of_trees_is_what_its_leaves_add():
    trees = Trees.of(arrays())
    features = np.array([[9, 0.5], [9, 0.6]], np.float32)
    assert trees.sums(features).tolist() == [8.25, 13.25]
    assert trees.sums(features[1]) == 13.25
    assert trees.sums(features[:0]).shape == (0,)


def test_arrays_that_are_no_trees_are_refused():
    for changes in (
        {"left": [1, 1, 2, 9]},
        {"left": [0, 1, 2, 3], "right": [0, 0, 2, 3]},
        {"value": [0, 1]},
        {"root": []},
    ):
        with pytest.raises(ValueError, match="malformed"):
            Trees.of(arrays(**changes))
    with pytest.raises(ValueError, match="malformed"):
        Trees.of({"root": np.array([0])})


def test_fitted_trees_say_what_scikit_learn_says_and_one_at_a_time_the_same(rng):
    ensemble = pytest.importorskip("sklearn.ensemble")
    from darkroom.training.boosting import SHAPE, fit_trees

    features = rng.normal(0, 1, (300, 5)).astype(np.float32)
    worth = (features[:, 0] * features[:, 1] + 0.3 * rng.normal(0, 1, 300) > 0).astype(int)
    weight = rng.uniform(1, 5, 300)
    trees = fit_trees(features, worth, weight, rounds=10)
    model = ensemble.HistGradientBoostingClassifier(max_iter=10, **SHAPE)
    model.fit(features, worth, sample_weight=weight / weight.mean())
    many = trees.sums(features)
    assert np.allclose(many, model.decision_function(features), atol=1e-4)
    assert np.array_equal(many, [trees.sums(row) for row in features])
    again = Trees.of(trees.arrays())
    assert np.array_equal(again.sums(features), many)
    with pytest.raises(ValueError, match="judge needs"):
        fit_trees(features, np.zeros(300), weight)
