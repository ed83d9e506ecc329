"""Repairing: from the mask of the whole frame to the rows that are written.

Each connected part of the mask is filled on a crop of its own, cut by the lines of a fixed grid
where it is large, so that the result depends neither on tiles nor on bands. Only pixels under the
mask are ever put into the output; all others are the file's own samples.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.damage.grain import match_grain
from darkroom.geometry import Window, bands
from darkroom.io.scratch import Spool
from darkroom.mask import KEEP, Component, cells, pick
from darkroom.options import Grain
from darkroom.pipeline.cutting import Cutter, Held, as_channels, read_plane
from darkroom.pipeline.engine import calling, checked
from darkroom.pipeline.progress import SMALL_WORK, Progress, ordered_map
from darkroom.protocols import Inpainter, Recoverer
from darkroom.roll.shadow import ShadowRepair
from darkroom.scan import Bytes, Float, FrameStats, Pixels, Tile
from darkroom.scratches.lines import LineRepair

CELL = 512  # side of the cells that a large part of the mask is cut into
NEAR = 64  # rows above and below a band that are held with it
GRAIN_MARGIN = 24  # surroundings that grain is taken from
NO_LINES = LineRepair(())
NO_SHADOWS = ShadowRepair(())


@dataclass(frozen=True, slots=True)
class Patch:
    """Repaired samples: those of `window` where `chosen` is true.

    Attributes:
        window: where, inside the image.
        chosen: bool (H, W).
        samples: (n, C) in the file's dtype, for the chosen pixels in reading order.
    """

    window: Window
    chosen: NDArray[np.bool_]
    samples: Pixels


@dataclass(frozen=True, slots=True)
class Band:
    """Some rows over the whole width.

    Attributes:
        window: where.
        before: samples (H, W, S) as they are in the file.
        mask: uint8 (H, W).
        patches: the repairs that begin in these rows.
    """

    window: Window
    before: Pixels
    mask: Bytes
    patches: list[Patch]


_BandJob: TypeAlias = tuple[Window, list[tuple[Window, Component]]]
# Samples (n, C) of the chosen pixels of a cell if they are known from earlier work, else None:
# (cell, what its repair depends on, bool (H, W) of the pixels chosen).
Known: TypeAlias = Callable[[Window, Window, NDArray[np.bool_]], Pixels | None]


@dataclass(frozen=True, slots=True)
class Repair:
    """What the repairing pass works with.

    Attributes:
        cutter: the scan.
        mask: uint8 spool of the final mask.
        inpainter: fills, or None where `fill` holds a restorer's repairs.
        recoverer: brings back what shows through, or None.
        stats: of the frame, for the recoverer.
        fill: spool of repairs in the file's dtype.
        grain: whether to give repairs grain.
        seed: of the grain.
        band: rows at a time.
        name: what users call the inpainter.
        marks: some rows of the mask in memory.
        known: repairs that need not be made again, or None.
        lines: repairs line scratches, before anything else is filled.
        shadows: takes off thin dirt that stays in place, after those.
    """

    cutter: Cutter
    mask: Spool
    inpainter: Inpainter | None
    recoverer: Recoverer | None
    stats: FrameStats
    fill: Spool | None
    grain: Grain
    seed: int
    band: int
    name: str = "inpainter"
    marks: Held | None = None
    known: Known | None = None
    lines: LineRepair = NO_LINES
    shadows: ShadowRepair = NO_SHADOWS

    def rows(
        self, pool: ThreadPoolExecutor, parts: list[Component], progress: Progress
    ) -> Iterator[tuple[Window, Pixels, Pixels, Bytes]]:
        """Bands of the repaired scan, top to bottom.

        Args:
            pool: threads that fill.
            parts: the components of the mask.
            progress: told of each band.

        Yields:
            (window, samples as they were, samples repaired, mask) of each band.
        """
        info = self.cutter.scan.info
        progress.stage("repairing", info.width * info.height)
        live: list[Patch] = []
        # The next bands are repaired while this one is on its way to the file.
        for band in ordered_map(pool, self._band, self._jobs(parts), 3):
            live += band.patches
            after = band.before
            if live:
                after = band.before.copy()
                for patch in live:
                    _composite(after, band.window, patch, info.channels)
                live = [patch for patch in live if patch.window.bottom > band.window.bottom]
            progress.advance(band.window.area)
            yield band.window, band.before, after, band.mask

    def _jobs(self, parts: list[Component]) -> Iterator[_BandJob]:
        """Each band with the cells of the mask that begin in it."""
        info = self.cutter.scan.info
        jobs = sorted(
            ((cell, part) for part in parts for cell in cells(part.window, CELL)),
            key=lambda job: -job[0].y,
        )
        for window in bands(info.width, info.height, self.band):
            here = []
            while jobs and jobs[-1][0].y < window.bottom:
                here.append(jobs.pop())
            yield window, here

    def _band(self, job: _BandJob) -> Band:
        """The rows of a band as they are, and its repairs."""
        window, jobs = job
        info = self.cutter.scan.info
        if not jobs:
            return Band(window, self.cutter.scan.read(window), self._plane(window), [])
        # Rows that most repairs need, and no others, so that little is read twice.
        seen = [self.seen(cell) for cell, _ in jobs]
        above = max(0, window.y - min(part.y for part in seen))
        below = max(0, max(part.bottom for part in seen) - window.bottom)
        top, more = min(above, NEAR), min(above, NEAR) + min(below, NEAR)
        near = Window(window.x, window.y - top, window.width, window.height + more)
        near = near.clip(info.width, info.height)
        rows, marks = Held(self.cutter.scan.read, near), Held(self.mask.read, near)
        held = replace(self, cutter=replace(self.cutter, rows=rows), marks=marks)
        with SMALL_WORK:
            patches = [held.patch(cell, part) for cell, part in jobs]
        return Band(window, rows.read(window), marks.read(window)[..., 0], patches)

    def _plane(self, window: Window) -> Bytes:
        """The mask of a window that may stick out: uint8 (H, W)."""
        source = self.marks or self.mask
        return read_plane(source.read, self.mask.width, self.mask.height, window)

    def seen(self, cell: Window) -> Window:
        """All that the repair of a cell depends on, of the scan and of the mask."""
        reach = max(self.inpainter.contract.halo if self.inpainter else 0, GRAIN_MARGIN)
        lines = self.lines.touches(cell.grow(reach))
        return cell.grow(max(reach, self.lines.margin) if lines else reach)

    def patch(self, cell: Window, part: Component) -> Patch:
        """The repair of one part of the mask within one cell, as `cells` cuts them."""
        read = self.seen(cell)
        chosen = self.chosen(cell, part)
        if not chosen.any():
            return Patch(cell, chosen, np.empty((0, self.cutter.scan.info.channels)))
        if self.known is not None:
            samples = self.known(cell, read, chosen)
            if samples is not None:
                return Patch(cell, chosen, samples)
        mask = self._plane(read)
        inner = cell.relative_to(read).slices
        tile = self.cutter.tile(cell, read, "any", mask)
        taken, showing, image = self.lines.repair(tile)
        thin, image = self.shadows.repair(image, read, (mask > 0) & ~taken)
        taken, showing = taken | thin, showing | thin
        tile = replace(tile, image=image, mask=np.where(taken, KEEP, mask).astype(np.uint8))
        fill = self._filled(tile)
        fill[taken] = image[taken]
        if self.grain == "match":
            bare = np.where(showing, KEEP, mask).astype(np.uint8)
            fill = match_grain(image, bare, fill, seed=self.seed, origin=(read.x, read.y))
        if self.recoverer is not None:
            film = self._recovered(self.recoverer, tile, fill)
            fill = np.where(taken[..., None], fill, film)
        samples = self.cutter.codec.decode(fill[inner])
        return Patch(cell, chosen, samples[chosen])

    def chosen(self, cell: Window, part: Component) -> NDArray[np.bool_]:
        """The pixels of this part, and of no other that lies in its bounding box."""
        if part.window.area > CELL * CELL * 4:
            # Neighbours in the box of a huge part are filled twice, alike both times.
            chosen: NDArray[np.bool_] = self._plane(cell) > 0
            return chosen
        whole = pick(self._plane(part.window), 1, part.start)
        return whole[cell.relative_to(part.window).slices]

    def _filled(self, tile: Tile) -> Float:
        """The tile's image with its masked pixels filled, with the scan's own channels."""
        if self.inpainter is None:
            assert self.fill is not None
            fill = tile.image.copy()
            fill[tile.core_slices] = self.cutter.codec.encode(self.fill.read(tile.core))
            return fill
        with calling(self.name, tile.core):
            fill = self._inpaint(self.inpainter, tile)
        return checked(self.name, "a fill", fill, tile.image.shape, tile.core)

    def _recovered(self, recoverer: Recoverer, tile: Tile, fill: Float) -> Float:
        with calling(type(recoverer).__name__, tile.core):
            film = recoverer.recover(tile, fill, self.stats)
        return checked(type(recoverer).__name__, "a fill", film, tile.image.shape, tile.core)

    @staticmethod
    def _inpaint(inpainter: Inpainter, tile: Tile) -> Float:
        """The fill with the tile's channels, whatever channels the inpainter works on."""
        wanted, channels = inpainter.contract.channels, tile.image.shape[2]
        if wanted == "gray" and channels == 3:
            planes = [replace(tile, image=tile.image[..., c : c + 1]) for c in range(3)]
            return np.concatenate([inpainter.fill(plane) for plane in planes], axis=2)
        fill = inpainter.fill(replace(tile, image=as_channels(tile.image, wanted)))
        return as_channels(fill, "gray") if channels == 1 else fill


def _composite(rows: Pixels, band: Window, patch: Patch, channels: int) -> None:
    """Puts the patch's samples into the rows of a band, in place."""
    common = patch.window.intersect(band)
    if not common.area:
        return
    view = rows[common.relative_to(band).slices]
    inside = common.relative_to(patch.window)
    chosen = patch.chosen[inside.slices]
    first = int(patch.chosen[: inside.y].sum())
    # Cells are never wider than a band, so only rows can be cut off.
    samples = patch.samples[first : first + int(chosen.sum())]
    target = view[..., :channels]
    target[chosen] = samples
