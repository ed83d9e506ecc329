"""SegNet as a restorer: tiles in, scores and fills out.

The network reaches some two hundred pixels to each side, further than its five pools let any
halo be cheap. So a scan is seen through windows that never change: cells of a grid anchored at
the corner of the scan, each with the same margin. What a pixel gets follows from its cell alone,
to the last bit, however the tiles lay.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from darkroom.errors import BackendError
from darkroom.geometry import Window, round_up
from darkroom.judging import AROUND, Candidate, Judge
from darkroom.precision import check_precision, computing
from darkroom.protocols import Device, Provenance, Restoration, TileContract
from darkroom.scan import Float, FrameStats, Tile, reflect
from darkroom.weights import fill_module, judge_arrays, load_weights, read_header
from darkroom_backends.segnet.calibration import read_table, thresholds
from darkroom_backends.segnet.levels import BRIGHTEST, expectation, judge_levels, likeliest
from darkroom_backends.segnet.model import GROW, STRIDE, SegNet, SegNetConfig

ARCHITECTURE = "segnet"
SHIPPED = "weights.safetensors"
CELL = 448  # side of the cells a scan is cut into, counted from its corner
MARGIN = 32  # what a window shows around its cell
SLAB = 16  # rows that are classified at a time, so that their 257 values a pixel stay in the cache
CELLS = 2  # to a side of the preferred tile


@dataclass(frozen=True, slots=True)
class SegNetOptions:
    """Options of the backend.

    Attributes:
        weights: a weights file; empty for the one that ships.
        output: "composite" replaces improbable pixels by what is expected in their place;
            "full" gives every pixel its most likely of 256 levels, as published.
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


class SegNetRestorer:
    """See `darkroom.protocols.Restorer`.

    Attributes:
        whole_frame: see `darkroom.protocols.FrameReplacer`.

    Raises:
        BackendError: the weights are missing, broken, or of another network.
    """

    def __init__(
        self, options: SegNetOptions | None = None, *, device: Device | None = None
    ) -> None:
        options = options or SegNetOptions()
        self.device = torch.device((device or Device()).name)
        path = weights_file(options)
        self.module, self._table, self._judge = load_network(path)
        self.provenance = Provenance(options.precision, path.name, read_header(path).digest)
        self.module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._low = min(row[1] for row in self._table)
        self.margin = self._judge.margin if self._judge else AROUND
        self.whole_frame = options.output == "full"
        self._precision = options.precision
        self.contract = TileContract(
            halo=CELL,
            multiple_of=CELL,
            tile=CELLS * CELL,
            channels="any",
            workspace=workspace(self.module.config),
            parallel=False,
            grow=GROW,
            relative=self._judge.relative if self._judge else 0.0,
        )

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
        channels = tile.image.shape[2]
        planes = [
            self._levels(tile.image[..., c], tile, cell, likeliest)[1] for c in range(channels)
        ]
        ones = np.ones((cell.height, cell.width), np.float32)
        return ones, np.stack([_inner(plane / BRIGHTEST, cell) for plane in planes], -1)

    def _mend(self, tile: Tile, cell: Window) -> tuple[Float, Float]:
        """Score by luminance; the level of each channel where anything is to be mended."""
        score, level = judge_levels(*self._levels(tile.luminance(), tile, cell, expectation))
        cut = _inner(score, cell)
        if float(cut.max()) < self._low:
            return cut, tile.image[cell.relative_to(tile.read).slices]
        levels = [level]
        if tile.image.shape[2] > 1:
            channels = np.moveaxis(tile.image, 2, 0)
            levels = [judge_levels(*self._levels(c, tile, cell, expectation))[1] for c in channels]
        return cut, np.stack([_inner((v / BRIGHTEST).clamp(0, 1), cell) for v in levels], -1)

    @torch.inference_mode()
    def _levels(
        self, plane: Float, tile: Tile, cell: Window, of: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The levels of a cell and its margin in one plane of a tile, and those of its logits."""
        window = Window(
            cell.x, cell.y, round_up(cell.width, STRIDE), round_up(cell.height, STRIDE)
        ).grow(MARGIN)
        x = torch.from_numpy(take(plane, tile.read, window))[None, None].to(self.device)
        x = x.contiguous(memory_format=torch.channels_last)
        with computing(self.device, self._precision):
            features = self.module.features(x)
            parts = [
                of(self.module.rows(features, y, min(y + SLAB, window.height)))
                for y in range(0, window.height, SLAB)
            ]
        return x * BRIGHTEST, torch.cat(parts, 2)


def _inner(plane: Tensor, cell: Window) -> Float:
    """The cell (h, w) of what was made of it and its margin."""
    rows, columns = slice(MARGIN, MARGIN + cell.height), slice(MARGIN, MARGIN + cell.width)
    inner: Float = plane[0, 0, rows, columns].cpu().numpy()
    return inner


def cells(core: Window) -> Iterator[Window]:
    """The cells of a tile's core, whose corner is one of the grid's."""
    for y in range(core.y, core.bottom, CELL):
        for x in range(core.x, core.right, CELL):
            yield Window(x, y, CELL, CELL).intersect(core)


def take(plane: Float, read: Window, window: Window) -> Float:
    """The pixels of a window, float32 (H, W), mirrored where they lie outside of `read`."""
    rows = reflect(window.y - read.y, window.bottom - read.y, read.height)
    columns = reflect(window.x - read.x, window.right - read.x, read.width)
    return np.ascontiguousarray(plane[np.ix_(rows, columns)], np.float32)


def workspace(config: SegNetConfig) -> int:
    """Bytes of working memory for each pixel of a read window.

    The network works on one window at a time, whatever the tile; the least tile, three cells to
    a side with its halo, has to account for all of it.
    """
    window = (CELL + 2 * MARGIN) ** 2
    features = 4 * 6 * config.stages[0][0]  # float32; six layers' worth at the peak
    logits = 4 * 4 * 257 * SLAB // (CELL + 2 * MARGIN)
    return 64 + (features + logits) * window // (3 * CELL) ** 2


def weights_file(options: SegNetOptions) -> Path:
    """The file that options name, or the one that ships.

    Raises:
        BackendError: none is named and none ships.
    """
    if options.weights:
        return Path(options.weights)
    shipped = Path(str(resources.files(__package__).joinpath(SHIPPED)))
    if not shipped.is_file():
        raise BackendError(
            "the weights of the segnet backend are not installed",
            hint="Train some with `darkroom train --arch segnet` and give segnet:weights=FILE.",
        )
    return shipped


def load_network(path: Path) -> tuple[SegNet, list[list[float]], Judge | None]:
    """The network of a weights file, ready for use, its thresholds, and its judge if it has one.

    Raises:
        BackendError: the file is missing, broken, or of another network.
    """
    header, tensors = load_weights(path, ARCHITECTURE)
    try:
        module = SegNet(SegNetConfig(**header.config))
        table = read_table(header.calibration)
        judge = header.calibration.get("judge")
        judge = Judge.of(judge, judge_arrays(tensors)) if judge else None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BackendError(f"{path}: the header describes no such network: {error}") from error
    fill_module(module, tensors, path)
    return module.eval().requires_grad_(False), table, judge
