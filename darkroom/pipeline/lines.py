"""Line scratches within a run: looked for beside any backend, painted into its mask."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.io.scratch import Spool
from darkroom.options import CleanOptions
from darkroom.pipeline.plan import Plan
from darkroom.pipeline.progress import Progress, ordered_map
from darkroom.scan import Bytes, Float, FrameStats, Scan
from darkroom.scratches.evidence import BAND
from darkroom.scratches.find import find_scratches
from darkroom.scratches.lines import LineScratch

BARS = (2.5, 0.5, -1.0)  # log-odds asked for at sensitivities 0, 50 and 100
WANTED = -1.5  # what they change by where the user says that there are scratches
LEAST_SIDE = 800  # pixels; on less an edge of the picture cannot be told from a scratch


def line_scratches(
    scan: Scan,
    codec: Codec,
    stats: FrameStats,
    options: CleanOptions,
    plan: Plan,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> list[LineScratch]:
    """The line scratches of a scan, as far as `options` want any.

    Args:
        scan: the pixels.
        codec: their encoding.
        stats: of the frame.
        options: `scratches` says whether, `sensitivity` how readily. The polarity of dust
            says nothing of scratches: they are bright or dark by the side of the film they are on.
        plan: rows at a time and threads.
        pool: threads.
        progress: told of the pass over the frame.
    """
    frame, channels = stats.frame, scan.info.channels
    small = min(frame.width, frame.height) < LEAST_SIDE
    if options.scratches == "off" or (small and options.scratches == "auto"):
        return []
    progress.stage("looking for line scratches", frame.area)
    left = frame.area

    def read(window: Window) -> Float:
        nonlocal left
        done = min(left, window.area)  # candidates are looked at again, which is not counted
        left -= done
        progress.advance(done)
        return codec.encode(scan.read(window)[..., :channels])

    bar = float(np.interp(options.sensitivity, (0, 50, 100), BARS))
    if options.scratches == "on":
        bar += WANTED
    # Bands under way at once follow the rows that the plan has memory for; the result does not.
    ahead = max(1, min(plan.jobs + 1, 2 * plan.band // BAND))

    def spread(work: Callable[[Any], Any], items: Any) -> Iterator[Any]:
        return ordered_map(pool, work, items, ahead)

    return find_scratches(read, frame, stats.noise, bar=bar, spread=spread)


class Painted(Protocol):
    """What knows its own pixels."""

    def windows(self) -> Iterator[Window]:
        """Windows inside the frame that hold all of them."""

    def mask(self, window: Window) -> Bytes:
        """uint8 (H, W) over a window: 255 where one is."""


def paint(lines: Sequence[Painted], mask: Spool) -> int:
    """Add scratches to the frame's mask; gives the pixels that no artefact had marked yet."""
    added = 0
    for line in lines:
        for window in line.windows():
            old, new = mask.read(window)[..., 0], line.mask(window)
            added += int(np.count_nonzero(new > old))
            mask.write(window, np.maximum(old, new))
    return added
