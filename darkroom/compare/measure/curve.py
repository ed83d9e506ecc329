"""The precision-recall curve of a detector's score."""

import numpy as np
from numpy.typing import NDArray


def precision_recall(
    hits: NDArray[np.generic], false: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The curve from strict to lenient thresholds.

    Args:
        hits: (..., 256) artefact pixels at each score.
        false: (..., 256) clean pixels at each score.

    Returns:
        (precision, recall), float64 (..., 255) each: thresholds 255 down to 1. Score 0 means "not
        an artefact" and is no threshold. Precision is 1 where nothing is marked yet.
    """
    right = np.cumsum(hits[..., :0:-1], axis=-1, dtype=np.float64)
    wrong = np.cumsum(false[..., :0:-1], axis=-1, dtype=np.float64)
    positives = np.sum(hits, axis=-1, keepdims=True, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(right + wrong > 0, right / (right + wrong), 1.0)
        return precision, right / positives


def average_precision(hits: NDArray[np.generic], false: NDArray[np.generic]) -> NDArray[np.float64]:
    """Area under the precision-recall curve by steps, without interpolation: float64 (...)."""
    precision, recall = precision_recall(hits, false)
    steps = np.diff(recall, axis=-1, prepend=0.0)
    area: NDArray[np.float64] = np.sum(steps * precision, axis=-1)
    return area
