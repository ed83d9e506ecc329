"""Networks that redraw grey pictures, as restorers: tiles in, scores and fills out.

Such a network gives every pixel a value, damaged or not. What a scan departs from it by, compared
with how it departs all around, is the score (`darkroom_backends.departures`); so all but artefacts
stays as it is. Or else, as such networks are published, the whole picture is taken as drawn.

A scan is seen through windows that never change: cells of a grid anchored at the corner of the
scan, each with the same margin, but no further than the picture goes. What a pixel gets follows
from its cell alone, to the last bit, however the tiles lay.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from darkroom.geometry import Window, round_up
from darkroom.judging import AROUND, Candidate
from darkroom.precision import check_precision
from darkroom.protocols import Device, Provenance, Restoration, TileContract
from darkroom.scan import Float, FrameStats, Tile, reflect
from darkroom.weights import fill_module
from darkroom_backends.calibration import DEFAULT, thresholds
from darkroom_backends.departures import BRIGHTEST, judge_levels
from darkroom_backends.weights import read_weights, weights_file

CELL = 448  # side of the cells a scan is cut into, counted from its corner
MARGIN = 32  # what a window shows around its cell
STRIDE = 32  # sides of windows are multiples of this
CELLS = 2  # to a side of the preferred tile
HINT = "Train some with `darkroom train --arch {0}` and give {0}:weights=FILE."

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class RedrawingOptions:
    """Options of such a backend.

    Attributes:
        weights: a weights file; empty for the one that ships.
        output: "composite" replaces improbable pixels by what is drawn in their place; "full"
            takes every pixel as drawn, as published.
        precision: "float32", the same on every processor to within its last bits, or "bfloat16",
            faster where the processor multiplies it natively, which changes some repairs.
    """

    weights: str = ""
    output: str = "composite"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.output not in ("composite", "full"):
            raise ValueError(f"output is composite or full, not {self.output!r}")
        check_precision(self.precision)


class RedrawingRestorer(ABC, Generic[Network]):
    """See `darkroom.protocols.Restorer`, `ComponentJudge` and `Measured`.

    Attributes:
        architecture: name of the backend, and in its weights files.
        whole_frame: see `darkroom.protocols.FrameReplacer`.

    Raises:
        BackendError: the weights are missing, broken, or of another network.
    """

    architecture: ClassVar[str]

    def __init__(
        self, options: RedrawingOptions | None = None, *, device: Device | None = None
    ) -> None:
        options = options or RedrawingOptions()
        self.device = torch.device((device or Device()).name)
        self.precision = options.precision
        path = weights_file(options.weights, self.architecture, HINT.format(self.architecture))
        read = read_weights(path, self.architecture, self.build, DEFAULT)
        self.module: Network = read.built
        self._table, self._judge = read.table, read.judge
        fill_module(self.module, read.tensors, path)
        self.provenance = Provenance(options.precision, path.name, read.digest)
        self.module.eval().requires_grad_(False)
        self.module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._low = min(row[1] for row in self._table)
        self.margin = self._judge.margin if self._judge else AROUND
        self.whole_frame = options.output == "full"
        self.contract = TileContract(
            halo=CELL,
            multiple_of=CELL,
            tile=CELLS * CELL,
            channels="any",
            workspace=self.workspace(),
            parallel=False,
            grow=0,
            relative=self._judge.relative if self._judge else 0.0,
        )

    @abstractmethod
    def build(self, config: Mapping[str, Any]) -> Network:
        """The network that a weights file's header describes."""

    @abstractmethod
    def workspace(self) -> int:
        """Bytes of working memory for each pixel of a read window.

        The network works on one window at a time, whatever the tile; the least tile, three cells
        to a side with its halo, has to account for all of it.
        """

    @abstractmethod
    def draw(self, x: Tensor, whole: bool) -> Tensor:
        """What is drawn in place of a picture, in levels.

        Args:
            x: (1, 1, H, W) in [0, 1], sides multiples of `STRIDE`.
            whole: whether it is the result as it is, rather than what a scan is compared with.
        """

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """As validation calibrated them; they come with the weights."""
        return thresholds(self._table, sensitivity)

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """By the component, the change its repair makes, and what is around."""
        if self._judge is None:
            return 1.0
        return self._judge.confidence(self.candidate(crop, stats), sensitivity)

    def candidate(self, crop: Tile, stats: FrameStats) -> Candidate:
        """A candidate as the network saw it."""
        return Candidate.of(crop, self._low)

    def restore(self, tiles: Sequence[Tile], stats: FrameStats) -> list[Restoration]:
        """Scores and fills of the tiles' cores; around them the score is 0."""
        return [self._restore(tile) for tile in tiles]

    def _restore(self, tile: Tile) -> Restoration:
        score = np.zeros(tile.image.shape[:2], np.float32)
        fill = tile.image.copy()
        for cell in cells(tile.core):
            at = cell.relative_to(tile.read).slices
            score[at], fill[at] = (
                self._full(tile, cell) if self.whole_frame else self._mend(tile, cell)
            )
        return Restoration(score, fill)

    def _full(self, tile: Tile, cell: Window) -> tuple[Float, Float]:
        window = seen(cell, tile)
        planes = [
            _inner(self._levels(tile.image[..., c], tile, window)[1] / BRIGHTEST, window, cell)
            for c in range(tile.image.shape[2])
        ]
        return np.ones((cell.height, cell.width), np.float32), np.stack(planes, -1)

    def _mend(self, tile: Tile, cell: Window) -> tuple[Float, Float]:
        """Score by luminance; the level of each channel where anything is to be mended."""
        window = seen(cell, tile)
        score, level = judge_levels(*self._levels(tile.luminance(), tile, window))
        cut = _inner(score, window, cell)
        if float(cut.max()) < self._low:
            return cut, tile.image[cell.relative_to(tile.read).slices]
        levels = [level]
        if tile.image.shape[2] > 1:
            channels = np.moveaxis(tile.image, 2, 0)
            levels = [judge_levels(*self._levels(c, tile, window))[1] for c in channels]
        planes = [_inner((v / BRIGHTEST).clamp(0, 1), window, cell) for v in levels]
        return cut, np.stack(planes, -1)

    @torch.inference_mode()
    def _levels(self, plane: Float, tile: Tile, window: Window) -> tuple[Tensor, Tensor]:
        """The levels of a window in one plane of a tile, and those drawn in their place."""
        x = torch.from_numpy(take(plane, tile.read, window))[None, None].to(self.device)
        x = x.contiguous(memory_format=torch.channels_last)
        return x * BRIGHTEST, self.draw(x, self.whole_frame)


def _inner(plane: Tensor, window: Window, cell: Window) -> Float:
    """The cell (h, w) of what was made of its window."""
    inner: Float = plane[0, 0][cell.relative_to(window).slices].cpu().numpy()
    return inner


def cells(core: Window) -> Iterator[Window]:
    """The cells of a tile's core, whose corner is one of the grid's."""
    for y in range(core.y, core.bottom, CELL):
        for x in range(core.x, core.right, CELL):
            yield Window(x, y, CELL, CELL).intersect(core)


def seen(cell: Window, tile: Tile) -> Window:
    """What a network is shown of a cell: with its margin, as far as the picture goes.

    Training ends crops just so, anywhere. Of the mirrored pixels beyond the picture only those
    are taken that its sides lack to be multiples of the stride.
    """
    shown = cell.grow(MARGIN).intersect(tile.inside or tile.read)
    return Window(shown.x, shown.y, round_up(shown.width, STRIDE), round_up(shown.height, STRIDE))


def take(plane: Float, read: Window, window: Window) -> Float:
    """The pixels of a window, float32 (H, W), mirrored where they lie outside of `read`."""
    rows = reflect(window.y - read.y, window.bottom - read.y, read.height)
    columns = reflect(window.x - read.x, window.right - read.x, read.width)
    return np.ascontiguousarray(plane[np.ix_(rows, columns)], np.float32)
