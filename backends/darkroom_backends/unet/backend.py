"""The gated U-Net as a restorer: tiles in, scores and fills out.

The network looks at luminance, whatever the scan has. What it says of an artefact (where it is,
what it lets through, what detail lies below) holds for every channel, so a colour scan costs one
look; each channel brings its own surroundings. Only what is near damage is filled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.errors import BackendError
from darkroom.geometry import Window, round_up
from darkroom.judging import AROUND, Candidate
from darkroom.precision import check_precision
from darkroom.protocols import Device, Filled, Provenance, Restoration, TileContract
from darkroom.scan import Float, FrameStats, Tile
from darkroom_backends import weights
from darkroom_backends.unet.calibration import DEFAULT, thresholds
from darkroom_backends.unet.front import REACH, fill
from darkroom_backends.unet.network import Network, OnnxNetwork, Seen
from darkroom_backends.unet.shape import GROW, STRIDE, UNetConfig

ARCHITECTURE = "unet"
HINT = "Install darkroom again, or give others with `--option unet:weights=FILE`."
TILE = 2048
COARSEST = 4
FINE = 3000.0  # pixels per inch
CELL = 64  # side of the squares of a tile that are filled if there is damage in them
# Bytes for each pixel, measured: what ONNX Runtime takes for the tile that it computes, and what
# each tile takes besides its features and its samples.
NETWORK, TILE_BYTES = 150, 8


@dataclass(frozen=True, slots=True)
class UNetOptions:
    """Options of the backend.

    Attributes:
        weights: a weights file; empty for the one that ships.
        scale: how many times less wide and high the network sees the scan. At 2 it finds
            artefacts twice as large, as fine scans show them, and no longer the least. 0 chooses
            by the file's resolution: 2 from `FINE` pixels per inch, otherwise 1.
        precision: "float32", the same on every processor to within its last bits, or "bfloat16",
            faster where the processor multiplies it natively, which changes some repairs.
    """

    weights: str = ""
    scale: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not 0 <= self.scale <= COARSEST:
            raise ValueError(f"scale is 0 to {COARSEST}, not {self.scale}")
        check_precision(self.precision)


class UNetRestorer:
    """See `darkroom.protocols.Restorer`, `Scaled` and `ComponentJudge`.

    Raises:
        BackendError: the weights are missing, broken, or of another network.
    """

    def __init__(self, options: UNetOptions | None = None, *, device: Device | None = None) -> None:
        options, device = options or UNetOptions(), device or Device()
        path = weights_file(options)
        read = read_network(path)
        self._config, self._table, self._judge = read.built, read.table, read.judge
        self._network = make_network(read.built, read.tensors, path, device, options.precision)
        self.provenance = Provenance(options.precision, path.name, read.digest)
        self._low = min(row[1] for row in self._table)
        self._scale = options.scale
        largest = options.scale or 2
        self.margin = (self._judge.margin if self._judge else AROUND) * largest
        # One is cut out, judged or put away while the other is computed.
        self._tiles = 2 if device.threads != 1 and isinstance(self._network, OnnxNetwork) else 1
        self.contract = self._contract(largest)

    def _contract(self, scale: int) -> TileContract:
        seen = 4 * self._config.features + NETWORK // self._tiles
        return TileContract(
            halo=self._reach(scale),
            multiple_of=STRIDE * scale,
            tile=TILE,
            channels="any",
            workspace=TILE_BYTES + seen // scale**2,
            parallel=self._tiles > 1,
            at_once=self._tiles,
            grow=GROW,
            relative=self._judge.relative if self._judge else 0.0,
        )

    def contract_for(self, dpi: float | None) -> TileContract:
        """See `darkroom.protocols.Scaled`."""
        return self._contract(self._scale_for(dpi))

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """As validation calibrated them; they come with the weights."""
        return thresholds(self._table, sensitivity)

    def _reach(self, scale: int) -> int:
        """Pixels of the scan that matter to each side of one."""
        further = 1 if scale > 1 else 0  # interpolation looks a pixel further
        return round_up(self._config.radius + further, STRIDE) * scale

    def _scale_for(self, dpi: float | None) -> int:
        return self._scale or (2 if (dpi or 0.0) >= FINE else 1)

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """By the component, the change its repair makes, and what is around."""
        if self._judge is None:
            return 1.0
        return self._judge.confidence(self.candidate(crop, stats), sensitivity)

    def candidate(self, crop: Tile, stats: FrameStats) -> Candidate:
        """A candidate as the network saw it."""
        return Candidate.of(crop, self._low, self._scale_for(stats.dpi))

    def restore(self, tiles: Sequence[Tile], stats: FrameStats) -> list[Restoration]:
        """Scores and fills of tiles of equal size."""
        scale = self._scale_for(stats.dpi)
        return [self._restore(tile, scale) for tile in tiles]

    def _restore(self, tile: Tile, scale: int) -> Restoration:
        part = self._seen(tile, scale)
        inner = part.relative_to(tile.read)
        seen = self._network.look(reduce(self._shown(tile)[:, *inner.slices], scale))
        score = np.zeros(tile.image.shape[:2], np.float32)
        score[inner.slices] = expand(seen.damaged, scale)
        # Scores are kept in bytes, where half a step less may still count as `low`.
        damaged = score[tile.core_slices] >= self._low - 0.5 / 255
        if tile.mask is not None:
            damaged |= tile.mask[tile.core_slices] > 0
        own = tile.core.relative_to(tile.read)
        places = [w.shift(own.x, own.y) for w in cells(damaged)] if damaged.any() else []
        filled = [Filled(w, self._filled(tile, seen, inner, w, scale)) for w in places]
        return Restoration(score, parts=filled)

    def _filled(self, tile: Tile, seen: Seen, inner: Window, window: Window, scale: int) -> Float:
        """The fill of a window of a tile, `inner` being what of the tile was seen."""
        here = window.relative_to(inner)
        # In the network's pixels, from even ones to even ones.
        left, top = (v // scale - REACH - 1 & ~1 for v in (here.x, here.y))
        right, bottom = (-(-v // scale) + REACH + 2 & ~1 for v in (here.right, here.bottom))
        height, width = seen.damaged.shape
        near = Window(left, top, right - left, bottom - top).clip(width, height)
        down, along = near.slices
        shown = Window(near.x * scale, near.y * scale, near.width * scale, near.height * scale)
        image = tile.image[shown.shift(inner.x, inner.y).slices]
        small = np.moveaxis(reduce(np.moveaxis(image, 2, 0), scale), 0, 2)
        repair = seen.detail_and_gate(down, along)
        made = fill(np.ascontiguousarray(small), seen.damaged[down, along], *repair)
        return np.ascontiguousarray(expand(made, scale)[here.relative_to(shown).slices])

    def _shown(self, tile: Tile) -> Float:
        """What the network looks at: (3, H, W) if it sees colour and there is any, or (1, H, W)."""
        if self._config.colour and tile.image.shape[2] == 3:
            return np.moveaxis(tile.image, 2, 0)
        return tile.luminance()[None]

    def _seen(self, tile: Tile, scale: int) -> Window:
        """What the network is shown: as much as matters to the core, as far as the picture goes.

        Training ends crops just so, anywhere. Of the mirrored pixels beyond the picture only those
        are taken that its sides lack to be multiples of the stride.
        """
        picture, step = tile.inside or tile.read, STRIDE * scale
        sides = round_up(picture.width, step), round_up(picture.height, step)
        shown = tile.core.grow(self._reach(scale)).intersect(tile.read)
        return shown.intersect(Window(picture.x, picture.y, *sides))


def cells(damaged: NDArray[np.bool_]) -> Iterator[Window]:
    """Squares of side `CELL` in which there is damage, those side by side as one window."""
    height, width = damaged.shape
    rows, columns = -(-height // CELL), -(-width // CELL)
    padded = np.zeros((rows * CELL, columns * CELL), np.bool_)
    padded[:height, :width] = damaged
    hit = np.asarray(padded.reshape(rows, CELL, columns, CELL).any((1, 3)))
    for row, line in enumerate(hit):
        edges = np.flatnonzero(np.diff(line, prepend=False, append=False))
        for first, last in edges.reshape(-1, 2):
            x, y = int(first) * CELL, row * CELL
            yield Window(x, y, int(last - first) * CELL, CELL).clip(width, height)


def reduce(planes: Float, scale: int) -> Float:
    """Means of squares of `scale` pixels: (C, H, W) to (C, H / scale, W / scale)."""
    if scale == 1:
        return planes
    rows = [planes[:, at::scale] for at in range(scale)]
    high = sum(rows[1:], rows[0])
    columns = [high[:, :, at::scale] for at in range(scale)]
    return np.asarray(sum(columns[1:], columns[0]) * np.float32(1 / scale**2), np.float32)


def expand(plane: Float, scale: int) -> Float:
    """The inverse, by bilinear interpolation: (H, W) or (H, W, C)."""
    if scale == 1:
        return plane
    height, width = plane.shape[:2]
    size = (width * scale, height * scale)
    large = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(large.reshape(size[1], size[0], *plane.shape[2:]), np.float32)


def weights_file(options: UNetOptions) -> Path:
    """The file that options name, or the one that ships; errors as for `weights.weights_file`."""
    return weights.weights_file(options.weights, ARCHITECTURE, HINT)


def read_network(path: Path) -> weights.Contents[UNetConfig]:
    """The network of a weights file; errors as for `weights.read_weights`."""
    return weights.read_weights(path, ARCHITECTURE, lambda values: UNetConfig(**values), DEFAULT)


def make_network(
    config: UNetConfig,
    tensors: Mapping[str, NDArray[Any]],
    path: Path,
    device: Device,
    precision: str,
) -> Network:
    """What computes the network: ONNX Runtime on processors in float32, otherwise torch.

    Raises:
        BackendError: the tensors of `path` do not fit the shape.
    """
    if device.name != "cpu" or precision != "float32":
        from darkroom_backends.unet.accelerated import TorchNetwork

        return TorchNetwork(config, tensors, path, device.name, precision)
    try:
        return OnnxNetwork(config, tensors, device.threads)
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(f"{path} does not fit the network: {error}") from error
