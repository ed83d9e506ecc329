"""Finding artefacts: from tiles to the mask of the whole frame.

Tiles only give scores. What belongs together, and whether it is an artefact, is decided on the
connected components of the whole frame, so that a speck or a hair cut by the seam of two tiles
is judged like any other.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import cv2
import numpy as np

from darkroom.geometry import Tiling, Window, bands
from darkroom.io.scratch import Spool
from darkroom.mask import REPAIR, Component, components
from darkroom.options import CleanOptions
from darkroom.pipeline.cutting import Cutter, part_of
from darkroom.pipeline.engine import calling, checked, turns
from darkroom.pipeline.examine import Examiner, raised
from darkroom.pipeline.paint import Marked, Painter
from darkroom.pipeline.plan import Plan
from darkroom.pipeline.progress import SMALL_WORK, Progress, ordered_map
from darkroom.protocols import Detector, FrameReplacer, Restoration, Restorer
from darkroom.scan import Bytes, Float, FrameStats, Pixels, Tile

# What each quantised score becomes where dirt is known to stay.
RAISED = np.array([0, *(round(255 * raised(v / 255)) for v in range(1, 255)), 255], np.uint8)


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of one tile.

    Attributes:
        core: the pixels it answers for.
        score: uint8 over the core, 255 x score.
        marks: the artefacts that lie in this tile alone.
    """

    core: Window
    score: Bytes
    marks: list[Marked]


class Find:
    """The finding pass.

    Args:
        cutter: the scan.
        finder: the backend.
        stats: the survey.
        options: thresholds and rules.
        plan: tiles and threads.
        score: uint8 spool, 255 x score; filled by the pass.
        mask: uint8 spool, 0 or 255; filled by the pass.
        fill: spool of the restorer's repairs in the file's dtype, or None for a detector.
        keep_all: keep repairs also where nothing was found, since the mask comes from elsewhere.
        stays: where dirt stays in place, uint8 (H, W) of a window: scores are raised there.
    """

    def __init__(
        self,
        cutter: Cutter,
        finder: Detector | Restorer,
        stats: FrameStats,
        options: CleanOptions,
        plan: Plan,
        score: Spool,
        mask: Spool,
        fill: Spool | None,
        keep_all: bool = False,
        stays: Callable[[Window], Bytes] | None = None,
    ) -> None:
        self._stays = stays
        self._cutter, self._finder, self._stats, self._plan = cutter, finder, stats, plan
        self._name = options.backend
        self._whole_frame = replaces_frame(finder)
        self._scores, self._fill = score, fill
        self._keep_all = keep_all or self._whole_frame
        self._painter = Painter(mask)
        self._examiner = Examiner(finder, stats, options, stays)
        self._turns = turns(finder)

    def run(self, pool: ThreadPoolExecutor, progress: Progress) -> None:
        """Fill the mask with the components that are artefacts.

        Most lie in one tile and are decided on where it is scored; those near its seam wait for
        the tiles beyond.

        Raises:
            BackendError: the backend failed on a tile.
        """
        info = self._cutter.scan.info
        progress.stage("finding", info.width * info.height)
        if self._whole_frame:
            self._whole(pool, progress)
            return
        rows = self._scored_rows(pool, progress)
        limits = self._examiner.low, self._examiner.high
        found = components(rows, info.width, *limits)
        # What a restorer's judge sees around the others is known when all tiles are scored.
        for component in found if self._fill is None else list(found):
            if self._examiner.admits(component) and not self._in_one_tile(component):
                mark = self._examine(component)
                if mark is not None:
                    self._painter.add(mark)
        self._painter.paint()

    def again(self, options: CleanOptions) -> Iterator[Marked]:
        """What a pass with other thresholds or rules would mark, from the scores of this one.

        A restorer must have kept all its fills (`keep_all`), where thresholds are lower.

        Args:
            options: as for the pass, with the same backend.

        Raises:
            BackendError: the backend failed on a component.
        """
        examiner = Examiner(self._finder, self._stats, options, self._stays)
        spool = self._scores
        rows = mask_bands(spool, self._plan.band)
        for component in components(rows, spool.width, examiner.low, examiner.high):
            if examiner.admits(component):
                mark = self._examine(component, examiner)
                if mark is not None:
                    yield mark

    def _in_one_tile(self, component: Component) -> bool:
        """Whether no tile but one can hold any of it, and that tile shows its surroundings.

        Of a restorer they are scores and fills too, which tiles have of their cores alone.
        """
        grid, info, margin = self._plan.grid, self._cutter.scan.info, self._examiner.margin
        reach = 1 if self._fill is None else max(1, margin)
        near = component.window.grow(reach).clip(info.width, info.height)
        return (
            (self._fill is not None or margin <= grid.halo)
            and near.x // grid.side == (near.right - 1) // grid.side
            and near.y // grid.side == (near.bottom - 1) // grid.side
        )

    def _whole(self, pool: ThreadPoolExecutor, progress: Progress) -> None:
        """Mark every pixel: no component, no rule and no judge is asked."""
        for y, score in self._scored_rows(pool, progress):
            rows = Window(0, y, score.shape[1], len(score))
            self._painter.add(Marked(rows, np.full_like(score, REPAIR)))
        self._painter.paint()

    def _scored_rows(
        self, pool: ThreadPoolExecutor, progress: Progress
    ) -> Iterator[tuple[int, Bytes]]:
        """Scores of one row of tiles after another, which also go to the score spool."""
        grid, contract = self._plan.grid, self._finder.contract
        done: dict[int, list[Bytes]] = {}
        batches = _batches(list(grid), contract.batch)
        # A row ahead, so that the pool has work while a row is put together; what waits is only
        # bytes of score. Around a backend that does not work in parallel, the tile before is
        # decided on and the next one cut out.
        ahead = grid.columns + self._plan.ahead if contract.parallel else 2
        for scored in chain.from_iterable(ordered_map(pool, self._score, batches, ahead)):
            for mark in scored.marks:
                self._painter.add(mark)
            row = done.setdefault(scored.core.y, [])
            row.append(scored.score)
            progress.advance(scored.core.area)
            if len(row) == grid.columns:
                band = np.concatenate(done.pop(scored.core.y), axis=1)
                self._scores.write(Window(0, scored.core.y, band.shape[1], band.shape[0]), band)
                yield scored.core.y, band

    def _score(self, tilings: Sequence[Tiling]) -> list[Scored]:
        """Scores of a batch of tiles of equal size, and the artefacts in each."""
        channels = self._finder.contract.channels
        tiles = [self._cutter.tile(t.core, t.read, channels, self._known(t)) for t in tilings]
        restorations = []
        with self._turns, calling(self._name, tiles[0].core):
            if isinstance(self._finder, Restorer):
                restorations = self._finder.restore(tiles, self._stats)
                scores = [restoration.score for restoration in restorations]
            else:
                scores = [self._finder.detect(tile, self._stats) for tile in tiles]
            if len(scores) != len(tiles):
                raise ValueError(f"{len(scores)} answers for {len(tiles)} tiles")
        for tile, score in zip(tiles, scores, strict=True):
            checked(self._name, "a score", score, tile.image.shape[:2], tile.core)
        fills = [
            self._keep_fill(tile, made) for tile, made in zip(tiles, restorations, strict=False)
        ]
        return [
            self._decided(tile, self._quantised(tile.core, score[tile.core_slices]), fill)
            for tile, score, fill in zip(tiles, scores, fills or [None] * len(tiles), strict=True)
        ]

    def _quantised(self, core: Window, score: Float) -> Bytes:
        """A score as 0 to 255, raised where dirt is known to stay."""
        plain = quantise(score)
        if self._stays is None or self._whole_frame:
            return plain
        return np.where(self._stays(core) > 0, RAISED[plain], plain)

    def _known(self, tiling: Tiling) -> Bytes | None:
        """What a restorer has to fill whatever it scores: where dirt is known to stay."""
        if self._stays is None or self._fill is None:
            return None
        mask = np.zeros((tiling.read.height, tiling.read.width), np.uint8)
        mask[tiling.core.relative_to(tiling.read).slices] = self._stays(tiling.core)
        return mask

    def _decided(self, tile: Tile, score: Bytes, fill: Pixels | None) -> Scored:
        """The tile with the artefacts that it holds by itself."""
        if self._whole_frame:
            return Scored(tile.core, score, [])
        marks = []
        limits = self._examiner.low, self._examiner.high
        for found in components([(0, score)], tile.core.width, *limits):
            component = found.shift(tile.core.x, tile.core.y)
            if self._examiner.admits(component) and self._in_one_tile(component):
                own = score[found.window.slices]
                crop = partial(self._part, tile, component.window, score, fill)
                with SMALL_WORK:
                    mark = self._examiner.examine(component, own, crop)
                marks.append(mark)
        return Scored(tile.core, score, [mark for mark in marks if mark])

    def _examine(self, component: Component, examiner: Examiner | None = None) -> Marked | None:
        """What to repair of a component, wherever it lies on the tiles."""

        score = self._scores.read(component.window)[..., 0]
        crop = partial(self._crop, component.window)
        return (examiner or self._examiner).examine(component, score, crop)

    def _crop(self, core: Window, read: Window, shape: Bytes) -> Tile:
        """What a judge sees of a component: the scan and, of a restorer, its score and fill."""
        channels, info = self._finder.contract.channels, self._cutter.scan.info
        if self._fill is None:
            return self._cutter.tile(core, read, channels, shape)
        inside = read.clip(info.width, info.height)
        shape = shape[inside.relative_to(read).slices]
        tile = self._cutter.tile(core, inside, channels, shape)
        return self._with_answers(tile, self._scores.read(inside)[..., 0], self._fill.read(inside))

    def _part(
        self,
        tile: Tile,
        core: Window,
        score: Bytes,
        fill: Pixels | None,
        read: Window,
        shape: Bytes,
    ) -> Tile:
        """The same, from what a tile holds and what was made of its core."""
        if self._fill is None:
            return part_of(tile, core, read, shape)
        info = self._cutter.scan.info
        inside = read.clip(info.width, info.height)
        part = part_of(tile, core, inside, shape[inside.relative_to(read).slices])
        own = inside.relative_to(tile.core).slices
        filled = np.zeros_like(part.image, info.dtype) if fill is None else fill[own]
        return self._with_answers(part, score[own], filled)

    def _with_answers(self, tile: Tile, score: Bytes, fill: Pixels) -> Tile:
        return replace(
            tile, score=score * np.float32(1 / 255), fill=self._cutter.codec.encode(fill)
        )

    def _keep_fill(self, tile: Tile, made: Restoration) -> Pixels | None:
        """Stores the repair of a tile that has something to repair.

        Returns:
            It as stored, over the tile's core, and zero where there is none; None for no repair.
        """
        if self._fill is None:
            return None
        core, decode = tile.core.relative_to(tile.read), self._cutter.codec.decode
        if made.fill is not None:
            checked(self._name, "a fill", made.fill, tile.image.shape, tile.core)
            known = tile.mask is not None and tile.mask.any()
            if self._keep_all or known or (quantise(made.score) >= self._examiner.low).any():
                whole = decode(made.fill[core.slices])
                self._fill.write(tile.core, whole)
                return whole
        channels = tile.image.shape[2]
        kept = np.zeros((core.height, core.width, channels), self._fill.dtype)
        for part in made.parts:
            shape = part.window.height, part.window.width, channels
            checked(self._name, "a fill", part.fill, shape, tile.core)
            own = part.window.intersect(core)
            pixels = decode(part.fill[own.relative_to(part.window).slices])
            kept[own.relative_to(core).slices] = pixels
            self._fill.write(own.shift(tile.read.x, tile.read.y), pixels)
        return kept


def replaces_frame(finder: Detector | Restorer | None) -> bool:
    """Whether the backend was asked for every pixel, not for artefacts."""
    return isinstance(finder, FrameReplacer) and finder.whole_frame


def quantise(score: Float) -> Bytes:
    """A score in [0, 1] as 0 to 255, rounded to the nearest; NaN counts as 0."""
    # One look for NaN and one saturating pass are several times faster than numpy's five.
    if np.isnan(np.add.reduce(score, axis=None)):
        score = np.nan_to_num(score)
    return np.asarray(cv2.convertScaleAbs(np.maximum(score, 0), alpha=255.0), np.uint8)


def mask_bands(mask: Spool, rows: int) -> Iterator[tuple[int, Bytes]]:
    """The mask from top to bottom: (first row, uint8 (rows, width))."""
    for window in bands(mask.width, mask.height, rows):
        yield window.y, mask.read(window)[..., 0]


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
