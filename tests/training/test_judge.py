"""Fitting a judge on what a network proposes."""

import numpy as np
import pytest
import torch

from darkroom.damage.difference import LEVELS
from darkroom.errors import BackendError
from darkroom.training.calibrate import decide
from darkroom.training.judge import MIDDLE, choose_bars, fit_judge, name_of, propose


@pytest.fixture
def crier(tiny, pictures):
    """A network that finds all damage and, as surely, a large square of picture in each."""
    by_mean = {round(float(p.scan.mean()), 3): p for p in pictures}

    class Crier(torch.nn.Module):
        def forward(self, x):
            picture = by_mean[round(float(x.mean()) * LEVELS, 3)]
            score = np.where(picture.state == 1, 0.9, 0.05)
            fill = picture.truth / LEVELS
            free = [
                (y, c)
                for y in range(0, 76, 4)
                for c in range(0, 76, 4)
                if (picture.state[y : y + 20, c : c + 20] == 0).all()
            ]
            y, c = free[len(free) // 2]
            place = np.s_[y + 6 : y + 14, c + 6 : c + 14]
            score[place], fill = 0.95, fill.copy()
            fill[place] += 0.15
            return tuple(torch.from_numpy(a[None, None].astype(np.float32)) for a in (score, fill))

    trainable = tiny()
    trainable.module, trainable.restoration = Crier(), lambda output: output
    return trainable


def test_each_component_is_weighed_on_its_own(crier, pictures):
    proposal = propose(crier, pictures[0], 0.5)
    assert proposal.labels.max() == len(proposal.gain) > 1
    assert proposal.false.sum() == 1 and (proposal.gain < 0).sum() == 1
    assert (proposal.gain < 0)[proposal.false].all()
    every, none = (np.full(len(proposal.gain), v) for v in (True, False))
    before, after = proposal.repaired(none), proposal.repaired(every)
    assert before.after == before.before
    assert before.after - after.after == pytest.approx(proposal.gain.sum(), rel=1e-3)
    assert after.false == 1 and before.false == 0


def test_the_judge_refuses_what_does_harm_on_pictures_it_has_not_seen(crier, pictures):
    judge, figures = fit_judge(crier, pictures, [p.name for p in pictures], 0.5)
    middle = figures[name_of(MIDDLE)]
    assert middle["false_per_mp"] == 0
    assert middle["visible"] > 0.8 and middle["sse_ratio"] < 0.3
    assert [bar for _, bar in judge.bars] == sorted((b for _, b in judge.bars), reverse=True)


def test_one_photograph_is_not_enough(crier, pictures):
    with pytest.raises(BackendError, match="two photographs"):
        decide(crier, pictures, ["all"] * len(pictures))


def test_bars_keep_within_the_false_alarms_allowed():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 4000).astype(np.float32)
    false = rng.random(4000) < 0.2 / (1 + np.exp(odds))
    gain = np.where(false, -400.0, 300.0).astype(np.float32)
    megapixels = 20.0
    for sensitivity, bar in choose_bars(odds, gain, false, megapixels):
        allowed = {0: 0.5, 25: 1.5, 50: 4.0, 75: 8.0, 100: 20.0}[sensitivity]
        assert (odds[false] >= bar).sum() <= allowed * megapixels
