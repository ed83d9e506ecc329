"""What a network must offer to be trained by `darkroom.training.loop`.

A plugin announces it with the hook `darkroom_trainables`; the loop knows no architecture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from darkroom.damage.difference import CLEAN, DAMAGED, UNDECIDED

__all__ = [
    "CLEAN",
    "DAMAGED",
    "UNDECIDED",
    "Batch",
    "Growable",
    "Initialisable",
    "JudgedTrainable",
    "Trainable",
    "channels_of",
]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of crops, float32.

    Attributes:
        scan: (N, C, H, W) damaged picture in [0, 1], gamma-encoded; C as the network takes it.
        truth: (N, C, H, W) the same without damage.
        state: (N, 1, H, W) CLEAN, DAMAGED or UNDECIDED (no loss on whether it is damaged).
        weight: (N, 1, H, W) how plainly a pixel is damaged: the largest |scan - truth| of the
            channels, in [0, 1], before augmentation.
    """

    scan: Tensor
    truth: Tensor
    state: Tensor
    weight: Tensor

    def to(self, device: Any) -> "Batch":
        """The batch on another device."""
        return Batch(*(t.to(device) for t in (self.scan, self.truth, self.state, self.weight)))


@runtime_checkable
class Trainable(Protocol):
    """A network and what training it means.

    One that takes colour has an attribute `channels = 3` (see `channels_of`): it is shown red,
    green and blue, of grey pairs the same plane thrice. Others are shown luminance.

    Attributes:
        architecture: goes into the weights file; the backend of that name can load it.
        multiple_of: sides of crops are multiples of this.
        grow: pixels by which its mask is widened before the repair, as its backend has it.
        module: the network.
    """

    architecture: str
    multiple_of: int
    grow: int
    module: nn.Module

    def config(self) -> Mapping[str, Any]:
        """What rebuilds the network, as JSON values."""

    def loss(self, output: Any, batch: Batch) -> Mapping[str, Tensor]:
        """Parts of the loss, scalars; the loop minimises their sum.

        Args:
            output: what `module(batch.scan)` gave.
            batch: what it was given.
        """

    def restoration(self, output: Any) -> tuple[Tensor, Tensor]:
        """Score in [0, 1], (N, 1, H, W), and fill, (N, C, H, W), of what `module(scan)` gave."""

    def calibrate(self, sweep: Mapping[str, Mapping[str, float]]) -> Mapping[str, Any]:
        """What goes into the weights file to turn scores into decisions.

        Args:
            sweep: "low/high" thresholds -> figures on the validation part.
        """


def channels_of(trainable: object) -> int:
    """How many channels a network is shown: 3 if it says so, otherwise 1."""
    return int(getattr(trainable, "channels", 1))


@runtime_checkable
class JudgedTrainable(Protocol):
    """A trainable whose backend lets a judge decide on each component (`darkroom.judging`).

    Attributes:
        architecture: the backend of that name judges.
        candidates: score that every pixel of a candidate reaches, and that one of them does.
        relative: share of its own greatest score that a pixel of a candidate's mask reaches.
    """

    architecture: str
    candidates: tuple[float, float]
    relative: float


@runtime_checkable
class Initialisable(Protocol):
    """A trainable that can start from the weights of another architecture."""

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Take what fits of a foreign state dict.

        Raises:
            ValueError: it is not what this network can start from.
        """


@runtime_checkable
class Growable(Protocol):
    """A trainable that can start from the weights of a smaller network of its own kind."""

    def grow_from(self, state: Mapping[str, Tensor]) -> None:
        """Take over a smaller network's weights.

        Raises:
            ValueError: it is no smaller network of this kind.
        """
