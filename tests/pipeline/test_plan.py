"""How a scan is cut into tiles."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends import TopHat, engine
from darkroom.errors import UsageError
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


@pytest.mark.parametrize("share", [0.95, 0.7, 0.5])
def test_where_memory_is_short_tiles_shrink_no_more_than_they_must(share):
    finder = TopHat(multiple_of=16)
    machine = MachineOptions(jobs=1, tile=2048)
    sides = []
    for budget in range(64, 4096, 16):  # MiB
        try:
            plan = make_plan(WIDE, engine(finder), replace(machine, max_memory=budget * 2**20))
        except UsageError:
            continue
        sides.append(plan.grid.side)
    assert sides == sorted(sides)
    assert sides[-1] == 2048
    near = min(sides, key=lambda side: abs(side - share * 2048))
    assert abs(near - share * 2048) < 0.1 * 2048
