"""What darkroom makes of a file of each layout, as the columns of the table in docs/formats.md.

Tests compare every cell of the page; `python docs/generate.py --layouts` writes it anew.
"""

import subprocess
import sys
import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
import tifffile
from layouts import LAYOUTS, Expected, Layout
from pictures import copy_scan
from PIL import Image
from threadpoolctl import threadpool_limits

from darkroom.errors import DarkroomError
from darkroom.io import open_infrared, open_scan

# The large pictures take 38 MiB (one sample of 16 bits) to 153 MiB; camera raw needs less to tell.
SMALL, LARGE, LARGE_RAW = (60, 80), (4000, 5000), (1600, 2000)
CACHE = 4 << 20  # bytes of decoded pixels that a reader may keep in the streaming check
STREAMS_BELOW = 36 << 20  # bytes of growth
TRIES = 3
PNG_TAGS = (271, 272)


@dataclass
class Cells:
    """One row of the table; None where there is nothing to find."""

    opens: bool = False
    infrared: bool | None = None
    exact: bool = False
    tags: bool | None = None
    streams: bool | None = None


def developed(path: Path) -> np.ndarray:
    """What LibRaw itself makes of a camera's file, in one thread: X-Trans differs with several."""
    with rawpy.imread(str(path)) as raw, threadpool_limits(1, user_api="openmp"):
        pixels = raw.postprocess(
            use_camera_wb=True, no_auto_bright=True, gamma=(1, 1), output_bps=16, user_flip=0
        )
    return pixels.reshape(*pixels.shape[:2], -1)


def check(layout: Layout, folder: Path) -> Cells:
    """Write a file, read it, copy it through the writer, and look at all of it."""
    path = folder / layout.name
    expected = layout.write(path, SMALL)
    try:
        return _look(path, expected, folder / f"copy-{layout.name}")
    except DarkroomError:
        return Cells(infrared=None if expected.infrared is None else False)


def _look(path: Path, expected: Expected, copy: Path) -> Cells:
    target = copy.with_suffix(".png" if path.suffix == ".png" else ".tif")
    truth = developed(path) if expected.pixels is None else expected.pixels
    copy_scan(path, target)
    exact = True
    for name in (path, target):
        with open_scan(name) as scan:
            exact &= np.array_equal(scan.read(scan.info.window), truth)
    found = None
    if expected.infrared is not None:
        found = _infrared(path) is not None and np.array_equal(_infrared(path), expected.infrared)
        if expected.where != "file":  # that stays where it is
            carried = _infrared(target)
            found = found and carried is not None and np.array_equal(carried, expected.infrared)
    tags = _kept(target, expected.tags) if expected.tags else None
    return Cells(True, found, exact, tags)


def _infrared(path: Path) -> np.ndarray | None:
    with open_scan(path) as scan:
        plane = open_infrared(scan.info)
        if plane is None:
            return None
        with plane:
            return plane.read(plane.info.window)[..., 0]


def _kept(path: Path, tags: dict[int, Any]) -> bool:
    """Whether another reader finds each tag with its value."""
    if path.suffix == ".png":
        exif = Image.open(path).getexif()
        return all(exif.get(code) == value for code, value in tags.items() if code in PNG_TAGS)
    with tifffile.TiffFile(path) as tif:
        found = tif.pages[0].tags
        return all(code in found and found[code].value == value for code, value in tags.items())


def growth(path: Path) -> int:
    """Bytes by which a fresh process grows at most while it reads a file in bands of rows.

    Raises:
        RuntimeError: the process failed.
    """
    command = [sys.executable, __file__, "--read", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return int(done.stdout)


def streams(layout: Layout, folder: Path) -> bool:
    """Whether a large file of the layout is read in memory that its size does not decide.

    On a busy machine the thread that hands pages back may come late, so a second try is allowed.
    """
    path = folder / f"large-{layout.name}"
    layout.write(path, LARGE_RAW if layout.title.startswith("Camera raw") else LARGE)
    try:
        return any(growth(path) < STREAMS_BELOW for _ in range(TRIES))
    finally:
        path.unlink()


def _read(path: Path) -> int:
    """Growth of the peak of this process, from before the file is opened, in bytes."""
    from darkroom.geometry import bands

    before = _status("VmRSS")
    with open_scan(path, cache_bytes=CACHE) as scan:
        for window in bands(scan.info.width, scan.info.height, 64):
            scan.read(window)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    """A figure of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
BEGIN, END = "<!-- layouts: python docs/generate.py --layouts -->", "<!-- end of layouts -->"
HEADER = "| layout | opens | infrared found | pixels exact | tags kept | streams |"
WORDS = {True: "yes", False: "no", None: "–"}


def table() -> str:
    """The table of the page, every cell measured now."""
    lines = [HEADER, "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as name:
        for layout in LAYOUTS:
            cells = check(layout, Path(name))
            cells.streams = streams(layout, Path(name))
            words = [WORDS[value] for value in astuple(cells)]
            lines.append(f"| {' | '.join([layout.title, *words])} |")
    return "\n".join(lines) + "\n"


def documented() -> dict[str, Cells]:
    """The rows of the table as it stands in the page."""
    text = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    values = {word: value for value, word in WORDS.items()}
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {title: Cells(*(values[word] for word in words)) for title, *words in rows[2:]}


if __name__ == "__main__":
    sys.stdout.write(str(_read(Path(sys.argv[2]))))
