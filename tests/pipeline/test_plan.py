"""How a scan is cut into tiles."""

from pathlib import Path

import numpy as np
import pytest

from backends import TopHat, engine
from darkroom.options import MachineOptions
from darkroom.pipeline.plan import make_plan
from darkroom.scan import ScanInfo

WIDE = ScanInfo(Path("a.tif"), "tiff", 30_000, 20_000, 3, np.dtype(np.uint16), photometric="rgb")


def tallest(plan):
    """Rows of the second tile of the second row, halo included."""
    row = list(plan.grid.row(1))
    return row[1].read.height


@pytest.mark.parametrize("rows", [159, 144, 100])
def test_tiles_are_no_higher_than_what_the_reader_holds(rows):
    finder = TopHat(multiple_of=16)
    assert tallest(make_plan(WIDE, engine(finder), MachineOptions())) == 160
    assert rows - 16 < tallest(make_plan(WIDE, engine(finder), MachineOptions(), rows)) <= rows


def test_a_size_of_tile_that_was_asked_for_is_taken():
    plan = make_plan(WIDE, engine(TopHat()), MachineOptions(tile=512), 300)
    assert plan.grid.side == 512
