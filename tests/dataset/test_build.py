import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from darkroom.cli.main import main
from darkroom.damage.model import DamageModel
from darkroom.dataset import build as building
from darkroom.dataset.build import Settings, build
from darkroom.dataset.inspect import contact_sheet, histograms
from darkroom.dataset.synthetic import Damaging, synthesise
from darkroom.errors import DarkroomWarning, InputError, OutputError, UsageError
from darkroom.pairs.find import find_pairs
from darkroom.pairs.manifest import Manifest, verify
from darkroom.pairs.read import read_tile
from darkroom.pairs.tiles import measure

Pairs = Callable[..., tuple[Path, Path]]
SETTINGS = Settings(size=96)


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("dtype,channels", [("uint8", 1), ("uint16", 1), ("uint16", 3)])
def test_tiles_hold_the_very_pixels_of_exact_pairs(
    pairs: Pairs, tmp_path: Path, dtype: str, channels: int
) -> None:
    scans, truths = pairs(2, dtype, channels)
    found = find_pairs(scans, truths)
    wrong = found.wrong
    manifest, failed = build(found.pairs, tmp_path / "ds", SETTINGS)
    assert not wrong and not failed and len(manifest.tiles) == 2 * 3 * 4
    for tile in manifest.tiles:
        x, y, w, h = tile.window
        for side, name in (("scan", f"{tile.photo}.tif"), ("gt", f"{tile.photo}_gt.tif")):
            source = tifffile.imread((scans if side == "scan" else truths) / name)
            cut = read_tile(manifest.path(tile, side))
            assert cut.dtype == np.dtype(dtype)
            assert np.array_equal(cut, source[y : y + h, x : x + w])
        scan, gt = (read_tile(manifest.path(tile, s)) for s in ("scan", "gt"))
        changed = scan != gt
        changed = changed if channels == 1 else changed.any(axis=2)
        mask = read_tile(manifest.path(tile, "mask")) > 0
        assert (mask & changed).sum() >= 0.9 * (mask | changed).sum()
    assert {p.registration["model"] for p in manifest.pairs} == {"exact"}
    assert not list(verify(Manifest.load(tmp_path / "ds")))


def test_same_input_same_bytes_and_a_killed_build_goes_on(
    pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_pairs(*pairs(3)).pairs
    build(found, tmp_path / "a", SETTINGS)

    def stop(photo: str, done: int, total: int) -> None:
        if photo == "p1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(found, tmp_path / "b", SETTINGS, advance=stop)
    assert not (tmp_path / "b" / "manifest.json").exists()
    with pytest.raises(OutputError, match="other settings"):
        build(found, tmp_path / "b", replace(SETTINGS, size=64))
    cut = []
    real = building._cut
    monkeypatch.setattr(building, "_cut", lambda *a: cut.append(a[1].name) or real(*a))
    build(found, tmp_path / "b", SETTINGS)
    assert cut == ["p1", "p2"]
    assert everything(tmp_path / "a") == everything(tmp_path / "b")


def test_what_changed_since_a_build_was_killed_is_cut_anew_or_named(
    pairs: Pairs, tmp_path: Path
) -> None:
    scans, truths = pairs(4)

    def stop(photo: str, done: int, total: int) -> None:
        if photo == "p3":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(find_pairs(scans, truths).pairs, tmp_path / "ds", SETTINGS, advance=stop)
    again = tifffile.imread(scans / "p0.tif")
    again[40:44, 40:44] = 65535
    tifffile.imwrite(scans / "p0.tif", again)
    (scans / "p1.tif").unlink()
    (truths / "p1_gt.tif").unlink()
    with pytest.warns(DarkroomWarning, match="p1: no longer among the pairs"):
        manifest, _ = build(find_pairs(scans, truths).pairs, tmp_path / "ds", SETTINGS)
    assert {t.photo for t in manifest.tiles} == {"p0", "p2", "p3"}
    assert np.array_equal(read_tile(tmp_path / "ds/scan/p0_0_0.png"), again[:96, :96])
    assert not list(verify(manifest))


def test_verify_names_sources_that_changed_or_went(pairs: Pairs, tmp_path: Path) -> None:
    scans, truths = pairs(2)
    manifest, _ = build(find_pairs(scans, truths).pairs, tmp_path / "ds", SETTINGS)
    tifffile.imwrite(truths / "p0_gt.tif", tifffile.imread(scans / "p0.tif"))
    (scans / "p1.tif").unlink()
    found = {(path.name, what.split()[0]) for path, what in verify(Manifest.load(tmp_path / "ds"))}
    assert found == {("p0_gt.tif", "changed"), ("p1.tif", "removed")}
    for folder in (scans, truths):
        for path in folder.iterdir():
            path.unlink()
    assert not list(verify(manifest))  # as on another machine


def test_equal_names_in_two_rolls_are_two_photographs(pairs: Pairs, tmp_path: Path) -> None:
    scans, truths = pairs(2)
    for folder, end in ((scans, ""), (truths, "_gt")):
        for n in range(2):
            (folder / f"roll{n}").mkdir()
            (folder / f"p{n}{end}.tif").rename(folder / f"roll{n}" / f"a{end}.tif")
    manifest, _ = build(find_pairs(scans, truths).pairs, tmp_path / "ds", SETTINGS)
    assert {t.photo for t in manifest.tiles} == {"roll0/a", "roll1/a"}
    assert len(list((tmp_path / "ds/scan").rglob("*.png"))) == len(manifest.tiles) == 24


def test_overwrite_replaces_a_data_set_and_nothing_else(
    pairs: Pairs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans, truths = (str(p) for p in pairs(3))
    command = ["dataset", "build", scans, truths, "-o", str(tmp_path / "ds"), "--size", "96"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["tiles"] == 12
    before = everything(tmp_path / "ds")
    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.out == said.err == ""
    assert everything(tmp_path / "ds") == before
    for path in Path(truths).iterdir():
        path.write_bytes(b"II*\0nothing")
    assert main([*command, "--overwrite"]) == 3
    assert everything(tmp_path / "ds") == before
    assert not list(tmp_path.glob(".ds*"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("x")
    assert main([*command[:5], str(tmp_path / "mine"), "--overwrite"]) == 1
    assert (tmp_path / "mine" / "a.txt").exists()


def test_a_shifted_and_toned_truth_is_brought_back(pairs: Pairs, tmp_path: Path) -> None:
    scans, truths = pairs(1)
    truth = tifffile.imread(truths / "p0_gt.tif").astype(np.float64)
    moved = np.roll(truth, (2, -3), axis=(0, 1)) * 0.9 + 2000
    tifffile.imwrite(truths / "p0_gt.tif", np.rint(moved).astype(np.uint16))
    manifest, _ = build(find_pairs(scans, truths).pairs, tmp_path / "ds", SETTINGS)
    record = manifest.pairs[0]
    assert record.registration["model"] == "shift"
    assert np.allclose(np.array(record.registration["matrix"])[:, 2], (-3, 2), atol=0.1)
    assert record.tone["shift"] > 5
    exact = np.median(
        [t.mse for t in manifest.tiles if not t.artefacts] or [t.mse for t in manifest.tiles]
    )
    assert exact < 60


def test_what_is_wrong_is_named_and_the_rest_is_done(pairs: Pairs, tmp_path: Path) -> None:
    scans, truths = pairs(4)
    (truths / "p0_gt.tif").unlink()
    (scans / "p1.tif").write_bytes(b"II*\0nothing")
    other = tifffile.imread(truths / "p2_gt.tif")
    tifffile.imwrite(truths / "p2_gt.tif", (other >> 8).astype(np.uint8))
    found = find_pairs(scans, truths)
    wrong = found.wrong
    manifest, failed = build(found.pairs, tmp_path / "ds", SETTINGS)
    assert ["p0.tif" in str(e) and "no ground truth" in str(e) for e in wrong] == [True]
    assert len(failed) == 2 and "p1.tif" in str(failed[0]) and "uint8" in str(failed[1])
    assert {t.photo for t in manifest.tiles} == {"p3"}


def test_another_picture_is_refused_and_nothing_is_left(pairs: Pairs, tmp_path: Path) -> None:
    scans, truths = pairs(2)
    (truths / "p1_gt.tif").replace(truths / "p0_gt.tif")
    with pytest.raises(InputError, match=r"p0\.tif.*does not align"):
        build(find_pairs(scans, truths).pairs, tmp_path / "ds", SETTINGS)
    assert not (tmp_path / "ds").exists()


def test_impossible_requests(pairs: Pairs, tmp_path: Path) -> None:
    found = find_pairs(*pairs(1)).pairs
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="already exists"):
        build(found, tmp_path / "full", SETTINGS)
    with pytest.raises(UsageError, match="no split"):
        build(found, tmp_path / "ds", replace(SETTINGS, split="random"))
    with pytest.raises(InputError, match="no such file or folder"):
        find_pairs(tmp_path / "none", tmp_path)
    with pytest.raises(InputError, match="no data set"):
        Manifest.load(tmp_path)


def test_versions_of_a_photograph_stay_together(pairs: Pairs, tmp_path: Path) -> None:
    scans, truths = pairs(3)
    for folder, end in ((scans, ""), (truths, "_gt")):
        image = tifffile.imread(folder / f"p0{end}.tif")
        tifffile.imwrite(folder / f"p0b{end}.tif", (image * 0.95).astype(np.uint16))
    manifest, _ = build(find_pairs(scans, truths).pairs, tmp_path / "ds", SETTINGS)
    families = {t.photo: t.family for t in manifest.tiles}
    assert families["p0"] == families["p0b"] != families["p1"]
    assert not any(manifest.leaks().values())


def test_empty_tiles_can_be_capped(pairs: Pairs, tmp_path: Path) -> None:
    found = find_pairs(*pairs(1)).pairs
    manifest, _ = build(found, tmp_path / "ds", replace(SETTINGS, size=48, max_empty=0.0))
    assert all(t.artefacts for t in manifest.tiles)
    assert not list(verify(manifest))


def test_verify_names_what_changed(pairs: Pairs, tmp_path: Path) -> None:
    manifest, _ = build(find_pairs(*pairs(1)).pairs, tmp_path / "ds", SETTINGS)
    a, b = manifest.path(manifest.tiles[0], "gt"), manifest.path(manifest.tiles[1], "scan")
    a.write_bytes(a.read_bytes() + b"x")
    b.rename(b.with_name("stray.png"))
    found = {(p.name, what) for p, what in verify(manifest)}
    assert found == {(a.name, "changed"), (b.name, "missing"), ("stray.png", "unlisted")}


def test_contact_sheet_stands_alone(pairs: Pairs, tmp_path: Path) -> None:
    manifest, _ = build(find_pairs(*pairs(2)).pairs, tmp_path / "ds", SETTINGS)
    text = contact_sheet(manifest, tmp_path / "sheet.html").read_text()
    assert text.count("data:image/png;base64,") >= 3 * 6
    assert "://" not in text and manifest.tiles[0].photo in text
    total = sum(n for _, n in histograms(manifest)["size"])
    assert total == sum(sum(t.artefacts.values()) for t in manifest.tiles)


def test_synthetic_tiles_differ_only_where_damaged(pairs: Pairs, tmp_path: Path) -> None:
    _, truths = pairs(3)
    model = DamageModel.load("heavy")
    how = Damaging(model, dpi=1500, size=96)
    manifest, wrong = synthesise(truths, tmp_path / "ds", how)
    again, _ = synthesise(truths, tmp_path / "ds2", how)
    assert not wrong and manifest.tiles == again.tiles
    assert sum(sum(t.artefacts.values()) for t in manifest.tiles) > 5
    tile = max(manifest.tiles, key=lambda t: t.damaged)
    source = tifffile.imread(truths / f"{tile.photo}.tif")
    x, y, w, h = tile.window
    assert np.array_equal(read_tile(manifest.path(tile, "gt")), source[y : y + h, x : x + w])
    with pytest.raises(InputError, match="resolution"):
        synthesise(truths, tmp_path / "ds3", Damaging(model, size=96))


def test_transplanted_residues_are_real_ones(pairs: Pairs, tmp_path: Path) -> None:
    scans, truths = pairs(3)
    build(find_pairs(scans, truths).pairs, tmp_path / "donors", SETTINGS)
    how = Damaging(DamageModel.load(), tmp_path / "donors", size=96, per_tile=4)
    manifest, _ = synthesise(truths, tmp_path / "ds", how)
    damaged = [t for t in manifest.tiles if t.artefacts]
    assert len(damaged) > len(manifest.tiles) / 2
    scan, gt = (read_tile(manifest.path(damaged[0], s)).astype(int) for s in ("scan", "gt"))
    assert (scan - gt).max() > 5000 and (scan - gt).min() >= -1


def test_shapes_are_told_apart() -> None:
    gt = np.full((128, 128), 90, np.uint8)
    scan = gt.copy()
    scan[10:13, 10:13] = 200  # speck
    scan[30:50, 30:50] = 200  # blob
    scan[100, 10:90] = 200  # scratch
    t = np.linspace(0, np.pi, 200)
    scan[(70 - 18 * np.sin(t)).astype(int), (90 + 18 * np.cos(t)).astype(int)] = 200  # hair
    assert measure(scan, gt).artefacts == {"blob": 1, "hair": 1, "scratch": 1, "speck": 1}


def test_manifest_of_a_later_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"version": 99}))
    with pytest.raises(InputError, match="version 99"):
        Manifest.load(tmp_path)
