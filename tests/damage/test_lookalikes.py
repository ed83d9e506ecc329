"""Crops of clean photographs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from darkroom.damage.difference import CLEAN
from darkroom.damage.grain import add_grain
from darkroom.damage.lookalikes import cut, draw_highlight, lit, lookalikes
from darkroom.errors import InputError, UsageError
from darkroom.pairs.read import Picture
from darkroom.training.config import TrainConfig
from darkroom.training.data import CropSource, load_photographs


def star_field() -> np.ndarray:
    plane = np.full((160, 200), 40, np.uint8)
    plane[50:53, 60:63] = plane[120:122, 150:152] = 250
    plane[80:140, 20:60] = 200  # wider than a speck: no lookalike but for nothing
    return plane


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(star_field()).save(tmp_path / "stars.png")
    Image.fromarray(star_field()[:30, :30]).save(tmp_path / "tiny.png")
    return tmp_path


def test_small_pictures_are_left_out_and_none_left_is_an_error(folder: Path):
    assert len(load_photographs(folder, 64)) == 1
    with pytest.raises(InputError, match="no photograph of at least 256 x 256"):
        load_photographs(folder, 256)


def test_lookalikes_are_narrow_and_bright(folder: Path):
    (photograph,) = load_photographs(folder, 64)
    found = {tuple(p) for p in photograph.lookalikes}
    assert (51, 61) in found and (121, 151) in found
    assert not any(90 <= y < 130 and 30 <= x < 50 for y, x in found)


def test_lookalikes_only_where_allowed():
    plane = star_field()
    where = np.zeros(plane.shape, bool)
    where[:100] = True
    assert (lookalikes(plane, where)[:, 0] < 100).all()


def test_crops_have_the_size_asked_for_and_depend_on_the_seed_alone(folder: Path):
    photographs = load_photographs(folder, 64)
    first, again, other = (cut(photographs, 64, np.random.default_rng(s)) for s in (1, 1, 2))
    assert first.shape == (64, 64) and first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 255
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_grain_keeps_the_mean():
    plane = np.full((128, 128), 128, np.float32)
    grained = [add_grain(plane, np.random.default_rng(s)) for s in range(8)]
    assert max(abs(float(g.mean()) - 128) for g in grained) < 0.5
    assert max(float(g.std()) for g in grained) > 2


def test_a_crop_of_a_photograph_holds_no_damage_but_what_was_added(folder: Path):
    film = np.full((96, 96), 10.0, np.float32)
    picture = Picture("p", film, film, np.zeros(film.shape, np.uint8), 0.0)
    config = TrainConfig(crop=64, batch=6, photographs=1.0, transplants=0, noise=0.0)
    photographs = load_photographs(folder, 64)
    batch = CropSource([picture], config, photographs=photographs).batch(3)
    assert (batch.state == CLEAN).all() and bool((batch.scan == batch.truth).all())
    assert float(batch.scan.mean()) > 20 / 255  # not the film, which is darker
    damaged = CropSource([picture], replace(config, transplants=4), photographs=photographs)
    assert (damaged.batch(3).state != CLEAN).any()
    none = CropSource([picture], replace(config, photographs=0.0), photographs=photographs)
    assert float(none.batch(3).scan.max()) < 20 / 255


def test_shares_of_centred_crops_must_fit_together():
    with pytest.raises(UsageError, match="damaged and hard"):
        TrainConfig(damaged=0.8, hard=0.3)


def test_hard_crops_are_centred_on_clean_detail():
    scan = np.full((256, 256), 50.0, np.float32)
    scan[200:203, 30:33] = 250
    state = np.zeros(scan.shape, np.uint8)
    picture = Picture("p", scan, scan, state, 0.0)
    config = TrainConfig(crop=64, batch=8, damaged=0.0, hard=1.0, transplants=0, clean=0.0)
    batch = CropSource([picture], config).batch(0)
    assert bool((batch.scan.amax((1, 2, 3)) > 0.9).all())


def test_highlights_are_opacities_that_end_within_their_window(rng):
    for _ in range(40):
        opacity = draw_highlight(rng)
        assert opacity.dtype == np.float32
        assert 0 < opacity.max() <= 1 and opacity.min() >= 0
        rim = np.concatenate((opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1]))
        assert rim.max() < 0.05 * opacity.max()


def test_a_highlight_keeps_the_grain_and_darkens_nothing(rng):
    grain = (100 + 5 * rng.standard_normal((60, 60, 1))).astype(np.float32)
    opacity = np.full((60, 60), 0.5, np.float32)
    bright = lit(grain, opacity, 200.0)
    assert bright.mean() == pytest.approx(150, abs=1)
    assert bright.std() == pytest.approx(grain.std(), rel=0.1)
    np.testing.assert_array_equal(lit(grain, opacity, 20.0), grain)
