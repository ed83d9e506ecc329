"""Figures that have no meaning are dashes, and the sample type of a pair makes no difference."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from darkroom.cli.main import main
from darkroom.compare.report.page import write_report
from darkroom.compare.run.evaluate import Settings, evaluate
from darkroom.compare.run.runners import CallableRunner, Restoration
from darkroom.compare.statistics.summary import plain_cell, summarise
from darkroom.pairs.find import find_pairs


def clean(rng):
    return np.clip(rng.normal(110, 2, (80, 90)), 0, 255).astype(np.uint8)


def damaged(truth):
    scan = truth.copy()
    scan[20:26, 30:36] = 250
    scan[50:53, 60:64] = 240
    return scan


def spoil(picture):
    output = picture.copy()
    output[5:15, 5:15] //= 2
    mask = np.zeros(picture.shape[:2], bool)
    mask[5:15, 5:15] = True
    return Restoration(output, mask, (255 * mask).astype(np.uint8))


def leave(picture):
    return Restoration(picture, None, np.zeros(picture.shape[:2], np.uint8))


def report(folder: Path, pairs, *runners):
    for i, (scan, truth) in enumerate(pairs):
        for side, picture in (("scan", scan), ("gt", truth)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / side / f"p{i}.tif", picture)
    comparison = evaluate(find_pairs(folder).complete(), runners, Settings(folder / "cache", 1))
    assert comparison.failures == []
    document = summarise(comparison, replicates=30)
    json.dumps(document, allow_nan=False)
    page = write_report(comparison, document, folder / "report").read_text("utf-8")
    rows = {row["name"]: row["figures"] for row in document["backends"]}
    return rows, page, document


@pytest.mark.parametrize("number", [1, 3])
def test_no_damage_at_all(tmp_path, rng, number):
    pairs = [(picture, picture) for picture in (clean(rng) for _ in range(number))]
    runners = CallableRunner("spoil", spoil), CallableRunner("leave", leave)
    rows, page, document = report(tmp_path, pairs, *runners)
    for name in ("sse_ratio", "repair", "harm", "recall", "visible", "object_recall"):
        assert {rows[row][name]["value"] for row in rows} == {None}, name
    assert rows["spoil"]["false_per_mp"]["value"] > 0
    assert rows["spoil"]["object_precision"]["value"] == 0
    assert rows["leave"]["object_precision"]["value"] is None
    assert rows["leave"]["mse"]["value"] == 0
    assert document["settings"]["rank_by"] == "mse"
    assert document["backends"][-1]["name"] == "spoil"
    assert ">–</td>" in page


def test_damage_that_nobody_finds(tmp_path, rng):
    truth = clean(rng)
    rows, page, _ = report(tmp_path, [(damaged(truth), truth)], CallableRunner("leave", leave))
    assert rows["leave"]["sse_ratio"]["value"] == 1
    assert rows["leave"]["recall"]["value"] == rows["leave"]["pixel_recall"]["value"] == 0
    assert rows["leave"]["pixel_precision"]["value"] is None
    assert "leave" in page


@pytest.mark.parametrize(
    "convert",
    [
        lambda p: p.astype(np.uint16) * 257,
        lambda p: (p / 255).astype(np.float32),
        lambda p: p.astype(np.float32),
        lambda p: p.astype(np.float32) * 257,
    ],
    ids=["16 bits", "floats to 1", "floats to 255", "floats to 65535"],
)
def test_every_sample_type_gives_the_same_figures(tmp_path, rng, convert):
    truth = clean(rng)
    scan = damaged(truth)
    bytes_, _, _ = report(tmp_path / "a", [(scan, truth)])
    other, _, _ = report(tmp_path / "b", [(convert(scan), convert(truth))])
    nothing = bytes_["identity"]["mse"]["value"]
    assert other["identity"]["mse"]["value"] == pytest.approx(nothing, rel=1e-5)
    oracle = bytes_["oracle + inpaint"]["mse"]["value"]  # rounded to 8 bits
    assert other["oracle + inpaint"]["mse"]["value"] == pytest.approx(oracle, rel=0.3)
    assert other["oracle + inpaint"]["sse_ratio"]["value"] < 0.1
    mixed, _, _ = report(tmp_path / "c", [(convert(scan), truth)])
    assert mixed["identity"]["mse"]["value"] == pytest.approx(nothing, rel=1e-5)


def test_the_command_reports_what_has_no_meaning(tmp_path, rng, capsys):
    picture = clean(rng)
    for side in ("scan", "gt"):
        (tmp_path / side).mkdir()
        Image.fromarray(picture).save(tmp_path / side / "p.png")
    line = ["compare", str(tmp_path), "-o", str(tmp_path / "r"), "--jobs", "1", "-b", "classical"]
    assert main(line) == 0
    assert "–" in capsys.readouterr().out
    line.append("--overwrite")
    assert main([*line, "--fail-under", "sse_ratio=0.9"]) == 1
    assert "sse_ratio has no meaning here" in capsys.readouterr().err
    assert main([*line, "--max-memory", "50MiB"]) == 2


def test_names_that_are_not_utf_8(tmp_path, rng, capsys):
    truth = clean(rng)
    for side, picture in (("scan", damaged(truth)), ("gt", truth)):
        folder = tmp_path / side
        folder.mkdir()
        Image.fromarray(picture).save(folder / "p.png")
        try:
            (folder / "p.png").rename(os.fsdecode(os.fsencode(folder) + b"/sc\xe4n.png"))
        except OSError:
            pytest.skip("this file system takes UTF-8 only")
    line = ["compare", str(tmp_path), "-o", str(tmp_path / "r"), "--jobs", "1", "--no-baseline"]
    assert main([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["images"] == 1
    assert "sc\\xe4n" in (tmp_path / "r" / "metrics.csv").read_text("utf-8")
    assert "sc\\\\xe4n" in (tmp_path / "r" / "index.html").read_text("utf-8")


def test_names_cannot_become_formulas():
    assert plain_cell('=HYPERLINK("x")') == '\'=HYPERLINK("x")'
    assert [plain_cell(t)[0] for t in ("+1", "-1", "@a", "\tx")] == ["'"] * 4
    assert plain_cell("scan-1=2") == "scan-1=2"
