"""Modelled scans with infrared, small enough for tests; made once."""

import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # for `rgbi`

from rgbi import Scanner, bundled_photos, make_frame


@cache
def cached_frame(kind, noise, shift, amount, smears, photo, seed):
    picture = bundled_photos()[photo][:240, :340]
    scanner = Scanner(noise, shift=shift)
    settings = {"amount": amount, "smears": smears, "scale": 1.5, "seed": seed}
    return make_frame(picture, kind, scanner, **settings)


@pytest.fixture(scope="session")
def frame():
    """Makes a frame of 360 x 510 pixels."""

    def make(
        kind="slide", noise=0.002, shift=(0.6, -0.35), amount=3.0, smears=1, photo="coffee", seed=4
    ):
        return cached_frame(kind, noise, shift, amount, smears, photo, seed)

    return make
