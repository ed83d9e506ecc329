"""Figures against hand-computed cases and against the yardstick script itself."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from darkroom.compare.measure.count import count, picture_totals
from darkroom.compare.measure.curve import average_precision
from darkroom.compare.measure.figures import FIGURES, find_figure
from darkroom.compare.measure.paper import class_figures, confusion_matrix, merge
from darkroom.compare.measure.view import View
from darkroom.compare.run.runners import Given, OracleInpaint
from darkroom.compare.run.sparse import Changes
from darkroom.compare.statistics.intervals import (
    draw_weights,
    holm,
    intervals,
    photograph_table,
    signed_rank,
)
from darkroom.damage.difference import artefact_mask
from darkroom.errors import UsageError
from darkroom.pipeline.memory import ArrayScan


def given(scan, artefacts, white=1.0):
    return Given(scan, ArrayScan(scan).info, artefacts, white)


def figures(scan, truth, output, artefacts, mask):
    totals = picture_totals(count(View(scan, output, mask, truth, artefacts)))
    total = photograph_table([("p", totals)]).total()
    return {name: float(figure.value(total)) for name, figure in FIGURES.items()}


@pytest.fixture
def case():
    """A grey field with two specks; one is healed, the other left, and one false repair made."""
    truth = np.full((64, 64, 1), 100, np.uint8)
    scan = truth.copy()
    scan[10:13, 10:13] = 140
    scan[40:42, 40:42] = 120
    output = truth.copy()
    output[40:42, 40:42] = 120
    output[55:58, 20:22] = 110
    artefacts = (scan != truth)[..., 0]
    return scan, truth, output, artefacts, (scan != output)[..., 0]


def test_do_no_harm_figures_by_hand(case):
    got = figures(*case)
    before, left, false = 9 * 1600 + 4 * 400, 4 * 400, 6 * 100
    assert got["sse_ratio"] == pytest.approx((left + false) / before)
    assert got["repair"] == pytest.approx(left / before)
    assert got["harm"] == pytest.approx(false / before)
    assert got["mse"] == pytest.approx((left + false) / 4096)
    assert got["recall"] == 0.5
    assert got["visible"] == 1.0
    assert got["false_per_mp"] == pytest.approx(1e6 / 4096)
    assert got["touched"] == pytest.approx(6 / (4096 - 11 * 11 - 10 * 10))
    assert got["outside_mask"] == 0.0


def test_detection_figures_by_hand(case):
    got = figures(*case)
    assert got["pixel_precision"] == pytest.approx(9 / 15)
    assert got["pixel_recall"] == pytest.approx(9 / 13)
    assert got["object_precision"] == 0.5
    assert got["object_recall"] == 0.5


def test_doing_nothing_scores_one(case):
    scan, truth, _, artefacts, _ = case
    got = figures(scan, truth, scan, artefacts, np.zeros_like(artefacts))
    assert (got["sse_ratio"], got["repair"], got["harm"], got["false_per_mp"]) == (1, 1, 0, 0)


def test_recall_is_tp_over_tp_plus_fn():
    got = class_figures(np.array([[3, 1], [0, 4]]))
    assert got.recall == pytest.approx((3 / 4 + 1) / 2)
    assert got.precision == pytest.approx((1 + 4 / 5) / 2)
    assert got.miou == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert got.f1 == pytest.approx((6 / 7 + 8 / 9) / 2)


def test_merging_fuses_neighbours_and_gives_the_last_class_the_rest(rng):
    truth, given = rng.integers(0, 256, (2, 100, 100), dtype=np.uint8)
    matrix = confusion_matrix(truth, given)
    for n, step in ((128, 2), (85, 3), (50, 5), (17, 15), (10, 25)):
        a, b = np.minimum(truth // step, n - 1), np.minimum(given // step, n - 1)
        direct = np.zeros((n, n), int)
        np.add.at(direct, (a.ravel(), b.ravel()), 1)
        assert np.array_equal(merge(matrix, n), direct)
    assert np.array_equal(merge(merge(matrix, 50), 17), merge(matrix, 17))


def test_average_precision_by_hand():
    hits, false = np.zeros(256), np.zeros(256)
    hits[200], false[150], hits[100] = 1, 1, 1
    assert average_precision(hits, false) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_intervals_draw_photographs_not_patches():
    rows = [("a", {"sse_after": 1.0, "sse_before": 1.0})] * 50
    rows += [("b", {"sse_after": 0.0, "sse_before": 1.0})] * 50
    table = photograph_table(rows)
    low, high = intervals(table, draw_weights(2, 500, 0))["sse_ratio"]
    assert (low, high) == (0.0, 1.0)
    assert intervals(photograph_table(rows[:50]), draw_weights(1, 10, 0))["sse_ratio"] is None


def test_holm_and_signed_rank():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert signed_rank(np.zeros(5)) == 1.0
    assert signed_rank(np.arange(1.0, 9.0)) == pytest.approx(2 / 2**8)


def test_changes_come_back_exactly(rng):
    scan = rng.integers(0, 65536, (37, 51, 3), dtype=np.uint16)
    output = scan.copy()
    output[5:9, 7:30, 1] += 1
    changes = Changes.between(scan, output)
    assert np.array_equal(changes.apply(scan), output)
    assert np.array_equal(changes.apply(scan[6:20], 6), output[6:20])


def test_unknown_figure_names_the_nearest():
    with pytest.raises(UsageError) as error:
        find_figure("sse_rato")
    assert "sse_ratio" in error.value.hint


def test_same_figures_as_the_yardstick_script(shared: Path):
    spec = importlib.util.spec_from_file_location("score", shared / "score.py")
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    folder = shared / "film" / "val"
    rows, yard = [], []
    for path in sorted((folder / "scan").glob("*.png"))[::40]:
        scan = np.asarray(Image.open(path))[..., None]
        truth = np.asarray(Image.open(folder / "gt" / path.name))[..., None]
        artefacts = artefact_mask(scan[..., 0].astype(np.float32), truth[..., 0].astype(np.float32))
        output = OracleInpaint().restore(given(scan, artefacts)).image.copy()
        output[100:110, 100:104] ^= 31  # some harm as well
        view = View(scan, output, artefacts, truth, artefacts)
        rows.append((path.stem, picture_totals(count(view))))
        yard.append(score.score(*(p[..., 0].astype(np.float32) for p in (scan, truth, output))))
    total, expected = photograph_table(rows).total(), score.summary(yard)
    names = ("mse", "psnr", "sse_ratio", "repair", "harm", "touched", "recall", "visible")
    for name in (*names, "false_per_mp"):
        assert float(FIGURES[name].value(total)) == pytest.approx(expected[name], abs=5e-4), name
