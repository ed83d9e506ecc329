"""Where the truth says damage is: artefact pixels, their surroundings, and the blobs they form."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.shapes import Kind, component_kinds
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
        blobs: int32, number of the blob a pixel belongs to, 0 for none. A blob is an 8-connected
            component of the artefacts grown by one pixel, so that broken hairs stay in one piece.
        count: number of blobs.
        kind: (count,) index into KINDS of each blob's own pixels.
        size: (count,) index into SIZES, by the number of artefact pixels.
    """

    artefacts: NDArray[np.bool_]
    near: NDArray[np.bool_]
    around: NDArray[np.bool_]
    blobs: Labels
    count: int
    kind: NDArray[np.intp]
    size: NDArray[np.intp]


def regions(artefacts: NDArray[np.bool_]) -> Regions:
    """Derive the regions of a truth mask, bool (H, W)."""
    mask = artefacts.astype(np.uint8)
    count, blobs = components(grow(mask, 1))
    own = np.where(artefacts, blobs, 0)
    area = np.bincount(own.ravel(), minlength=count + 1)[1:]
    names = component_kinds(own, count)
    return Regions(
        artefacts=artefacts,
        near=grow(mask, NEAR).astype(bool),
        around=grow(mask, AROUND).astype(bool),
        blobs=blobs,
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


def peak_per_label(labels: Labels, count: int, values: NDArray[Any]) -> NDArray[np.float64]:
    """Greatest value over each label 1..count: float64 (count,), -inf for an empty one."""
    peaks = np.full(count + 1, -np.inf)
    inside = labels > 0
    np.maximum.at(peaks, labels[inside], values[inside])
    return peaks[1:]
