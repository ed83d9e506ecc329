"""Where the truth says damage is: the pixels, their surroundings, the artefacts they form."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.damage.kinds import Kind, component_kinds
from darkroom.scan import Bytes

NEAR = 4
AROUND = 16
KINDS: tuple[Kind, ...] = ("speck", "hair", "scratch", "blob")
SIZES = (1, 10, 32, 100, 316)  # smallest area of each class in pixels, half decades

Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Regions:
    """A truth mask and what is derived from it. All planes are (H, W).

    Attributes:
        artefacts: bool, the pixels that are damaged.
        near: bool, within NEAR pixels of one (a square, diagonals count as one step).
        around: bool, within AROUND pixels of one.
        labels: int32, number of the artefact a pixel belongs to, 0 for none. An artefact is an
            8-connected component of the damage grown by one pixel, so that broken hairs stay whole.
        count: number of artefacts.
        kind: (count,) index into KINDS by the shape of each artefact's own pixels.
        size: (count,) index into SIZES, by the number of damaged pixels.
    """

    artefacts: NDArray[np.bool_]
    near: NDArray[np.bool_]
    around: NDArray[np.bool_]
    labels: Labels
    count: int
    kind: NDArray[np.intp]
    size: NDArray[np.intp]


def regions(artefacts: NDArray[np.bool_]) -> Regions:
    """Derive the regions of a truth mask, bool (H, W)."""
    mask = artefacts.astype(np.uint8)
    count, labels = components(grow(mask, 1))
    own = np.where(artefacts, labels, 0)
    area = np.bincount(own.ravel(), minlength=count + 1)[1:]
    names = component_kinds(own, count)
    return Regions(
        artefacts=artefacts,
        near=grow(mask, NEAR).astype(bool),
        around=grow(mask, AROUND).astype(bool),
        labels=labels,
        count=count,
        kind=np.array([KINDS.index(name) for name in names], np.intp),
        size=np.searchsorted(SIZES, area, side="right") - 1,
    )


def grow(mask: Bytes, pixels: int) -> Bytes:
    """Dilate by a square of 2 x pixels + 1; nothing grows in from outside the image."""
    side = 2 * pixels + 1
    grown: Any = cv2.dilate(mask, np.ones((side, side), np.uint8))
    return np.asarray(grown, np.uint8)


def components(mask: NDArray[Any]) -> tuple[int, Labels]:
    """(number of 8-connected components, int32 labels with 0 for the background)."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return count - 1, np.asarray(labels, np.int32)


def per_label(labels: Labels, count: int, weights: NDArray[Any]) -> NDArray[np.float64]:
    """Sum of `weights` over each label 1..count: float64 (count,)."""
    sums = np.bincount(labels.ravel(), weights.astype(np.float64).ravel(), count + 1)
    return np.asarray(sums[1:], np.float64)


def tops(labels: Labels, count: int) -> NDArray[np.intp]:
    """The first row of each label 1..count: (count,)."""
    first = np.full(count + 1, labels.shape[0], np.intp)
    rows, columns = np.nonzero(labels)
    np.minimum.at(first, labels[rows, columns], rows)
    return first[1:]


def peak_per_label(labels: Labels, count: int, values: NDArray[Any]) -> NDArray[np.float64]:
    """Greatest value over each label 1..count: float64 (count,), -inf for an empty one."""
    peaks = np.full(count + 1, -np.inf)
    inside = labels > 0
    np.maximum.at(peaks, labels[inside], values[inside])
    return peaks[1:]
