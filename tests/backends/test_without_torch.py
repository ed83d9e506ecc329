"""torch takes two seconds to import: what runs on a processor does without it."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

# Together they take three seconds to import, and a small picture less than one.
HEAVY = {"torch", "kornia", "sklearn", "skimage", "scipy", "psutil"}


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.png"
    pixels = np.random.default_rng(0).normal(30_000, 400, (192, 192))
    pixels[40:44, 30:60] = 60_000
    cv2.imwrite(str(path), pixels.astype(np.uint16))
    return path


def loaded(*arguments):
    """Names of packages that a command has loaded when it is done."""
    code = (
        "import json, sys\n"
        "from darkroom.cli.main import run\n"
        "try: run()\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_cleaning_as_by_default_imports_no_torch(scan, tmp_path):
    modules = loaded("clean", scan, "-o", tmp_path / "out.png", "--quiet")
    assert (tmp_path / "out.png").exists()
    assert "onnxruntime" in modules
    assert not modules & HEAVY


def test_help_imports_no_library_of_images():
    modules = loaded("--help")
    assert not modules & (HEAVY | {"numpy", "cv2", "scipy", "onnxruntime"})
