"""Hints have one form."""

import pytest

from darkroom.errors import InputError


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("name a file", "Name a file."),
        ("Did you mean 'unet'?", "Did you mean 'unet'?"),
        ("darkroom dataset verify ds", "darkroom dataset verify ds"),
        ("Clean it again: darkroom clean a.tif", "Clean it again: darkroom clean a.tif"),
        ("--dpi gives one", "--dpi gives one."),
    ],
)
def test_hints_are_sentences(given, shown):
    assert InputError("x", hint=given).hint == shown


def test_no_hint_stays_none():
    assert InputError("x").hint is None
