"""Damaged weights, manifests, receipts, presets, recipes and tables: one clear line each."""

import importlib.util
import logging
import os
from pathlib import Path

import pytest


def load():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz_tables.py"
    spec = importlib.util.spec_from_file_location("fuzz_tables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = load()


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    logging.disable()
    yield fuzz.world(folder)
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("each", [4, pytest.param(25, marks=pytest.mark.slow)])
def test_every_damaged_file_is_one_clear_line(subjects, monkeypatch, tmp_path, each):
    """`benchmarks/fuzz_tables.py` tries many more."""
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path))
    wrong = []
    counts = fuzz.sweep(subjects, each, 7, lambda name, found, data: wrong.append((name, found)))
    assert not wrong
    assert sum(counts.values()) > 50
    refused = sum(number for (_, kind), number in counts.items() if kind == "refused")
    assert refused > sum(counts.values()) / 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize(
    "name",
    ["preset", "recipe", "receipt", "weights, info", "manifest, verify", "damage model",
     "table of families", "table of pairs", "outlines", "decisions", "state dict", "checkpoint",
     "weights, to start from"],
)  # fmt: skip
def test_a_pipe_is_refused_and_not_waited_for(subjects, name):
    subject = subjects[name]
    whole = subject.path.read_bytes()
    subject.path.unlink()
    try:
        os.mkfifo(subject.path)
        found = fuzz.judge(subject, *fuzz.run(subject.words))
    finally:
        subject.path.unlink()
        subject.path.write_bytes(whole)
    assert found == "refused"
