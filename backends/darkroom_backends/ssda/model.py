"""A stacked sparse denoising auto-encoder over overlapping patches.

J. Xie, L. Xu, E. Chen, "Image Denoising and Inpainting with Deep Neural Networks", NIPS 2012. A
denoising auto-encoder draws a clean patch from a damaged one through a hidden layer of logistic
units, few of which may be active. The next one learns to draw the hidden values of the clean patch
from those of the damaged one. Stacked, and trained once more as a whole, they restore a patch
without being told what is wrong with it. A picture is restored patch by patch, and where patches
overlap their mean counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 4  # pixels from patch to patch; each pixel has (patch / STRIDE)² of them
GROW = 0  # pixels by which accepted components are widened
AT_ONCE = 2048  # patches, so that their hidden values stay in the cache


@dataclass(frozen=True, slots=True)
class SSDAConfig:
    """Shape of the network, and how it is trained.

    Attributes:
        patch: side of a patch, a multiple of `STRIDE`.
        layers: hidden units of each auto-encoder, from the outermost inwards.
        pretrain: steps for which each of them is trained on its own, before all are together.
        patches: patches of a crop that a step looks at, drawn at random; 0 takes the grid's.
        sparsity: weight of the Kullback-Leibler divergence of the hidden units' mean activity.
        activity: mean activity that they are drawn to.
        shrinkage: weight of the squared weights.
    """

    patch: int = 12
    layers: tuple[int, ...] = (432, 432)
    pretrain: tuple[int, ...] = (2000, 1000)
    patches: int = 0
    sparsity: float = 1e-2
    activity: float = 0.05
    shrinkage: float = 1e-6

    def __post_init__(self) -> None:
        if self.patch < STRIDE or self.patch % STRIDE:
            raise ValueError(f"patch is a multiple of {STRIDE}, not {self.patch!r}")
        if not self.layers or min(self.layers) < 1:
            raise ValueError("layers are numbers of hidden units, at least one of them")
        if len(self.pretrain) != len(self.layers) or min(self.pretrain) < 0:
            raise ValueError("pretrain has a number of steps, 0 or more, for each layer")
        if not 0 < self.activity < 1:
            raise ValueError(f"activity is above 0 and below 1, not {self.activity!r}")
        if self.patches < 0 or self.sparsity < 0 or self.shrinkage < 0:
            raise ValueError("patches, sparsity and shrinkage are not negative")


class Output(NamedTuple):
    """What the network gives.

    Attributes:
        scan: (N, 1, H, W), what it was given.
        redrawn: (N, 1, H, W); None in training, where the loss restores patches.
        corners: int64 (N, n, 2), row and column of the patches to train on; None for the grid's.
    """

    scan: Tensor
    redrawn: Tensor | None
    corners: Tensor | None


class AutoEncoder(nn.Module):
    """A hidden layer of logistic units, and one that draws the input from it."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(inputs, hidden)
        self.decoder = nn.Linear(hidden, inputs)
        for layer in (self.encoder, self.decoder):
            # Glorot and Bengio 2010, for logistic units.
            nn.init.xavier_uniform_(layer.weight, gain=4.0)
            nn.init.zeros_(layer.bias)

    def encode(self, x: Tensor) -> Tensor:
        """(n, hidden) of (n, inputs)."""
        return torch.sigmoid(self.encoder(x))

    def decode(self, hidden: Tensor) -> Tensor:
        """(n, inputs) of (n, hidden)."""
        return torch.sigmoid(self.decoder(hidden))


class SSDA(nn.Module):
    """See the module's text. It counts its own steps, by which it knows what to train."""

    def __init__(self, config: SSDAConfig | None = None) -> None:
        super().__init__()
        self.config = config or SSDAConfig()
        sizes = (self.config.patch**2, *self.config.layers)
        self.coders = nn.ModuleList(AutoEncoder(a, b) for a, b in pairwise(sizes))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def stage(self) -> int | None:
        """The number of the auto-encoder that is trained alone, or None: all together."""
        left = int(cast(Tensor, self.steps))
        for number, steps in enumerate(self.config.pretrain):
            if left < steps:
                return number
            left -= steps
        return None

    @property
    def depth(self) -> int:
        """How many of the auto-encoders have been trained or are being trained."""
        return len(self.coders) if self.stage is None else self.stage + 1

    def encode(self, patches: Tensor, depth: int) -> Tensor:
        """Hidden values (n, h) of patches (n, p²) after so many auto-encoders."""
        for coder in self.coders[:depth]:
            patches = cast(AutoEncoder, coder).encode(patches)
        return patches

    def restore(self, patches: Tensor) -> Tensor:
        """Patches (n, p²) in [0, 1], restored."""
        depth = self.depth
        hidden = self.encode(patches, depth)
        for coder in reversed(self.coders[:depth]):
            hidden = cast(AutoEncoder, coder).decode(hidden)
        return hidden

    def forward(self, scan: Tensor) -> Output:
        """Restore the picture; in training only say which patches the loss is to look at.

        Args:
            scan: (N, 1, H, W) in [0, 1], gamma-encoded, sides multiples of `STRIDE` and at
                least as long as a patch's.
        """
        if self.training:
            return Output(scan, None, self._corners(scan) if self.config.patches else None)
        return Output(scan, self.redraw(scan), None)

    def redraw(self, scan: Tensor) -> Tensor:
        """The means of overlapping restored patches, (N, 1, H, W)."""
        side, size = self.config.patch, scan.shape[2:]
        patches = F.unfold(scan, side, stride=STRIDE).transpose(1, 2)
        flat = patches.reshape(-1, side * side)
        made = torch.cat([self.restore(some) for some in torch.split(flat, AT_ONCE)])
        made = made.to(scan.dtype).view_as(patches).transpose(1, 2)
        total = F.fold(made, size, side, stride=STRIDE)
        count = F.fold(torch.ones_like(made[:1]), size, side, stride=STRIDE)
        return total / count

    def _corners(self, scan: Tensor) -> Tensor:
        count, (height, width) = self.config.patches, scan.shape[2:]
        side = self.config.patch
        rows = torch.randint(height - side + 1, (len(scan), count))
        columns = torch.randint(width - side + 1, (len(scan), count))
        return torch.stack((rows, columns), 2).to(scan.device)

    def cut(self, planes: Tensor, corners: Tensor | None) -> Tensor:
        """The patches (n, p²) of (N, 1, H, W) at some corners, or of the grid."""
        side = self.config.patch
        if corners is None:
            return F.unfold(planes, side, stride=STRIDE).transpose(1, 2).reshape(-1, side**2)
        within = torch.arange(side, device=planes.device)
        rows = corners[..., 0, None, None] + within[:, None]
        columns = corners[..., 1, None, None] + within
        image = torch.arange(len(planes), device=planes.device)[:, None, None, None]
        return planes[image, 0, rows, columns].reshape(-1, side**2)


def divergence(hidden: Tensor, activity: float) -> Tensor:
    """Kullback-Leibler divergence of the units' mean activity from the wanted one, summed.

    Args:
        hidden: (n, units), values of logistic units.
        activity: that is wanted, in (0, 1).
    """
    mean = hidden.mean(0).clamp(1e-6, 1 - 1e-6)
    on = activity * (math.log(activity) - mean.log())
    off = (1 - activity) * (math.log(1 - activity) - (1 - mean).log())
    return (on + off).sum()


def squared(layers: Sequence[nn.Module]) -> Tensor:
    """The sum of the squared weights of auto-encoders."""
    coders = [cast(AutoEncoder, layer) for layer in layers]
    weights = [w for c in coders for w in (c.encoder.weight, c.decoder.weight)]
    return torch.stack([w.square().sum() for w in weights]).sum()
