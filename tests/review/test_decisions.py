"""What was decided holds for every later run."""

import json

import numpy as np
import pytest
import tifffile
from scans import OPTIONS, write_scan

from darkroom.errors import InputError
from darkroom.options import OutputOptions
from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.decisions import review_path
from darkroom.pipeline.inputs import find_scans
from darkroom.pipeline.receipt import load_receipt, receipt_path
from darkroom.pipeline.request import Request


@pytest.fixture
def reviewed(reviewing, cleaned):
    """A scan with one mark vetoed and one stroke painted, and where they are."""
    client = reviewing(cleaned)
    client.ready()
    marks = client.get("api/scans/0/marks")["marks"]
    mark = min(marks, key=lambda m: m["area"])
    client.act(kind="veto", names=[mark["name"]])
    client.act(kind="paint", points=[[100, 300], [120, 310]], radius=5)
    client.get("api/scans/0/save", {})
    return cleaned, mark


def cleaned_again(scan, sensitivity=50.0, **output):
    from dataclasses import replace

    options = replace(OPTIONS, sensitivity=sensitivity)
    target = scan.with_name("a_clean.tif")
    settings = OutputOptions(overwrite=True, **output)
    return clean_file(scan, target, Request(options, output=settings))


def kept(scan, mark):
    before, after = tifffile.imread(scan), tifffile.imread(scan.with_name("a_clean.tif"))
    box = np.s_[mark["y"] : mark["y"] + mark["h"], mark["x"] : mark["x"] + mark["w"]]
    return np.array_equal(before[box], after[box])


def test_cleaning_again_gives_what_was_saved(reviewed):
    scan, _ = reviewed
    target = scan.with_name("a_clean.tif")
    saved = target.read_bytes()
    receipt = cleaned_again(scan)
    assert target.read_bytes() == saved
    assert receipt.decisions is not None
    assert receipt.decisions["vetoed"] == 1 and receipt.decisions["painted"] > 50
    assert load_receipt(receipt_path(target)).decisions == receipt.decisions


def test_vetoes_hold_at_other_settings(reviewed):
    scan, mark = reviewed
    for sensitivity in (20, 100):
        cleaned_again(scan, sensitivity)
        assert kept(scan, mark)
    cleaned_again(scan, reviews=False)
    assert not kept(scan, mark)


def test_another_scan_is_refused(reviewed):
    scan, _ = reviewed
    target = scan.with_name("a_clean.tif")
    was = target.read_bytes()
    write_scan(scan, seed=9)
    with pytest.raises(InputError, match="changed since it was reviewed") as caught:
        cleaned_again(scan)
    assert "--no-reviews" in (caught.value.hint or "")
    assert target.read_bytes() == was
    write_scan(scan, height=400)
    with pytest.raises(InputError, match="changed since it was reviewed"):
        cleaned_again(scan)


def test_damaged_decisions_are_not_passed_over(reviewed):
    scan, _ = reviewed
    path = review_path(scan.with_name("a_clean.tif"))
    values = json.loads(path.read_text())
    for changes in ({"painted": "AAAA"}, {"schema": 9}, {"width": "1"}, {"vetoed": None}):
        path.write_text(json.dumps(values | changes))
        with pytest.raises(InputError):
            cleaned_again(scan)


def test_folders_leave_the_files_of_a_review_alone(reviewed):
    scan, _ = reviewed
    assert [item.source.name for item in find_scans([scan.parent])] == ["a.tif"]


def test_result_stands_for_its_scan(reviewing, reviewed):
    scan, _ = reviewed
    client = reviewing(scan.with_name("a_clean.tif"))
    assert client.ready()["vetoed"] == 1
    assert client.get("api/scans/0")["name"] == "a.tif"


def test_data_set_from_reviews(reviewed, tmp_path):
    from darkroom.cli.main import main
    from darkroom.pairs.manifest import Manifest
    from darkroom.pairs.read import read_tile

    scan, mark = reviewed
    arguments = ["dataset", "build", str(scan.parent), "--from-reviews", "-o", str(tmp_path / "ds")]
    assert main([*arguments, "--size", "128", "-q"]) == 0
    manifest = Manifest.load(tmp_path / "ds")
    sides = {"scan": tifffile.imread(scan), "gt": tifffile.imread(scan.with_name("a_clean.tif"))}
    marked = 0
    for tile in manifest.tiles:
        left, top, *_ = tile.window
        box = np.s_[top : top + 128, left : left + 128]
        for side, image in sides.items():
            assert np.array_equal(read_tile(manifest.path(tile, side)), image[box])
        mask = read_tile(manifest.path(tile, "mask"))
        marked += int((mask > 0).sum())
        y, x = mark["y"] + 2 - top, mark["x"] + 2 - left
        if 0 <= y < 128 and 0 <= x < 128:
            assert not mask[y, x]  # vetoed
        if left <= 100 < left + 128 and top <= 300 < top + 128:
            assert mask[300 - top, 100 - left]  # painted
    assert marked
    write_scan(scan, seed=9)
    assert main([*arguments[:-1], str(tmp_path / "ds2"), "--size", "128", "-q"]) == 3
