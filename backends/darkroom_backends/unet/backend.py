"""The gated U-Net as a restorer: tiles in, scores and fills out.

The network looks at luminance, whatever the scan has. What it says of an artefact (where it is,
what it lets through, what detail lies below) holds for every channel, so a colour scan costs one
look; each channel brings its own surroundings. Tiles without damage are not filled.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from darkroom.errors import BackendError
from darkroom.geometry import Window, round_up
from darkroom.judging import NAMES, SURROUNDINGS, Judge, candidate_features
from darkroom.precision import check_precision, computing
from darkroom.protocols import Device, Provenance, Restoration, TileContract
from darkroom.scan import Float, FrameStats, Tile
from darkroom.weights import fill_module, judge_arrays, load_weights, read_header
from darkroom_backends.unet.calibration import DEFAULT, thresholds
from darkroom_backends.unet.model import GROW, STRIDE, GatedUNet, UNetConfig, fill

ARCHITECTURE = "unet"
SHIPPED = "weights.safetensors"
TILE = 1536
COARSEST = 4
FINE = 3000.0  # pixels per inch
BYTES_PER_PIXEL = 240  # peak of a pass, measured by hand: up to 276 for each pixel it is shown


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
    """See `darkroom.protocols.Restorer` and `ComponentJudge`.

    Raises:
        BackendError: the weights are missing, broken, or of another network.
    """

    def __init__(self, options: UNetOptions | None = None, *, device: Device | None = None) -> None:
        options = options or UNetOptions()
        self.device = torch.device((device or Device()).name)
        path = weights_file(options)
        self.module, self._table, self._judge = load_network(path)
        self.provenance = Provenance(options.precision, path.name, read_header(path).digest)
        self.module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._low = min(row[1] for row in self._table)
        self._precision = options.precision
        self._scale = options.scale
        largest = options.scale or 2
        self.margin = SURROUNDINGS * largest
        self.contract = TileContract(
            halo=self._reach(largest),
            multiple_of=STRIDE * largest,
            tile=TILE,
            channels="any",
            workspace=BYTES_PER_PIXEL,
            parallel=False,
            grow=GROW,
            relative=self._judge.relative if self._judge else 0.0,
        )

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """As validation calibrated them; they come with the weights."""
        return thresholds(self._table, sensitivity)

    def _reach(self, scale: int) -> int:
        """Pixels of the scan that matter to each side of one."""
        further = 1 if scale > 1 else 0  # interpolation looks a pixel further
        return round_up(self.module.radius + further, STRIDE) * scale

    def _scale_for(self, stats: FrameStats) -> int:
        return self._scale or (2 if (stats.dpi or 0.0) >= FINE else 1)

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """By the component, the change its repair makes, and what is around."""
        if self._judge is None:
            return 1.0
        features = self.features(crop, stats, self._judge.names)
        return self._judge.confidence(features, sensitivity)

    def features(self, crop: Tile, stats: FrameStats, wanted: Collection[str] = NAMES) -> Float:
        """See `darkroom.judging.candidate_features`."""
        assert crop.mask is not None and crop.score is not None and crop.fill is not None
        scale = self._scale_for(stats)
        # As large as the network saw it; of something tiny, all there is.
        step = scale if crop.mask[::scale, ::scale].any() else 1
        seen = slice(None, None, step), slice(None, None, step)
        return candidate_features(
            *(crop.image[seen], crop.fill[seen], crop.score[seen], crop.mask[seen]),
            self._low,
            wanted,
        )

    def restore(self, tiles: Sequence[Tile], stats: FrameStats) -> list[Restoration]:
        """Scores and fills of tiles of equal size."""
        scale = self._scale_for(stats)
        return [self._restore(tile, scale) for tile in tiles]

    @torch.inference_mode()
    def _restore(self, tile: Tile, scale: int) -> Restoration:
        height, width = tile.image.shape[:2]
        inner = self._seen(tile, scale).relative_to(tile.read).slices
        shown = self._tensor(self._shown(tile)[:, *inner][None])
        with computing(self.device, self._precision):
            seen = self.module.look(reduce(shown, scale))
        logit, detail, gate = (plane.float() for plane in seen)
        damaged = torch.sigmoid(logit)
        score = np.zeros((height, width), np.float32)
        score[inner] = expand(damaged, scale)[0, 0].cpu().numpy()
        if float(score.max()) < self._low:
            return Restoration(score, tile.image)
        planes = self._tensor(np.moveaxis(tile.image[inner], 2, 0)[:, None])
        made = expand(fill(reduce(planes, scale), damaged, detail, gate), scale)[:, 0]
        filled = tile.image.copy()
        filled[inner] = made.clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        return Restoration(score, filled)

    def _shown(self, tile: Tile) -> Float:
        """What the network looks at: (3, H, W) if it sees colour and there is any, or (1, H, W)."""
        if self.module.config.colour and tile.image.shape[2] == 3:
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

    def _tensor(self, planes: Float) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(planes, np.float32)).to(self.device)


def reduce(planes: torch.Tensor, scale: int) -> torch.Tensor:
    """Means of squares of `scale` pixels, (N, C, H, W)."""
    return F.avg_pool2d(planes, scale) if scale > 1 else planes


def expand(planes: torch.Tensor, scale: int) -> torch.Tensor:
    """The inverse, by bilinear interpolation."""
    if scale == 1:
        return planes
    return F.interpolate(planes, scale_factor=scale, mode="bilinear", align_corners=False)


def weights_file(options: UNetOptions) -> Path:
    """The file that options name, or the one that ships.

    Raises:
        BackendError: none is named and none ships.
    """
    if options.weights:
        return Path(options.weights)
    shipped = Path(str(resources.files(__package__).joinpath(SHIPPED)))
    if not shipped.is_file():
        raise BackendError(
            "the weights of the unet backend are not installed",
            hint="Install darkroom again, or give others with `--option unet:weights=FILE`.",
        )
    return shipped


def load_network(
    path: Path,
) -> tuple[GatedUNet, Sequence[Sequence[float]], Judge | None]:
    """The network of a weights file, ready for use, its thresholds, and its judge if it has one.

    Raises:
        BackendError: the file is missing, broken, or of another network.
    """
    header, tensors = load_weights(path, ARCHITECTURE)
    try:
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in header.config.items()
        }
        module = GatedUNet(UNetConfig(**values))
        table = [[float(x) for x in row] for row in header.calibration.get("thresholds", DEFAULT)]
        if not table or any(len(row) != 3 for row in table):
            raise ValueError("malformed calibration")
        judge = header.calibration.get("judge")
        judge = Judge.of(judge, judge_arrays(tensors)) if judge else None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BackendError(f"{path}: the header describes no such network: {error}") from error
    fill_module(module, tensors, path)
    return module.eval().requires_grad_(False), table, judge
