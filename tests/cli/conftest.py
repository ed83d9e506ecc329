"""The real program, in this process or in a fresh one, with the good fixture plugin installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from darkroom.cli.main import main
from darkroom.plugins import manager

sys.path.insert(0, str(Path(__file__).parent))  # for helpers that tests share
FIXTURES = Path(__file__).resolve().parent.parent / "plugins_fixture"


class Result:
    """What one command line gave."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def records(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def darkroom(monkeypatch, capfd, tmp_path):
    """Runs a command line in this process."""
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.syspath_prepend(str(FIXTURES / "good"))
    manager.installed.cache_clear()

    def run(*arguments):
        code = main([str(a) for a in arguments])
        return Result(code, *capfd.readouterr())

    yield run
    manager.installed.cache_clear()
    for name in [name for name in sys.modules if name.startswith("fixture_")]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def fixtures():
    """The folder of fixture plugins."""
    return FIXTURES


@pytest.fixture
def program(tmp_path):
    """Runs a command line in a fresh process, with the named fixture plugins."""

    def run(*arguments, plugins=("good",), **settings):
        paths = os.pathsep.join(str(FIXTURES / name) for name in plugins)
        env = os.environ | {"PYTHONPATH": paths, "DARKROOM_HOME": str(tmp_path / "home")}
        env |= settings.pop("env", {})
        command = [sys.executable, "-m", "darkroom.cli.main", *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=env, check=False, **settings
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def picture(seed=7, height=90, width=120, spots=6):
    """uint16 grey: a smooth ramp with fine noise and a few bright specks."""
    rng = np.random.default_rng(seed)
    image = np.linspace(12_000, 30_000, width)[None].repeat(height, 0)
    image += rng.normal(0, 150, image.shape)
    for y, x in zip(
        rng.integers(10, height - 10, spots), rng.integers(10, width - 10, spots), strict=True
    ):
        image[y : y + 3, x : x + 3] = 60_000
    return image.astype(np.uint16)


@pytest.fixture
def scan(tmp_path):
    """Writes a scan with specks."""

    def make(name="scan.tif", **settings):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, picture(**settings), photometric="minisblack")
        return path

    return make
