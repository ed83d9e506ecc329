"""The gated U-Net as a restorer: tiles in, scores and fills out.

The network looks at luminance, whatever the scan has. What it says of an artefact (where it is,
what it lets through, what detail lies below) holds for every channel, so a colour scan costs one
look; each channel brings its own surroundings. Tiles without damage are not filled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from darkroom.errors import BackendError
from darkroom.judging import LinearJudge, component_features
from darkroom.precision import native_bfloat16
from darkroom.protocols import Device, Restoration, TileContract
from darkroom.scan import Float, FrameStats, Tile
from darkroom.weights import fill_module, load_weights
from darkroom_backends.unet.calibration import DEFAULT, thresholds
from darkroom_backends.unet.model import GROW, STRIDE, GatedUNet, UNetConfig, fill

ARCHITECTURE = "unet"
SHIPPED = "weights.safetensors"
TILE = 1152
BYTES_PER_PIXEL = 420  # peak of a pass, measured; see docs/model-card-unet.md


@dataclass(frozen=True, slots=True)
class UNetOptions:
    """Options of the backend.

    Attributes:
        weights: a weights file; empty for the one that ships.
        bfloat16: "auto" (where the processor multiplies it natively), "on" or "off".
    """

    weights: str = ""
    bfloat16: str = "auto"

    def __post_init__(self) -> None:
        if self.bfloat16 not in ("auto", "on", "off"):
            raise ValueError(f"bfloat16 is auto, on or off, not {self.bfloat16!r}")


class UNetRestorer:
    """See `darkroom.protocols.Restorer` and `ComponentJudge`.

    Raises:
        BackendError: the weights are missing, broken, or of another network.
    """

    def __init__(self, options: UNetOptions | None = None, *, device: Device | None = None) -> None:
        options = options or UNetOptions()
        self.device = torch.device((device or Device()).name)
        self.module, self._table, self._judge = load_network(weights_file(options))
        self.module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._low = min(row[1] for row in self._table)
        self._bfloat16 = {"on": True, "off": False}.get(
            options.bfloat16, native_bfloat16(self.device)
        )
        self.contract = TileContract(
            halo=self.module.radius,
            multiple_of=STRIDE,
            tile=TILE,
            channels="any",
            workspace=BYTES_PER_PIXEL,
            parallel=False,
            grow=GROW,
        )

    def thresholds(self, sensitivity: float) -> tuple[float, float]:
        """As validation calibrated them; they come with the weights."""
        return thresholds(self._table, sensitivity)

    margin = 0

    def judge(self, crop: Tile, stats: FrameStats, sensitivity: float) -> float:
        """By the score of the component and the change its repair makes in luminance."""
        if self._judge is None:
            return 1.0
        assert crop.mask is not None and crop.score is not None and crop.fill is not None
        change = (crop.image - crop.fill).mean(axis=2, dtype=np.float32)
        features = component_features(crop.score, change, crop.mask)
        return self._judge.confidence(features, sensitivity)

    def restore(self, tiles: Sequence[Tile], stats: FrameStats) -> list[Restoration]:
        """Scores and fills of tiles of equal size."""
        return [self._restore(tile) for tile in tiles]

    @torch.inference_mode()
    def _restore(self, tile: Tile) -> Restoration:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            seen = self.module.look(self._tensor(tile.luminance()[None, None]))
        logit, detail, gate = (plane.float() for plane in seen)
        score = torch.sigmoid(logit)
        if float(score.max()) < self._low:
            return Restoration(score[0, 0].cpu().numpy(), tile.image)
        planes = self._tensor(np.moveaxis(tile.image, 2, 0)[:, None])
        filled = fill(planes, score, detail, gate)[:, 0].clamp(0, 1)
        return Restoration(score[0, 0].cpu().numpy(), filled.permute(1, 2, 0).cpu().numpy())

    def _tensor(self, planes: Float) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(planes, np.float32)).to(self.device)


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
            "no weights ship with the unet backend",
            hint="Train some with `darkroom train --arch unet` and give unet:weights=FILE.",
        )
    return shipped


def load_network(
    path: Path,
) -> tuple[GatedUNet, Sequence[Sequence[float]], LinearJudge | None]:
    """The network of a weights file, ready for use, its thresholds, and its judge if it has one.

    Raises:
        BackendError: the file is missing, broken, or of another network.
    """
    header, tensors = load_weights(path, ARCHITECTURE)
    try:
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in header.config.items()}
        module = GatedUNet(UNetConfig(**values))
        table = [[float(x) for x in row] for row in header.calibration.get("thresholds", DEFAULT)]
        if not table or any(len(row) != 3 for row in table):
            raise ValueError("malformed calibration")
        judge = header.calibration.get("judge")
        judge = LinearJudge.of(judge) if judge else None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BackendError(f"{path}: the header describes no such network: {error}") from error
    fill_module(module, tensors, path)
    return module.eval().requires_grad_(False), table, judge
