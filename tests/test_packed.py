"""Packed masks come back bit for bit, and damage to them is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.errors import InputError
from darkroom.packed import pack, unpack


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 600),
    seed=st.integers(0, 99),
    cut=st.integers(1, 300),
)
def test_round_trip(width, height, seed, cut):
    mask = np.random.default_rng(seed).random((height, width)) < 0.05
    mask = mask.astype(np.uint8) * 255
    text = pack(mask[y : y + cut] for y in range(0, height, cut))
    rows = list(unpack(text, width, height))
    assert [y for y, _ in rows] == list(range(0, height, 256))
    assert np.array_equal(np.concatenate([band for _, band in rows]), mask)


def test_nearly_empty_mask_is_small():
    mask = np.zeros((3000, 4000), np.uint8)
    mask[100:110, 200:260] = 255
    assert len(pack([mask])) < 4000


@pytest.mark.parametrize("damage", ["cut", "letters", "size", "empty"])
def test_damage_is_said(damage):
    mask = np.random.default_rng(1).integers(0, 2, (50, 40), np.uint8)
    text, size = pack([mask]), (40, 50)
    if damage == "cut":
        text = text[: len(text) // 8 * 4]
    if damage == "letters":
        text = "?" + text[1:]
    if damage == "size":
        size = (40, 49)
    if damage == "empty":
        text = ""
    with pytest.raises(InputError, match="packed mask"):
        list(unpack(text, *size))
