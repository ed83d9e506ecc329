"""`darkroom clean` and `darkroom detect` as a user meets them."""

import hashlib
import json

import numpy as np
import pytest
import tifffile
from PIL import Image

BASE = ("--backend", "tophat", "--grain", "none", "--max-coverage", "10%")


def clean(darkroom, *arguments):
    return darkroom("clean", *arguments, *BASE)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_one_scan_gets_a_clean_one_beside_it_with_a_receipt(darkroom, scan):
    source = scan()
    before = digest(source)
    result = clean(darkroom, source)
    assert result.code == 0, result.err
    assert result.out == ""
    assert names(source.parent) == ["scan.tif", "scan_clean.tif", "scan_clean.tif.receipt.json"]
    assert digest(source) == before
    old, new = tifffile.imread(source), tifffile.imread(source.with_name("scan_clean.tif"))
    assert new.dtype == old.dtype and new.shape == old.shape
    assert 0 < (old != new).mean() < 0.05
    assert new.max() < 45_000 < old.max()
    assert "artefacts" in result.err and "scan_clean.tif" in result.err


def test_an_output_folder_keeps_names_and_folders(darkroom, scan, tmp_path):
    scan("roll/a.tif"), scan("roll/deep/b.tif", seed=8)
    result = clean(darkroom, tmp_path / "roll", "-r", "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert [n for n in names(tmp_path / "out") if n.endswith(".tif")] == ["a.tif", "deep/b.tif"]


def test_a_folder_is_not_searched_deeply_unless_asked(darkroom, scan, tmp_path):
    scan("roll/a.tif"), scan("roll/deep/b.tif")
    result = clean(darkroom, tmp_path / "roll", "--json", "--dry-run")
    assert [r["source"] for r in result.records] == [str(tmp_path / "roll/a.tif")]


def test_patterns_are_expanded_and_each_file_is_done_once(darkroom, scan, tmp_path):
    scan("a1.tif"), scan("a2.tif"), scan("b.tif")
    pattern = tmp_path / "a*.tif"
    result = clean(darkroom, pattern, tmp_path / "a1.tif", "--json", "--dry-run")
    assert [r["source"][-6:] for r in result.records] == ["a1.tif", "a2.tif"]


def test_own_outputs_in_a_folder_are_not_cleaned_again(darkroom, scan, tmp_path):
    source = scan("roll/a.tif")
    assert clean(darkroom, source, "--save-mask").code == 0
    result = clean(darkroom, tmp_path / "roll", "--json", "--dry-run")
    assert [r["source"] for r in result.records] == [str(source)]


def test_png_stays_png_and_jpeg_becomes_tiff_with_the_reason(darkroom, tmp_path):
    grey = np.full((60, 80), 90, np.uint8)
    grey[20:23, 30:33] = 250
    Image.fromarray(grey).save(tmp_path / "p.png")
    Image.fromarray(grey).save(tmp_path / "j.jpg", quality=95)
    result = clean(darkroom, tmp_path / "p.png", tmp_path / "j.jpg")
    assert result.code == 0, result.err
    assert {"p_clean.png", "j_clean.tif"} <= set(names(tmp_path))
    assert "change every pixel" in result.err


def test_an_existing_output_is_refused_replaced_or_skipped(darkroom, scan):
    source = scan()
    target = source.with_name("scan_clean.tif")
    target.write_bytes(b"precious")
    refused = clean(darkroom, source)
    assert refused.code == 1 and "already exists" in refused.err
    assert "hint: " in refused.err and target.read_bytes() == b"precious"
    skipped = clean(darkroom, source, "--skip-existing", "--json")
    assert skipped.code == 0 and skipped.records[0]["status"] == "skipped"
    assert target.read_bytes() == b"precious"
    assert clean(darkroom, source, "--overwrite").code == 0
    assert target.read_bytes() != b"precious"
    assert clean(darkroom, source, "--overwrite", "--skip-existing").code == 2


def test_the_source_is_never_the_output(darkroom, scan):
    source = scan()
    before = digest(source)
    for output in (source, source.parent):
        result = clean(darkroom, source, "-o", output, "--overwrite")
        assert result.code == 1 and "scan.tif" in result.err
        assert digest(source) == before


def test_a_batch_goes_on_after_a_bad_file_and_lists_it(darkroom, scan, tmp_path):
    good, last = scan("a.tif"), scan("c.tif")
    bad = tmp_path / "b.tif"
    bad.write_text("not a picture at all")
    result = clean(darkroom, good, bad, last, tmp_path / "missing.tif")
    assert result.code == 1
    assert {"a_clean.tif", "c_clean.tif"} <= set(names(tmp_path))
    assert result.err.splitlines()[-2:] == [f"failed: {bad}", f"failed: {tmp_path / 'missing.tif'}"]
    assert "4 files: 2 done, 2 failed" in result.err


def test_json_is_one_record_a_file_on_stdout_and_nothing_else(darkroom, scan, tmp_path):
    result = clean(darkroom, scan(), tmp_path / "missing.tif", "--json")
    done, failed = result.records
    assert done["status"] == "done" and done["artefacts"] > 0
    assert done["untouched_before"] == done["untouched_after"]
    assert failed["status"] == "failed" and failed["exit_code"] == 3
    assert "missing.tif" in failed["error"]


def test_quiet_says_nothing_but_errors(darkroom, scan, tmp_path):
    assert clean(darkroom, scan(), "--quiet").err == ""
    result = clean(darkroom, tmp_path / "missing.tif", "--quiet")
    assert result.err.startswith("error: ") and "missing.tif" in result.err


def test_one_bad_file_alone_gives_its_own_exit_code(darkroom, scan, tmp_path):
    assert clean(darkroom, tmp_path / "missing.tif").code == 3
    assert clean(darkroom, tmp_path / "*.nothing").code == 3
    (tmp_path / "empty").mkdir()
    assert clean(darkroom, tmp_path / "empty").code == 3
    refused = darkroom("clean", scan(), "--backend", "tophat", "--max-coverage", "0.001%")
    assert refused.code == 5 and "max-coverage" in refused.err
    assert not scan().with_name("scan_clean.tif").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--backend", "tophta"), 4, "Did you mean 'tophat'?"),
        (("--inpainter", "tophat"), 4, "not inpainter"),
        (("--preset", "heavy-damge"), 2, "Did you mean 'heavy-damage'?"),
        (("--preset", "none.toml"), 3, "no such file"),
        (("--sensitivity", "140"), 2, "not between 0 and 100"),
        (("--min-size", "wide"), 2, "not a length"),
        (("--max-memory", "lots"), 2, "not a memory size"),
        (("--max-coverage", "300%"), 2, "not a share"),
        (("--polarity", "up"), 2, "polarity"),
        (("--option", "tophat"), 2, "BACKEND:KEY=VALUE"),
        (("--sensitivty", "3"), 2, "--sensitivity"),
        (("--device", "cuda:99"), 4, "cuda:99"),
    ],
)
def test_wrong_requests_are_told_in_one_line(darkroom, scan, arguments, code, text):
    source = scan()
    result = darkroom("clean", source, *(() if "--backend" in arguments else BASE[:2]), *arguments)
    assert result.code == code, result.err
    lines = result.err.splitlines()
    assert lines[0].startswith("error: ") and text in result.err
    assert len(lines) <= 2 and (len(lines) == 1 or lines[1].startswith("hint: "))
    assert names(source.parent) == ["scan.tif"]


def test_flags_win_over_the_preset(darkroom, scan, tmp_path):
    preset = tmp_path / "mine.toml"
    preset.write_text(
        'backend = "tophat"\nsensitivity = 20\nseed = 4\nmax_coverage = 0.1\ngrain = "none"\n'
    )
    result = darkroom("clean", scan(), "--preset", preset, "--sensitivity", "60", "--json")
    assert result.code == 0, result.err
    options = result.records[0]["options"]
    assert (options["backend"], options["sensitivity"], options["seed"]) == ("tophat", 60, 4)
    assert result.records[0]["preset"] == "mine"
    assert len(result.records[0]["preset_digest"]) == 64


def test_backend_options_reach_the_backend(darkroom, scan):
    found = {}
    for size in ("3", "15"):
        result = clean(darkroom, scan(), "--option", f"tophat:size={size}", "--dry-run", "--json")
        found[size] = result.records[0]["artefacts"]
    assert found["3"] < found["15"]  # a kernel the size of the specks sees none of them


def test_dry_run_writes_nothing(darkroom, scan):
    source = scan()
    result = clean(darkroom, source, "--dry-run", "--save-mask", "--json")
    assert result.code == 0 and result.records[0]["artefacts"] > 0
    assert names(source.parent) == ["scan.tif"]


def test_save_mask_with_and_without_a_name(darkroom, scan, tmp_path):
    source = scan()
    assert clean(darkroom, source, "--save-mask").code == 0
    assert "scan_clean.tif.mask.png" in names(tmp_path)
    wanted = tmp_path / "where.png"
    assert clean(darkroom, source, "--save-mask", wanted, "--overwrite").code == 0
    mask = np.asarray(Image.open(wanted))
    assert set(np.unique(mask)) == {0, 255}
    ambiguous = clean(darkroom, "--save-mask", source)
    assert ambiguous.code == 2 and "--save-mask=FILE" in ambiguous.err


def test_a_given_mask_is_repaired_exactly(darkroom, scan, tmp_path):
    source = scan(spots=0)
    mask = np.zeros((90, 120), np.uint8)
    mask[40:44, 50:58] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    result = clean(darkroom, source, "--mask", tmp_path / "m.png")
    assert result.code == 0, result.err
    changed = tifffile.imread(source) != tifffile.imread(tmp_path / "scan_clean.tif")
    assert changed[mask > 0].any() and not changed[mask == 0].any()
    small = scan("small.tif", height=50)
    assert clean(darkroom, small, "--mask", tmp_path / "m.png").code == 3


def test_layers_are_result_mask_and_difference(darkroom, scan, tmp_path):
    assert clean(darkroom, scan(), "--layers").code == 0
    with tifffile.TiffFile(tmp_path / "scan_clean.tif") as tiff:
        result, mask, difference = (page.asarray() for page in tiff.pages)
    before = tifffile.imread(tmp_path / "scan.tif").astype(int)
    assert (np.abs(result - before) == difference).all()
    assert (difference[mask == 0] == 0).all() and mask.any()


def test_detect_writes_a_mask_and_only_that(darkroom, scan, tmp_path):
    source = scan("s/scan.tif")
    result = darkroom("detect", source, "--backend", "tophat")
    assert result.code == 0, result.err
    assert names(source.parent) == ["scan.tif", "scan.tif.mask.png"]
    assert set(np.unique(np.asarray(Image.open(source.with_name("scan.tif.mask.png"))))) == {0, 255}
    assert darkroom("detect", source, "--backend", "tophat", "-o", tmp_path / "m").code == 0
    assert names(tmp_path / "m") == ["scan.tif.mask.png"]


def test_two_scans_never_write_the_same_output(darkroom, scan, tmp_path):
    scan("a/x.tif"), scan("b/x.tif", seed=9)
    result = clean(darkroom, tmp_path / "a/x.tif", tmp_path / "b/x.tif", "-o", tmp_path / "out")
    assert result.code == 1 and "is also that of" in result.err
    assert [n for n in names(tmp_path / "out") if n.endswith("tif")] == ["x.tif"]


def test_several_inputs_need_a_folder(darkroom, scan, tmp_path):
    result = clean(darkroom, scan("a.tif"), scan("b.tif"), "-o", tmp_path / "one.tif")
    assert result.code == 2 and "folder" in result.err


def test_a_folder_that_cannot_be_written_loses_nothing(darkroom, scan, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("x")
    result = clean(darkroom, scan(), "-o", f"{blocker}/deeper/")
    assert result.code == 1 and "cannot be made" in result.err


def test_hooks_hear_of_every_cleaned_scan(darkroom, scan, tmp_path, monkeypatch):
    monkeypatch.setenv("FIXTURE_LOG", str(tmp_path / "log"))
    source = scan()
    assert clean(darkroom, source).code == 0
    name, artefacts = json.loads((tmp_path / "log").read_text())
    assert name == str(source) and artefacts > 0
