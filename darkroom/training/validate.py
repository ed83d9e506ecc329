"""Validation: what a restoration is worth beside doing nothing, at several thresholds.

The figures are those of `darkroom compare`, computed here on arrays: the sum of squared error
left, damage healed, and harm done where nothing was wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage as ndi
from torch import nn

from darkroom.damage.difference import DAMAGED, EIGHT, LEVELS, hysteresis
from darkroom.pairs.read import Picture
from darkroom.training.trainable import Trainable

Figures: TypeAlias = dict[str, float]

SWEEP = ((0.2, 0.5), (0.3, 0.6), (0.3, 0.8), (0.4, 0.9), (0.5, 0.95), (0.5, 0.98), (0.6, 0.99))
VISIBLE = 25.0  # levels
TOUCHED = 2.0
FALSE_CHANGE, FALSE_SIZE = 8.0, 4
NEAR = 4  # pixels


@dataclass(slots=True)
class Tally:
    """Sums over pictures; see `figures` for what they make."""

    before: float = 0.0
    after: float = 0.0
    damage: float = 0.0
    outside: float = 0.0
    clean: int = 0
    touched: int = 0
    seen: int = 0
    healed: int = 0
    false: int = 0
    pixels: int = 0

    def add(self, other: "Tally") -> None:
        """Add another's sums."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))

    def figures(self) -> Figures:
        """sse_ratio (1 = doing nothing), harm, touched, visible, false_per_mp.

        Pictures in which nothing is wrong cannot be bettered: there, whatever is left of an error
        was added, and `sse_ratio` is 1 and that error a pixel.
        """
        nothing = 1 + self.after / max(self.pixels, 1)
        return {
            "sse_ratio": self.after / self.before if self.before > 0 else nothing,
            "harm": self.outside / max(self.damage, 1e-9),
            "touched": self.touched / max(self.clean, 1),
            "visible": self.healed / max(self.seen, 1),
            "false_per_mp": self.false / max(self.pixels / 1e6, 1e-9),
        }


def tally(picture: Picture, result: NDArray[Any]) -> Tally:
    """The sums of one picture and its restoration, of the picture's shape, in levels.

    Squared errors of colour are means over the channels, changes the largest of them.
    """
    damaged = picture.state == DAMAGED
    planes = [np.atleast_3d(p) for p in (picture.scan, picture.truth, result)]
    error, left = (((p - planes[1]) ** 2).mean(axis=2) for p in (planes[0], planes[2]))
    change = np.abs(planes[2] - planes[0]).max(axis=2)
    near = ndi.binary_dilation(damaged, EIGHT, iterations=NEAR)
    sums = Tally(
        before=float(error.sum()),
        after=float(left.sum()),
        damage=float(error[damaged].sum()),
        outside=float((left - error)[~damaged].sum()),
        clean=int((~near).sum()),
        touched=int(((change > TOUCHED) & ~near).sum()),
        pixels=damaged.size,
    )
    blobs, count = ndi.label(ndi.binary_dilation(damaged, EIGHT), EIGHT)
    if count:
        index = np.arange(1, count + 1)
        visible = ndi.maximum(error, blobs, index) >= VISIBLE**2
        healed = ndi.sum(left, blobs, index) <= 0.5 * ndi.sum(error, blobs, index)
        sums.seen, sums.healed = int(visible.sum()), int((visible & healed).sum())
    changes, count = ndi.label(change >= FALSE_CHANGE, EIGHT)
    if count:
        index = np.arange(1, count + 1)
        large = ndi.sum(changes > 0, changes, index) >= FALSE_SIZE
        sums.false = int((large & (ndi.maximum(near, changes, index) == 0)).sum())
    return sums


@torch.no_grad()
def validate(
    trainable: Trainable,
    module: nn.Module,
    pictures: Sequence[Picture],
    device: torch.device,
    sweep: Sequence[tuple[float, float]] = SWEEP,
) -> dict[str, Figures]:
    """Restore the pictures and score them at each pair of thresholds.

    Args:
        trainable: whose module it is.
        module: the network, in evaluation mode on return as on entry to training.
        pictures: the validation part.
        device: where the module is.
        sweep: (low, high) thresholds of the score.

    Returns:
        "low/high" -> figures.
    """
    sums = {f"{low:g}/{high:g}": Tally() for low, high in sweep}
    was_training = module.training
    module.eval()
    for picture in pictures:
        score, fill = restored(trainable, module, picture, device)
        for low, high in sweep:
            mask = hysteresis(score >= low, score >= high)
            if trainable.grow:
                mask = ndi.binary_dilation(mask, EIGHT, iterations=trainable.grow)
            chosen = mask if fill.ndim == 2 else mask[..., None]
            result = np.where(chosen, np.rint(fill * LEVELS).clip(0, LEVELS), picture.scan)
            sums[f"{low:g}/{high:g}"].add(tally(picture, result))
    module.train(was_training)
    return {name: total.figures() for name, total in sums.items()}


@torch.no_grad()
def restored(
    trainable: Trainable, module: nn.Module, picture: Picture, device: torch.device
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Score (H, W) and fill, of the picture's shape; edges are continued by reflection."""
    height, width = picture.scan.shape[:2]
    multiple = trainable.multiple_of
    planes = np.moveaxis(np.atleast_3d(picture.scan), 2, 0) / np.float32(LEVELS)
    padded = np.pad(planes, ((0, 0), (0, -height % multiple), (0, -width % multiple)), "symmetric")
    shown = torch.from_numpy(np.ascontiguousarray(padded, np.float32))[None].to(device)
    score, fill = trainable.restoration(module(shown))
    cropped = [t[0, :, :height, :width].float().cpu().numpy() for t in (score, fill)]
    filled = cropped[1][0] if picture.scan.ndim == 2 else np.moveaxis(cropped[1], 0, 2)
    return cropped[0][0], np.broadcast_to(filled, picture.scan.shape)


def merit(figures: Figures, allowed: float = 5.0) -> float:
    """One number to rank by, less is better: error left, and false alarms above `allowed`/MP."""
    return figures["sse_ratio"] + 0.02 * max(0.0, figures["false_per_mp"] - allowed)
