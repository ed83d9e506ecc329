"""Cleaning by infrared in memory: what is found, brought back, left alone, and that tiles agree."""

from dataclasses import replace

import numpy as np
import pytest
from rgbi import as_seen
from scipy import ndimage as ndi

from darkroom.options import CleanOptions, MachineOptions
from darkroom.pipeline.memory import clean_array
from darkroom.scan import Encoding


def cleaned(frame, machine=None, **options):
    encoding = Encoding.GAMMA if frame.encoded else Encoding.LINEAR
    picture, infrared = frame.damaged[..., :3], frame.damaged[..., 3]
    given = options.pop("infrared", infrared)
    settings = CleanOptions(**options)
    return clean_array(picture, settings, infrared=given, encoding=encoding, machine=machine)


def errors(frame, image):
    """Squared error before and after, as people see it."""
    before, after, truth = (as_seen(p, frame.encoded) for p in (frame.damaged, image, frame.clean))
    return ((before - truth) ** 2).sum(), ((after - truth) ** 2).sum()


@pytest.mark.parametrize("kind", ["slide", "negative", "inverted"])
def test_what_infrared_shows_is_found_and_repaired(frame, kind):
    made = frame(kind)
    result = cleaned(made)
    assert result.infrared["used"]
    shown = made.visible & ~ndi.binary_dilation(made.emulsion, iterations=2)
    labels, count = ndi.label(shown, np.ones((3, 3)))
    found = ndi.mean(result.mask > 0, labels, np.arange(1, count + 1)) >= 0.5
    large = ndi.sum(shown, labels, np.arange(1, count + 1)) >= 9
    assert large.sum() >= 5
    assert found[large].mean() > 0.8
    before, after = errors(made, result.image)
    assert after < 0.5 * before
    assert np.array_equal(result.image[result.mask == 0], made.damaged[..., :3][result.mask == 0])


def test_clean_film_is_left_alone(frame):
    made = frame(photo="astronaut", noise=0.02)
    blank = replace(made, damaged=made.clean)
    result = cleaned(blank)
    assert result.infrared["used"]
    assert result.artefacts == 0
    assert np.array_equal(result.image, made.clean[..., :3])


def test_thin_stains_are_divided_out_and_not_painted_over(frame):
    made = frame(amount=0.0, smears=3)
    divided, filled = (
        cleaned(made, options={"infrared": {"thinnest": thinnest}}) for thinnest in (0.55, 1.0)
    )
    inside = divided.mask > 0
    assert inside.sum() > 1000
    truth, before, after = (
        as_seen(p, made.encoded)[inside] for p in (made.clean, made.damaged, divided.image)
    )
    assert ((after - truth) ** 2).sum() < 0.4 * ((before - truth) ** 2).sum()
    # Stains that could only be painted over are left.
    untouched, left = errors(made, filled.image)
    assert left <= 1.05 * untouched


@pytest.mark.parametrize("photo", ["astronaut", "coffee"])
def test_where_nothing_can_be_divided_paint_does_less_harm_than_dust(frame, photo):
    made = frame(photo=photo, amount=1.0, smears=3)
    result = cleaned(made, options={"infrared": {"thinnest": 1.0}})
    assert result.artefacts > 0
    before, after = errors(made, result.image)
    assert after < before


@pytest.mark.parametrize("shift", [(0.6, -0.35), (3.4, -2.2)])
def test_the_result_does_not_depend_on_tile_size_or_threads(frame, shift):
    made = frame("inverted", shift=shift)
    first = cleaned(made)
    assert first.artefacts > 5
    for machine in (MachineOptions(tile=64, jobs=2), MachineOptions(tile=160, jobs=1)):
        again = cleaned(made, machine)
        assert np.array_equal(again.mask, first.mask)
        assert np.array_equal(again.image, first.image)


def test_a_plane_of_half_the_size_serves(frame):
    made = frame()
    infrared = made.damaged[..., 3]
    half = infrared.reshape(180, 2, 255, 2).mean(axis=(1, 3)).astype(np.uint16)
    result = cleaned(made, infrared=half)
    assert result.infrared["used"]
    before, after = errors(made, result.image)
    assert after < 0.6 * before


@pytest.mark.parametrize("kind", ["silver", "kodachrome"])
def test_infrared_that_mirrors_the_picture_is_not_used(frame, kind):
    made = frame(kind)
    result = cleaned(made)
    assert not result.infrared["used"]
    assert "mirrors the picture" in result.infrared["refusal"]
    alone = cleaned(made, ir="off")
    assert np.array_equal(result.image, alone.image)
    assert np.array_equal(result.mask, alone.mask)


def test_grey_scans_of_colour_film_have_infrared_too(frame):
    made = frame()
    grey = made.damaged[..., 1]
    result = clean_array(grey, infrared=made.damaged[..., 3], encoding=Encoding.LINEAR)
    assert result.infrared["used"]
    truth, before = (as_seen(p[..., 1:2], False) for p in (made.clean, made.damaged))
    after = as_seen(result.image[..., None], False)
    assert ((after - truth) ** 2).sum() < 0.6 * ((before - truth) ** 2).sum()
