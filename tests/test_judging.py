"""The judge of a network's candidates."""

import numpy as np
import pytest

from darkroom.judging import NAMES, SURROUNDINGS, Candidate, Judge, Linear, candidate_features
from darkroom.judging.features import DEAR, NEAR
from darkroom.trees import Trees

SIDE = 3 * SURROUNDINGS
LOW = 0.3
STUMP = {  # more than 0.5 of the first feature
    "feature": [0, 0, 0],
    "threshold": [0.5, 0, 0],
    "left": [1, 1, 2],
    "right": [2, 1, 2],
    "value": [0, -1, 1],
    "root": [0],
    "base": [0],
}


class Scene:
    """A grey picture with a candidate of four by four pixels in the middle."""

    def __init__(self, channels=1):
        self.place = np.s_[SIDE // 2 : SIDE // 2 + 4, SIDE // 2 : SIDE // 2 + 4]
        self.fill = np.full((SIDE, SIDE, channels), 0.5, np.float32)
        self.image = self.fill.copy()
        self.score = np.full((SIDE, SIDE), 0.1, np.float32)
        self.mask = np.zeros((SIDE, SIDE), np.uint8)
        self.mark(self.place, 0.2, 0.95)
        self.mask[self.place] = 255

    def mark(self, place, change, score):
        self.image[place], self.score[place] = 0.5 + change, score

    def seen(self):
        return Candidate(self.image, self.fill, self.score, self.mask, LOW)

    def features(self):
        values = candidate_features(self.image, self.fill, self.score, self.mask, LOW)
        assert np.isfinite(values).all() and values.dtype == np.float32
        return dict(zip(NAMES, values.tolist(), strict=True))


def test_features_say_what_their_names_say():
    scene = Scene()
    scene.mark(scene.place, -0.2, 0.95)
    of = scene.features()
    assert of["score_max"] == pytest.approx(np.log(0.95 / 0.05), abs=1e-4)
    assert of["area"] == of["area_sure"] == of["area_low"] == pytest.approx(np.log(17))
    assert of["length"] == pytest.approx(np.log(4))
    assert of["slender"] == pytest.approx(1)
    assert of["change_mean"] == pytest.approx(0.2) and of["change_signed"] == pytest.approx(-0.2)
    assert of["change_energy"] == pytest.approx(np.log1p(16 * 51**2), rel=1e-4)
    assert of["over_grain"] > 50 and of["texture"] < 0.1
    assert (of["hue"], of["least_channel"]) == (0, 1)


def test_the_whole_component_is_known_though_the_mask_is_its_core():
    scene = Scene()
    around = np.s_[SIDE // 2 - 1 : SIDE // 2 + 5, SIDE // 2 - 1 : SIDE // 2 + 5]
    scene.score[around] = np.maximum(scene.score[around], 0.4)
    of = scene.features()
    assert of["area"] == pytest.approx(np.log(17))
    assert of["area_low"] == pytest.approx(np.log(37))
    assert of["company"] == 0


def test_company_is_what_else_is_found_within_reach():
    scene = Scene()
    scene.mark(np.s_[:8], 0.1, 0.9)  # out of reach
    assert scene.features()["company"] == 0
    corner = np.s_[SIDE // 2 - 60 : SIDE // 2 - 50, SIDE // 2 - 60 : SIDE // 2 - 50]
    scene.mark(corner, 0.2, 0.2)  # no candidate
    assert scene.features()["company"] == 0
    scene.mark(corner, 0.2, 0.8)
    of, share = scene.features(), 10_000 / (2 * SURROUNDINGS + 4) ** 2
    assert of["company"] == pytest.approx(np.log1p(share * 80), rel=1e-4)
    assert of["company_energy"] == pytest.approx(np.log1p(share * 80 * 51**2), rel=1e-4)
    assert of["company_like"] == pytest.approx(of["company"]) and of["company_unlike"] == 0
    scene.mark(corner, -0.2, 0.8)
    of = scene.features()
    assert of["company_unlike"] == pytest.approx(of["company"]) and of["company_like"] == 0


def test_the_picture_is_searched_for_more_of_the_kind_and_of_the_other():
    scene = Scene()
    assert scene.features()["alike"] == scene.features()["opposite"] == 0
    near, far = SIDE // 2 - NEAR + 4, SIDE // 2 - NEAR - 12
    scene.image[near : near + 2, near : near + 2] = 0.7
    of = scene.features()
    assert of["alike"] > 0 and of["alike_near"] > of["alike"] and of["opposite"] == 0
    scene.image[far : far + 2, far : far + 2] = 0.3
    of = scene.features()
    assert of["opposite"] > 0 == of["opposite_near"]


def test_an_edge_has_another_level_on_each_side():
    scene = Scene()
    assert scene.features()["ring_sides"] == 0
    scene.image[:, SIDE // 2 + 4 :] = 0.6
    scene.mask[SIDE // 2 + 4 : SIDE // 2 + 12, SIDE // 2 : SIDE // 2 + 4] = 255
    assert scene.features()["ring_sides"] > 0.3


def test_channels_that_disagree_are_noticed():
    scene = Scene(3)
    of = scene.features()
    assert of["hue"] == pytest.approx(0, abs=1e-5) and of["least_channel"] == pytest.approx(1)
    scene.image[scene.place] = (0.9, 0.5, 0.5)
    of = scene.features()
    assert of["hue"] == pytest.approx(2, rel=1e-3)
    assert of["least_channel"] == pytest.approx(0, abs=1e-3)


def test_nothing_out_of_reach_matters(rng):
    scene = Scene()
    before = scene.features()
    reach = np.zeros((SIDE, SIDE), bool)
    lower = SIDE // 2 - SURROUNDINGS
    reach[lower : SIDE // 2 + 4 + SURROUNDINGS, lower : SIDE // 2 + 4 + SURROUNDINGS] = True
    for plane in (scene.image, scene.score):
        plane[~reach] = rng.random(plane[~reach].shape)
    assert scene.features() == before


def test_a_judge_may_go_by_some_features_only_and_survives_storage():
    features = np.arange(2 * len(NAMES), dtype=np.float32).reshape(2, -1)
    judge = Judge(Linear(np.array([2.0], np.float32), 1.0), ((50.0, 0.0),), ("length",))
    assert np.allclose(judge.figures_odds(features), 2 * features[:, NAMES.index("length")] + 1)
    trees = Trees.of({name: np.array(v) for name, v in STUMP.items()})
    by_trees = Judge(trees, ((0.0, 2.0), (100.0, -2.0)), ("area",), 0.3)
    for one in (judge, by_trees):
        again = Judge.of(one.table(), one.arrays())
        assert np.array_equal(again.figures_odds(features), one.figures_odds(features))
        assert (again.bars, again.names, again.relative) == (one.bars, one.names, one.relative)
    confidences = [by_trees.confidence(Scene().seen(), s) for s in (0, 25, 50, 100)]
    assert confidences == sorted(confidences) and confidences[0] < 0.5 < confidences[-1]


def test_what_would_cost_much_needs_more():
    trees = Trees.of({name: np.array(v) for name, v in STUMP.items()})
    features = np.zeros((2, len(NAMES)), np.float32)
    features[:, NAMES.index("change_energy")] = DEAR - 1, DEAR + 2
    judge = Judge(trees, ((50.0, 0.0),), ("area",), caution=0.5)
    assert np.allclose(judge.figures_odds(features), (-1, -2))
    assert Judge.of(judge.table(), judge.arrays()).caution == 0.5


def test_a_malformed_judge_is_refused():
    trees = {name: np.array(v) for name, v in STUMP.items()}
    with pytest.raises(ValueError, match="other features"):
        Judge.of({"features": ["smell"], "bars": [[50, 0]]}, trees)
    with pytest.raises(ValueError, match="malformed"):
        Judge.of({"features": ["area"], "bars": []}, trees)
    with pytest.raises(ValueError, match="malformed"):
        Judge.of(
            {"features": ["area"], "bars": [[50, 0]]}, trees | {"feature": np.array([7, 0, 0])}
        )
    with pytest.raises(ValueError, match="malformed"):
        Judge.of(
            {"features": ["area"], "bars": [[50, 0]], "coefficients": [1, 2], "intercept": 0}, {}
        )
    with pytest.raises(ValueError, match="malformed"):
        Judge.of({"features": ["area"], "bars": [[50, 0]]}, {})
