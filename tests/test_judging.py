"""The judge of a network's candidates."""

import numpy as np
import pytest

from darkroom.judging import NAMES, LinearJudge, component_features, fit, leave_one_out


def component(side: int, score: float, change: float) -> np.ndarray:
    """Features of a square of one score and one change."""
    shape = (side + 4, side + 4)
    mask = np.zeros(shape, np.uint8)
    mask[2:-2, 2:-2] = 255
    return component_features(
        np.where(mask, score, 0.1).astype(np.float32), np.full(shape, change, np.float32), mask
    )


def test_features_say_what_their_names_say():
    of = dict(zip(NAMES, component(4, 0.95, -0.2), strict=True))
    assert of["score_max"] == pytest.approx(np.log(0.95 / 0.05), abs=1e-4)
    assert of["area"] == of["area_sure"] == pytest.approx(np.log(17))
    assert of["length"] == pytest.approx(np.log(4))
    assert of["change_mean"] == pytest.approx(0.2) and of["change_signed"] == pytest.approx(-0.2)
    assert of["change_energy"] == pytest.approx(np.log1p(16 * 51**2), rel=1e-4)


def test_features_look_at_nothing_but_the_component():
    mask = np.zeros((9, 9), np.uint8)
    mask[3:6, 3:6] = 255
    score, change = np.full((2, 9, 9), 0.6, np.float32)
    before = component_features(score, change, mask)
    score[mask == 0], change[mask == 0] = 0.99, -1
    assert np.array_equal(before, component_features(score, change, mask))


def candidates(rng: np.random.Generator, count: int = 400):
    """Sure small ones are worth repairing, large ones are not; with some noise."""
    sides, scores = rng.integers(2, 12, count), rng.uniform(0.5, 0.99, count)
    features = np.stack([component(s, p, 0.1) for s, p in zip(sides, scores, strict=True)])
    worth = (scores - 0.04 * sides + rng.normal(0, 0.05, count) > 0.5).astype(np.float32)
    return features, worth


def test_a_fitted_judge_tells_them_apart_on_others(rng):
    features, worth = candidates(rng)
    judge = LinearJudge(*fit(features, worth, np.ones(len(worth))), ((0.0, 2.0), (100.0, -2.0)))
    fresh, truth = candidates(np.random.default_rng(99))
    assert ((judge.log_odds(fresh) > 0) == truth).mean() > 0.85
    one = fresh[0]
    confidences = [judge.confidence(one, s) for s in (0, 25, 50, 100)]
    assert confidences == sorted(confidences) and confidences[0] < confidences[-1]
    again = LinearJudge.of(judge.table())
    assert again == judge


def test_weight_makes_a_dear_mistake_rarer(rng):
    features, worth = candidates(rng)
    large = features[:, NAMES.index("area")] > np.log(50)
    plain = LinearJudge(*fit(features, worth, np.ones(len(worth))), ((0, 0),))
    careful = LinearJudge(*fit(features, worth, np.where(large, 20.0, 1.0)), ((0, 0),))
    wrong = large & (worth == 0)
    assert (careful.log_odds(features) > 0)[wrong].sum() <= (plain.log_odds(features) > 0)[
        wrong
    ].sum()


def test_leaving_a_group_out_means_not_having_seen_it(rng):
    features, worth = candidates(rng, 200)
    groups = ["a"] * 100 + ["b"] * 100
    odds = leave_one_out(features, worth, np.ones(200), groups)
    turned = worth.copy()
    turned[:100] = 1 - turned[:100]  # of "a", which is judged by what "b" teaches
    again = leave_one_out(features, turned, np.ones(200), groups)
    assert np.array_equal(odds[:100], again[:100]) and not np.array_equal(odds[100:], again[100:])


def test_too_little_to_fit_on_is_an_error(rng):
    features, worth = candidates(rng, 20)
    with pytest.raises(ValueError, match="judge needs"):
        leave_one_out(features, worth, np.ones(20), ["a"] * 20)
    with pytest.raises(ValueError, match="judge needs"):
        fit(features, np.zeros(20, np.float32), np.ones(20))


def test_a_table_of_other_features_is_refused():
    table = LinearJudge((0.0,) * len(NAMES), 0.0, ((50.0, 0.0),)).table()
    with pytest.raises(ValueError, match="other features"):
        LinearJudge.of(table | {"features": ["score_max"]})
    with pytest.raises(ValueError, match="malformed"):
        LinearJudge.of(table | {"coefficients": [1.0]})
