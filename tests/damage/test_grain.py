"""Grain for repairs: its strength, its spectrum, and what it must not do."""

import cv2
import numpy as np
import pytest

from darkroom.damage.grain import match_grain


def grainy(rng, side=96, spread=0.03, size=0.8, channels=1):
    noise = rng.normal(0, 1, (side, side, channels)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), size).reshape(noise.shape)
    return np.float32(0.5) + np.float32(spread) * noise / noise.std()


def disk(side=96, radius=9):
    y, x = np.mgrid[:side, :side] - side // 2
    return ((y * y + x * x <= radius * radius) * 255).astype(np.uint8)


def test_repairs_are_as_rough_as_their_surroundings(rng):
    image, mask = grainy(rng), disk()
    out = match_grain(image, mask, np.full_like(image, 0.5))
    ratio = out[mask > 0].std() / image[mask == 0].std()
    assert 0.6 < ratio < 1.2


def test_neighbouring_grain_is_correlated_as_outside(rng):
    image, mask = grainy(rng, size=1.2), disk(radius=12)
    out = match_grain(image, mask, np.full_like(image, 0.5))[..., 0]

    def correlation(picture, where):
        both = where[:, 1:] & where[:, :-1]
        a, b = picture[:, 1:][both] - 0.5, picture[:, :-1][both] - 0.5
        return (a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean())

    inside, outside = correlation(out, mask > 0), correlation(image[..., 0], mask == 0)
    assert inside == pytest.approx(outside, abs=0.3)
    assert inside > 0.3


def test_the_same_place_gets_the_same_grain_and_another_seed_other_grain(rng):
    image, mask = grainy(rng), disk()
    fill = np.full_like(image, 0.5)
    first = match_grain(image, mask, fill, seed=3, origin=(10, 20))
    assert np.array_equal(first, match_grain(image, mask, fill, seed=3, origin=(10, 20)))
    assert not np.array_equal(first, match_grain(image, mask, fill, seed=4, origin=(10, 20)))
    match_grain(image, mask, fill, origin=(-5, -7))  # crops may stick out of the frame


def test_outside_the_mask_the_fill_is_returned_as_it_is(rng):
    image, mask = grainy(rng, channels=3), disk()
    fill = rng.random(image.shape).astype(np.float32)
    out = match_grain(image, mask, fill)
    assert np.array_equal(out[mask == 0], fill[mask == 0])
    assert out.dtype == np.float32


def test_bright_structure_is_not_cloned(rng):
    image, mask = grainy(rng, spread=0.01), disk(radius=6)
    image[::12, ::7] = 1.0  # lamps all around
    out = match_grain(image, mask, np.full_like(image, 0.5))
    assert np.abs(out[mask > 0] - 0.5).max() < 0.1


def test_a_clean_picture_gets_no_grain():
    image, mask = np.full((64, 64, 1), 0.25, np.float32), disk(64, 5)
    assert np.array_equal(match_grain(image, mask, image), image)


def test_the_artefact_itself_is_not_taken_for_grain(rng):
    image, mask = grainy(rng, spread=0.01), disk(radius=5)
    image[disk(radius=4) > 0] = 1.0
    out = match_grain(image, mask, np.full_like(image, 0.5))
    assert np.abs(out[mask > 0] - 0.5).max() < 0.1


def test_a_hole_larger_than_any_shift_is_still_grainy(rng):
    image, mask = grainy(rng, side=160), disk(160, 60)
    out = match_grain(image, mask, np.full_like(image, 0.5))
    middle = disk(160, 8) > 0
    assert out[middle].std() > 0.4 * image[mask == 0].std()
    assert match_grain(image, np.full_like(mask, 255), image) is image
