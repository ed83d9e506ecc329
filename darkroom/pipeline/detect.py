"""Finding artefacts: from tiles to the mask of the whole frame.

Tiles only give scores. What belongs together, and whether it is an artefact, is decided on the
connected components of the whole frame, so that a speck or a hair cut by the seam of two tiles
is judged like any other.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from darkroom.errors import BackendError, DarkroomError
from darkroom.geometry import Tiling, Window, bands
from darkroom.io.scratch import Spool
from darkroom.mask import REPAIR, Component, ComponentRules, components, grow, pick
from darkroom.options import CleanOptions
from darkroom.pipeline.cutting import Cutter, read_plane
from darkroom.pipeline.plan import Plan
from darkroom.pipeline.progress import Progress, ordered_map
from darkroom.protocols import ComponentJudge, Detector, FrameReplacer, MaskRefiner, Restorer
from darkroom.scan import Bytes, Float, FrameStats, Tile, read_padded

# A bounding box larger than this cannot be looked at as a whole within the memory budget; nothing
# of that size is dust.
LARGEST_CROP = 16_000_000


@dataclass(frozen=True, slots=True)
class Find:
    """What the finding pass works with and where it puts its results.

    Attributes:
        cutter: the scan.
        finder: the backend.
        stats: the survey.
        options: thresholds and rules.
        plan: tiles and threads.
        score: uint8 spool, 255 x score; filled by the pass.
        mask: uint8 spool, 0 or 255; filled by the pass.
        fill: spool of the restorer's repairs in the file's dtype, or None for a detector.
        keep_all: keep repairs also where nothing was found, since the mask comes from elsewhere.
    """

    cutter: Cutter
    finder: Detector | Restorer
    stats: FrameStats
    options: CleanOptions
    plan: Plan
    score: Spool
    mask: Spool
    fill: Spool | None
    keep_all: bool = False

    @property
    def limits(self) -> tuple[int, int]:
        """(low, high) thresholds of the quantised score, 1 to 255."""
        low, high = self.finder.thresholds(self.options.sensitivity)
        to_byte = [int(np.clip(np.ceil(limit * 255), 1, 255)) for limit in (low, high)]
        return to_byte[0], max(to_byte)

    def run(self, pool: ThreadPoolExecutor, progress: Progress) -> list[Component]:
        """Fill the mask; returns the components accepted as artefacts.

        Raises:
            BackendError: the backend failed on a tile.
        """
        info = self.cutter.scan.info
        if replaces_frame(self.finder):
            return self._whole(pool, progress)
        low, high = self.limits
        dpi = self.stats.dpi
        rules = ComponentRules(
            high,
            self.options.min_size.pixels(dpi) if self.options.min_size else 0.0,
            self.options.max_size.pixels(dpi) if self.options.max_size else None,
        )
        # Asked once: a look at a protocol is slow beside a small component.
        judge = self.finder if isinstance(self.finder, ComponentJudge) else None
        refiner = self.finder if isinstance(self.finder, MaskRefiner) else None
        accepted = []
        progress.stage("finding", info.width * info.height)
        # Components are looked at while the threads of the pool score the tiles below them.
        for component in components(self._score_bands(pool, progress), info.width, low):
            if rules.admit(component) and self._inside(component):
                window, mask = self._look(component, low, judge, refiner)
                if mask is not None:
                    accepted.append(component)
                    self._paint(window, mask)
        return accepted

    def _whole(self, pool: ThreadPoolExecutor, progress: Progress) -> list[Component]:
        """Mark every pixel: no component, no rule and no judge is asked."""
        width, height = self.mask.width, self.mask.height
        progress.stage("finding", width * height)
        for y, score in self._score_bands(pool, progress):
            self.mask.write(Window(0, y, width, len(score)), np.full_like(score, REPAIR))
        return [Component(Window(0, 0, width, height), width * height, REPAIR, (0, 0))]

    def _inside(self, component: Component) -> bool:
        """Whether it lies on the picture, not on the film border, and can be looked at."""
        return self.stats.frame.contains(component.window) and component.window.area <= LARGEST_CROP

    def _score_bands(
        self, pool: ThreadPoolExecutor, progress: Progress
    ) -> Iterator[tuple[int, Bytes]]:
        """Scores of one row of tiles after another, which also go to the score spool."""
        grid = self.plan.grid
        parallel = self.finder.contract.parallel
        done: dict[int, list[tuple[Tiling, Bytes]]] = {}
        batches = _batches(list(grid), self.finder.contract.batch)
        # A row ahead, so that the pool has work while the components of a row are looked at; what
        # waits is only bytes of score.
        ahead = grid.columns + self.plan.ahead if parallel else 1
        results = ordered_map(pool, self._score, batches, ahead)
        for result in results:
            for tiling, score in result:
                row = done.setdefault(tiling.core.y, [])
                row.append((tiling, score))
                progress.advance(tiling.core.area)
                if len(row) == grid.columns:
                    band = np.concatenate([part for _, part in done.pop(tiling.core.y)], axis=1)
                    window = Window(0, tiling.core.y, band.shape[1], band.shape[0])
                    self.score.write(window, band)
                    yield tiling.core.y, band

    def _score(self, tilings: Sequence[Tiling]) -> list[tuple[Tiling, Bytes]]:
        """Quantised scores of the cores of a batch of tiles of equal size."""
        channels = self.finder.contract.channels
        tiles = [self.cutter.tile(t.core, t.read, channels) for t in tilings]
        try:
            if isinstance(self.finder, Restorer):
                restorations = self.finder.restore(tiles, self.stats)
                scores = [r.score for r in restorations]
                for tile, restoration in zip(tiles, restorations, strict=True):
                    self._keep_fill(tile, restoration.score, restoration.fill)
            else:
                scores = [self.finder.detect(tile, self.stats) for tile in tiles]
        except DarkroomError:
            raise
        except Exception as error:
            raise backend_failed(self.options.backend, error, tiles[0].core) from error
        return [
            (tiling, quantise(score[tile.core_slices]))
            for tiling, tile, score in zip(tilings, tiles, scores, strict=True)
        ]

    def _keep_fill(self, tile: Tile, score: Float, fill: Float) -> None:
        """Stores the repair of a tile that has something to repair."""
        core = tile.core_slices
        if self.fill is None:
            return
        if not (self.keep_all or (quantise(score) >= self.limits[0]).any()):
            return
        self.fill.write(tile.core, self.cutter.codec.decode(fill[core]))

    def _look(
        self,
        component: Component,
        low: int,
        judge: ComponentJudge | None,
        refiner: MaskRefiner | None,
    ) -> tuple[Window, Bytes | None]:
        """A window around the component and what to repair there, or None if it is rejected."""
        contract = self.finder.contract
        margins = (contract.grow, judge.margin if judge else 0, refiner.margin if refiner else 0)
        read = component.window.grow(max(margins))
        shape = np.zeros((read.height, read.width), np.uint8)
        score = self.score.read(component.window)[..., 0]
        inner = component.window.relative_to(read).slices
        shape[inner] = REPAIR * pick(score, low, component.start).view(np.uint8)
        if judge is None and refiner is None:
            return read, grow(shape, contract.grow)
        crop = self._crop(component.window, read, shape)
        try:
            if judge and judge.judge(crop, self.stats, self.options.sensitivity) < 0.5:
                return read, None
            if refiner:
                return read, refiner.refine(crop, self.stats)
        except Exception as error:
            raise backend_failed(self.options.backend, error, component.window) from error
        return read, grow(shape, contract.grow)

    def _crop(self, core: Window, read: Window, shape: Bytes) -> Tile:
        """What a judge sees of a component: the scan, its scores and, if there is one, its fill."""
        crop = self.cutter.tile(core, read, self.finder.contract.channels, shape)
        if self.fill is None:
            return crop
        info = self.cutter.scan.info
        score = read_plane(self.score, read).astype(np.float32) / np.float32(255)
        fill = read_padded(self.fill.read, info.width, info.height, read)
        return replace(crop, score=score, fill=self.cutter.codec.encode(fill))

    def _paint(self, window: Window, mask: Bytes) -> None:
        """Adds the mask of a window, which may stick out, to the frame's."""
        x, y, width, height = cv2.boundingRect(mask)
        marked = Window(window.x + x, window.y + y, width, height)
        inside = marked.clip(self.mask.width, self.mask.height)
        part = mask[inside.relative_to(window).slices]
        self.mask.write(inside, np.maximum(part, self.mask.read(inside)[..., 0]))


def replaces_frame(finder: Detector | Restorer | None) -> bool:
    """Whether the backend was asked for every pixel, not for artefacts."""
    return isinstance(finder, FrameReplacer) and finder.whole_frame


def quantise(score: Float) -> Bytes:
    """A score in [0, 1] as 0 to 255, rounded to the nearest; NaN counts as 0."""
    # One look for NaN and one saturating pass are several times faster than numpy's five.
    if np.isnan(np.add.reduce(score, axis=None)):
        score = np.nan_to_num(score)
    return np.asarray(cv2.convertScaleAbs(np.maximum(score, 0), alpha=255.0), np.uint8)


def backend_failed(name: str, error: Exception, where: Window) -> BackendError:
    """The error for a backend that raised on some part of a scan."""
    return BackendError(
        f"backend {name!r} failed at x={where.x}, y={where.y}: {type(error).__name__}: {error}",
        hint="This is a fault of the backend; nothing was written.",
    )


def mask_bands(mask: Spool, rows: int) -> Iterator[tuple[int, Bytes]]:
    """The mask from top to bottom: (first row, uint8 (rows, width))."""
    for window in bands(mask.width, mask.height, rows):
        yield window.y, read_plane(mask, window)


def _batches(tilings: Sequence[Tiling], size: int) -> Iterator[list[Tiling]]:
    """Runs of at most `size` tiles whose read windows have one size."""
    batch: list[Tiling] = []
    for tiling in tilings:
        shape = (tiling.read.width, tiling.read.height)
        if batch and (len(batch) == size or shape != (batch[0].read.width, batch[0].read.height)):
            yield batch
            batch = []
        batch.append(tiling)
    if batch:
        yield batch
