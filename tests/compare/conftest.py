"""Small pairs of scans and ground truths, and the backends of the good fixture plugin."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small_pairs import make_pair, write

from darkroom.compare.run.backend import _engine, code_digest
from darkroom.plugins import manager

FIXTURES = Path(__file__).resolve().parent.parent / "plugins_fixture"


@pytest.fixture
def pairs(tmp_path):
    """Folder with scan/ and gt/: six patches of three photographs."""
    root = tmp_path / "pairs"
    for i in range(6):
        name = f"photo{'abc'[i // 2]}{i % 2}-{i}.png"
        scan, truth = make_pair(i)
        write(root / "scan" / name, scan)
        write(root / "gt" / name, truth)
    return root


@pytest.fixture
def tophat(monkeypatch, tmp_path):
    """The fixture plugin's backend `tophat` is installed."""
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(FIXTURES / "good"))
    caches = (manager.installed, _engine, code_digest)
    for cached in caches:
        cached.cache_clear()
    yield "tophat"
    for cached in caches:
        cached.cache_clear()
