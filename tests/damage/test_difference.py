import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from darkroom.damage.difference import artefact_mask, beyond_grain

SHARED = Path(os.environ.get("DARKROOM_SHARED", Path(__file__).parents[2] / "shared"))


def pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gt = rng.integers(40, 200, (96, 96)).astype(np.float32)
    scan = gt.copy()
    scan[20:24, 30:34] += 40
    scan[60, 10:30] -= 25
    return scan, gt


def test_finds_what_was_repaired_and_nothing_else() -> None:
    scan, gt = pair()
    assert np.array_equal(artefact_mask(scan, gt), scan != gt)


def test_a_shift_of_tone_is_no_damage() -> None:
    scan, gt = pair()
    assert np.array_equal(artefact_mask(scan + 7, gt), scan != gt)


def test_noise_of_re_encoding_raises_the_bar() -> None:
    scan, gt = pair()
    noise = np.random.default_rng(1).normal(0, 3, gt.shape)
    found = artefact_mask(scan + noise, gt)
    assert found[scan != gt].mean() > 0.5
    assert not found[scan == gt].mean() > 0.005


def test_two_pixels_are_too_few_and_a_weak_patch_needs_a_strong_pixel() -> None:
    gt = np.full((32, 32), 90.0, np.float32)
    scan = gt.copy()
    scan[4, 4:6] += 50
    scan[10:20, 10:20] += 8
    assert not artefact_mask(scan, gt).any()
    scan[12, 12] += 10
    assert artefact_mask(scan, gt).sum() == 100


@pytest.mark.parametrize("scale", [257.0, 1 / 255])
def test_scale_changes_nothing(scale: float) -> None:
    scan, gt = pair()
    assert np.array_equal(
        artefact_mask(scan * scale, gt * scale, scale=scale), artefact_mask(scan, gt)
    )


def test_a_pixel_counts_when_any_channel_differs() -> None:
    scan, gt = pair()
    colour_gt = np.repeat(gt[..., None], 3, axis=2)
    colour = colour_gt.copy()
    colour[..., 2] = scan
    assert np.array_equal(artefact_mask(colour, colour_gt), scan != gt)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        artefact_mask(np.zeros((4, 4)), np.zeros((4, 5)))


@pytest.mark.skipif(not (SHARED / "score.py").exists(), reason="the data set is absent")
def test_equals_the_reference_definition() -> None:
    sys.path.insert(0, str(SHARED))
    try:
        import score
    finally:
        sys.path.pop(0)
    for path in sorted((SHARED / "film/val/scan").glob("*.png"))[::30]:
        scan = np.asarray(Image.open(path)).astype(np.float32)
        gt = np.asarray(Image.open(path.parents[1] / "gt" / path.name)).astype(np.float32)
        assert np.array_equal(artefact_mask(scan, gt), score.artefact_mask(scan, gt)), path.name


def test_of_a_brush_that_swapped_grain_only_the_speck_below_it_counts() -> None:
    rng = np.random.default_rng(3)
    truth = 120 + 9 * rng.standard_normal((96, 96))
    scan = truth.copy()
    y, x = np.mgrid[:96, :96]
    disc, speck = np.hypot(y - 48, x - 48) < 20, np.hypot(y - 50, x - 50) < 2.5
    scan[disc] = 120 + 9 * rng.standard_normal(int(disc.sum()))
    scan[speck] += 90
    mask = artefact_mask(scan, truth)
    core = beyond_grain(scan, truth, mask)
    assert mask[disc].mean() > 0.5
    assert core[speck].all()
    assert core[disc & ~speck].mean() < 0.1
    assert not core[~mask].any()
