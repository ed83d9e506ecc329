"""Fitting a judge on what a network proposes."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage as ndi

from darkroom.errors import BackendError
from darkroom.judging import NAMES, Candidate
from darkroom.protocols import Restoration, TileContract
from darkroom.training.boosting import fit_trees
from darkroom.training.calibrate import calibrate
from darkroom.training.judge import (
    CLEAN_ALARMS,
    FALSE_ALARMS,
    MIDDLE,
    Fitting,
    choose_bars,
    fit_judge,
    name_of,
    weights,
)
from darkroom.training.proposals import Blobs, Proposal, propose
from darkroom.training.samples import SIDE, film_sources, photograph_files, photograph_sources

LIMITS = (0.1, 0.3)
QUICK = partial(fit_trees, rounds=40)


class Crier:
    """A finder that finds all damage of a sample and, as surely, a square of picture."""

    contract = TileContract(halo=8, multiple_of=8)
    margin = 4

    def __init__(self, sample):
        self.sample = sample

    def thresholds(self, sensitivity):
        return LIMITS

    def restore(self, tiles, stats):
        (tile,) = tiles
        score, fill = np.full(tile.image.shape[:2], 0.02, np.float32), tile.image.copy()
        core = tile.core_slices
        score[core] = np.where(self.sample.damaged, 0.9, 0.02)
        fill[core] = self.sample.truth
        free = [
            (y, x)
            for y in range(0, 76, 4)
            for x in range(0, 76, 4)
            if not self.sample.damaged[y : y + 20, x : x + 20].any()
        ]
        y, x = free[len(free) // 2]
        place = np.s_[y + 6 : y + 14, x + 6 : x + 14]
        score[core][place] = 0.95
        fill[core][place] += 0.15
        return [Restoration(score, fill)]

    def candidate(self, crop, stats):
        """As it is."""
        return Candidate.of(crop, 0.1)


@pytest.fixture
def sample(pictures):
    return film_sources(pictures[:1], ["a"])[0]()


def test_each_candidate_is_measured_and_weighed_on_its_own(sample):
    found = propose(Crier(sample), sample, LIMITS, 0.3)
    assert found.false.sum() == 1 and (found.gain < 0).sum() == 1
    assert (found.gain < 0)[found.false].all() and (found.harm > 0)[found.false].all()
    assert found.features.shape == (len(found.gain), len(NAMES)) and found.sights is None
    assert found.features[found.false, AREA] == pytest.approx(np.log(65))
    error = 255**2 * ((sample.scan - sample.truth) ** 2).sum()
    assert found.error == pytest.approx(error, rel=1e-4)
    every, none = (np.full(len(found.gain), v) for v in (True, False))
    visible = found.blobs.visible.sum()
    assert found.blobs.healed(none) == 0 < found.blobs.healed(every) == visible


def test_a_mask_reaches_as_far_as_its_own_greatest_score_says(sample):
    finder = Crier(sample)
    restore = finder.restore
    skirt = ndi.binary_dilation(sample.damaged, iterations=2) & ~sample.damaged

    def softer(tiles, stats):
        (made,) = restore(tiles, stats)
        made.score[tiles[0].core_slices][skirt] = 0.2
        return [made]

    finder.restore = softer
    whole, core = (propose(finder, sample, LIMITS, share) for share in (0.0, 0.3))
    assert core.features[:, AREA].sum() < whole.features[:, AREA].sum()


AREA = NAMES.index("area")


def proposals(rng, count=12, kinds=("film", "film", "clean", "modelled")):
    """Candidates of which those with a large first feature are worth repairing."""
    made = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        features = rng.normal(0, 1, (60, len(NAMES))).astype(np.float32)
        if kind == "clean":
            features[:, 0] = -np.abs(features[:, 0])
        worth = (features[:, 0] + 0.2 * rng.normal(0, 1, 60) > 0) & (kind != "clean")
        gain = np.where(worth, 900.0, -500.0).astype(np.float32)
        index = np.flatnonzero(worth)
        blobs = Blobs(
            np.ones(len(index), bool),
            np.full(len(index), 1000.0),
            np.stack([index, np.arange(len(index))], 1),
            np.full(len(index), -900.0),
        )
        harm = np.where(worth, 0, 500).astype(np.float32)
        error = 1000.0 * len(index)
        group = f"photo{number}"
        made.append(
            Proposal(group, kind, features, gain, harm, ~worth, error, error, 20_000_000, blobs)
        )
    return made


@pytest.fixture(scope="module")
def fitted():
    pytest.importorskip("sklearn")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darkroom.training.judge.fit_trees", QUICK)
        yield from _fitted()


def _fitted():
    fitting = Fitting(proposals(np.random.default_rng(1)), 0.3)
    yield fitting, *fit_judge(fitting)


def test_a_judge_tells_them_apart_on_pictures_it_has_not_seen(fitted):
    _, judge, apart, figures = fitted
    middle = figures[name_of(MIDDLE)]
    assert middle["visible"] > 0.8 and middle["sse_ratio"] < 0.5
    assert middle["clean_false_per_mp"] <= dict(CLEAN_ALARMS)[MIDDLE]
    assert [bar for _, bar in judge.bars] == sorted((b for _, b in judge.bars), reverse=True)
    assert judge.relative == 0.3
    assert all(other.bars == judge.bars for _, other in apart)


def test_folds_leave_out_every_group_once(fitted):
    fitting, _, apart, _ = fitted
    left_out = [group for without, _ in apart for group in without]
    assert sorted(left_out) == sorted(p.group for p in fitting.proposals)
    without, other = apart[0]
    turned = [replace(p, gain=-p.gain) if p.group in without else p for p in fitting.proposals]
    again = Fitting(turned, 0.3).judge(other.bars, without)
    features = fitting.proposals[0].features
    assert np.array_equal(again.figures_odds(features), other.figures_odds(features))


def test_no_photograph_outweighs_the_others_of_its_kind(rng):
    some = proposals(rng)
    crowd = replace(some[2], gain=np.full(6000, -500.0, np.float32))
    own = weights([*some[:2], crowd, *some[3:]])
    film = sum(weights(some)[120 * i : 120 * i + 120].sum() for i in (0, 2, 4))
    assert own[120:6120].sum() < 0.5 * film


def test_bars_keep_within_the_false_alarms_allowed():
    rng = np.random.default_rng(0)
    some = proposals(rng)
    odds = [p.features[:, 0] for p in some]
    for (sensitivity, bar), (_, film), (_, clean) in zip(
        choose_bars(odds, some), FALSE_ALARMS, CLEAN_ALARMS, strict=True
    ):
        for kind, most in (("film", film), ("clean", clean)):
            own = [(p, o) for p, o in zip(some, odds, strict=True) if p.kind == kind]
            false = sum(int((p.false & (o >= bar)).sum()) for p, o in own)
            assert false <= most * sum(p.pixels for p, _ in own) / 1e6, (sensitivity, kind)


def test_one_photograph_is_not_enough():
    with pytest.raises(ValueError, match="two photographs"):
        Fitting([], 0.3).unseen_odds()


@pytest.fixture
def photographs(tmp_path, rng):
    for number in range(3):
        picture = rng.integers(60, 200, (26, 26, 3), np.uint8).repeat(16, 0).repeat(16, 1)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    return tmp_path


def test_photographs_give_a_clean_and_a_damaged_sample_each(photographs):
    files = photograph_files(photographs, ["1"])
    assert [p.stem for p in files] == ["0", "2"]
    samples = [make() for make in photograph_sources(files)]
    assert [s.kind for s in samples] == ["clean", "modelled"] * 2
    for clean, modelled in zip(samples[::2], samples[1::2], strict=True):
        assert clean.scan.shape[:2] == (SIDE, SIDE) and not clean.damaged.any()
        assert modelled.dpi and modelled.damaged.any()
        changed = np.abs(modelled.scan - modelled.truth).max(2) > 4 / 255
        assert np.array_equal(changed, modelled.damaged)
    again = [make() for make in photograph_sources(files)]
    assert all(np.array_equal(a.scan, b.scan) for a, b in zip(samples, again, strict=True))


def test_a_network_that_finds_nothing_gets_no_judge(tiny, pictures, tmp_path):
    from darkroom.plugins.manager import installed
    from darkroom.weights import WeightsHeader, save_weights

    trainable = tiny()
    path = tmp_path / "blank.safetensors"
    tensors = {n: t.numpy() for n, t in trainable.module.state_dict().items()}
    save_weights(path, tensors, WeightsHeader("unet", trainable.config()))
    before = path.read_bytes()
    with pytest.raises(BackendError, match="judge needs"):
        calibrate(path, path, pictures, installed())
    assert path.read_bytes() == before
