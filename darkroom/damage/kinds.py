"""What kind of damage a component is, by its shape, for data sets and figures alike."""

from collections import Counter
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from darkroom.damage.difference import EIGHT

Kind: TypeAlias = Literal["speck", "hair", "scratch", "blob"]

SPECK = 12.0  # pixels: what is shorter is a speck, whatever its shape
SLENDER = 4.0  # least ratio of length to mean width of a line
STRAIGHT = 0.05  # most deviation from a straight line, as a share of its length


def component_kinds(labels: NDArray[np.integer], count: int) -> list[Kind]:
    """Name the shape of each label 1..count.

    The length is that of the principal axis, four standard deviations of the pixels along it; the
    mean width is the area over the length. Lines are slender; a scratch is a straight line, a hair
    is not straight, or coiled so that it covers little of its own extent.

    Args:
        labels: int (H, W), 0 for the background.
        count: greatest label.
    """
    rows, columns = np.nonzero(labels)
    index = labels[rows, columns] - 1
    area = np.maximum(np.bincount(index, minlength=count), 1)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(index, values, count) / area

    x = columns - mean(columns.astype(float))[index]
    y = rows - mean(rows.astype(float))[index]
    xx, yy, xy = mean(x * x) + 1 / 12, mean(y * y) + 1 / 12, mean(x * y)
    root = np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    length = 4 * np.sqrt((xx + yy) / 2 + root)
    across = 4 * np.sqrt(np.maximum((xx + yy) / 2 - root, 1 / 12))
    return [
        _kind(float(n), float(along), float(wide))
        for n, along, wide in zip(area, length, across, strict=True)
    ]


def _kind(area: float, length: float, across: float) -> Kind:
    width = area / length
    if length < SPECK:
        return "speck"
    if length < SLENDER * width and area > 0.4 * length * across:
        return "blob"
    return "scratch" if across - width <= STRAIGHT * length + 1 else "hair"


def count_kinds(mask: NDArray[np.bool_]) -> dict[str, int]:
    """Components of a mask by kind."""
    labels, count = ndi.label(mask, EIGHT)
    return dict(sorted(Counter[str](component_kinds(labels, count)).items()))
