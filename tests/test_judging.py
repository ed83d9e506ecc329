"""The judge of a network's candidates."""

import numpy as np
import pytest

from darkroom.judging import (
    NAMES,
    SURROUNDINGS,
    LinearJudge,
    component_features,
    fit,
    leave_one_out,
)


def component(side: int, score: float, change: float) -> np.ndarray:
    """Features of a square of one score and one change."""
    shape = (side + 4, side + 4)
    mask = np.zeros(shape, np.uint8)
    mask[2:-2, 2:-2] = 255
    return component_features(
        np.where(mask, score, 0.1).astype(np.float32), np.full(shape, change, np.float32), mask, 0.3
    )


def test_features_say_what_their_names_say():
    of = dict(zip(NAMES, component(4, 0.95, -0.2), strict=True))
    assert of["score_max"] == pytest.approx(np.log(0.95 / 0.05), abs=1e-4)
    assert of["area"] == of["area_sure"] == pytest.approx(np.log(17))
    assert of["length"] == pytest.approx(np.log(4))
    assert of["change_mean"] == pytest.approx(0.2) and of["change_signed"] == pytest.approx(-0.2)
    assert of["change_energy"] == pytest.approx(np.log1p(16 * 51**2), rel=1e-4)


def test_all_but_company_looks_at_nothing_but_the_component():
    mask = np.zeros((9, 9), np.uint8)
    mask[3:6, 3:6] = 255
    score, change = np.full((2, 9, 9), 0.6, np.float32)
    before = component_features(score, change, mask, 0.3)
    score[mask == 0], change[mask == 0] = 0.99, -1
    after = component_features(score, change, mask, 0.3)
    company = [name.startswith("company") for name in NAMES]
    assert np.array_equal(before == after, np.invert(company))


def test_company_is_what_else_is_found_within_reach():
    side = 3 * SURROUNDINGS
    mask = np.zeros((side, side), np.uint8)
    mask[SURROUNDINGS : SURROUNDINGS + 4, SURROUNDINGS : SURROUNDINGS + 4] = 255
    score, change = np.zeros((2, side, side), np.float32)
    score[mask > 0], change[mask > 0] = 0.9, 0.1

    def company():
        of = dict(zip(NAMES, component_features(score, change, mask, 0.5), strict=True))
        return of["company"], of["company_energy"]

    score[2 * SURROUNDINGS + 4 :] = 0.9  # out of reach
    assert company() == (0, 0)
    score[:10, :10] = 0.4  # no candidate
    assert company() == (0, 0)
    score[:10, :10], change[:10, :10] = 0.8, 0.2
    share = 10_000 / (2 * SURROUNDINGS + 4) ** 2
    assert company() == pytest.approx(
        (np.log1p(share * 80), np.log1p(share * 80 * 51**2)), rel=1e-4
    )


def test_a_judge_may_go_by_some_features_only(rng):
    features, _ = candidates(rng)
    table = {"features": ["length"], "coefficients": [2.0], "intercept": 1, "bars": [[50, 0]]}
    judge = LinearJudge.of(table)
    assert np.allclose(judge.log_odds(features), 2 * features[:, NAMES.index("length")] + 1)
    with pytest.raises(ValueError, match="other features"):
        LinearJudge.of(table | {"features": ["colour"]})


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


def test_a_malformed_table_is_refused():
    table = LinearJudge((0.0,) * len(NAMES), 0.0, ((50.0, 0.0),)).table()
    with pytest.raises(ValueError, match="malformed"):
        LinearJudge.of(table | {"coefficients": [1.0]})
    with pytest.raises(ValueError, match="malformed"):
        LinearJudge.of(table | {"features": ["score_max"]})
