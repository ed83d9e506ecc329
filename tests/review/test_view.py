"""Scans look right: linear, 16 bits, with a profile, negative."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from darkroom.codec import Codec
from darkroom.review.view import View, difference
from darkroom.scan import ColorProfile, Encoding, ScanInfo


def view_of(dtype, channels=3, icc=None, encoding=Encoding.GAMMA, photometric="rgb"):
    profile = ColorProfile(icc, encoding)
    info = ScanInfo(
        Path("x"), "tiff", 4, 4, channels, np.dtype(dtype), photometric=photometric, profile=profile
    )
    return View.of(Codec.of(info))


def shown(view, samples, mode="plain"):
    return view.show(view.encode(samples), mode)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_encoded_samples_are_shown_as_they_are(dtype):
    top = np.iinfo(dtype).max
    samples = (np.arange(256)[None, :, None] * (top // 255)).astype(dtype).repeat(3, 2)
    assert np.array_equal(shown(view_of(dtype), samples)[0, :, 0], np.arange(256))


def test_linear_samples_are_encoded():
    middle = np.full((1, 1, 3), round(0.2140 * 65535), np.uint16)  # half grey on sRGB's curve
    assert abs(int(shown(view_of(np.uint16, encoding=Encoding.LINEAR), middle)[0, 0, 0]) - 128) <= 1


def test_profile_is_honoured():
    green = np.array([[[0, 40000, 0]]], np.uint16)
    plain = shown(view_of(np.uint16), green)
    adobe = shown(view_of(np.uint16, icc=imagecodecs.cms_profile("adobergb")), green)
    assert adobe[0, 0, 1] > plain[0, 0, 1]  # Adobe RGB's green is greener than a screen can show
    same = shown(view_of(np.uint16, icc=imagecodecs.cms_profile("srgb")), green)
    assert np.array_equal(same, plain)


def test_grey_profile():
    linear = imagecodecs.cms_profile("gray", gamma=1.0)
    middle = np.full((1, 1, 1), round(0.2140 * 65535), np.uint16)
    view = view_of(np.uint16, 1, icc=linear, photometric="minisblack")
    assert abs(int(shown(view, middle)[0, 0, 0]) - 128) <= 2


def test_unusable_profile_is_named_and_left_out():
    view = view_of(np.uint16, icc=b"nonsense" * 20)
    assert view.icc is None and "profile" in view.note
    assert shown(view, np.full((1, 1, 3), 65535, np.uint16)).max() == 255


def test_positive_takes_the_orange_away():
    rng = np.random.default_rng(4)
    scene = rng.random((60, 60, 1)) * np.ones(3)  # grey, of all brightnesses
    negative = 10 ** (-1.2 * scene) * [0.85, 0.45, 0.22]  # density follows the scene
    view = view_of(np.uint16)
    shades = view.encode((negative * 65535).astype(np.uint16))
    view.learn(shades)
    positive = view.show(shades, "positive").astype(int)
    assert np.abs(positive - positive.mean(axis=2, keepdims=True)).max() <= 6
    assert np.corrcoef(positive[..., 0].ravel() ** 0.5, scene[..., 0].ravel())[0, 1] > 0.99


def test_float_and_miniswhite():
    assert shown(view_of(np.float32), np.full((1, 1, 3), 0.5, np.float32))[0, 0, 0] in (127, 128)
    white = view_of(np.uint8, 1, photometric="miniswhite")
    assert shown(white, np.zeros((1, 1, 1), np.uint8))[0, 0, 0] == 255


def test_difference_is_black_where_nothing_changed():
    before = np.full((2, 2, 3), 30000, np.uint16)
    after = before.copy()
    after[0, 0] += 2570  # ten levels of 255
    apart = difference(before, after)
    assert abs(int(apart[0, 0, 0]) - 80) <= 1 and not apart[1].any()
