"""Only this machine's page may ask; what it asks is kept, checked and saved."""

import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from asking import Client
from scans import OPTIONS, write_scan

from darkroom.options import CleanOptions, OutputOptions
from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.decisions import load_decisions, review_mask_path, review_path
from darkroom.pipeline.receipt import receipt_path
from darkroom.pipeline.request import Request
from darkroom.pipeline.verify import verify


def test_strangers_are_refused(reviewing, cleaned):
    client = reviewing(cleaned)
    host = client.address.split("/")[2]
    port = host.split(":")[1]
    assert client.ask("")[0] == 200
    token = client.address.split("/")[3]
    for path in (
        "/",
        "/x/",
        f"/{token[:-1]}/",
        f"/{token}",
        f"/{token}x/api/scans",
        "//",
        "/api/scans",
    ):
        assert client.ask(path)[0] == 404, path
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil:{port}", ""):
        assert client.ask("", Host=name)[0] == 403, name
    for origin in ("http://evil.example", "null", f"https://{host}", "http://localhost:1"):
        assert client.ask("api/scans", Origin=origin)[0] == 403, origin
        assert client.ask("api/scans/0/act", {"kind": "undo"}, Origin=origin)[0] == 403
    assert client.ask("api/scans", Origin=f"http://{host}")[0] == 200
    for site in ("cross-site", "same-site"):
        assert client.ask("", Sec_Fetch_Site=site)[0] == 403
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        assert client.ask("api/scans", method=method)[0] == 405
    assert client.ask("api/scans/0/act", {"kind": "undo"}, Content_Type="text/plain")[0] == 415
    assert client.ask("api/scans/0/act", ["x" * 3_000_000])[0] == 413


@pytest.mark.parametrize(
    "path",
    ["static/../../a.tif", "static/..%2f..%2fa.tif", "static/%2e%2e/review.py", "../a.tif",
     "static//etc/passwd", "static/review.html", "static/", "tiles/0/../../a.tif", "nothing",
     "tiles/0/before/0/99_0.bmp", "tiles/0/before/77/0_0.bmp", "tiles/0/infrared/0/0_0.bmp"],
)  # fmt: skip
def test_no_other_file_is_served(reviewing, cleaned, path):
    client = reviewing(cleaned)
    client.ready()
    assert client.ask(path)[0] == 404


def test_nonsense_is_refused_and_changes_nothing(reviewing, cleaned):
    client = reviewing(cleaned)
    before = client.ready()
    for deed in (
        {}, [], "veto", {"kind": "x"},
        {"kind": "veto"}, {"kind": "veto", "names": ["f1-1"]}, {"kind": "veto", "names": [3]},
        {"kind": "paint", "points": [], "radius": 3},
        {"kind": "paint", "points": [[1, 2]], "radius": 1e9},
        {"kind": "paint", "points": [[1]], "radius": 3},
        {"kind": "paint", "points": [["a", 2]], "radius": 3},
        {"kind": "paint", "points": [[1, 2]]},
        {"kind": "sensitivity", "value": 101}, {"kind": "sensitivity", "value": "50"},
    ):  # fmt: skip
        assert client.ask("api/scans/0/act", deed)[0] == 422, deed
    assert client.ask("api/scans/7")[0] == 422
    assert client.ask("api/scans/0/sensitivity?value=x")[0] == 422
    assert client.ask("tiles/0/before/0/0_0.bmp?look=odd")[0] == 422
    assert client.act(kind="paint", points=[[-900, -900]], radius=3)["version"] == before["version"]
    assert client.ready() == before


def marks_of(client):
    return sorted(client.get("api/scans/0/marks")["marks"], key=lambda m: (m["y"], m["x"]))


def test_saving_is_what_clean_with_the_mask_gives(reviewing, cleaned, tmp_path):
    client = reviewing(cleaned)
    assert client.ready()["repairs"] >= 10
    marks = marks_of(client)
    assert all(0.5 <= mark["confidence"] <= 1 for mark in marks)
    client.act(kind="veto", names=[marks[0]["name"], marks[3]["name"]])
    client.act(kind="restore", names=[marks[3]["name"]])
    client.act(kind="paint", points=[[100, 300], [130.5, 310.2]], radius=5)
    client.act(kind="erase", points=[[marks[5]["x"], marks[5]["y"]]], radius=3)
    client.act(kind="paint", points=[[500, 20]], radius=9)
    client.act(kind="undo")
    answer = client.get("api/scans/0/save", {})
    result = cleaned.with_name("a_clean.tif")
    assert answer["state"]["unsaved"] is False
    taken = answer["said"].split("; ")[1].split()
    assert int(taken[0]) <= 3 < int(taken[2])  # only what changed was made anew
    again = tmp_path / "again.tif"
    mask = review_mask_path(result)
    clean_file(cleaned, again, Request(OPTIONS, output=OutputOptions(mask=mask)))
    assert again.read_bytes() == result.read_bytes()
    assert verify(receipt_path(result)).exit_code == 0
    scan, out = tifffile.imread(cleaned), tifffile.imread(result)
    kept = marks[0]
    box = np.s_[kept["y"] : kept["y"] + kept["h"], kept["x"] : kept["x"] + kept["w"]]
    assert np.array_equal(scan[box], out[box])
    assert (scan[300:306, 100:104] != out[300:306, 100:104]).any()


def test_repairs_of_a_network_are_filled_as_with_the_mask(reviewing, scan, tmp_path):
    options = CleanOptions(ir="off", max_coverage=1)
    result = scan.with_name("a_clean.tif")
    clean_file(scan, result, Request(options))
    client = reviewing(scan)
    assert client.ready()["repairs"]
    client.act(kind="veto", names=[marks_of(client)[0]["name"]])
    client.act(kind="paint", points=[[100, 300], [130.5, 310.2]], radius=5)
    client.get("api/scans/0/save", {})
    first = result.read_bytes()
    again = tmp_path / "again.tif"
    output = OutputOptions(mask=review_mask_path(result))
    clean_file(scan, again, Request(options, output=output))
    assert again.read_bytes() == first
    assert verify(receipt_path(result)).exit_code == 0
    clean_file(scan, result, Request(options, output=OutputOptions(overwrite=True)))
    assert result.read_bytes() == first
    # From now on, repairs that do not change are taken over.
    client = reviewing(scan)
    client.ready()
    client.act(kind="paint", points=[[400, 50]], radius=5)
    made, taken = (
        client.get("api/scans/0/save", {})["said"].split("; ")[1].split()[i] for i in (0, 2)
    )
    assert int(made) == 1 < int(taken)


def test_decisions_are_there_at_the_next_visit(reviewing, cleaned):
    client = reviewing(cleaned)
    client.ready()
    first = marks_of(client)[0]
    client.act(kind="veto", names=[first["name"]])
    client.act(kind="paint", points=[[100, 300]], radius=6)
    client.get("api/scans/0/save", {})
    before = marks_of(client)
    second = reviewing(cleaned)
    news = second.ready()
    assert (news["vetoed"], news["unsaved"], news["undo"]) == (1, False, False)
    again = marks_of(second)
    key = lambda m: (m["x"], m["y"], m["w"], m["h"], m["area"], m["vetoed"])  # noqa: E731
    assert sorted(map(key, again)) == sorted(map(key, before))
    # What was vetoed can be restored, and saving gives the first result again.
    (vetoed,) = [m for m in again if m["vetoed"]]
    second.act(kind="restore", names=[vetoed["name"]])
    assert second.get("api/scans/0/save", {})["state"]["vetoed"] == 0


def test_two_tabs_lose_no_decision(reviewing, cleaned):
    client = reviewing(cleaned)
    client.ready()
    a, b, *_ = marks_of(client)
    one = client.act(kind="veto", names=[a["name"]])
    other = client.act(kind="veto", names=[b["name"]])  # of a tab that never saw the first
    assert other["version"] == one["version"] + 1
    client.get("api/scans/0/save", {})
    vetoed = {m["name"] for m in marks_of(client) if m["vetoed"]}
    assert vetoed == {a["name"], b["name"]}


def test_changed_scan_is_refused(reviewing, cleaned):
    client = reviewing(cleaned)
    client.ready()
    client.act(kind="veto", names=[marks_of(client)[0]["name"]])
    result = cleaned.with_name("a_clean.tif")
    was = result.read_bytes()
    write_scan(cleaned, seed=6)
    status, text = client.ask("api/scans/0/save", {})
    assert status == 409 and b"has changed since" in text
    assert result.read_bytes() == was and not review_path(result).exists()
    # Opened anew, it is known to be another scan than the receipt's.
    news = reviewing(cleaned).ready()
    assert not news["ready"] and "has changed since it was cleaned" in news["error"]["error"]


def test_files_of_others_are_not_overwritten(reviewing, cleaned):
    client = reviewing(cleaned)
    client.ready()
    client.act(kind="veto", names=[marks_of(client)[0]["name"]])
    result = cleaned.with_name("a_clean.tif")
    with result.open("ab") as file:
        file.write(b"retouched by hand")
    assert client.ask("api/scans/0/save", {})[0] == 409
    assert result.read_bytes().endswith(b"by hand")


def test_decisions_of_another_review_are_not_overwritten(reviewing, cleaned):
    one, two = reviewing(cleaned), reviewing(cleaned)
    for client in (one, two):
        client.ready()
    name = marks_of(one)[0]["name"]
    one.act(kind="veto", names=[name])
    one.get("api/scans/0/save", {})
    two.act(kind="paint", points=[[100, 300]], radius=6)
    status, text = two.ask("api/scans/0/save", {})
    assert status == 409 and b"another program" in text
    decisions, _ = load_decisions(review_path(cleaned.with_name("a_clean.tif")))
    assert sum(int((rows > 0).sum()) for _, rows in decisions.rows("vetoed"))


def test_scan_that_was_never_cleaned(reviewing, scan):
    client = reviewing(scan)
    assert client.ready()["savable"]
    client.get("api/scans/0/save", {})
    assert verify(receipt_path(scan.with_name("a_clean.tif"))).exit_code == 0


def test_saving_keeps_the_compression_that_was_asked_for(reviewing, scan):
    result = scan.with_name("a_clean.tif")
    clean_file(scan, result, Request(OPTIONS, output=OutputOptions(compression="deflate")))
    client = reviewing(scan)
    client.ready()
    client.act(kind="veto", names=[marks_of(client)[0]["name"]])
    client.get("api/scans/0/save", {})
    with tifffile.TiffFile(result) as file:
        assert file.pages[0].compression.name == "ADOBE_DEFLATE"


def test_sensitivity_shows_what_would_change(reviewing, cleaned):
    client = reviewing(cleaned)
    client.ready()
    same = client.get("api/scans/0/sensitivity?value=50")
    assert (same["more"], same["fewer"]) == (0, 0)
    low = client.get("api/scans/0/sensitivity?value=0")
    high = client.get("api/scans/0/sensitivity?value=100")
    assert low["more"] == 0 and high["fewer"] == 0
    assert low["fewer"] + high["more"] > 0
    assert len(high["marks"]) == high["more"]
    done = client.act(kind="sensitivity", value=100 if high["more"] else 0)
    assert done["state"]["unsaved"]


def test_one_bad_scan_among_good_ones(reviewing, cleaned, tmp_path):
    bad = tmp_path / "b.tif"
    bad.write_bytes(cleaned.read_bytes()[:300])
    client = reviewing(cleaned, bad)
    assert client.ask("api/scans/1")[0] == 500
    assert client.ready()["ready"]


def test_receipt_without_result(reviewing, cleaned):
    cleaned.with_name("a_clean.tif").unlink()
    client = reviewing(cleaned)
    assert client.ready()["savable"]
    client.get("api/scans/0/save", {})
    assert cleaned.with_name("a_clean.tif").exists()


def test_turned_scan_is_painted_where_it_is_seen(reviewing, tmp_path):
    path = write_scan(tmp_path / "a.tif")
    with tifffile.TiffFile(path, mode="r+b") as file:
        picture = file.asarray()
    tifffile.imwrite(path, picture, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    client = reviewing(path)
    client.ready()
    width, height = (client.get("api/scans/0")[key] for key in ("width", "height"))
    assert (width, height) == (picture.shape[0], picture.shape[1])
    # Orientation 6: stored (x, y) is shown at (height - y, x).
    client.act(kind="paint", points=[[picture.shape[0] - 300.5, 100.5]], radius=5)
    client.get("api/scans/0/save", {})
    decisions, _ = load_decisions(review_path(tmp_path / "a_clean.tif"))
    painted = np.concatenate([rows for _, rows in decisions.rows("painted")])
    y, x = np.nonzero(painted)
    assert (abs(y.mean() - 300), abs(x.mean() - 100)) < (1, 1)


def test_broken_decisions_are_named(reviewing, cleaned):
    path = review_path(cleaned.with_name("a_clean.tif"))
    path.write_text(json.dumps({"schema": 1}))
    status, text = reviewing(cleaned).ask("api/scans/0")
    assert status == 500 and b"holds no decisions" in text
    shutil.copy(cleaned, path)
    assert reviewing(cleaned).ask("api/scans/0")[0] == 500


def test_ctrl_c_ends_a_review_well(cleaned):
    command = [sys.executable, "-m", "darkroom.cli.main", "review", cleaned.name, "--no-browser"]
    with subprocess.Popen(
        command, cwd=cleaned.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        address = running.stdout.readline().strip()
        client = Client(address)
        client.ready()
        client.act(kind="veto", names=[marks_of(client)[0]["name"]])
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert "a.tif: decisions were not saved" in said and "interrupted" not in said
    assert running.returncode == 1
