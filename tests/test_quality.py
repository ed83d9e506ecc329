"""The benchmark that all choices rest on: `benchmarks/quality.py`."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import quality_pictures as pictures
import quality_scores as scores

KINDS = ("portrait", "stars", "wires", "rain")


@pytest.fixture
def photos(tmp_path):
    """Forty small photographs of four kinds and their table, with outlines and a drawn shape."""
    rng = np.random.default_rng(0)
    lines = ["id\tkind"]
    for number in range(40):
        picture = rng.integers(60, 200, (8, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1)
        Image.fromarray(picture).save(tmp_path / f"{number:04}.webp")
        lines.append(f"{number:04}\t{KINDS[number % 3 if number else 3]}")
    (tmp_path / "photos.tsv").write_text("\n".join(lines))
    corners = rng.integers(0, (4900, 3300), (300, 2))
    square = np.array([(0, 0), (12, 0), (12, 12), (0, 12)])
    outlines = [{"label": "Dust", "points": (c + square).tolist()} for c in corners]
    frames, shapes = tmp_path / "frames", tmp_path / "shapes"
    frames.mkdir()
    (frames / "scan-7.json").write_text(str(outlines).replace("'", '"'))
    for kind in (*pictures.SHAPES, "dots"):
        (shapes / kind).mkdir(parents=True)
        Image.fromarray(np.full((40, 20), 255, np.uint8)).save(shapes / kind / "000.png")
    return tmp_path


def test_photographs_are_held_out_by_name_and_from_every_kind(photos):
    all_of_them = pictures.photographs(photos)
    held = pictures.held_out(all_of_them, 8)
    assert len(held) == 8
    assert {photo.kind for photo in held} == set(KINDS)
    assert pictures.held_out(all_of_them[::-1], 8) == held


def test_a_modelled_scan_is_damaged_on_purpose_and_the_same_every_time(photos):
    dirt = pictures.Dirt(photos / "frames", photos / "shapes")
    chosen = pictures.conditions(pictures.photographs(photos)[:12])
    assert {m.dpi for m in chosen} == set(pictures.DPI)
    for modelled in chosen[:6]:
        damaged, clean = pictures.make(modelled, dirt, 96)
        again, _ = pictures.make(modelled, dirt, 96)
        assert (damaged == again).all()
        assert damaged.dtype == np.uint16
        assert damaged.ndim == (3 if modelled.colour else 2)
        change = damaged.astype(float) - clean
        assert change.any()
        if modelled.polarity == "bright":
            assert change.sum() > 0
        if modelled.polarity == "dark":
            assert change.sum() < 0


def picture_with_dust():
    truth = np.full((64, 64, 1), 100, np.float32)
    scan, damaged = truth.copy(), np.zeros((64, 64), bool)
    damaged[10:13, 10:13] = damaged[40:43, 40:43] = True
    scan[10:13, 10:13] = 160
    scan[40:43, 40:43] = 40
    return scan, truth, damaged


def test_doing_nothing_scores_one_and_zero():
    scan, truth, damaged = picture_with_dust()
    found = scores.figures([scores.score(scan, truth, scan, damaged)])
    assert found["error left"] == found["geometric mean"] == 1
    assert found["visible"] == found["harm"] == found["false/MP"] == 0


def test_what_heals_and_what_harms_is_told_apart():
    scan, truth, damaged = picture_with_dust()
    result = scan.copy()
    result[10:13, 10:13] = 100
    result[50:53, 5:8] = 180
    sums = scores.score(scan, truth, result, damaged)
    found = scores.figures([sums])
    assert found["bright visible"] == 1
    assert found["dark visible"] == 0
    assert sums["false"] == 1
    assert found["harm"] == pytest.approx(9 * 80**2 / (18 * 60**2))
    spread = scores.intervals([sums, sums | {"after": 0.0}], ["a", "b"])
    assert spread["error left"][0] < spread["error left"][1]


def test_colour_error_is_nought_for_the_truth_and_grain_leaves_the_hue():
    rng = np.random.default_rng(1)
    truth = np.full((40, 40, 3), (120, 80, 60), np.float32)
    mask = np.zeros((40, 40), bool)
    mask[5:30, 5:30] = True
    assert scores.colour_error(truth, truth, mask)["ciede"] == 0
    grainy = scores.colour_error(truth, truth + rng.normal(0, 8, truth.shape), mask)
    assert grainy["hue"] / grainy["repairs"] < 0.2 * grainy["ciede"] / grainy["ciede_pixels"]
