"""Whole comparisons on small folders: caching, faults, the command, the page."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from darkroom.cli.main import main
from darkroom.compare.report.page import write_report
from darkroom.compare.run.evaluate import Settings, evaluate
from darkroom.compare.run.runners import CallableRunner, Restoration
from darkroom.compare.statistics.summary import misses, picture_figures, summarise
from darkroom.errors import InputError, UsageError
from darkroom.pairs.find import find_pairs


@pytest.fixture
def folder(tmp_path: Path, rng) -> Path:
    for side in ("scan", "gt"):
        (tmp_path / "set" / side).mkdir(parents=True)
    for i in range(4):
        truth = (120 + 8 * rng.standard_normal((96, 96))).astype(np.uint8)
        scan = truth.copy()
        scan[20 + i : 26 + i, 30:36] = 250
        for side, picture in (("scan", scan), ("gt", truth)):
            Image.fromarray(picture).save(tmp_path / "set" / side / f"photo{i % 2}{i}-0.png")
    return tmp_path / "set"


CALLS: list[int] = []


def darken_bright(picture):
    CALLS.append(1)
    mask = picture[..., 0] > 200
    output = picture.copy()
    output[mask] = 120
    return Restoration(output, mask, picture[..., 0])


def fails_on_one(picture):
    if picture[20, 31, 0] == 250 and picture[19, 31, 0] != 250 and picture[25, 31, 0] == 250:
        raise RuntimeError("no")
    return Restoration(picture)


def run(folder: Path, tmp_path: Path, *runners: CallableRunner, **extra):
    return evaluate(
        find_pairs(folder).complete(), runners, Settings(tmp_path / "cache", 1, **extra)
    )


def test_references_are_always_there_and_photographs_are_grouped(folder, tmp_path):
    document = summarise(run(folder, tmp_path), replicates=50)
    rows = {row["name"]: row for row in document["backends"]}
    assert set(rows) == {"identity", "oracle + inpaint"}
    assert rows["identity"]["figures"]["sse_ratio"]["value"] == 1
    assert rows["oracle + inpaint"]["figures"]["sse_ratio"]["value"] < 0.1
    assert document["data"]["photographs"] == 2


def test_cached_results_are_not_computed_again(folder, tmp_path):
    runner = CallableRunner("fix", darken_bright)
    CALLS.clear()
    first = run(folder, tmp_path, runner)
    assert len(CALLS) == 8  # four scans, four clean frames
    again = run(folder, tmp_path, runner)
    assert len(CALLS) == 8
    assert all(cell.cached for cell in again.cells)
    assert [picture_figures(c) for c in first.cells] == [picture_figures(c) for c in again.cells]


def test_bands_add_up(folder, tmp_path):
    """Every figure of a picture is the same however it is cut; grain is compared within a band."""
    for side in ("scan", "gt"):
        picture = np.tile(np.arange(40, 140, dtype=np.uint8), (700, 1))
        picture[4::50, 6:30] += 5
        if side == "scan":
            for y in (3, 125, 127, 254, 300, 383, 511, 640, 690):
                picture[y : y + 4, 20 + y % 60 : 24 + y % 60] = 250
            picture[100:160, 90] = 250
        Image.fromarray(picture).save(tmp_path / f"{side}.png")
    pairs = find_pairs(tmp_path / "scan.png", tmp_path / "gt.png").complete()
    runner = CallableRunner("fix", darken_bright)
    figures = [
        picture_figures(
            evaluate(pairs, [runner], Settings(tmp_path / str(n), 1, True, n)).of("fix")[0]
        )
        for n in (1_000_000, 52_000)
    ]
    for name, value in figures[0].items():
        if not name.startswith(("grain", "mp_per_s", "average_precision")):
            assert figures[1][name] == pytest.approx(value, rel=1e-6), name
    assert figures[0]["visible"] == 1


def test_a_failing_backend_is_a_cell_and_the_others_go_on(folder, tmp_path):
    comparison = run(folder, tmp_path, CallableRunner("bad", fails_on_one))
    assert [(c.image, c.error) for c in comparison.failures] == [("photo00-0", "RuntimeError: no")]
    document = summarise(comparison, replicates=20)
    page = write_report(comparison, document, tmp_path / "report").read_text()
    assert "bad failed on 1 of 4" in page
    assert (tmp_path / "report" / "metrics.csv").read_text().count("\n") == 13


def test_limits(folder, tmp_path):
    document = summarise(run(folder, tmp_path, CallableRunner("fix", darken_bright)), replicates=9)
    assert misses(document, {"sse_ratio": 0.9, "visible": 0.5}) == []
    assert len(misses(document, {"sse_ratio": 1e-9})) == 1


def test_without_truth(folder, tmp_path):
    runners = [CallableRunner("a", darken_bright), CallableRunner("b", fails_on_one)]
    comparison = evaluate(
        find_pairs(folder / "gt").complete(), runners, Settings(tmp_path / "cache", 1)
    )
    document = summarise(comparison, rank_by="changed", replicates=9)
    assert document["agreement"][0]["same"] == 1.0
    page = write_report(comparison, document, tmp_path / "report").read_text()
    assert "Where backends agree" in page
    assert "The paper" not in page


def test_page_asks_for_nothing_outside(folder, tmp_path):
    comparison = run(folder, tmp_path, CallableRunner("<b>&", darken_bright))
    document = summarise(comparison, replicates=9)
    page = write_report(comparison, document, tmp_path / "report").read_text()
    assert "http://" not in page and "https://" not in page
    assert "<b>&" not in page
    assert json.loads((tmp_path / "report/metrics.json").read_text())["schema"]


def test_bad_folders(folder, tmp_path):
    (folder / "gt" / "photo00-0.png").unlink()
    with pytest.raises(InputError, match="photo00-0"):
        find_pairs(folder).complete()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        find_pairs(tmp_path / "empty")
    with pytest.raises(UsageError):
        find_pairs(folder, part="val")


def test_sizes_that_differ_are_named(folder, tmp_path):
    Image.new("L", (50, 96)).save(folder / "gt" / "photo00-0.png")
    comparison = run(folder, tmp_path)
    assert {cell.image for cell in comparison.failures} == {"photo00-0"}
    assert "50 x 96" in comparison.failures[0].error


def test_command(folder, tmp_path, capsys):
    arguments = ["compare", str(folder), "--jobs", "1", "-o", str(tmp_path / "r"), "--json", "-q"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["data"]["images"] == 4
    assert main(arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    arguments.append("--overwrite")
    assert main([*arguments, "--fail-under", "nonsense=1"]) == 2
    assert main(["compare", str(tmp_path / "nowhere")]) == 3
