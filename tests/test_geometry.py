import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.geometry import Grid, Window, bands, round_up
from darkroom.scan import read_padded, reflect

sides = st.integers(1, 300)


@given(sides, sides, st.integers(5, 90), st.integers(0, 40), st.sampled_from([1, 2, 8, 32]))
def test_cores_cover_the_image_once(width, height, core, halo, align):
    seen = np.zeros((height, width), int)
    grid = Grid(width, height, core, halo, align)
    tiles = list(grid)
    assert len(tiles) == len(grid)
    for tile in tiles:
        seen[tile.core.slices] += 1
        assert tile.read.contains(tile.core.grow(halo))
        assert tile.read.x % align == tile.read.y % align == 0
        assert tile.read.width % align == tile.read.height % align == 0
    assert (seen == 1).all()


@given(sides, sides, st.integers(1, 400))
def test_bands_cover_the_image_once(width, height, rows):
    tops = [w.y for w in bands(width, height, rows)]
    assert sum(w.height for w in bands(width, height, rows)) == height
    assert tops == sorted(tops)


windows = st.builds(
    Window, st.integers(-99, 99), st.integers(-99, 99), st.integers(0, 99), st.integers(0, 99)
)


@given(windows, windows)
def test_intersection_lies_in_both_and_union_holds_both(a, b):
    common = a.intersect(b)
    assert common.area <= min(a.area, b.area)
    if common.area:
        assert a.contains(common)
        assert b.contains(common)
    assert a.union(b).contains(a)
    assert a.union(b).contains(b)


@given(windows, st.integers(-50, 50), st.integers(-50, 50))
def test_relative_to_undoes_shift(a, dx, dy):
    assert a.shift(dx, dy).relative_to(Window(dx, dy, 1, 1)) == a


def test_negative_sizes_and_empty_grids_are_refused():
    with pytest.raises(ValueError, match="negative"):
        Window(0, 0, -1, 4)
    with pytest.raises(ValueError, match="grid"):
        Grid(0, 10, 64)


def test_round_up():
    assert [round_up(v, 8) for v in (0, 1, 8, 9)] == [0, 8, 8, 16]


@given(st.integers(1, 20), st.integers(-60, 0), st.integers(1, 80))
def test_reflection_is_that_of_numpy(size, start, stop):
    line = np.arange(size)
    padded = np.pad(line, (-start, max(0, stop - size)), mode="reflect")
    assert (line[reflect(start, stop, size)] == padded[: stop - start]).all()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(-12, 12), st.integers(-12, 12))
def test_padded_reads_mirror_the_image(width, height, x, y):
    image = np.arange(width * height).reshape(height, width, 1)
    window = Window(x, y, 7, 5)
    got = read_padded(lambda w: image[w.slices], width, height, window)
    big = np.pad(image[..., 0], 40, mode="reflect")
    assert (got[..., 0] == big[40 + y : 45 + y, 40 + x : 47 + x]).all()
