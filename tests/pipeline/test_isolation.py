"""Backends that misbehave are refused by name, and cost only the files that ask for them."""

from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from backends import BlurRestorer, Picky, RingMean, TopHat, engine
from darkroom.errors import BackendError
from darkroom.options import CleanOptions
from darkroom.pipeline.engine import Engine, load_backend
from darkroom.pipeline.memory import clean_array
from darkroom.plugins.manager import GROUP, Plugins
from darkroom.protocols import BackendSpec, Device, Restoration

SMOOTH = CleanOptions(grain="none")


@pytest.fixture
def scan(rng):
    image = rng.normal(20_000, 300, (150, 180, 1))
    image[60:63, 70:74] = image[100:103, 20:24] = 60_000
    return image.astype(np.uint16)


class Answer(TopHat):
    """A detector whose answer is spoilt."""

    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def detect(self, tile, stats):
        return self.spoil(super().detect(tile, stats))


def with_one(value):
    def spoil(score):
        score = score.astype(np.float32)
        score[-1, -1] = value
        return score

    return spoil


def leave(score):
    raise SystemExit(3)


def interrupt(score):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (with_one(np.nan), "a score that is not finite"),
        (with_one(-np.inf), "a score that is not finite"),
        (lambda score: score[:-1], "of shape"),
        (lambda score: score.tolist(), "that is a list"),
        (lambda score: None, "that is a NoneType"),
        (leave, "SystemExit: 3"),
        (interrupt, "KeyboardInterrupt"),
    ],
)
def test_a_score_that_is_none_is_refused_by_name(scan, spoil, words):
    wrong = Engine(Answer(spoil), RingMean(), Device(), "spoilt", "mean")
    options = CleanOptions(backend="spoilt", grain="none")
    with pytest.raises(BackendError, match=f"backend 'spoilt' .*{words}"):
        clean_array(scan, options, engine=wrong)


def test_a_fill_that_is_none_is_refused_by_name(scan):
    class Hole(RingMean):
        def fill(self, crop):
            return np.full_like(crop.image, np.nan)

    class Black(BlurRestorer):
        def restore(self, tiles, stats):
            fills = [np.full_like(tile.image, np.inf) for tile in tiles]
            return [
                Restoration(self.detect(t, stats), f) for t, f in zip(tiles, fills, strict=True)
            ]

    class Short(BlurRestorer):
        def restore(self, tiles, stats):
            return super().restore(tiles, stats)[:-1]

    with pytest.raises(BackendError, match="backend 'hole' gave a fill that is not finite"):
        clean_array(scan, SMOOTH, engine=Engine(TopHat(), Hole(), Device(), "tophat", "hole"))
    for finder, words in ((Black(), "a fill that is not finite"), (Short(), "0 answers for 1")):
        with pytest.raises(BackendError, match=words):
            clean_array(scan, SMOOTH, engine=Engine(finder, None, Device()))


def test_a_judge_and_thresholds_must_be_numbers(scan):
    class Unsure(Picky):
        def judge(self, crop, stats, sensitivity):
            return float("nan")

    class Boundless(TopHat):
        def thresholds(self, sensitivity):
            return float("nan"), 0.5

    for finder, words in ((Unsure(), "a confidence that is not"), (Boundless(), "thresholds that")):
        with pytest.raises(BackendError, match=words):
            clean_array(scan, SMOOTH, engine=engine(finder))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit(2)", "SystemExit: 2"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import time; time.sleep(60)", "does not finish loading within 0.5 s"),
        ("def make(options, *, device): return 7", "does not make a inpainter"),
    ],
)
def test_a_backend_that_cannot_load_is_an_error(tmp_path, monkeypatch, request, code, words):
    name = f"bad_{abs(hash(request.node.name)) % 10**9}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DARKROOM_LOAD_SECONDS", "0.5")
    spec = BackendSpec("inpainter", "bad", f"{name}:make", "bad")
    with pytest.raises(BackendError, match=words):
        load_backend(spec, CleanOptions(), Device())


def test_a_plugin_that_changes_the_working_directory_does_not_move_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moving_plugin.py").write_text("import os\nos.chdir('/')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = Plugins([EntryPoint("moving", "moving_plugin", GROUP)])
    assert plugins.records[0].state == "active"
    assert Path.cwd() == tmp_path


def test_a_damaged_entry_points_file_costs_its_package_only(tmp_path, monkeypatch):
    for name, text in (
        ("harmless", "this is [[[ no entry point\nx = \n"),
        ("broken", "[darkroom.plugins]\nthis is no entry point line\n[[[\nx = \n"),
    ):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(text)
    half = tmp_path / "half_removed-2.0.dist-info"
    half.mkdir()
    (half / "entry_points.txt").write_text("[darkroom.plugins]\nhalf = plugin_for_tests\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = Plugins()
    records = {record.name: record for record in plugins.records}
    assert "classical" in plugins.backends and "tophat" in plugins.backends
    assert records["half"].dist == "half_removed" and records["half"].state == "active"
    assert "harmless" not in records
    assert records["broken"].state == "failed" and "is damaged" in records["broken"].error
