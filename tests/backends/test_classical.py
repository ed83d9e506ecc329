"""The classical backend on pictures whose damage is known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from darkroom_backends.classical.detector import HALO, STEP, ClassicalDetector, deviation
from darkroom_backends.classical.features import NAMES, features
from darkroom_backends.classical.judge import Judge, Trees
from darkroom_backends.classical.refine import refine_mask

from darkroom.geometry import Window
from darkroom.options import CleanOptions
from darkroom.pipeline.engine import load_engine
from darkroom.pipeline.memory import clean_array
from darkroom.plugins.manager import installed
from darkroom.scan import FrameStats, Tile

LEVELS = tuple(np.linspace(0.03, 0.97, 16))
SIDE = 512


def stats(noise=0.01, polarity="both"):
    frame = Window(0, 0, SIDE, SIDE)
    return FrameStats(0.1, 0.9, 0.5, noise, LEVELS, (noise,) * 16, polarity, None, frame)


def sky(rng, noise=0.008):
    """A soft picture with grain: (SIDE, SIDE) float32."""
    ramp = np.linspace(0.35, 0.55, SIDE, dtype=np.float32)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 0.7)
    return ramp[:, None] + 0.5 * ramp[None, ::-1] + np.float32(noise) * grain / grain.std()


def specks(rng, image, count, level):
    """Soft specks of `level` over the picture; returns (picture, where they are)."""
    cover = np.zeros(image.shape, np.float32)
    for x, y in rng.integers(40, SIDE - 40, (count, 2)):
        axes = tuple(int(v) for v in rng.integers(2, 5, 2))
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(cover, (int(x), int(y)), axes, angle, 0, 360, 1.0, -1, cv2.LINE_AA)
    cover = cv2.GaussianBlur(cover, (0, 0), 0.7)
    return (image + cover * np.float32(level - image)).astype(np.float32), cover > 0.3


def hair(image, level, width=2):
    points = [(90, 300), (160, 240), (230, 235), (300, 270), (330, 330)]
    cover = np.zeros(image.shape, np.float32)
    cv2.polylines(cover, [np.array(points, np.int32)], False, 1.0, width, cv2.LINE_AA)
    return image + cover * (np.float32(level) - image), cover > 0.5


def as_bytes(image):
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def clean(image, **options):
    defaults = {"backend": "classical", "grain": "none"}
    return clean_array(as_bytes(image), CleanOptions(**(defaults | options)))


def found_share(result, truth):
    """Share of the truth's blobs that the mask touches."""
    count, labels = cv2.connectedComponents(truth.view(np.uint8))
    return len(np.unique(labels[(result.mask > 0) & truth])) / (count - 1)


@pytest.mark.parametrize("level", [0.95, 0.02])
def test_specks_are_found_and_repaired(rng, level):
    clear = sky(rng)
    dirty, truth = specks(rng, clear, 25, level)
    result = clean(dirty)
    assert found_share(result, truth) > 0.6
    error = [
        ((x.astype(float) - as_bytes(clear)) ** 2).sum() for x in (as_bytes(dirty), result.image)
    ]
    assert error[1] < 0.5 * error[0]


def test_a_hair_is_found_along_its_whole_length(rng):
    dirty, truth = hair(sky(rng), 0.95)
    result = clean(dirty, sensitivity=75.0)
    assert (result.mask[truth] > 0).mean() > 0.8


def test_grain_alone_is_left_alone(rng):
    result = clean(sky(rng, 0.03))
    assert (result.mask > 0).mean() < 2e-4


def test_polarity_keeps_the_other_sign(rng):
    bright, where_bright = specks(rng, sky(rng), 12, 0.95)
    both, where_all = specks(rng, bright, 12, 0.02)
    where_dark = where_all & ~cv2.dilate(where_bright.view(np.uint8), np.ones((9, 9))).astype(bool)
    only_bright = clean(both, polarity="bright")
    only_dark = clean(both, polarity="dark")
    assert found_share(only_bright, where_bright) > 0.5
    assert (only_bright.mask[where_dark] > 0).mean() < 0.1
    assert (only_dark.mask[where_bright & ~where_dark] > 0).mean() < 0.2
    assert found_share(only_dark, where_dark) > 0.5


def test_letters_are_left_alone():
    page = np.full((SIDE, SIDE), 204, np.uint8)
    for i, y in enumerate(range(40, SIDE, 36)):
        cv2.putText(page, f"Letters are not dust {i}", (20, y), 0, 1.0, 40, 2, cv2.LINE_AA)
    result = clean(page.astype(np.float32) / 255)
    assert result.mask[page < 128].mean() / 255 < 0.03


def test_a_field_of_stars_is_mostly_left_alone(rng):
    night = np.full((SIDE, SIDE), 0.05, np.float32) + rng.normal(0, 0.004, (SIDE, SIDE))
    stars, truth = specks(rng, night.astype(np.float32), 400, 0.9)
    assert found_share(clean(stars), truth) < 0.3


def test_busy_texture_is_left_alone(rng):
    leaves = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 1.6)
    leaves = 0.45 + 0.15 * leaves / leaves.std()
    assert (clean(leaves).mask > 0).mean() < 1e-3


def test_sensitivity_finds_more(rng):
    faint, _ = specks(rng, sky(rng), 40, 0.72)
    counts = [(clean(faint, sensitivity=s).mask > 0).sum() for s in (0.0, 50.0, 100.0)]
    assert counts[0] <= counts[1] <= counts[2]
    assert counts[0] < counts[2]


def test_the_score_does_not_depend_on_where_the_tile_lies(rng):
    image, _ = specks(rng, sky(rng), 20, 0.95)
    whole = deviation(image, 0.01)
    y, x, size = 32 * STEP, 20 * STEP, 2 * HALO + 40 * STEP
    part = deviation(np.ascontiguousarray(image[y : y + size, x : x + size]), 0.01)
    inner = np.s_[HALO:-HALO, HALO:-HALO]
    expected = whole[y : y + size, x : x + size][inner]
    assert expected.max() > 5
    np.testing.assert_allclose(part[inner], expected, atol=2e-3)


def test_tile_size_does_not_change_the_result(rng):
    from darkroom.options import MachineOptions

    image, _ = specks(rng, sky(rng), 25, 0.95)
    a, b = (
        clean_array(as_bytes(image), CleanOptions(), machine=MachineOptions(tile=tile))
        for tile in (128, 512)
    )
    assert a.artefacts > 5
    assert np.array_equal(a.image, b.image)


@pytest.mark.parametrize("name", ["biharmonic", "oliveira", "navier-stokes", "telea"])
@pytest.mark.parametrize("channels", [1, 3])
def test_inpainters_continue_a_ramp_and_touch_nothing_else(name, channels):
    ramp = np.linspace(0.2, 0.8, 64, dtype=np.float32)
    truth = np.repeat(np.broadcast_to(ramp, (64, 64))[..., None], channels, axis=2)
    mask = np.zeros((64, 64), np.uint8)
    mask[28:34, 30:37] = 255
    broken = truth.copy()
    broken[mask > 0] = 1.0
    window = Window(0, 0, 64, 64)
    options = CleanOptions(backend="classical", inpainter=name)
    inpainter = load_engine(options, "cpu", installed()).inpainter
    filled = inpainter.fill(Tile(window, window, broken, mask))
    assert filled.shape == broken.shape
    assert np.abs(filled - truth)[mask > 0].max() < 0.05
    np.testing.assert_allclose(filled[mask == 0], broken[mask == 0], atol=1e-6)


def test_refined_masks_cover_the_soft_edge(rng):
    image = sky(rng)[:80, :80].copy()
    spot = np.zeros_like(image)
    cv2.circle(spot, (40, 40), 4, 0.4, -1)
    spot = cv2.GaussianBlur(spot, (0, 0), 1.2)
    core = ((spot > 0.2) * 255).astype(np.uint8)
    grown = refine_mask(np.clip(image + spot, 0, 1), core, 0.008)
    assert (grown[spot > 0.04] == 255).mean() > 0.95
    assert (grown > 0).sum() < 5 * (core > 0).sum()


def test_features_are_finite_whatever_the_candidate(rng):
    image = rng.random((60, 60), np.float32)
    for box in ((30, 31, 30, 31), (30, 31, 2, 58), (2, 58, 30, 31), (24, 36, 24, 36)):
        mask = np.zeros((60, 60), np.uint8)
        mask[box[0] : box[1], box[2] : box[3]] = 255
        values = features(image, mask, stats())
        assert values.shape == (len(NAMES),)
        assert np.isfinite(values).all()
        assert np.isfinite(features(np.zeros_like(image), mask, stats())).all()


def test_trees_follow_their_questions():
    trees = Trees(
        np.array([[0, 1, 1]]),
        np.array([[0.5, 0.2, 0.8]], np.float32),
        np.array([[1, 2, 3, 4]], np.float32),
        base=0.25,
        depth=2,
    )
    cases = {(0, 0): 1, (0, 1): 2, (1, 0): 3, (1, 1): 4, (0.5, 0.2): 1}
    for values, leaf in cases.items():
        assert trees.log_odds(np.array(values, np.float32)) == leaf + 0.25


def test_the_judge_was_fitted_for_these_features():
    judge = Judge.load()
    assert list(judge.bars) == sorted(judge.bars, reverse=True)
    assert judge.trees.feature.max() < len(NAMES)


def test_thresholds_fall_with_sensitivity():
    highs = [ClassicalDetector().thresholds(s)[1] for s in (0, 25, 50, 75, 100)]
    assert highs == sorted(highs, reverse=True)
    assert all(low <= high for low, high in map(ClassicalDetector().thresholds, (0, 50, 100)))


def test_a_judge_of_a_flat_crop_answers(rng):
    window = Window(0, 0, 64, 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[30:33, 30:33] = 255
    tile = Tile(window, window, np.full((64, 64, 1), 0.4, np.float32), mask)
    detector = ClassicalDetector()
    assert 0 <= detector.judge(tile, stats(), 50.0) <= 1
    bright = tile.image.copy()
    bright[30:33, 30:33] = 0.9
    dusty = replace(tile, image=bright + rng.normal(0, 0.01, bright.shape).astype(np.float32))
    assert detector.judge(dusty, stats(), 100.0) >= detector.judge(dusty, stats(), 0.0)


@pytest.mark.parametrize("radius", [3, 5])
def test_a_lone_speck_on_plain_ground_is_dust_at_any_size(rng, radius):
    image = sky(rng, 0.004)
    places = [(x, y) for x in range(80, SIDE - 60, 110) for y in range(80, SIDE - 60, 110)]
    truth = np.zeros(image.shape, np.uint8)
    for place in places:
        cv2.circle(truth, place, radius, 255, -1, cv2.LINE_AA)
    dusty = image + truth / np.float32(255) * (np.float32(0.97) - image)
    assert found_share(clean(dusty), truth > 127) > 0.9
