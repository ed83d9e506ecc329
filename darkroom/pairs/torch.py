"""A data set's tiles as tensors, and augmentation on the device; only this module needs torch."""

from collections.abc import Sequence
from typing import Any, TypedDict

import kornia.augmentation as augmentation
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from darkroom.errors import UsageError
from darkroom.pairs.manifest import Manifest, TileRecord
from darkroom.pairs.tiles import level, read_tile


class Sample(TypedDict):
    """One pair: scan and truth float32 (C, H, W) in [0, 1], mask float32 (1, H, W), 0 or 1."""

    scan: Tensor
    gt: Tensor
    mask: Tensor


class PairedTiles(Dataset[Sample]):
    """The tiles of one split of a data set.

    Args:
        manifest: the data set.
        split: train, val or test.
        flagged: whether to include tiles that were flagged as edited or noisy.
        channels: 1 turns colour to grey, 3 repeats grey, None keeps what the tiles have.

    Raises:
        UsageError: if the split has no tile.
    """

    def __init__(
        self,
        manifest: Manifest,
        split: str = "train",
        *,
        flagged: bool = False,
        channels: int | None = None,
    ) -> None:
        self.manifest = manifest
        self.channels = channels
        self.tiles: Sequence[TileRecord] = [t for t in manifest.of(split) if flagged or not t.flags]
        if not self.tiles:
            raise UsageError(f"{manifest.root}: no tile to use in the split {split!r}")

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, index: int) -> Sample:
        tile = self.tiles[index]
        scan, gt = (self._image(tile, side) for side in ("scan", "gt"))
        mask = read_tile(self.manifest.path(tile, "mask")) > 0
        return {"scan": scan, "gt": gt, "mask": torch.from_numpy(mask[None].astype(np.float32))}

    def _image(self, tile: TileRecord, side: str) -> Tensor:
        pixels = np.atleast_3d(read_tile(self.manifest.path(tile, side)))
        image = pixels.astype(np.float32) / np.float32(255 * level(pixels.dtype))
        if self.channels == 1 and image.shape[2] == 3:
            image = image.mean(axis=2, keepdims=True)
        elif self.channels == 3 and image.shape[2] == 1:
            image = image.repeat(3, axis=2)
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class Augment(nn.Module):
    """Random changes of a batch, on whatever device it is: alike for scan, truth and mask.

    Mirrored and turned by quarters (nothing is resampled, so grain stays grain); gain, gamma and
    polarity change scan and truth alike; noise is the same on both, since it is grain, not damage.

    Args:
        gain: tones are multiplied by 1 plus or minus this.
        gamma: exponents from 1 / (1 + gamma) to 1 + gamma.
        invert: how often a batch's picture becomes its negative.
        noise: largest standard deviation of added grain.
    """

    def __init__(
        self, gain: float = 0.15, gamma: float = 0.25, invert: float = 0.3, noise: float = 0.02
    ) -> None:
        super().__init__()
        self.geometry = augmentation.AugmentationSequential(
            augmentation.RandomHorizontalFlip(p=0.5),
            augmentation.RandomVerticalFlip(p=0.5),
            augmentation.RandomRotation90(times=(0, 3), p=1.0, resample="nearest"),
            data_keys=["input", "input", "mask"],
        )
        self.gain, self.gamma, self.invert, self.noise = gain, gamma, invert, noise

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch of `Sample`s, changed; values stay in [0, 1]."""
        scan, gt, mask = self.geometry(batch["scan"], batch["gt"], batch["mask"])
        clean = (scan == gt).to(scan.dtype)
        scan, gt = self._tones(scan, gt)
        # Equal pixels must stay equal to the bit: outside the artefacts nothing differs.
        scan = clean * gt + (1 - clean) * scan
        return {"scan": scan, "gt": gt, "mask": (mask > 0.5).to(mask.dtype)}

    def _tones(self, scan: Tensor, gt: Tensor) -> tuple[Tensor, Tensor]:
        def draw(low: float, high: float) -> Tensor:
            shape = (len(scan), 1, 1, 1)
            return torch.empty(shape, device=scan.device, dtype=scan.dtype).uniform_(low, high)

        gain = draw(1 - self.gain, 1 + self.gain)
        limit = float(np.log1p(self.gamma))
        exponent = draw(-limit, limit).exp()
        flip = (draw(0, 1) < self.invert).to(scan.dtype)
        grain = torch.randn_like(gt) * draw(0, self.noise) if self.noise > 0 else 0.0

        def change(image: Tensor) -> Tensor:
            toned = (image * gain).clamp(0, 1).pow(exponent)
            turned: Any = flip * (1 - toned) + (1 - flip) * toned
            return torch.clamp(turned + grain, 0, 1)

        return change(scan), change(gt)
