"""The demonstration at a small size: what it makes, and that its figures are true."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from darkroom.demo import DPI, ROWS, Film, _photograph, run_demo
from darkroom.errors import OutputError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run_demo(tmp_path_factory.mktemp("demo"), seed=3, width=800, height=600)


def test_the_scan_is_what_it_claims_to_be(made):
    with tifffile.TiffFile(made.scan) as tiff:
        page = tiff.pages.first
        assert page.shape == (600, 800, 3) and page.dtype == np.uint16
        assert page.tags["XResolution"].value[0] / page.tags["XResolution"].value[1] == DPI
        assert "sRGB".encode("utf-16-be") in page.tags["InterColorProfile"].value


def test_figures_are_those_of_the_files(made):
    film = Film(_photograph(), 800, 600, 3)
    truth, damage = (
        np.concatenate(parts) for parts in zip(*((t, m) for _, t, _, m in film.rows()), strict=True)
    )
    scan, cleaned = tifffile.imread(made.scan), tifffile.imread(made.cleaned)
    mask = np.asarray(Image.open(made.mask)) > 0

    def error(image):
        return (((image.astype(float) - truth) / 65_535) ** 2).sum(axis=2)

    figures = made.figures
    assert figures.damage_before == pytest.approx(error(scan)[damage > 0].sum())
    assert figures.damage_after == pytest.approx(error(cleaned)[damage > 0].sum())
    assert figures.frame_ratio == pytest.approx(error(cleaned).sum() / error(scan).sum())
    assert figures.changed_outside == 0 == ((scan != cleaned).any(axis=2) & ~mask).sum()
    assert figures.damaged_pixels == (damage > 0).sum() > 0


def test_cleaning_did_no_harm(made):
    assert made.figures.frame_ratio <= 1
    receipt = json.loads(made.receipt_file.read_text())
    assert receipt["untouched_before"] == receipt["untouched_after"]


def test_the_picture_is_drawn(made):
    picture = np.asarray(Image.open(made.picture))
    assert picture.shape[1] > 1000 and picture.std() > 20


def test_the_same_seed_gives_the_same_film_and_another_another():
    def first(seed):
        return next(Film(_photograph(), 400, ROWS, seed).rows())[2]

    assert (first(1) == first(1)).all() and (first(1) != first(2)).any()


def test_grain_has_no_seam_between_bands():
    film = Film(np.full((64, 64, 3), 0.5, np.float32), 512, 2 * ROWS, 0)
    film.damage = []
    image = np.concatenate([t for _, t, _, _ in film.rows()]).astype(float)
    steps = np.abs(np.diff(image, axis=0)).mean(axis=(1, 2))
    assert abs(steps[ROWS - 1] - steps.mean()) < 4 * steps.std()


def test_an_earlier_demonstration_is_not_replaced_unasked(made):
    with pytest.raises(OutputError, match="already exists"):
        run_demo(made.scan.parent, seed=3, width=800, height=600)
