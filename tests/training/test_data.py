from dataclasses import replace

import numpy as np
import pytest
import torch

from darkroom.damage.difference import CLEAN, DAMAGED, UNDECIDED
from darkroom.errors import InputError
from darkroom.pairs.find import Pair, find_parts
from darkroom.pairs.read import load_picture
from darkroom.training.config import TrainConfig
from darkroom.training.data import CropSource, digest, enlarge, lift_residues
from darkroom.training.trainable import Batch

CONFIG = TrainConfig(batch=4, crop=64, tone_limit=1.0)


def pair(scan, truth):
    return Pair("p", scan, truth, None, "p", "p")


def test_states_are_those_of_the_damage(pictures):
    for picture in pictures:
        damaged = picture.state == DAMAGED
        assert 0 < damaged.mean() < 0.1
        off = np.abs(picture.scan - picture.truth)
        assert off[damaged].min() > 10
        assert off[picture.state == CLEAN].max() <= 2.5
        assert picture.retouched < 0.01


def test_a_shift_of_tone_is_no_damage(dataset, tmp_path):
    from PIL import Image

    scan = dataset / "train" / "scan" / "train0-0.png"
    truth = dataset / "train" / "gt" / "train0-0.png"
    plain = load_picture(pair(scan, truth))
    shifted = tmp_path / "gt.png"
    Image.fromarray(np.asarray(Image.open(truth)) - 7).save(shifted)
    moved = load_picture(pair(scan, shifted))
    np.testing.assert_array_equal(moved.state, plain.state)
    np.testing.assert_allclose(moved.truth, plain.truth, atol=1e-4)


def test_the_digest_follows_bytes(dataset, tmp_path):
    pairs = find_parts(dataset, ["train"])["train"]
    assert digest(pairs) == digest(pairs)
    assert digest(pairs) != digest(pairs[:-1])


def test_sixteen_bits_are_brought_to_levels(dataset, tmp_path):
    from PIL import Image

    source = np.asarray(Image.open(dataset / "train" / "scan" / "train0-0.png")).astype(np.uint16)
    path = tmp_path / "deep.png"
    Image.fromarray(source * 257).save(path)
    np.testing.assert_allclose(load_picture(pair(path, path)).scan, source, rtol=1e-6)


def test_residues_hold_the_artefact_alone(pictures):
    residues = lift_residues(pictures)
    assert residues
    for residue in residues:
        assert residue.change.max() > 12
        assert residue.change[0].max() <= 12  # a rim of one pixel around it
        assert residue.pick > 0


def test_a_step_always_gives_the_same_batch(pictures):
    first, second = CropSource(pictures, CONFIG), CropSource(pictures, CONFIG)
    second.batch(3)
    a, b = first.batch(7), second.batch(7)
    assert torch.equal(a.scan, b.scan)
    assert torch.equal(first.augmented(7, a).scan, second.augmented(7, b).scan)
    assert not torch.equal(a.scan, first.batch(8).scan)
    assert not torch.equal(a.scan, CropSource(pictures, CONFIG, rank=1).batch(7).scan)
    assert not torch.equal(a.scan, CropSource(pictures, replace(CONFIG, seed=1)).batch(7).scan)


def test_damage_is_where_scan_and_truth_differ(pictures):
    source = CropSource(pictures, replace(CONFIG, transplants=4, damaged=0.0, clean=1.0))
    damaged = 0
    for step in range(6):
        batch = source.batch(step)
        off = (batch.scan - batch.truth).abs() * 255
        assert off[batch.state == CLEAN].max() <= 1.5 + 1e-3
        if (batch.state == DAMAGED).any():
            assert off[batch.state == DAMAGED].min() >= 4 - 1e-3
        damaged += int((batch.state == DAMAGED).sum())
        assert set(batch.state.unique().tolist()) <= {CLEAN, DAMAGED, UNDECIDED}
    assert damaged > 50


def test_highlights_belong_to_the_picture(pictures):
    config = replace(CONFIG, transplants=0, damaged=0.0, clean=1.0)
    plain, lit = (CropSource(pictures, replace(config, highlights=h)) for h in (0.0, 1.0))
    brightest = 0.0
    for step in range(6):
        before, after = plain.batch(step), lit.batch(step)
        assert torch.equal(after.scan, after.truth)
        assert not after.state.any()
        brightest = max(brightest, float(after.scan.max() - before.scan.max()))
    assert brightest > 0.1


def test_enlarged_crops_keep_truth_and_damage_together(pictures, rng):
    source = CropSource(pictures, replace(CONFIG, enlarged=1.0, transplants=0))
    for step in range(6):
        batch = source.batch(step)
        assert batch.scan.shape == (4, 1, 64, 64)
        off = (batch.scan - batch.truth).abs()
        assert off[batch.state == CLEAN].max() < off[batch.state == DAMAGED].mean()
    # A square of nine pixels becomes three times as wide and high, grain and all.
    truth = np.full((30, 30, 1), 100, np.float32)
    scan, state = truth.copy(), np.zeros((30, 30), np.uint8)
    scan[9:12, 9:12], state[9:12, 9:12] = 250, DAMAGED
    scan, truth, state = enlarge(scan, truth, state, 90, rng)
    assert np.argwhere(state == DAMAGED).min(0).tolist() == [27, 27]
    assert (state == DAMAGED).sum() == 81
    assert truth.std() > 0.01
    assert abs(float((scan - truth)[27:36, 27:36].mean()) - 150) < 30


def test_clean_crops_are_clean(pictures):
    batch = CropSource(pictures, replace(CONFIG, clean=1.0, transplants=0)).batch(0)
    assert torch.equal(batch.scan, batch.truth)
    assert batch.state.max() == CLEAN


def test_augmentation_changes_scan_and_truth_alike(pictures):
    plane = torch.linspace(0.1, 0.9, 64 * 64).reshape(1, 1, 64, 64).repeat(6, 1, 1, 1)
    batch = Batch(plane, plane.clone(), torch.zeros_like(plane), torch.zeros_like(plane))
    config = replace(CONFIG, tone=1.0, negative=0.5, turns=False)
    out = CropSource(pictures, config).augmented(0, batch)
    assert torch.equal(out.scan, out.truth)
    assert not torch.equal(out.scan, plane)
    slopes = [(o[0, -1, -1] - o[0, 0, 0]).sign().item() for o in out.scan]
    assert {-1.0, 1.0} == set(slopes)  # some inverted, some not
    off = replace(config, tone=0.0, negative=0.0, noise=0.0)
    torch.testing.assert_close(CropSource(pictures, off).augmented(0, batch).scan, plane)


def test_colour_stays_colour(pictures):
    coloured = [
        replace(p, scan=p.scan[..., None] * tint, truth=p.truth[..., None] * tint)
        for p in pictures
        for tint in [np.array([1.0, 0.8, 0.5], np.float32)]
    ]
    config = replace(CONFIG, enlarged=0.5, highlights=0.5, photographs=0.0)
    for step in range(4):
        batch = CropSource(coloured, config).batch(step)
        assert batch.scan.shape == batch.truth.shape == (4, 3, 64, 64)
        assert batch.state.shape == batch.weight.shape == (4, 1, 64, 64)
        means = batch.truth.mean((0, 2, 3))
        assert means[0] > means[1] > means[2]
    assert (batch.scan != batch.truth).any()


def test_pictures_smaller_than_a_crop_do_not_serve(pictures):
    with pytest.raises(InputError, match="128 pixels"):
        CropSource(pictures, replace(CONFIG, crop=128))


def test_an_epoch_shows_every_picture_once_over_all_processes(pictures):
    config = replace(
        CONFIG, crop=96, batch=1, epochs=2, turns=False, transplants=0, clean=0.0, damaged=0.0
    )
    sources = [CropSource(pictures, config, rank=rank, world=2) for rank in range(2)]
    steps = config.over(len(pictures), 2).steps
    assert steps == 2 * len(pictures) / 2
    shown = [s.batch(step).scan[0, 0].numpy() * 255 for step in range(steps) for s in sources]

    def which(crop):
        near = [np.abs(crop - p.scan).max() < 1e-3 for p in pictures]
        assert sum(near) == 1  # whole and unturned
        return near.index(True)

    order = [which(crop) for crop in shown]
    everyone = list(range(len(pictures)))
    first, second = order[: len(pictures)], order[len(pictures) :]
    assert sorted(first) == sorted(second) == everyone
    assert first != everyone or second != everyone
    assert TrainConfig(steps=7).over(len(pictures)).steps == 7
