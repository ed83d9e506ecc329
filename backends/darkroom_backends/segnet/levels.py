"""From a distribution over grey levels to one level for each pixel."""

import torch
from torch import Tensor

from darkroom_backends.segnet.model import LEVELS


def expectation(logits: Tensor) -> Tensor:
    """What is expected of each pixel, in levels; the overflow class is left out of it.

    Args:
        logits: (N, 257, H, W); fastest in channels_last.

    Returns:
        (N, 1, H, W).
    """
    rows = logits.permute(0, 2, 3, 1)[..., :LEVELS].float()
    shares = (rows - rows.amax(-1, keepdim=True)).exp()
    level = torch.arange(LEVELS, dtype=shares.dtype, device=shares.device)
    total, moment = (shares @ torch.stack((torch.ones_like(level), level), 1)).unbind(-1)
    return (moment / total)[:, None]


def likeliest(logits: Tensor) -> Tensor:
    """The most likely of the 256 levels of each pixel: float32 (N, 1, H, W)."""
    return logits[:, :LEVELS].argmax(1, keepdim=True).float()
