"""Fixtures and settings that all tests share."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The machine may be busy, and a failure must come again.
settings.register_profile("darkroom", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("darkroom")


# A shell ignores Ctrl-C for what it starts in the background, and darkroom would too, as asked.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).resolve().parent
# Tests that took half a second of processor time or more, as `pytest --durations` tells on a quiet
# machine; a test may also carry the marker itself.
SLOW = frozenset((TESTS / "slow.txt").read_text("utf-8").split())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is known to take long, and what wants the film data set."""
    for item in items:
        name = f"{item.path.relative_to(TESTS).as_posix()}::{item.nodeid.partition('::')[2]}"
        if name.partition("[")[0] in SLOW:
            item.add_marker("slow")
        if {"shared", "browser"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("external")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20190)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the paper's data; tests that want it skip where it is absent."""
    root = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("DARKROOM_SHARED", root.parent / "shared"))
    if not (folder / "film" / "photos.tsv").is_file():
        pytest.skip("the film data set is not on this machine (set DARKROOM_SHARED)")
    return folder


def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A file system in memory, for as long as a test lasts; skips where that needs more rights."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(("size=1m", *options)), "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        done = False
    if not done:
        pytest.skip("a file system cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    yield from mounted(tmp_path / "disk")


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that not even root may write to."""
    yield from mounted(tmp_path / "sealed", "ro")
