"""The figures of the paper: grey levels as classes, merged step by step.

A restored picture is read as a segmentation into 256 grey levels and compared with the truth pixel
by pixel. Neighbouring levels are then fused, 2, 3, 5, 15 and 25 at a time, which leaves 128, 85,
50, 17 and 10 classes; where 256 does not divide evenly the last class takes the levels left over.

Recall is TP / (TP + FN). The paper prints another denominator, which is a slip of the pen: with it
recall and precision would be the same number.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Bytes

LEVELS = 256
CLASS_COUNTS = (256, 128, 85, 50, 17, 10)
COARSE = 50  # classes that are kept by photograph; 17 and 10 follow from them

Confusion = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Macro averages over classes; each field float64 (...) for confusion matrices (..., n, n)."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    miou: NDArray[np.float64]


def confusion_matrix(truth: Bytes, prediction: Bytes) -> Confusion:
    """How often each true level (row) was given as each level (column): int64 (256, 256).

    Args:
        truth: uint8 (H, W).
        prediction: uint8 (H, W).
    """
    pair = truth.astype(np.intp).ravel() * LEVELS + prediction.ravel()
    return np.bincount(pair, minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS).astype(np.int64)


def merge(confusion: NDArray[Any], count: int) -> NDArray[Any]:
    """Fuse neighbouring classes.

    Args:
        confusion: (..., n, n), of 256 classes or of 50 that come from them.
        count: one of CLASS_COUNTS, at most n.

    Returns:
        (..., count, count) in the same dtype.
    """
    present = confusion.shape[-1]
    if count == present:
        return confusion
    starts = np.arange(count) * (LEVELS // count) // (LEVELS // present)
    rows = np.add.reduceat(confusion, starts, axis=-2)
    merged: NDArray[Any] = np.add.reduceat(rows, starts, axis=-1)
    return merged


def class_figures(confusion: NDArray[Any]) -> ClassFigures:
    """Precision, recall, F1 and intersection over union, each averaged over the classes.

    The mean takes every class that occurs in the truth or in the prediction with equal weight; a
    figure of such a class whose denominator is zero is zero. F1 is the mean of the classes' F1.

    Args:
        confusion: (..., n, n), rows truth, columns prediction.
    """
    matrix = np.asarray(confusion, np.float64)
    hit = np.diagonal(matrix, axis1=-2, axis2=-1)
    given, true = matrix.sum(axis=-2), matrix.sum(axis=-1)
    present = (given + true) > 0
    number = np.maximum(present.sum(axis=-1), 1)

    def mean(
        numerator: NDArray[np.float64], denominator: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        ratio = np.divide(numerator, denominator, out=np.zeros_like(hit), where=denominator > 0)
        total: NDArray[np.float64] = ratio.sum(axis=-1) / number
        return total

    return ClassFigures(
        precision=mean(hit, given),
        recall=mean(hit, true),
        f1=mean(2 * hit, given + true),
        miou=mean(hit, given + true - hit),
    )
