"""The baseline is the textbook's method, however the picture is cut into tiles."""

import numpy as np
import pytest
from skimage.filters import apply_hysteresis_threshold
from skimage.measure import label
from skimage.morphology import black_tophat, dilation, disk, white_tophat

from darkroom.options import CleanOptions, MachineOptions
from darkroom.pipeline.memory import clean_array


@pytest.fixture
def picture(rng):
    image = np.tile(np.linspace(60, 160, 300), (280, 1)) + rng.normal(0, 2, (280, 300))
    for y, x in rng.integers(10, 260, (12, 2)):
        image[y : y + 4, x : x + 5] = 250
        image[(y + 60) % 270 : (y + 60) % 270 + 3, x : x + 3] = 5
    image[20, 10:12] = 255  # too small
    return image.clip(0, 255).astype(np.uint8)


def textbook(image):
    """The same mask by scikit-image on the whole picture at once."""
    levels = image.astype(np.float32) / 255
    footprint = disk(5, decomposition="sequence")
    contrast = np.maximum(white_tophat(levels, footprint), black_tophat(levels, footprint))
    labels = label(apply_hysteresis_threshold(contrast, 0.1, 0.2), connectivity=2)
    area = np.bincount(labels.ravel())
    kept = (area >= 4) & (area <= 1000)
    kept[0] = False
    return dilation(kept[labels], disk(1))


def test_mask_is_that_of_the_textbook(picture):
    options = CleanOptions(backend="baseline", polarity="both", grain="none")
    whole = clean_array(picture, options)
    tiles = clean_array(picture, options, machine=MachineOptions(tile=64, jobs=2))
    assert np.array_equal(whole.mask, tiles.mask) and np.array_equal(whole.image, tiles.image)
    assert np.array_equal(whole.mask > 0, textbook(picture))
    assert whole.artefacts >= 15 and not whole.mask[18:23, 8:14].any()


def test_repairs_fit_their_surroundings(picture):
    done = clean_array(picture, CleanOptions(backend="baseline", polarity="both"))
    at = (picture > 240) | (picture < 20)
    at[15:25, 5:20] = False
    assert np.abs(done.image[at].astype(int) - 110).max() < 70
    assert np.array_equal(done.image[done.mask == 0], picture[done.mask == 0])


def test_sensitivity_and_polarity(picture):
    def area(**options):
        return np.count_nonzero(clean_array(picture, CleanOptions("baseline", **options)).mask)

    assert area(sensitivity=0, polarity="both") <= area(polarity="both")
    bright, dark = area(polarity="bright"), area(polarity="dark")
    assert 0 < dark < bright < area(polarity="both")
