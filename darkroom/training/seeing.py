"""Training the network by which a judge looks at candidates (`darkroom.judging.seeing`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from darkroom.judging.seeing import BLOCKS, FAR_UNITS, FARTHEST, NEAR_UNITS, SeeingNetwork
from darkroom.judging.views import PLANES, SIDE, Views
from darkroom.precision import native_bfloat16
from darkroom.scan import Float

NEAR, FAR = (24, 48, 96), (16, 32, 64)  # channels of the stem and the blocks
FIGURES, HIDDEN, DROPPED = 48, 96, 0.2
BATCH, RATE, WARMUP, DECAY, CLIP, AVERAGE = 256, 2e-3, 100, 1e-2, 2.0, 0.998


class Seeing(nn.Module):
    """The network.

    Args:
        mean: (n,) of the figures, the logarithm of the views' scale last.
        deviation: (n,) likewise.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.near, self.far = _tower(NEAR), _tower(FAR)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.figures = nn.Linear(len(mean), FIGURES)
        self.hidden = nn.Linear(2 * NEAR[-1] + 2 * FAR[-1] + FIGURES, HIDDEN)
        self.odds = nn.Linear(HIDDEN, 1)

    def forward(self, near: Tensor, far: Tensor, figures: Tensor) -> Tensor:
        """Log-odds (N,) from views (N, 6, 48, 48), in units, and figures (N, n)."""
        given = ((figures - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST)
        pooled = [*_run(self.near, near), *_run(self.far, far), F.relu(self.figures(given))]
        hidden = F.relu(self.hidden(torch.cat([part.float() for part in pooled], 1)))
        odds: Tensor = self.odds(F.dropout(hidden, DROPPED, self.training))
        return odds[:, 0]


def _tower(widths: tuple[int, ...]) -> nn.ModuleDict:
    layers = {"stem": nn.Conv2d(4 * PLANES, widths[0], 3, padding=1)}
    for number in range(1, BLOCKS + 1):
        before, width = widths[number - 1 : number + 1]
        layers[f"down{number}"] = nn.Conv2d(before, width, 3, stride=2, padding=1)
        layers[f"first{number}"] = nn.Conv2d(width, width, 3, padding=1)
        layers[f"second{number}"] = second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.normal_(second.weight, std=1e-3)  # a fresh block changes next to nothing
    return nn.ModuleDict(layers)


def _run(tower: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
    x = F.relu(tower["stem"](F.pixel_unshuffle(x, 2)))
    for number in range(1, BLOCKS + 1):
        x = F.relu(tower[f"down{number}"](x))
        x = F.relu(x + tower[f"second{number}"](F.relu(tower[f"first{number}"](x))))
    return x.mean((2, 3)), x.amax((2, 3))


@dataclass(frozen=True, slots=True)
class Sights:
    """The views of many candidates.

    Attributes:
        near: int8 (m, 6, 48, 48), as `darkroom.judging.views.Views` has them.
        far: the same shape.
        scale: float32 (m,).
    """

    near: NDArray[np.int8]
    far: NDArray[np.int8]
    scale: Float

    @classmethod
    def of(cls, views: Sequence[Views]) -> "Sights":
        """Those of candidates one by one."""
        shape = (len(views), PLANES, SIDE, SIDE)
        near, far = (
            np.array([getattr(v, name) for v in views], np.int8).reshape(shape)
            for name in ("near", "far")
        )
        return cls(near, far, np.array([v.scale for v in views], np.float32))

    @classmethod
    def join(cls, parts: Sequence["Sights"]) -> "Sights":
        """All of several."""
        names = ("near", "far", "scale")
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def some(self, index: NDArray[np.int64]) -> "Sights":
        """Those of some candidates."""
        return Sights(self.near[index], self.far[index], self.scale[index])

    def batch(
        self, index: NDArray[np.int64], features: Float, turn: int = 0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the network takes: views in units, in one of eight turns, and figures."""
        views = []
        for planes, units in ((self.near, NEAR_UNITS), (self.far, FAR_UNITS)):
            x = torch.from_numpy(planes[index]).float() * torch.from_numpy(units)[:, None, None]
            x = x.flip(3) if turn & 1 else x
            x = x.flip(2) if turn & 2 else x
            x = x.transpose(2, 3) if turn & 4 else x
            views.append(x.contiguous(memory_format=torch.channels_last))
        figures = np.concatenate((features[index], np.log(self.scale[index, None])), 1)
        return views[0], views[1], torch.from_numpy(figures)


def seeing_odds(network: SeeingNetwork, sights: Sights, features: Float) -> Float:
    """Log-odds of many candidates at once, float32 (m,)."""
    figures = len(network.layers["mean"])
    module = Seeing(torch.zeros(figures), torch.ones(figures)).eval()
    module.load_state_dict({n: torch.from_numpy(a) for n, a in network.layers.items()})
    found = [np.zeros(0, np.float32)]
    with torch.inference_mode():
        for start in range(0, len(features), 4 * BATCH):
            index = np.arange(start, min(start + 4 * BATCH, len(features)))
            found.append(module(*sights.batch(index, features)).numpy())
    return np.concatenate(found)


def train_seeing(
    sights: Sights,
    features: Float,
    worth: NDArray[np.bool_],
    weight: NDArray[np.float64],
    steps: int,
    seed: int = 0,
) -> SeeingNetwork:
    """A network that says which candidates are worth repairing, averaged over the last steps.

    Candidates are drawn by the root of their weight, and weighed by the rest of it.

    Args:
        sights: of the candidates.
        features: float32 (m, n).
        worth: (m,), whether the repair of each is worth it.
        weight: (m,), of each.
        steps: of `BATCH` candidates.
        seed: of the network and the draw.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    figures = torch.from_numpy(np.concatenate((features, np.log(sights.scale[:, None])), 1))
    network = Seeing(figures.mean(0), figures.std(0) + 1e-3)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {n: t.detach().clone() for n, t in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    share = np.sqrt(weight)
    cdf = np.cumsum(share) / share.sum()
    rest = torch.from_numpy((share / (share * share).sum() * share.sum()).astype(np.float32))
    right = torch.from_numpy(worth.astype(np.float32))
    fast = native_bfloat16(torch.device("cpu"))
    for step in range(steps):
        rate = RATE * min(1.0, (step + 1) / min(WARMUP, 1 + steps // 10))
        for group in optimiser.param_groups:
            group["lr"] = rate * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * step / steps)))
        index = np.searchsorted(cdf, rng.random(BATCH)).clip(max=len(cdf) - 1)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            odds = network(*sights.batch(index, features, int(rng.integers(8))))
        loss = F.binary_cross_entropy_with_logits(odds.float(), right[index], rest[index])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        kept = min(AVERAGE, (step + 1) / (step + 10))
        for name, tensor in network.state_dict().items():
            average[name].lerp_(tensor, 1 - kept)
    arrays = {n: t.float().contiguous().numpy() for n, t in average.items()}
    # As exact as a weights file keeps them, so that bars are chosen for just what ships.
    return SeeingNetwork({n: a.astype(np.float16).astype(np.float32) for n, a in arrays.items()})
