"""`clean_file` on real files: what is written, what is kept, what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import plugin_for_tests
import pytest
import tifffile
from PIL import Image

from darkroom.errors import InputError, OutputError, SafetyError, UsageError
from darkroom.options import CleanOptions, MachineOptions, OutputOptions
from darkroom.pipeline import clean
from darkroom.pipeline.request import Request
from darkroom.plugins.manager import GROUP, Plugins

OPTIONS = CleanOptions(backend="tophat", grain="none")
ICC = b"\0\0\2\0" + b"test" * 127  # 512 bytes that only have to come through


@pytest.fixture(scope="module")
def plugins():
    return Plugins([EntryPoint("tests", "plugin_for_tests", GROUP)])


@pytest.fixture
def pixels(rng):
    image = rng.normal(20_000, 600, (240, 320, 3))
    for _ in range(25):
        y, x = rng.integers(2, 230), rng.integers(2, 310)
        image[y : y + 4, x : x + 3] = 62_000
    return image.clip(0, 65535).astype(np.uint16)


@pytest.fixture
def scan(tmp_path, pixels):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(
        path,
        pixels,
        photometric="rgb",
        resolution=(4000, 4000),
        resolutionunit="INCH",
        iccprofile=ICC,
        software="VueScan 9",
        extratags=[(271, 2, 0, "Nikon", True), (65000, 4, 2, (7, 9), True)],
        metadata=None,
    )
    return path


def clean_file(source, target, options, **wishes):
    return clean.clean_file(source, target, Request(options, **wishes))


def detect_file(source, mask, options, **wishes):
    return clean.detect_file(source, mask, Request(options, **wishes))


def folder(path):
    return {p.name: p.read_bytes() for p in path.iterdir()}


def test_a_tiff_comes_out_whole(scan, pixels, tmp_path, plugins):
    before = scan.read_bytes()
    out = tmp_path / "out.tif"
    receipt = clean_file(scan, out, OPTIONS, plugins=plugins, output=OutputOptions(save_mask=True))
    assert scan.read_bytes() == before
    with tifffile.TiffFile(out) as tif:
        page, result = tif.pages[0], tif.asarray()
        tags = {t.code: t.value for t in page.tags.values()}
    mask = np.asarray(Image.open(tmp_path / "out.tif.mask.png"))
    assert result.dtype == pixels.dtype
    assert (result[mask == 0] == pixels[mask == 0]).all()
    assert (result[mask > 0] != pixels[mask > 0]).any(axis=1).mean() > 0.9
    assert tags[34675] == ICC
    assert tags[282] == (4000, 1)
    assert tags[305].startswith("VueScan 9")
    assert tags[271] == "Nikon"
    assert tags[65000] == (7, 9)
    stored = json.loads((tmp_path / "out.tif.receipt.json").read_text())
    assert stored == json.loads(receipt.as_json())
    assert stored["untouched_before"] == stored["untouched_after"]
    assert stored["artefacts"] == receipt.artefacts >= 20
    assert stored["masked_pixels"] == (mask > 0).sum()
    assert stored["changed_pixels"] == (result != pixels).any(axis=2).sum()
    assert stored["backend"] == "tophat"
    assert stored["inpainter"] == "mean"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", ["alpha", "infrared"])
def test_extra_samples_are_carried(tmp_path, pixels, plugins, kind):
    extra = (np.arange(240 * 320).reshape(240, 320, 1) % 65536).astype(np.uint16)
    four = np.concatenate([pixels, extra], axis=2)
    path = tmp_path / "four.tif"
    samples = ["unassalpha"] if kind == "alpha" else ["unspecified"]
    tifffile.imwrite(path, four, photometric="rgb", extrasamples=samples, metadata=None)
    receipt = clean_file(path, tmp_path / "out.tif", OPTIONS, plugins=plugins)
    result = tifffile.imread(tmp_path / "out.tif")
    assert receipt.changed_pixels > 0
    assert (result[..., 3] == four[..., 3]).all()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_depth_and_channels_stay(tmp_path, pixels, plugins, suffix, bits, channels):
    import imagecodecs

    image = pixels if channels == 3 else pixels[..., 0]
    image = image if bits == 16 else (image >> 8).astype(np.uint8)
    path = tmp_path / f"in{suffix}"
    if suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(image)))
    else:
        tifffile.imwrite(path, image, metadata=None)
    out = tmp_path / f"out{suffix}"
    clean_file(path, out, OPTIONS, plugins=plugins)
    data = out.read_bytes()
    result = imagecodecs.png_decode(data) if suffix == ".png" else tifffile.imread(out)
    assert result.shape == image.shape
    assert result.dtype == image.dtype
    assert 0 < (result != image).mean() < 0.05


def test_layers(scan, pixels, tmp_path, plugins):
    out = tmp_path / "out.tif"
    clean_file(scan, out, OPTIONS, plugins=plugins, output=OutputOptions(layers=True))
    with tifffile.TiffFile(out) as tif:
        result, mask, difference = (page.asarray() for page in tif.pages)
        names = [page.description for page in tif.pages[1:]]
    assert names == ["darkroom mask", "darkroom difference"]
    assert (difference == np.abs(result.astype(int) - pixels)).all()
    assert not difference[mask == 0].any()
    with pytest.raises(UsageError, match="layers"):
        clean_file(
            scan, tmp_path / "o.png", OPTIONS, plugins=plugins, output=OutputOptions(layers=True)
        )


def test_mask_in_and_areas_excluded(scan, pixels, tmp_path, plugins):
    mask, exclude = np.zeros((2, 240, 320), np.uint8)
    mask[100:110, 50:80] = 255
    exclude[:, :60] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(exclude).save(tmp_path / "exclude.png")
    output = OutputOptions(mask=tmp_path / "mask.png", exclude=tmp_path / "exclude.png")
    clean_file(scan, tmp_path / "out.tif", OPTIONS, plugins=plugins, output=output)
    changed = (tifffile.imread(tmp_path / "out.tif") != pixels).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max()) == (100, 109)
    assert (columns.min(), columns.max()) == (60, 79)


def test_detect_writes_a_mask_and_nothing_else(scan, tmp_path, plugins):
    there = set(folder(tmp_path))
    receipt = detect_file(scan, tmp_path / "m.png", OPTIONS, plugins=plugins)
    assert set(folder(tmp_path)) - there == {"m.png"}
    assert receipt.output is None
    mask = np.asarray(Image.open(tmp_path / "m.png"))
    assert set(np.unique(mask)) == {0, 255}
    output = OutputOptions(mask=tmp_path / "m.png", save_mask=tmp_path / "again.png")
    clean_file(scan, tmp_path / "out.tif", OPTIONS, plugins=plugins, output=output)
    assert (np.asarray(Image.open(tmp_path / "again.png")) == mask).all()


def test_dry_run_writes_nothing(scan, tmp_path, plugins):
    there = folder(tmp_path)
    receipt = clean_file(
        scan, tmp_path / "o.tif", OPTIONS, plugins=plugins, output=OutputOptions(dry_run=True)
    )
    assert receipt.artefacts >= 20
    assert folder(tmp_path) == there


def test_what_would_lose_something_is_refused(scan, tmp_path, plugins):
    (tmp_path / "there.tif").write_bytes(b"precious")
    small = tmp_path / "small.png"
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(small)
    before = folder(tmp_path)

    def refused(error, match, target="o.tif", options=OPTIONS, **output):
        with pytest.raises(error, match=match):
            clean_file(
                scan, tmp_path / target, options, plugins=plugins, output=OutputOptions(**output)
            )
        assert folder(tmp_path) == before

    refused(OutputError, "already exists", "there.tif")
    refused(OutputError, "input", "scan.tif", overwrite=True)
    refused(OutputError, "input", save_mask=scan, overwrite=True)
    refused(InputError, "9 x 9", mask=small)
    refused(SafetyError, "max-coverage", options=replace(OPTIONS, max_coverage=1e-4))
    refused(OutputError, "folder", "nowhere/o.tif")
    refused(UsageError, "cannot write", "o.xyz")


def test_overwrite_replaces(scan, tmp_path, plugins):
    out = tmp_path / "out.tif"
    out.write_bytes(b"old")
    clean_file(scan, out, OPTIONS, plugins=plugins, output=OutputOptions(overwrite=True))
    assert tifffile.imread(out).shape == (240, 320, 3)


def test_a_plugin_that_fails_afterwards_is_a_warning(scan, tmp_path, plugins):
    receipt = clean_file(scan, tmp_path / "a.tif", OPTIONS, plugins=plugins)
    assert plugin_for_tests.HEARD[-1].output == str(tmp_path / "a.tif")
    assert receipt.warnings == []
    source = scan.rename(tmp_path / "raise.tif")
    receipt = clean_file(source, tmp_path / "b.tif", OPTIONS, plugins=plugins)
    assert receipt.warnings == ["plugin tests: RuntimeError: a plugin's own fault"]
    assert (tmp_path / "b.tif").exists()


CHILD = """
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
sys.path.insert(0, {here!r})
from darkroom.options import *
from darkroom.pipeline.clean import clean_file
from darkroom.plugins.manager import GROUP, Plugins
print("ready", flush=True)
from darkroom.pipeline.request import Request
receipt = clean_file(Path(sys.argv[1]), Path(sys.argv[2]), Request(
    CleanOptions(backend="tophat", grain="none"),
    plugins=Plugins([EntryPoint("tests", "plugin_for_tests", GROUP)]),
    machine=MachineOptions(max_memory=int(sys.argv[3])),
))
print(receipt.peak_memory)
"""


def child(source, target, memory=2**31):
    code = CHILD.format(here=str(Path(__file__).parent))
    arguments = [sys.executable, "-c", code, str(source), str(target), str(memory)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_at_any_moment_no_output_and_the_source_intact(tmp_path, rng):
    source, target = tmp_path / "big.tif", tmp_path / "out.tif"
    tifffile.imwrite(source, rng.integers(8000, 9000, (1500, 2000), np.uint16), metadata=None)
    before = source.read_bytes()
    started = time.monotonic()
    assert child(source, target).wait() == 0
    whole = time.monotonic() - started
    target.unlink()
    for share in (0.3, 0.6, 0.8, 0.9):
        process = child(source, target)
        process.stdout.readline()
        time.sleep(share * whole * 0.7)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert source.read_bytes() == before
        if target.exists():
            assert tifffile.imread(target).shape == (1500, 2000)
            target.unlink()


def test_memory_stays_under_the_budget(tmp_path):
    """24 MP of 16-bit RGB (137 MiB decoded) in 200 MiB, most of which is Python and libraries."""
    source = tmp_path / "wide.tif"
    rows = np.random.default_rng(0).integers(9000, 9500, (64, 12_000, 3), np.uint16)
    tifffile.imwrite(
        source,
        np.tile(rows, (31, 1, 1)),
        photometric="rgb",
        rowsperstrip=64,
        compression="zlib",
        compressionargs={"level": 1},
        metadata=None,
    )
    budget = 200 * 2**20
    process = child(source, tmp_path / "out.tif", budget)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert int(out.split()[-1]) < budget


def test_machine_options_never_change_the_bytes(scan, tmp_path, plugins):
    outputs = []
    for i, machine in enumerate([MachineOptions(), MachineOptions(tile=64, jobs=3)]):
        path = tmp_path / f"{i}.tif"
        clean_file(scan, path, OPTIONS, plugins=plugins, machine=machine)
        outputs.append(path.read_bytes())
    assert outputs[0] == outputs[1]
