"""Some hundred mutated files; `benchmarks/fuzz_readers.py` runs a hundred thousand."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest


def load():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz_readers.py"
    spec = importlib.util.spec_from_file_location("fuzz_readers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = load()


@pytest.mark.parametrize("name", fuzz.seeds())
def test_the_seeds_are_pictures(tmp_path, name) -> None:
    path = tmp_path / name
    path.write_bytes(fuzz.seeds()[name])
    assert fuzz.outcome(path) in ("agreed", "picture")


def test_mutated_files_are_pictures_or_clear_errors(tmp_path) -> None:
    counts = Counter()
    for name, data in fuzz.cases(900, seed=1):
        path = tmp_path / name
        path.write_bytes(data)
        counts[fuzz.outcome(path)] += 1
    # Both must happen, or the mutations test nothing.
    assert min(counts["agreed"], counts["refused"]) > 100
