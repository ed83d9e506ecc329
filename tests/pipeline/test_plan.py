"""How a scan is cut into tiles."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

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


@pytest.mark.parametrize("megabytes", [190, 260])
def test_a_budget_is_kept_or_refused(tmp_path, megabytes):
    """Measured on a process of its own, which takes some 120 MiB before it begins."""
    rows = np.random.default_rng(0).integers(9000, 9500, (64, 6000, 3), np.uint16)
    rows[20:24, 100:104] = 60_000
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, np.tile(rows, (20, 1, 1)), photometric="rgb", compression="zlib")
    code = (
        "import sys, darkroom; from darkroom.pipeline.plan import peak_rss\n"
        "try: darkroom.clean(sys.argv[1], sys.argv[2], backend='classical', max_coverage=1,"
        " max_memory=sys.argv[3])\n"
        "except darkroom.errors.UsageError as error: print('refused', error.hint)\n"
        "else: print(peak_rss())"
    )
    command = [sys.executable, "-c", code, source, tmp_path / "b.tif", f"{megabytes}MiB"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused It needs about") or int(done.stdout) < megabytes << 20
