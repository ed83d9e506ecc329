"""Fixtures and settings that all tests share."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The machine may be busy, and a failure must come again.
settings.register_profile("darkroom", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("darkroom")


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
