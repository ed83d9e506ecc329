"""What the finder says of a scan under review: how sure it is, and what it would find otherwise."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from darkroom.geometry import Window, bands
from darkroom.io.scratch import Spool
from darkroom.options import OutputOptions
from darkroom.pipeline.infrared_run import prepare
from darkroom.pipeline.paint import Marked, Painter
from darkroom.pipeline.run import Found, find_artefacts
from darkroom.pipeline.workbench import Workbench
from darkroom.review.marks import ROWS, LiveMask, Mark, Shape
from darkroom.review.sources import Sources

KEPT = 8  # answers that are remembered


class Share:
    """Passes on how far a search has come, from 0 to 1.

    Args:
        tell: told of each step.
    """

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell, self._done, self._total = tell, 0, 1

    def stage(self, name: str, total_pixels: int) -> None:
        """A stage begins."""
        self._done, self._total = 0, max(1, total_pixels)

    def advance(self, pixels: int) -> None:
        """So many more pixels are done."""
        self._done += pixels
        self._tell(min(1.0, self._done / self._total))


def start_search(sources: Sources, tell: Callable[[float], None]) -> "Search":
    """Look for artefacts as `darkroom clean` does, and keep the scores.

    Raises:
        DarkroomError: as cleaning does.
    """
    request = replace(sources.request, output=OutputOptions())
    bench = Workbench(request)
    stack, scan = sources.stack, sources.scan
    infrared, _ = prepare(scan, request.options, request.plugins, bench.limits(), stack)
    found = stack.enter_context(
        find_artefacts(bench, scan, Share(tell), infrared=infrared, keep_all=True)
    )
    return Search(found, sources.spool())


class Search:
    """The finder's scores, to be judged at any sensitivity.

    Args:
        found: of a run that only looked.
        scratch: uint8 spool of the scan's size, all zeros.
    """

    def __init__(self, found: Found, scratch: Spool) -> None:
        self._found, self._plane = found, scratch
        self._lock = threading.Lock()
        self._answers: dict[float, list[tuple[Shape, float]]] = {}

    @property
    def sensitivity(self) -> float:
        """Of the run itself."""
        return self._found.decision.options.sensitivity

    def copy_mask(self, target: Spool) -> None:
        """Write what was found into a spool of the scan's size."""
        for window in bands(target.width, target.height, ROWS):
            target.write(window, self._found.mask.read(window))

    def marks(self, sensitivity: float) -> list[tuple[Shape, float]]:
        """What would be marked at a sensitivity, with the confidence in each.

        Raises:
            BackendError: the finder failed.
        """
        with self._lock:
            if sensitivity not in self._answers:
                info = self._found.mask
                self._answers[sensitivity] = [
                    (shape, mark.confidence)
                    for mark in self._found.again(sensitivity)
                    if (shape := _inside(mark, info.width, info.height)) is not None
                ]
                while len(self._answers) > KEPT:
                    del self._answers[next(iter(self._answers))]
            return self._answers[sensitivity]

    def confidence(self, marks: Sequence[Mark], mask: LiveMask) -> dict[str, float]:
        """How sure the finder is of marks, by name; those it does not know are left out."""
        painter = Painter(self._plane)
        for marked in self._found.again(self.sensitivity):
            level = np.uint8(max(1, round(255 * min(1.0, marked.confidence))))
            painter.add(replace(marked, mask=(marked.mask > 0) * level))
        painter.paint()
        known = {}
        for mark in marks:
            shape = mask.shape(mark)
            top = int(self._plane.read(shape.window)[..., 0][shape.pixels].max())
            if top:
                known[mark.name] = top / 255
        return known


def _inside(mark: Marked, width: int, height: int) -> Shape | None:
    """A mark as a shape inside the picture, or None where nothing of it lies there."""
    window = mark.window.clip(width, height)
    pixels = mark.mask[window.relative_to(mark.window).slices] > 0
    if not pixels.any():
        return None
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    tight = Window(
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
    return Shape(tight.shift(window.x, window.y), pixels[tight.slices].copy())
