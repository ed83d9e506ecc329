"""What is asked of a candidate."""

from dataclasses import replace

import numpy as np

from darkroom.geometry import Window
from darkroom.pipeline.examine import is_expected
from darkroom.scan import Tile


def test_a_repair_is_of_the_polarity_asked_for():
    change, mask = np.zeros((5, 5, 1), np.float32), np.zeros((5, 5), np.uint8)
    mask[2, 1:4] = 255
    change[2, 1:4, 0] = 0.3, -0.1, 0.2  # the scan is brighter there than its fill
    change[0, 0] = -9  # not of this component
    window = Window(0, 0, 5, 5)
    tile = Tile(window, window, change, mask, fill=np.zeros_like(change))
    turned = replace(tile, image=-change)
    assert is_expected(tile, "both")
    assert is_expected(tile, "bright")
    assert not is_expected(tile, "dark")
    assert is_expected(turned, "dark")
    assert not is_expected(turned, "bright")
