"""Disks that fill up, folders that are sealed, and sources that vanish: one clear line each."""

import hashlib
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from darkroom.errors import InputError
from darkroom.io import open_scan
from darkroom.pipeline.batch import clean_batch
from darkroom.pipeline.inputs import find_scans
from darkroom.pipeline.request import Request


class Quiet:
    """A reporter that keeps what became of each file."""

    def __init__(self, before_end=lambda outcome: None):
        self.outcomes, self._before_end = [], before_end

    def begin(self, source):
        pass

    def stage(self, name, total_pixels):
        pass

    def advance(self, pixels):
        pass

    def message(self, text):
        pass

    def end(self, outcome):
        self.outcomes.append(outcome)
        self._before_end(outcome)


def noise(path, shape=(700, 900, 3)):
    pixels = np.random.default_rng(1).normal(30000, 2000, shape).astype(np.uint16)
    tifffile.imwrite(path, pixels, photometric="rgb")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_full_disk_at_the_output(darkroom, tmp_path, small_disk) -> None:
    before = noise(tmp_path / "a.tif")
    result = darkroom("clean", tmp_path / "a.tif", "-o", f"{small_disk}/")
    assert result.code == 1
    assert "no space left" in result.err and "hint:" in result.err
    assert list(small_disk.iterdir()) == []
    assert digest(tmp_path / "a.tif") == before


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_a_full_disk_under_temporary_files(darkroom, tmp_path, small_disk, suffix) -> None:
    """A JPEG is decoded into a mapped file, where a full disk must not end the process."""
    noise(tmp_path / "a.tif", (1400, 1600, 3))
    if suffix == ".jpg":
        pixels = tifffile.imread(tmp_path / "a.tif") >> 8
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.jpg", quality=10)
    source = tmp_path / f"a{suffix}"
    before = digest(source)
    result = darkroom("clean", source, "-o", tmp_path / "out.tif", "--scratch", small_disk)
    assert result.code == 1 and "no space left" in result.err
    assert not (tmp_path / "out.tif").exists()
    assert digest(source) == before


def test_a_read_only_folder(darkroom, tmp_path, read_only_disk) -> None:
    before = noise(tmp_path / "a.tif", (60, 80, 3))
    result = darkroom("clean", tmp_path / "a.tif", "-o", f"{read_only_disk}/")
    assert result.code == 1 and "no permission to write into this folder" in result.err
    assert digest(tmp_path / "a.tif") == before
    result = darkroom("clean", tmp_path / "a.tif", "-o", f"{read_only_disk}/deeper/")
    assert result.code == 1 and "cannot be made" in result.err


def test_a_source_that_vanishes_before_its_turn(tmp_path) -> None:
    for name in "abc":
        noise(tmp_path / f"{name}.tif", (60, 80, 3))
    reporter = Quiet(lambda outcome: (tmp_path / "b.tif").unlink(missing_ok=True))
    items = find_scans([tmp_path])
    clean_batch(items, str(tmp_path / "out") + "/", Request(), reporter=reporter)
    status = {outcome.source.name: outcome.status for outcome in reporter.outcomes}
    assert status == {"a.tif": "done", "b.tif": "failed", "c.tif": "done"}
    error = next(o.error for o in reporter.outcomes if o.error)
    assert error.exit_code == 3 and "no such file" in str(error)
    assert {p.name for p in (tmp_path / "out").glob("*.tif")} == {"a.tif", "c.tif"}


def test_an_open_source_may_be_deleted(tmp_path) -> None:
    noise(tmp_path / "a.tif")
    pixels = tifffile.imread(tmp_path / "a.tif")
    with open_scan(tmp_path / "a.tif") as scan:
        (tmp_path / "a.tif").unlink()
        assert np.array_equal(scan.read(scan.info.window), pixels)


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".png"])
def test_an_open_source_that_is_cut_short_is_an_error(tmp_path, suffix) -> None:
    """Also where it is decoded from memory that a file backs, which would end the process."""
    path = tmp_path / f"a{suffix}"
    pixels = np.random.default_rng(1).integers(0, 255, (600, 800, 3), np.uint8)
    if suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb", compression="packbits", rowsperstrip=600)
    else:
        Image.fromarray(pixels).save(path)
    with open_scan(path, cache_bytes=1 << 16) as scan:
        with path.open("r+b") as file:
            file.truncate(5000)
        with pytest.raises(InputError, match=r"shorter|truncated|cut short"):
            scan.read(scan.info.window)


def test_a_source_that_another_program_is_replacing(darkroom, tmp_path) -> None:
    """The file under the name changes; what was opened is what is cleaned, whole."""
    noise(tmp_path / "a.tif", (200, 300, 3))
    shutil.copy(tmp_path / "a.tif", tmp_path / "new.tif")
    pixels = tifffile.imread(tmp_path / "a.tif")
    with open_scan(tmp_path / "a.tif") as scan:
        (tmp_path / "new.tif").replace(tmp_path / "a.tif")
        assert np.array_equal(scan.read(scan.info.window), pixels)
