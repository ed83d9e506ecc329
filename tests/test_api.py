"""The public functions, and the example in the documentation."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import darkroom
from darkroom.errors import OutputError, UsageError

DOCS = Path(__file__).resolve().parents[1] / "docs" / "api.md"


@pytest.fixture
def scan(tmp_path):
    rng = np.random.default_rng(5)
    pixels = rng.normal(20_000, 300, (200, 260, 3))
    for y, x in zip(rng.integers(10, 190, 12), rng.integers(10, 250, 12), strict=True):
        pixels[y : y + 4, x : x + 3] = 60_000
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, pixels.astype(np.uint16), photometric="rgb")
    return path


def test_the_example_of_the_documentation_runs(scan, monkeypatch, capsys):
    monkeypatch.chdir(scan.parent)
    code = re.search(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)[1]
    exec(compile(code, str(DOCS), "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("12 artefacts, 1.")
    assert printed[-1] == "(48, 64, 3)"
    assert (scan.parent / "scan_clean.tif.mask.png").exists()


def test_without_an_output_nothing_is_written(scan):
    receipt = darkroom.clean(str(scan), backend="classical", sensitivity=60)
    assert receipt.artefacts == 12 and receipt.output is None
    assert [path.name for path in scan.parent.iterdir()] == ["scan.tif"]


def test_errors_are_those_of_the_program(scan):
    with pytest.raises(OutputError, match="input of this run"):
        darkroom.clean(scan, scan, backend="classical", overwrite=True)
    with pytest.raises(UsageError, match="sensitivity"):
        darkroom.detect(scan, sensitivity=101)
    with pytest.raises(AttributeError, match="no attribute 'wash'"):
        darkroom.wash  # noqa: B018


def test_importing_it_imports_next_to_nothing():
    code = (
        "import sys, darkroom; print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'numpy', 'torch', 'cv2', 'tifffile', 'typer', 'pluggy'}), darkroom.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"[] {darkroom.__version__}\n"
