"""Upright pictures: points, windows and pixels turn alike, and back again."""

import numpy as np
import pytest

from darkroom.geometry import Window
from darkroom.review.upright import Upright

# What a viewer shows for each EXIF orientation, of a picture whose pixels are numbered.
STORED = np.arange(12).reshape(3, 4)
SHOWN = {
    1: STORED,
    2: STORED[:, ::-1],
    3: STORED[::-1, ::-1],
    4: STORED[::-1],
    5: STORED.T,
    6: STORED[::-1].T,
    7: STORED[::-1, ::-1].T,
    8: STORED[:, ::-1].T,
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_points_and_windows_agree(orientation):
    upright = Upright(4, 3, orientation)
    shown = upright.turn(STORED)
    assert np.array_equal(shown, SHOWN[orientation])
    assert upright.size == (shown.shape[1], shown.shape[0])
    for y in range(3):
        for x in range(4):
            centre = np.array([[x + 0.5, y + 0.5]])
            (sx, sy) = upright.shown(centre)[0]
            assert shown[int(sy), int(sx)] == STORED[y, x]
            assert np.allclose(upright.stored(upright.shown(centre)), centre)
    window = Window(1, 0, 3, 2)
    there = upright.shown_window(window)
    assert upright.stored_window(there) == window
    assert np.array_equal(upright.turn(STORED[window.slices]), shown[there.slices])
