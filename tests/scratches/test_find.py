"""Line scratches are found whole, lines of the picture stay, and repairs come close to the film."""

import cv2
import numpy as np
import pytest

from darkroom.geometry import Window
from darkroom.options import CleanOptions, MachineOptions
from darkroom.pipeline.memory import clean_array
from darkroom.scan import Tile
from darkroom.scratches.find import find_scratches
from darkroom.scratches.lines import LineRepair, united

HEIGHT, WIDTH, GRAIN = 560, 720, 0.02


def picture(seed=0, channels=3):
    """A soft, grainy picture with bent edges in it."""
    rng = np.random.default_rng(seed)
    image = np.zeros((HEIGHT, WIDTH, channels))
    for cells in (3, 6, 12):
        field = rng.normal(size=(cells + 2, cells + 2, channels))
        image += cv2.resize(field, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).reshape(
            image.shape
        )
    image = 0.5 + 0.12 * np.sign(image) * np.abs(image) ** 0.5
    grain = cv2.GaussianBlur(rng.normal(size=image.shape), (0, 0), 0.7).reshape(image.shape)
    return np.clip(image + grain * (GRAIN / grain.std()), 0.02, 0.98).astype(np.float32)


def scratched(image, at, contrast, width=3.0, slope=0.004, upright=True, start=0.0, stop=1.0):
    """The image with a line of a contrast in standard deviations of the grain; and its middle."""
    out = image.copy()
    view = out if upright else out.transpose(1, 0, 2)
    along = np.arange(len(view))
    middle = at + slope * along
    shape = np.exp(-(((np.arange(view.shape[1]) - middle[:, None]) / (width / 1.67)) ** 2))
    shape[(along < start * len(view)) | (along > stop * len(view))] = 0
    view += (contrast * GRAIN * shape[..., None]).astype(np.float32)
    np.clip(out, 0, 1, out=out)
    return out, middle


def find(image, **more):
    return find_scratches(lambda w: image[w.slices], whole(image), GRAIN, **more)


def whole(image):
    return Window(0, 0, image.shape[1], image.shape[0])


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("contrast", [3, -4, 12])
def test_a_scratch_is_found_whole_and_taken_off(upright, contrast):
    clean = picture()
    image, middle = scratched(clean, 240, contrast, upright=upright)
    lines = find(image)
    assert [line.upright for line in lines] == [upright]
    mask = united(lines, whole(image))
    view = mask if upright else mask.T
    assert (view[np.arange(len(view)), np.rint(middle).astype(int)] > 0).mean() > 0.95
    assert (mask > 0).mean() < 0.03
    tile = Tile(whole(image), whole(image), image, mask)
    taken, _, repaired = LineRepair(tuple(lines)).repair(tile)
    assert np.array_equal(taken, mask > 0)
    assert np.array_equal(repaired[mask == 0], image[mask == 0])
    before, after = ((x - clean)[mask > 0] for x in (image, repaired))
    assert (after**2).mean() < 0.2 * (before**2).mean()


def test_a_picture_without_scratches_has_none():
    assert find(picture(1)) == []


def test_a_mast_that_ends_in_the_picture_stays():
    image = picture(2)
    image[200:, 300:306] = 0.12 + 0.3 * np.linspace(0, 1, HEIGHT - 200)[:, None, None]
    assert find(image) == []


def test_blinds_stay():
    image = picture(3)
    for y in range(40, 520, 24):
        image, _ = scratched(image, y, 10, slope=0, upright=False)
    assert find(image) == []


def test_rims_do_not_make_one_scratch_three():
    image, _ = scratched(picture(4), 300, 8, width=4)
    for beside in (-5, 5):
        image, _ = scratched(image, 300 + beside, -5, width=3)
    assert len(find(image)) == 1


def test_a_gap_is_left_alone():
    image, middle = scratched(picture(5), 240, 6, stop=0.4)
    image, _ = scratched(image, 240, 6, start=0.6)
    mask = united(find(image), whole(image))
    rows = np.arange(HEIGHT)
    there = mask[rows, np.rint(middle).astype(int)] > 0
    gap = (rows > 0.43 * HEIGHT) & (rows < 0.57 * HEIGHT)
    outside = (rows < 0.37 * HEIGHT) | (rows > 0.63 * HEIGHT)
    assert there[outside].mean() > 0.95
    assert not there[gap].any()


def test_cleaning_repairs_it_beside_any_backend_and_changes_nothing_else():
    clean = picture(6)
    image, _ = scratched(clean, 240, 5)
    scan = np.rint(image * 65535).astype(np.uint16)
    options = CleanOptions(backend="classical", scratches="on", max_coverage=0.001)
    results = [
        clean_array(scan, options, machine=MachineOptions(tile=tile, jobs=jobs))
        for tile, jobs in ((128, 1), (1024, 2))
    ]
    for result in results:
        assert not (result.image != scan).any(axis=2)[result.mask == 0].any()
        assert np.array_equal(result.image, results[0].image)
    part = (results[0].mask > 0) & (np.abs(np.arange(WIDTH) - 241) < 8)
    assert part.sum() > 4 * HEIGHT
    error = [
        ((x / 65535 - clean)[part] ** 2).mean() for x in (scan, results[0].image.astype(float))
    ]
    assert error[1] < 0.2 * error[0]
    off = clean_array(scan, CleanOptions(backend="classical"))
    assert (off.mask > 0).sum() < 0.1 * part.sum()


def test_frames_too_small_to_tell_are_left_alone_unless_the_user_says_that_there_are_scratches():
    image, _ = scratched(picture(6), 240, 5)
    scan = np.rint(image * 65535).astype(np.uint16)
    marked = {
        wish: (clean_array(scan, CleanOptions(backend="classical", scratches=wish)).mask > 0).sum()
        for wish in ("off", "auto", "on")
    }
    assert marked["auto"] == marked["off"] < marked["on"] / 4
