"""Local means and extremes of image tensors, (N, C, H, W), for networks and what surrounds them.

Sums and extremes over a window are put together from those over windows half as wide, in
log2(size) passes. torch's own pools look at every pixel of every window, and took as long on a
processor as the whole network that their results go into.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def box(x: Tensor, size: int) -> Tensor:
    """Mean over a square of odd side `size`; the image is continued by its edge pixels."""
    r = size // 2
    x = F.pad(x, (r, r, r, r), mode="replicate")
    return _sums(_sums(x, size, 3), size, 2) / size**2


def dilate(x: Tensor, size: int) -> Tensor:
    """Greatest value in a square of odd side `size` (a negated image is eroded by it)."""
    r = size // 2
    x = F.pad(x, (r, r, r, r), mode="replicate")
    return _maxima(_maxima(x, size, 3), size, 2)


def surroundings(x: Tensor, damaged: Tensor) -> Tensor:
    """Mean of the nearby pixels, the damaged ones (probability near 1) left out."""
    trust = (1 - dilate(damaged, 3)).clamp(0, 1) ** 2 + 1e-4
    total, weight = torch.zeros_like(x), torch.zeros_like(x)
    for size, share in ((5, 1.0), (13, 0.05), (25, 0.002)):
        total = total + share * box(trust * x, size)
        weight = weight + share * box(trust, size)
    return total / weight


def _sums(x: Tensor, size: int, axis: int) -> Tensor:
    """Sums of `size` successive values along an axis, which gets shorter by `size` - 1."""
    length = x.shape[axis] - size + 1
    total, width = x.narrow(axis, 0, length), 1
    while 2 * width <= size:
        x, width = _joined(torch.add, x, width, axis), 2 * width
        if size & width:  # the windows wanted are of odd width: bit by bit
            total = total + x.narrow(axis, size % width, length)
    return total


def _maxima(x: Tensor, size: int, axis: int) -> Tensor:
    """Maxima of `size` successive values along an axis, which gets shorter by `size` - 1."""
    length, width = x.shape[axis] - size + 1, 1
    while 2 * width <= size:
        x, width = _joined(torch.maximum, x, width, axis), 2 * width
    return torch.maximum(x.narrow(axis, 0, length), x.narrow(axis, size - width, length))


def _joined(
    operation: Callable[[Tensor, Tensor], Tensor], x: Tensor, width: int, axis: int
) -> Tensor:
    """Of windows of `width` values, those twice as wide."""
    length = x.shape[axis] - width
    return operation(x.narrow(axis, 0, length), x.narrow(axis, width, length))
