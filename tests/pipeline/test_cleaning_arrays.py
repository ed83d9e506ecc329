"""Invariants I1 and I2 on the stages themselves, without files."""

import numpy as np
import pytest

from backends import BlurRestorer, Picky, RingMean, Sociable, TopHat, engine
from darkroom.errors import BackendError, InputError, UsageError
from darkroom.options import CleanOptions, Length, MachineOptions
from darkroom.pipeline.engine import Engine
from darkroom.pipeline.memory import clean_array
from darkroom.protocols import Device
from darkroom.scan import Encoding

SMOOTH = CleanOptions(grain="none")


def damaged(rng, dtype=np.uint16, channels=3, shape=(300, 420)):
    """A soft picture with noise, specks, and a hair that crosses every tile seam."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    base = 0.35 + 0.1 * np.sin(x / 40) * np.cos(y / 50)
    image = base[..., None] + rng.normal(0, 0.01, (*shape, channels))
    for _ in range(40):
        row, column = rng.integers(4, shape[0] - 8), rng.integers(4, shape[1] - 8)
        image[row : row + 3, column : column + 4] = 0.95
    image[np.arange(5, 295), np.linspace(3, 290, 290).astype(int)] = 0.9
    image = image.clip(0, 1)
    if np.dtype(dtype).kind == "f":
        return image.astype(dtype)
    return (image * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("encoding", [Encoding.GAMMA, Encoding.LINEAR])
def test_nothing_outside_the_mask_changes(rng, dtype, channels, encoding):
    scan = damaged(rng, dtype, channels)
    result = clean_array(scan, SMOOTH, engine=engine(), encoding=encoding)
    assert result.artefacts > 10
    assert result.image.dtype == scan.dtype
    changed = (result.image != scan).any(axis=2)
    assert changed.any()
    assert not changed[result.mask == 0].any()


@pytest.mark.parametrize(
    "finder", [TopHat(), Picky(), TopHat(multiple_of=32), BlurRestorer(batch=3), Sociable()]
)
def test_the_result_does_not_depend_on_tile_size_or_threads(rng, finder):
    scan = damaged(rng)
    inpainter = None if isinstance(finder, BlurRestorer) else RingMean()
    results = [
        clean_array(
            scan,
            SMOOTH,
            engine=Engine(finder, inpainter, Device()),
            machine=MachineOptions(tile=tile, jobs=jobs),
        )
        for tile, jobs in ((64, 1), (96, 3), (4096, 2))
    ]
    assert results[0].artefacts > 0
    for other in results[1:]:
        assert (other.mask == results[0].mask).all()
        assert (other.image == results[0].image).all()


def test_a_judge_sees_components_whole(rng):
    scan = damaged(rng)
    all_of_them = clean_array(scan, SMOOTH, engine=engine(TopHat()))
    large_ones = clean_array(scan, SMOOTH, engine=engine(Picky()))
    assert 0 < large_ones.artefacts <= all_of_them.artefacts
    assert not (large_ones.mask & ~all_of_them.mask).any()


def test_a_restorers_judge_sees_what_else_is_found_near_by(rng):
    scan = damaged(rng)
    every, sociable = (
        clean_array(scan, SMOOTH, engine=Engine(finder, None, Device()))
        for finder in (BlurRestorer(), Sociable())
    )
    assert 0 < sociable.artefacts < every.artefacts
    assert not (sociable.mask & ~every.mask).any()


def test_a_given_mask_is_repaired_exactly(rng):
    scan = damaged(rng)
    mask = np.zeros(scan.shape[:2], np.uint8)
    mask[50:60, 70:90] = 255
    result = clean_array(scan, SMOOTH, mask=mask, engine=Engine(None, RingMean(), Device()))
    assert (result.mask == mask).all()
    assert result.artefacts == 1
    assert not (result.image != scan).any(axis=2)[mask == 0].any()
    assert (result.image != scan).any(axis=2)[mask > 0].mean() > 0.9


def test_a_restorer_fills_what_it_promised(rng):
    scan = damaged(rng)
    result = clean_array(scan, SMOOTH, engine=Engine(BlurRestorer(), None, Device()))
    assert set(np.unique(result.image[result.mask > 0])) == {round(0.25 * 65535)}


def test_a_restorer_fills_a_given_mask_where_it_found_nothing(rng):
    scan = np.full((200, 200, 1), 20_000, np.uint16)
    mask = np.zeros(scan.shape[:2], np.uint8)
    mask[50:60, 70:90] = 255
    result = clean_array(scan, SMOOTH, mask=mask, engine=Engine(BlurRestorer(), None, Device()))
    assert set(np.unique(result.image[mask > 0])) == {round(0.25 * 65535)}
    assert (result.image[mask == 0] == 20_000).all()


def test_a_mask_larger_than_a_cell_is_filled_whole(rng):
    scan = damaged(rng, channels=1, shape=(700, 1300))
    mask = np.full(scan.shape[:2], 255, np.uint8)
    mask[:40] = 0
    result = clean_array(scan, SMOOTH, mask=mask, engine=Engine(None, RingMean(), Device()))
    assert (result.image != scan)[40:].mean() > 0.9
    assert (result.image == scan)[:40].all()


def test_sizes_choose_artefacts(rng):
    scan = damaged(rng)
    long_only = CleanOptions(grain="none", min_size=Length(100))
    short_only = CleanOptions(grain="none", max_size=Length(100))
    in_microns = CleanOptions(grain="none", min_size=Length(635, "um"))
    hair = clean_array(scan, long_only, engine=engine())
    specks = clean_array(scan, short_only, engine=engine())
    assert hair.artefacts == 1
    assert specks.artefacts > 10
    same = clean_array(scan, in_microns, engine=engine(), dpi=4000)  # 635 µm are 100 px
    assert (same.mask == hair.mask).all()
    with pytest.raises(UsageError, match="resolution"):
        clean_array(scan, in_microns, engine=engine())


def test_pictures_of_one_row_column_or_pixel(rng):
    for shape in ((1, 90, 1), (90, 1, 3), (1, 1, 1)):
        scan = rng.integers(0, 65536, shape).astype(np.uint16)
        assert clean_array(scan, SMOOTH, engine=engine()).image.shape == shape


def test_nan_is_refused(rng):
    scan = damaged(rng, np.float32)
    scan[200, 300, 1] = np.nan
    with pytest.raises(InputError, match="not numbers"):
        clean_array(scan, SMOOTH, engine=engine())


def test_values_above_one_in_float_scans_survive(rng):
    scan = damaged(rng, np.float32) * 20
    result = clean_array(scan, SMOOTH, engine=engine())
    assert result.artefacts > 10
    assert not (result.image != scan).any(axis=2)[result.mask == 0].any()
    assert result.image[result.mask > 0].mean() > 2


def test_a_backend_that_raises_is_named(rng):
    class Broken(TopHat):
        def detect(self, tile, stats):
            raise ZeroDivisionError("oops")

    with pytest.raises(BackendError, match="ZeroDivisionError: oops"):
        clean_array(damaged(rng), SMOOTH, engine=engine(Broken()))


def test_too_little_memory_is_refused(rng):
    with pytest.raises(UsageError, match="max-memory"):
        clean_array(damaged(rng), SMOOTH, engine=engine(), machine=MachineOptions(max_memory=10**6))


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4), np.int32)])
def test_arrays_of_other_shapes_and_types_are_refused(bad):
    with pytest.raises(UsageError):
        clean_array(bad, SMOOTH, engine=engine())
