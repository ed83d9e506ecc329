"""Pairs as tensors, and augmentation on the device; only this module of the room needs torch."""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from kornia import augmentation
from torch import Tensor, nn
from torch.utils.data import Dataset

from darkroom.damage.difference import DAMAGED, LEVELS
from darkroom.errors import UsageError
from darkroom.pairs.find import Pair
from darkroom.pairs.read import Picture, load_picture
from darkroom.scan import Float


class Sample(TypedDict):
    """One pair.

    Attributes:
        scan: float32 (C, H, W) in [0, 1], gamma-encoded.
        gt: the same without damage.
        mask: float32 (1, H, W), 1 where the scan is damaged, otherwise 0.
        state: float32 (1, H, W), `CLEAN`, `DAMAGED` or `UNDECIDED` of `darkroom.damage.difference`.
    """

    scan: Tensor
    gt: Tensor
    mask: Tensor
    state: Tensor


class PairDataset(Dataset[Sample]):
    """Pairs of any layout, as `find_pairs` and `find_parts` give them.

    Args:
        pairs: each with a truth.
        channels: 1 for luminance, 3 for red, green and blue, None for what the files have.
        flagged: whether to include pairs that were flagged as edited or noisy.
        keep: whether to keep what was read in memory.

    Raises:
        UsageError: no pair is left.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        channels: int | None = None,
        flagged: bool = False,
        keep: bool = False,
    ) -> None:
        self.pairs = [pair for pair in pairs if flagged or not pair.flags]
        self.channels = channels
        self._kept: dict[int, Picture] | None = {} if keep else None
        if not self.pairs:
            why = f": all {len(pairs)} are flagged" if pairs else ""
            raise UsageError(f"no pair to use{why}", hint="darkroom dataset inspect shows flags")

    def __len__(self) -> int:
        return len(self.pairs)

    def picture(self, index: int) -> Picture:
        """A pair as arrays.

        Raises:
            InputError: it cannot be read.
        """
        if self._kept is None:
            return load_picture(self.pairs[index], self.channels)
        if index not in self._kept:
            self._kept[index] = load_picture(self.pairs[index], self.channels)
        return self._kept[index]

    def pictures(self) -> list[Picture]:
        """All pairs as arrays."""
        return [self.picture(index) for index in range(len(self))]

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        picture = self.picture(index)
        state = torch.from_numpy(picture.state[None].astype(np.float32))
        return {
            "scan": _tensor(picture.scan),
            "gt": _tensor(picture.truth),
            "mask": (state == DAMAGED).float(),
            "state": state,
        }


def _tensor(levels: Float) -> Tensor:
    planes = np.moveaxis(np.atleast_3d(levels), 2, 0) / np.float32(LEVELS)
    return torch.from_numpy(np.ascontiguousarray(planes.clip(0, 1), np.float32))


class Augment(nn.Module):
    """Random changes of a batch, on whatever device it is, each drawn once for all its planes.

    Mirrored and turned by quarters: nothing is resampled, so grain stays grain. Gamma, contrast
    and polarity change scan and truth alike, and so does noise, since it is grain and no damage.

    Args:
        turns: whether pictures are mirrored and turned.
        tone: share of pictures whose gamma, and as often whose contrast, changes.
        negative: share of pictures that become negatives.
        noise: largest standard deviation of noise, which 30 % of the pictures get.
    """

    PICTURES = frozenset({"scan", "gt"})

    def __init__(
        self,
        *,
        turns: bool = True,
        tone: float = 0.5,
        negative: float = 0.12,
        noise: float = 0.012,
    ) -> None:
        super().__init__()
        steps: list[Any] = [Tone(tone, negative, noise)]
        if turns:
            steps.append(Turn())
        self.steps = augmentation.AugmentationSequential(*steps, data_keys=None)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch changed.

        Args:
            batch: "scan" and "gt", (N, C, H, W) in [0, 1], and any further planes (N, 1, H, W),
                which are turned with them and otherwise left as they are.

        Returns:
            The same names; scan and truth stay in [0, 1], and equal where they were.
        """
        names = list(batch)
        keys = ["input" if name in self.PICTURES else "mask" for name in names]
        changed = self.steps(*(batch[name] for name in names), data_keys=keys)
        return dict(zip(names, changed, strict=True))


class Turn(augmentation.GeometricAugmentationBase2D):
    """One of the eight turns and mirrorings; of the four that keep the sides if they differ."""

    def __init__(self) -> None:
        super().__init__(p=1.0)

    def generate_parameters(self, shape: tuple[int, ...]) -> dict[str, Tensor]:
        """The turn of each picture of a batch of that shape."""
        drawn = torch.randint(8, (shape[0],))
        return {"turn": drawn if shape[-1] == shape[-2] else drawn // 2 * 2}

    def compute_transformation(
        self,
        input: Tensor,
        params: dict[str, Tensor],
        flags: dict[str, Any],
    ) -> Tensor:
        """None that anything here uses."""
        identity: Tensor = self.identity_matrix(input)
        return identity

    def apply_transform(
        self,
        input: Tensor,
        params: dict[str, Tensor],
        flags: dict[str, Any],
        transform: Tensor | None = None,
    ) -> Tensor:
        """The planes turned."""
        return torch.stack(
            [
                torch.rot90(plane.flip(1) if turn > 3 else plane, turn % 4, (1, 2))
                for plane, turn in zip(input, params["turn"].tolist(), strict=True)
            ]
        )


class Tone(augmentation.IntensityAugmentationBase2D):
    """Gamma, contrast, polarity and noise, drawn once for all pictures that go together.

    Args:
        tone: share of pictures whose gamma, and as often whose contrast, changes.
        negative: share of pictures that are inverted.
        noise: largest standard deviation of noise.
    """

    DRAWN = ("gamma", "contrast", "offset", "inverted", "spread", "grain")
    NOISY = 0.3  # share of pictures that get noise
    GAMMA, CONTRAST = 0.5, 0.7  # largest logarithm of an exponent; least contrast

    def __init__(self, tone: float, negative: float, noise: float) -> None:
        super().__init__(p=1.0)
        self.tone, self.negative, self.noise = tone, negative, noise

    def generate_parameters(self, shape: tuple[int, ...]) -> dict[str, Tensor]:
        """What is done to each picture of a batch of that shape, drawn on the processor."""
        count = shape[0]

        def sometimes(share: float, value: Tensor, otherwise: float) -> Tensor:
            return torch.where(torch.rand(count) < share, value, torch.full((count,), otherwise))

        contrast = sometimes(self.tone, torch.empty(count).uniform_(self.CONTRAST, 1.0), 1.0)
        return {
            "gamma": sometimes(
                self.tone, torch.empty(count).uniform_(-self.GAMMA, self.GAMMA).exp(), 1.0
            ),
            "contrast": contrast,
            "offset": torch.rand(count) * (1 - contrast),
            "inverted": (torch.rand(count) < self.negative).float(),
            "spread": sometimes(self.NOISY, torch.rand(count) * self.noise, 0.0),
            "grain": torch.randn(shape),
        }

    def apply_transform(
        self,
        input: Tensor,
        params: dict[str, Tensor],
        flags: dict[str, Any],
        transform: Tensor | None = None,
    ) -> Tensor:
        """The pictures changed."""
        drawn = {name: params[name].to(input) for name in self.DRAWN}

        def of_each(name: str) -> Tensor:
            return drawn[name][:, None, None, None]

        toned = input.clamp(0, 1) ** of_each("gamma") * of_each("contrast") + of_each("offset")
        turned = torch.where(of_each("inverted") > 0, 1 - toned, toned)
        return (turned + of_each("spread") * drawn["grain"]).clamp(0, 1)
