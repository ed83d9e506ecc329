"""Artefacts lifted, drawn and laid over pictures."""

import numpy as np
import pytest

from darkroom.damage.difference import CLEAN, DAMAGED, UNDECIDED
from darkroom.damage.model import DamageModel
from darkroom.damage.transplant import Layer, draw, lift


@pytest.mark.parametrize("channels", [1, 3])
def test_a_residue_is_lifted_whole_and_laid_again(rng, channels):
    truth = rng.uniform(90, 110, (60, 60, channels)).astype(np.float32)
    scan, marked = truth.copy(), np.zeros((60, 60), bool)
    scan[20:24, 30:36] += 80
    scan[0:3, 5:9] += 80  # cut by the edge
    marked[20:24, 30:36] = marked[0:3, 5:9] = True
    (residue,) = lift(scan, truth, marked)
    assert residue.change.shape == (6, 8, channels)
    assert residue.inside.sum() == 24
    assert residue.peak == pytest.approx(80, abs=0.01)
    assert not list(lift(scan, truth, marked, largest=5))
    for turn in range(8):
        turned = residue.turned(turn)
        assert sorted(turned.change.shape[:2]) == [6, 8]
        assert turned.change.sum() == pytest.approx(residue.change.sum(), rel=1e-5)
    assert residue.in_channels(3).change.shape[2] == 3
    assert residue.in_channels(1).change.max() == pytest.approx(80, abs=0.01)
    clean, state = np.full((50, 50, channels), 60, np.float32), np.zeros((50, 50), np.uint8)
    before = clean.copy()
    laid = sum(residue.layer(rng).lay(clean, state, rng) for _ in range(8))
    assert laid > 0
    changed = np.abs(clean - before).max(axis=2)
    assert changed[state == DAMAGED].min() > 4
    assert changed[state == CLEAN].max() <= 1.5
    assert set(np.unique(state)) == {CLEAN, DAMAGED, UNDECIDED}


def test_nothing_is_laid_over_damage_or_where_it_would_not_be_seen(rng):
    scan, state = np.full((20, 20, 1), 200, np.float32), np.full((20, 20), DAMAGED, np.uint8)
    layer = Layer(np.full((4, 4, 1), 40, np.float32), None)
    assert not layer.lay(scan, state, rng)
    faint = Layer(np.full((4, 4, 1), 5, np.float32), None)
    assert not faint.lay(scan, np.zeros_like(state), rng)
    large = Layer(np.full((40, 40, 1), 40, np.float32), None)
    assert not large.lay(scan, np.zeros_like(state), rng)
    assert (scan == 200).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_drawn_artefacts_are_seen_and_grow_with_the_resolution(channels):
    model = DamageModel.load()

    def covered(dpi):
        total, laid = 0, 0
        for seed in range(60):
            rng = np.random.default_rng(seed)
            scan = np.full((96, 96, channels), 120, np.float32)
            state = np.zeros((96, 96), np.uint8)
            laid += draw(model, dpi, (96, 96), channels, rng).lay(scan, state, rng)
            total += int((state == DAMAGED).sum())
        return total, laid

    (small, first), (large, second) = covered(2000.0), covered(6000.0)
    assert min(first, second) > 30
    assert large > 2 * small
