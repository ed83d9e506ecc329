"""Local means and extremes of image tensors, (N, C, H, W), for networks and what surrounds them."""

import torch
from torch import Tensor
from torch.nn import functional as F


def box(x: Tensor, size: int) -> Tensor:
    """Mean over a square of odd side `size`; the image is continued by its edge pixels."""
    r = size // 2
    x = F.avg_pool2d(F.pad(x, (r, r, 0, 0), mode="replicate"), (1, size), 1)
    return F.avg_pool2d(F.pad(x, (0, 0, r, r), mode="replicate"), (size, 1), 1)


def dilate(x: Tensor, size: int) -> Tensor:
    """Greatest value in a square of odd side `size` (a negated image is eroded by it)."""
    r = size // 2
    x = F.max_pool2d(x, (1, size), 1, (0, r))
    return F.max_pool2d(x, (size, 1), 1, (r, 0))


def surroundings(x: Tensor, damaged: Tensor) -> Tensor:
    """Mean of the nearby pixels, the damaged ones (probability near 1) left out."""
    trust = (1 - dilate(damaged, 3)).clamp(0, 1) ** 2 + 1e-4
    total, weight = torch.zeros_like(x), torch.zeros_like(x)
    for size, share in ((5, 1.0), (13, 0.05), (25, 0.002)):
        total = total + share * box(trust * x, size)
        weight = weight + share * box(trust, size)
    return total / weight
