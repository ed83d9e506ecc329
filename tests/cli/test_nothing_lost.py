"""No source is ever overwritten, and outputs, masks and receipts belong together."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from darkroom.io.atomic import AtomicFile, temporary_name
from darkroom.io.together import JOURNAL_ENDING, commit_together, put_right
from darkroom.pipeline.job import mask_path
from darkroom.pipeline.receipt import load_receipt, unpack_mask

TOPHAT = ("--backend", "tophat", "--grain", "none")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def unharmed(darkroom):
    """Runs `clean` and asserts that no source has changed; returns the result."""

    def run(sources, *arguments):
        before = {path: digest(path) for path in sources}
        result = darkroom("clean", *arguments, *TOPHAT)
        assert {path: digest(path) for path in sources} == before
        return result

    return run


def test_a_recursive_batch_never_writes_over_its_own_sources(unharmed, scan, tmp_path):
    sources = scan("roll/a.tif"), scan("roll/sub/a.tif", seed=8)
    roll = tmp_path / "roll"
    result = unharmed(sources, "-r", roll, "-o", roll / "sub", "--overwrite")
    assert "is an input of this run" in result.err
    assert result.code == 1  # roll/sub/a.tif itself went to roll/sub/sub/a.tif
    assert (roll / "sub" / "sub" / "a.tif").exists()


def test_one_scan_is_not_written_over_another_of_the_batch(unharmed, scan, tmp_path):
    sources = scan("r1/a.tif"), scan("r2/a.tif", seed=8)
    result = unharmed(sources, *sources, "-o", tmp_path / "r2", "--overwrite")
    assert result.code == 1 and result.err.count("is an input of this run") == 2
    sources = scan("r3/a.tif"), scan("r3/a_clean.tif", seed=8)
    assert unharmed(sources, *sources, "--overwrite").code == 1


@pytest.mark.parametrize("kind", ["symlink", "hard link", "folder link", "spelling"])
def test_no_spelling_or_link_leads_to_a_source(unharmed, scan, tmp_path, kind):
    source, other = scan("a/one.tif"), scan("b/two.tif", seed=8)
    out = tmp_path / "out"
    out.mkdir()
    target = out / "two.tif"
    if kind == "symlink":
        target.symlink_to(source)
    elif kind == "hard link":
        os.link(source, target)
    elif kind == "folder link":
        (tmp_path / "again").symlink_to(tmp_path / "a")
        target = tmp_path / "again" / "one.tif"
    else:
        target = tmp_path / "b" / ".." / "a" / "one.tif"
    result = unharmed([source, other], other, "-o", target, "--overwrite", "--exclude", source)
    assert result.code == 1 and "is an input of this run" in result.err


def test_masks_and_receipts_do_not_lead_to_sources_either(unharmed, scan, tmp_path):
    source = scan("a.tif")
    mask = tmp_path / "m.png"
    Image.fromarray(np.zeros((90, 120), np.uint8)).save(mask)
    for wish in (f"--save-mask={source}", f"--save-mask={mask}"):
        result = unharmed([source, mask], source, "--mask", mask, wish, "--overwrite")
        assert result.code == 1 and "is an input of this run" in result.err


def test_of_files_with_one_stem_each_keeps_its_own(darkroom, scan, tmp_path):
    source = scan("roll/a.tif")
    pixels = np.asarray(Image.open(source)) >> 8
    for suffix in ("png", "jpg"):
        Image.fromarray(pixels.astype(np.uint8)).save(source.with_suffix(f".{suffix}"))
    result = darkroom("clean", tmp_path / "roll", "-o", tmp_path / "out", "--save-mask", *TOPHAT)
    assert result.code == 0, result.err
    made = ("a.png", "a.tif", "a_jpg.tif")
    endings = ("", ".mask.png", ".receipt.json")
    assert names(tmp_path / "out") == sorted(n + e for n in made for e in endings)
    assert load_receipt(tmp_path / "out" / "a_jpg.tif.receipt.json").source.endswith("a.jpg")
    result = darkroom("detect", tmp_path / "roll", *TOPHAT[:2])
    assert result.code == 0, result.err
    masks = [f"a.{suffix}.mask.png" for suffix in ("jpg", "png", "tif")]
    assert [n for n in names(tmp_path / "roll") if "mask" in n] == masks


def test_a_receipt_says_which_files_and_holds_the_mask(darkroom, scan, tmp_path):
    source = scan("a.tif")
    out = tmp_path / "out" / "b.tif"
    assert darkroom("clean", source, "-o", out, "--save-mask", *TOPHAT).code == 0
    receipt = load_receipt(tmp_path / "out" / "b.tif.receipt.json")
    for part, path in (("source", source), ("output", out), ("mask", mask_path(out))):
        entry = receipt.files[part]
        assert (out.parent / entry["path"]).samefile(path)
        assert entry["sha256"] == digest(path)
    mask = np.concatenate([rows for _, rows in unpack_mask(receipt.packed_mask)])
    assert (mask == np.asarray(Image.open(f"{out}.mask.png"))).all() and mask.any()
    assert len(receipt.numeric["processor"].split()) == 2, receipt.numeric
    assert "numpy" in receipt.numeric["libraries"]


def test_a_mask_saved_under_a_name_can_be_saved_again(darkroom, scan, tmp_path):
    source, mask = scan("a.tif"), tmp_path / "m.png"
    for _ in range(2):
        wishes = ("--save-mask", mask, "--overwrite")
        assert darkroom("clean", source, *TOPHAT, *wishes).code == 0
    result = darkroom("clean", source, *TOPHAT, "--save-mask", scan("b.tif"), "--overwrite")
    assert result.code == 2 and "mask to write or a scan to read" in result.err
    out = tmp_path / "same.png"
    result = darkroom("clean", source, "-o", out, f"--save-mask={out}", *TOPHAT)
    assert result.code == 1 and "two outputs" in result.err


CHANGING = """
import sys, time
from pathlib import Path
from darkroom.cli.main import main
import darkroom.pipeline.clean as clean
real = clean.write
def write(job, *rest):
    done = real(job, *rest)
    {change}
    return done
clean.write = write
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "change",
    ["job.source.write_bytes(job.source.read_bytes()[:-1] + b'x')", "job.source.unlink()"],
)
def test_a_source_that_changes_meanwhile_is_an_error(scan, tmp_path, fixtures, change):
    source, env = scan("a.tif"), os.environ | {"PYTHONPATH": str(fixtures / "good")}
    code = CHANGING.format(change=change)
    command = [sys.executable, "-c", code, "clean", str(source), "-o", f"{tmp_path}/out/", *TOPHAT]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 3 and "changed while it was worked on" in done.stderr, done.stderr
    assert names(tmp_path / "out") == []


KILLED = """
import os, sys
from darkroom.cli.main import main
import darkroom.io.atomic as atomic, darkroom.io.together
steps, real = iter(range(99)), atomic.give_name
def give_name(old, new, **rest):
    if not new.name.endswith("journal") and next(steps) == {step}:
        os._exit(9)
    real(old, new, **rest)
atomic.give_name = give_name
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("old", [False, True])
def test_killed_between_names_the_next_run_finishes(scan, tmp_path, fixtures, darkroom, step, old):
    source, out = scan("a.tif"), tmp_path / "out"
    wishes = ["clean", source, "-o", f"{out}/", "--save-mask", *TOPHAT]
    if old:
        assert darkroom(*wishes, "--polarity", "dark").code == 0
        (out / "a.tif.receipt.json").write_text("{}")
        wishes.append("--overwrite")
    env = os.environ | {"PYTHONPATH": str(fixtures / "good")}
    command = [sys.executable, "-c", KILLED.format(step=step), *map(str, wishes)]
    assert subprocess.run(command, env=env, capture_output=True, check=False).returncode == 9
    wishes = [wish for wish in wishes if wish != "--overwrite"]
    result = darkroom(*wishes, "--skip-existing")
    assert result.code == 0, result.err
    assert "a run that was killed had written it" in result.err and "skipped" in result.err
    assert names(out) == ["a.tif", "a.tif.mask.png", "a.tif.receipt.json"]
    receipt = load_receipt(out / "a.tif.receipt.json")
    for part, name in (("output", "a.tif"), ("mask", "a.tif.mask.png")):
        assert receipt.files[part]["sha256"] == digest(out / name)


def test_stale_temporary_files_go_and_those_in_use_stay(tmp_path):
    stale = temporary_name(tmp_path / "a.tif")
    stale.write_bytes(b"half a scan")
    foreign = tmp_path / ".a.tif.0123456789ab.tmp"
    foreign.write_bytes(b"of another program")
    with AtomicFile(tmp_path / "b.tif") as live:
        code = (
            "import sys; from pathlib import Path; from darkroom.io.together import put_right;"
            "print(put_right(Path(sys.argv[1])))"
        )
        command = [sys.executable, "-c", code, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.count("removed") == 1 and stale.name in done.stdout
        live.file.write(b"whole")
        live.commit()
    assert names(tmp_path) == sorted([foreign.name, "b.tif"])


def test_a_journal_can_only_name_files_of_ours(tmp_path):
    precious, victim = tmp_path / "precious.txt", tmp_path / "victim.txt"
    precious.write_text("mine")
    journal = temporary_name(tmp_path / "x", JOURNAL_ENDING)
    journal.write_text(json.dumps({"renames": [[str(precious), str(victim), True]]}))
    put_right(tmp_path)
    assert names(tmp_path) == ["precious.txt"]


def test_of_several_outputs_none_appears_if_one_cannot(tmp_path):
    first, second = AtomicFile(tmp_path / "a"), AtomicFile(tmp_path / "b")
    (tmp_path / "a").write_text("came meanwhile")
    with first, second, pytest.raises(Exception, match="already exists"):
        commit_together([first, second])
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "came meanwhile"


def test_operands_that_are_no_use_cost_only_themselves(darkroom, scan, tmp_path):
    good = scan("a.tif")
    long = tmp_path / ("x" * 250 + ".tif")
    result = darkroom("clean", long, tmp_path / "no" / "such.tif", good, *TOPHAT, "--json")
    assert [record["status"] for record in result.records] == ["failed", "failed", "done"]
    assert "bug" not in result.out
    result = darkroom("clean", good, "-o", "-", *TOPHAT)
    assert result.code == 2 and "standard output" in result.err


def test_a_name_too_long_for_its_output(darkroom, scan):
    source = scan("y" * 246 + ".tif")
    result = darkroom("clean", source, *TOPHAT)
    assert result.code == 1 and "bug" not in result.err and "name" in result.err


def test_a_folder_is_searched_with_a_word_on_what_is_passed_over(darkroom, scan, tmp_path):
    roll = tmp_path / "roll"
    for name in ("a.tif", "._a.tif", "@eaDir/thumb.tif", "deep/b.tif", "deep/.hidden/c.tif"):
        scan(f"roll/{name}")
    first = darkroom("clean", "-r", roll, "-o", roll / "done", *TOPHAT)
    assert first.code == 0 and "2 files: 2 done" in first.err
    assert "1 hidden files" in first.err and "2 folders of other programs" in first.err
    second = darkroom("clean", "-r", roll, "-o", roll / "done", *TOPHAT, "--skip-existing")
    assert "2 files: 2 skipped" in second.err and "2 files that darkroom made" in second.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_named(darkroom, scan, tmp_path):
    scan("roll/a.tif"), scan("roll/shut/b.tif")
    (tmp_path / "roll" / "shut").chmod(0)
    result = darkroom("clean", "-r", tmp_path / "roll", *TOPHAT)
    (tmp_path / "roll" / "shut").chmod(0o755)
    assert result.code == 1 and "shut: this folder cannot be read" in result.err


@pytest.mark.parametrize("pattern", ["roll [1]/*.tif", "roll [1]/a[[]2].tif", "roll [1]/a[2].tif"])
def test_brackets_in_names_match_themselves(darkroom, scan, tmp_path, pattern):
    scan("roll [1]/a[2].tif")
    result = darkroom("clean", tmp_path / pattern, "--dry-run", *TOPHAT)
    assert result.code == 0, result.err


def test_data_sets_and_reports_are_not_made_over_their_sources(darkroom, scan, tmp_path):
    sources = scan("own/scan/a.tif"), scan("own/gt/a.tif", spots=0)
    before = [digest(path) for path in sources]
    scans, truths = tmp_path / "own" / "scan", tmp_path / "own" / "gt"
    (tmp_path / "own" / "manifest.json").write_text("{}")  # looks like a data set to replace
    wishes = ("-o", tmp_path / "own", "--overwrite")
    for command in (("build", scans, truths), ("synth", truths)):
        result = darkroom("dataset", *command, *wishes)
        assert result.code == 1 and "is an input of this run" in result.err, result.err
    result = darkroom("compare", scans, truths, "--backend", "tophat", "-o", sources[0])
    assert result.code == 1 and "is a file" in result.err
    assert [digest(path) for path in sources] == before


REPLACING = """
import os, pathlib, sys
from darkroom.cli.main import main
steps, real = iter(range(99)), pathlib.Path.rename
def rename(self, target):
    if next(steps) == {step}:
        os._exit(9)
    return real(self, target)
pathlib.Path.rename = rename
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_data_set_that_is_replaced_is_never_lost(darkroom, scan, tmp_path, step):
    """Killed before either rename and after both: one of the two sets is there, and whole."""
    for number in range(3):
        scan(f"own/scan/{number}.tif", seed=number)
        scan(f"own/gt/{number}.tif", seed=number, spots=0)
    own, ds = tmp_path / "own", tmp_path / "ds"
    wishes = ["dataset", "build", own / "scan", own / "gt", "-o", ds, "--size"]
    assert darkroom(*wishes, 32).code == 0
    old = digest(ds / "manifest.json")
    command = [sys.executable, "-c", REPLACING.format(step=step), *map(str, wishes)]
    killed = subprocess.run([*command, "48", "--overwrite"], capture_output=True, check=False)
    assert killed.returncode == (9 if step < 2 else 0)
    again = darkroom(*wishes, 48)
    assert "already exists" in again.err
    assert ("removed; a run that was killed" in again.err) == (step < 2), again.err
    assert (digest(ds / "manifest.json") == old) == (step == 0)
    assert darkroom("dataset", "verify", ds).code == 0
    assert names(tmp_path) == ["ds", "home", "own"] or names(tmp_path) == ["ds", "own"]


def test_two_processes_do_not_make_one_data_set(darkroom, scan, tmp_path):
    scan("own/scan/a.tif"), scan("own/gt/a.tif", spots=0)
    own, ds = tmp_path / "own", tmp_path / "ds"
    wishes = ("dataset", "build", own / "scan", own / "gt", "-o", ds, "--size", 48)
    held = (
        "from darkroom.dataset.folder import new_folder as f; from pathlib import Path; import sys"
    )
    hold = f"{held}\nwith f(Path(sys.argv[1]), resumable=True): print('in', flush=True); input()"
    command = [sys.executable, "-c", hold, str(ds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"in\n"
        (ds / ".parts").mkdir()
        result = darkroom(*wishes, "--overwrite")
        other.stdin.close()
    assert result.code == 1 and "another process is writing into it" in result.err, result.err
