import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label, regionprops

from darkroom.geometry import Window
from darkroom.mask import (
    Component,
    ComponentRules,
    cells,
    components,
    grow,
    marked_pixels,
    pick,
)


def in_bands(image, rows):
    return [(y, image[y : y + rows]) for y in range(0, len(image), rows)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(1, 12))
def test_components_do_not_depend_on_bands_and_match_scikit_image(seed, width, height, rows):
    rng = np.random.default_rng(seed)
    image = (rng.integers(1, 256, (height, width)) * (rng.random((height, width)) < 0.4)).astype(
        np.uint8
    )
    found = list(components(in_bands(image, rows), width, low=40))
    truth = regionprops(label(image >= 40, connectivity=2), image)
    expected = {
        (r.bbox[1], r.bbox[0], r.bbox[3], r.bbox[2], int(r.area), int(r.intensity_max))
        for r in truth
    }
    got = {(c.window.x, c.window.y, c.window.right, c.window.bottom, c.area, c.peak) for c in found}
    assert got == expected
    assert len(found) == len(truth)
    assert [c for c in found if c.peak >= 200] == list(
        components(in_bands(image, rows), width, low=40, high=200)
    )
    for c in found:
        shape = pick(image[c.window.slices], 40, c.start)
        assert shape.sum() == c.area
        assert image[c.anchor[1], c.anchor[0]] >= 40


def test_a_u_shape_that_joins_only_below_is_one_component():
    image = np.zeros((9, 5), np.uint8)
    image[:, 0] = image[:, 4] = image[8] = 255
    assert len(list(components(in_bands(image, 2), 5))) == 1
    assert len(list(components(in_bands(image[:8], 2), 5))) == 2


def test_nothing_marked_gives_no_component():
    assert list(components(in_bands(np.zeros((8, 8), np.uint8), 3), 8)) == []


@pytest.mark.parametrize(
    ("rules", "admitted"),
    [
        (ComponentRules(), True),
        (ComponentRules(min_extent=6), True),
        (ComponentRules(min_extent=6.5), False),
        (ComponentRules(max_extent=5.9), False),
    ],
)
def test_rules(rules, admitted):
    assert rules.admit(Component(Window(3, 3, 6, 2), 8, 200, (3, 3))) is admitted


def test_growing_adds_a_disk_and_nothing_more():
    mask = np.zeros((11, 11), np.uint8)
    mask[5, 5] = 255
    assert (grow(mask, 1) > 0).sum() == 5
    assert grow(mask, 0) is mask
    rows, columns = np.nonzero(grow(mask, 3))
    assert np.hypot(rows - 5, columns - 5).max() <= 3.2


@given(st.integers(0, 70), st.integers(0, 70), st.integers(1, 90), st.integers(1, 90))
def test_cells_cut_along_fixed_lines(x, y, width, height):
    window = Window(x, y, width, height)
    parts = list(cells(window, 32))
    assert sum(p.area for p in parts) == window.area
    assert all(p.x // 32 == (p.right - 1) // 32 for p in parts)
    assert all(p.y // 32 == (p.bottom - 1) // 32 for p in parts)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 64, 1003])
def test_marked_pixels_are_found_wherever_they_lie(size) -> None:
    rng = np.random.default_rng(size)
    mask = np.where(rng.random(size) < 0.1, rng.integers(1, 256, size), 0).astype(np.uint8)
    mask[-1:] = 255
    assert np.array_equal(marked_pixels(mask), np.flatnonzero(mask))
    assert np.array_equal(marked_pixels(mask.reshape(-1, 1)), np.flatnonzero(mask))
