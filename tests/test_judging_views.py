"""What a judge's network is shown, and that it says the same in numpy and in torch."""

import numpy as np
import pytest

from darkroom.judging import NAMES, Candidate, Judge
from darkroom.judging.views import AROUND, COARSER, SIDE, candidate_views
from darkroom.trees import Trees

MIDDLE = SIDE // 2
PICTURE = 300


def scene(rng, at=(150, 150), size=(4, 6), channels=1):
    image = rng.random((PICTURE, PICTURE, channels), np.float32)
    fill = rng.random(image.shape, np.float32)
    score = rng.random((PICTURE, PICTURE), np.float32)
    mask = np.zeros((PICTURE, PICTURE), np.uint8)
    mask[at[0] : at[0] + size[0], at[1] : at[1] + size[1]] = 255
    score[mask > 0] = 1
    return image, fill, score, mask


def test_the_candidate_is_in_the_middle_of_both_views(rng):
    image, fill, score, mask = scene(rng)
    views = candidate_views(image, fill, score, mask, 0.5)
    assert views.near.shape == views.far.shape == (6, SIDE, SIDE) and views.scale == 1
    inside = views.near[3] == 127
    assert inside.sum() == 24 and inside[MIDDLE, MIDDLE]
    assert views.far[4, MIDDLE, MIDDLE] == 127 and (views.far[4] == 127).sum() <= 6
    level = fill[mask > 0].mean()
    part = image[152 - MIDDLE : 152 + MIDDLE, 153 - MIDDLE : 153 + MIDDLE, 0]
    want = np.clip(np.rint(255 * (part - level)), -127, 127)
    assert np.abs(views.near[0] - want).max() <= 1
    assert not views.near[4:].any()  # no colour


def test_the_fill_counts_where_something_was_found(rng):
    image, fill, score, mask = scene(rng)
    views = candidate_views(image, fill, score, mask, 0.5)
    part = np.s_[152 - MIDDLE : 152 + MIDDLE, 153 - MIDDLE : 153 + MIDDLE]
    assert not views.near[1][score[part] < 0.5].any() and views.near[1].any()
    other = np.where((score >= 0.5)[..., None], fill, 0)
    again = candidate_views(image, other, score, mask, 0.5)
    assert np.array_equal(views.near, again.near) and np.array_equal(views.far, again.far)


@pytest.mark.parametrize("at", [(0, 0), (295, 100), (20, 294)])
def test_beyond_the_picture_nothing_is_seen(rng, at):
    views = candidate_views(*scene(rng, at, (4, 5)), 0.5)
    beyond = views.far[5] == 0
    assert beyond.any() and not (views.far[:, beyond]).any()


def test_what_is_long_is_shown_smaller(rng):
    views = candidate_views(*scene(rng, (100, 60), (10, 100)), 0.5)
    assert views.scale == 3
    assert (views.near[3] > 63).any(0).sum() in (33, 34)


def test_what_lies_further_than_the_margin_does_not_matter(rng):
    """So the crop around a candidate says all, whatever it was cut from."""
    image, fill, score, mask = scene(rng, (140, 150), (7, 5), 3)
    near = np.s_[140 - AROUND : 147 + AROUND, 150 - AROUND : 155 + AROUND]
    whole = Candidate(image, fill, score, mask, 0.5).views()
    alone = Candidate(image[near], fill[near], score[near], mask[near], 0.5).views()
    assert np.array_equal(whole.near, alone.near) and np.array_equal(whole.far, alone.far)
    assert COARSER * SIDE // 2 == AROUND


@pytest.fixture(scope="module")
def trained():
    """A network that tells bright from dark by the view alone."""
    from darkroom.training import seeing

    rng = np.random.default_rng(0)
    near = rng.integers(-20, 20, (600, 6, SIDE, SIDE), np.int8)
    bright = rng.random(600) < 0.5
    near[bright, 0, 20:28, 20:28] = 60
    far = rng.integers(-20, 20, near.shape, np.int8)
    sights = seeing.Sights(near, far, np.ones(600, np.float32))
    features = rng.random((600, len(NAMES)), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeing, "BATCH", 32)
        network = seeing.train_seeing(sights, features, bright, np.ones(600), 60)
    return network, sights, features, bright


def test_a_network_learns_what_figures_do_not_tell(trained):
    from darkroom.training.seeing import seeing_odds

    network, sights, features, bright = trained
    assert ((seeing_odds(network, sights, features) > 0) == bright).mean() > 0.95


def test_numpy_says_what_torch_says(trained):
    from darkroom.judging import Views
    from darkroom.training.seeing import seeing_odds

    network, sights, features, _ = trained
    scale = np.array([1, 2, 5] * 4, np.float32)
    some = type(sights)(sights.near[:12], sights.far[:12], scale)
    want = seeing_odds(network, some, features[:12])
    for i, odds in enumerate(want):
        views = Views(sights.near[i], sights.far[i], int(scale[i]))
        assert network.odds(views, features[i]) == pytest.approx(odds, abs=1e-4)


STUMP = {  # 1 for whatever is larger than a pixel or two, else -1
    "feature": np.array([NAMES.index("area"), 0, 0]),
    "threshold": np.array([1.2, 0, 0]),
    "left": np.array([1, 1, 2]),
    "right": np.array([2, 1, 2]),
    "value": np.array([0, -1, 1]),
    "root": np.array([0]),
    "base": np.array([0]),
}


def test_a_judge_that_sees_goes_by_both_and_survives_storage(trained, rng):
    network, *_ = trained
    judge = Judge(Trees.of(STUMP), ((0.0, 1.0), (100.0, -1.0)), network=network, gate=0.0)
    assert judge.margin == AROUND
    again = Judge.of(judge.table(), judge.arrays())
    seen = Candidate(*scene(rng), 0.5)
    assert again.confidence(seen, 50) == judge.confidence(seen, 50)
    assert judge.log_odds(seen) == (1 + network.odds(seen.views(), seen.features())) / 2
    tiny = Candidate(*scene(rng, size=(1, 2)), 0.5)
    assert judge.log_odds(tiny) == -1  # not shown to the network
    short = judge.arrays()
    short.pop("views.near.stem.weight")
    with pytest.raises(ValueError, match="malformed"):
        Judge.of(judge.table(), short)
