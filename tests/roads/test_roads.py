"""From one's own scans to a cleaned one: every way to make a data set, trained on and used.

Each road is walked by the command line, with a network small enough to be trained here. What is
asserted is the effect: on a pair that nothing was trained on, less error is left than was there.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from darkroom.cli.main import main
from darkroom.damage.model import DamageModel, apply
from darkroom.pairs.read import read_pixels

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # for `rgbi`

RECIPE = """
arch = "unet"
[network]
widths = [8, 8, 8]
encoder = [0, 0]
decoder = [0, 0]
dilations = [1]
colour = {colour}
[train]
steps = {steps}
batch = 4
crop = 64
rate = 6e-3
warmup = 10
ema = 0.95
amp = "off"
photographs = 0.0
threads = 1
validate_every = 80
checkpoint_every = 200
tone_limit = 1.0
"""
PATCHES = """
arch = "ssda"
[network]
patch = 8
layers = [96, 96]
pretrain = [250, 100]
patches = 96
sparsity = 1e-3
[train]
steps = {steps}
batch = 4
crop = 64
rate = 3e-3
warmup = 10
schedule = "constant"
decay = 0.0
ema = 0.98
amp = "off"
negative = 0.0
photographs = 0.0
threads = 1
validate_every = {steps}
checkpoint_every = 500
tone_limit = 1.0
"""
SIDE = 192
JUDGE = () if find_spec("sklearn") else ("--no-judge",)  # fitting one needs an extra

pytestmark = pytest.mark.slow


def photograph(seed, dtype, channels):
    """Soft shapes with grain and catch-lights, (SIDE, SIDE) or (SIDE, SIDE, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((6, 6, channels)).astype(np.float32)
    image = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    image = image.reshape(SIDE, SIDE, channels) * 0.4 + 0.25
    lights = np.zeros((SIDE, SIDE), np.float32)
    for x, y in rng.integers(8, SIDE - 8, (10, 2)):
        cv2.circle(lights, (int(x), int(y)), int(rng.integers(1, 4)), 1.0, -1, cv2.LINE_AA)
    lights = cv2.GaussianBlur(lights, (0, 0), 1.2)[..., None]
    image += 0.8 * lights * (1 - image)
    image += rng.normal(0, 0.008, image.shape)
    white = np.iinfo(dtype).max
    return np.rint(image.clip(0, 1) * white).astype(dtype).squeeze()


def dusty(truth, seed):
    """The same with white specks and hairs."""
    rng = np.random.default_rng(seed + 1000)
    cover = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(14):
        x, y = (int(v) for v in rng.integers(8, SIDE - 8, 2))
        if rng.random() < 0.7:
            cv2.circle(cover, (x, y), int(rng.integers(1, 4)), 1.0, -1, cv2.LINE_AA)
        else:
            end = (x + int(rng.integers(-25, 25)), y + int(rng.integers(-25, 25)))
            cv2.line(cover, (x, y), end, 1.0, 1, cv2.LINE_AA)
    cover = cv2.GaussianBlur(cover, (0, 0), 0.6) * 0.8
    cover = cover if truth.ndim == 2 else cover[..., None]
    white = np.iinfo(truth.dtype).max
    return np.rint(truth + cover * (0.97 * white - truth)).astype(truth.dtype)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "minisblack" if image.ndim == 2 else "rgb"
    tifffile.imwrite(path, image, photometric=kind, resolution=(2400, 2400))


def make_pairs(root, dtype, channels, count=8):
    """Two rolls with the same names of files: roll1/0.tif is not roll2/0.tif."""
    for seed in range(count):
        name = f"roll{seed % 2}/{seed // 2}.tif"
        truth = photograph(seed, dtype, channels)
        write(root / "scans" / name, dusty(truth, seed))
        write(root / "truths" / name, truth)


@pytest.fixture
def darkroom(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        assert code == 0, said.err
        return said

    return run


def train_and_clean(
    darkroom, root, tmp_path, *, colour, scan, truth, steps=160, judge=JUDGE, arch="unet"
):
    """Train, calibrate, clean; returns the error left as a share of what was there."""
    recipe, weights = tmp_path / "recipe.toml", tmp_path / "w.safetensors"
    text = RECIPE if arch == "unet" else PATCHES
    recipe.write_text(text.format(colour=str(colour).lower(), steps=steps))
    darkroom("dataset", "verify", root)
    darkroom("train", "--data", root, "--recipe", recipe, "-o", weights)
    parts = ("--part", "val", "--part", "train")
    darkroom("weights", "calibrate", weights, "--data", root, *parts, *judge)
    out = tmp_path / "cleaned.tif"
    options = ("--option", f"{arch}:weights={weights}", "--max-coverage", "0.1")
    if arch == "unet":
        options += ("--option", "unet:scale=1")
    darkroom("clean", scan, "-o", out, "--backend", arch, *options)
    (before, _), (after, _), (meant, _) = (read_pixels(p) for p in (scan, out, truth))
    assert after.dtype == before.dtype
    before, after, meant = (p.astype(np.float64) for p in (before, after, meant))
    return ((after - meant) ** 2).sum() / ((before - meant) ** 2).sum()


@pytest.mark.parametrize(
    "dtype,channels,colour",
    [("uint8", 1, False), ("uint16", 1, False), ("uint16", 3, True), ("uint16", 3, False)],
)
def test_built_from_retouched_scans(darkroom, tmp_path, dtype, channels, colour):
    make_pairs(tmp_path, dtype, channels)
    root = tmp_path / "ds"
    folders = (tmp_path / "scans", tmp_path / "truths")
    darkroom("dataset", "build", *folders, "-o", root, "--size", 96, "--val", 0.25, "--test", 0)
    manifest = json.loads((root / "manifest.json").read_text())
    assert len({tile["name"] for tile in manifest["tiles"]}) == len(manifest["tiles"]) == 8 * 4
    truth = photograph(99, dtype, channels)
    write(tmp_path / "truth.tif", truth)
    write(tmp_path / "scan.tif", dusty(truth, 99))
    pair = {"scan": tmp_path / "scan.tif", "truth": tmp_path / "truth.tif"}
    assert train_and_clean(darkroom, root, tmp_path, colour=colour, **pair) < 0.9


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("uint16", 3)])
def test_patches_restored_by_an_auto_encoder(darkroom, tmp_path, dtype, channels):
    make_pairs(tmp_path, dtype, channels)
    root = tmp_path / "ds"
    folders = (tmp_path / "scans", tmp_path / "truths")
    darkroom("dataset", "build", *folders, "-o", root, "--size", 96, "--val", 0.25, "--test", 0)
    truth = photograph(99, dtype, channels)
    write(tmp_path / "truth.tif", truth)
    write(tmp_path / "scan.tif", dusty(truth, 99))
    pair = {"scan": tmp_path / "scan.tif", "truth": tmp_path / "truth.tif", "steps": 900}
    assert train_and_clean(darkroom, root, tmp_path, colour=False, arch="ssda", **pair) < 0.9


def test_synthetic(darkroom, tmp_path):
    for seed in range(8):
        write(tmp_path / "photos" / f"{seed}.tif", photograph(seed, "uint16", 3))
    root = tmp_path / "ds"
    how = ("--damage", "heavy", "--polarity", "bright", "--dpi", 1000)
    parts = ("--size", 96, "--val", 0.25, "--test", 0)
    darkroom("dataset", "synth", tmp_path / "photos", "-o", root, *how, *parts)
    truth = photograph(99, "uint16", 3)
    model = DamageModel.load("heavy", polarity="bright")
    damage = model.sample(SIDE, SIDE, 1000, seed=99)
    scan, _ = apply((truth / np.float32(65535)).astype(np.float32), damage)
    write(tmp_path / "truth.tif", truth)
    write(tmp_path / "scan.tif", np.rint(scan.clip(0, 1) * 65535).astype(np.uint16))
    pair = {"scan": tmp_path / "scan.tif", "truth": tmp_path / "truth.tif", "steps": 400}
    assert train_and_clean(darkroom, root, tmp_path, colour=True, **pair) < 0.8


def test_imported(darkroom, tmp_path):
    for seed in range(8):
        truth = photograph(seed, "uint8", 1)
        scan = dusty(truth, seed)
        part = tmp_path / "published" / ("val" if seed == 1 else "train")
        for x in range(2):
            for y in range(2):
                at = np.s_[96 * y : 96 * y + 96, 96 * x : 96 * x + 96]
                for side, image in (("scan", scan), ("gt", truth)):
                    path = part / side / f"photo{seed}{x}-{y}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(path), image[at])
    root = tmp_path / "ds"
    darkroom("dataset", "import", tmp_path / "published", "-o", root, "--val", 0.25, "--test", 0)
    truth = photograph(99, "uint8", 1)
    write(tmp_path / "truth.tif", truth)
    write(tmp_path / "scan.tif", dusty(truth, 99))
    pair = {"scan": tmp_path / "scan.tif", "truth": tmp_path / "truth.tif"}
    assert train_and_clean(darkroom, root, tmp_path, colour=False, **pair) < 0.7


def test_labelled_by_infrared(darkroom, tmp_path):
    """No retoucher: the network learns from infrared, and cleans a scan that has none."""
    from rgbi import Scanner, as_seen, make_frame, write_vuescan

    scanner, look = Scanner(0.002, shift=(0.6, -0.35)), {"amount": 6.0, "smears": 0, "scale": 1.0}
    frames = [
        make_frame(photograph(n, "uint8", 3), "slide", scanner, seed=n, **look) for n in range(7)
    ]
    (tmp_path / "scans").mkdir()
    for n, frame in enumerate(frames[:-1]):
        write_vuescan(tmp_path / "scans" / f"{n}.tif", frame)
    root, held = tmp_path / "ds", frames[-1]
    how = ("--labels", "infrared", "--size", 96, "--val", 0.3, "--test", 0)
    darkroom("dataset", "build", tmp_path / "scans", "-o", root, *how)
    for name, linear in (("scan", held.damaged), ("truth", held.clean)):
        seen = as_seen(linear[..., :3], held.encoded)
        write(tmp_path / f"{name}.tif", np.rint(seen * 65535).astype(np.uint16))
    pair = {"scan": tmp_path / "scan.tif", "truth": tmp_path / "truth.tif", "steps": 400}
    # Six frames hold too few candidates to fit a judge on that lets anything pass.
    how = {"colour": True, "judge": ("--no-judge",)}
    assert train_and_clean(darkroom, root, tmp_path, **how, **pair) < 0.9
