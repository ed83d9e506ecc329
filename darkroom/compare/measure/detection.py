"""How well a backend's mask finds the artefacts: by pixel, by object, by kind and by size."""

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.harm import Counts
from darkroom.compare.measure.regions import KINDS, SIZES, Regions, components, per_label
from darkroom.scan import Bytes

Arrays = dict[str, NDArray[np.int64]]
SCORE_LEVELS = 256


def detection_counts(mask: NDArray[np.bool_], where: Regions) -> Counts:
    """Hits and misses of a mask.

    Masks are grown on purpose, so a masked pixel that is no artefact itself but within NEAR pixels
    of one counts neither for nor against. A blob is found if the mask covers half of its artefact
    pixels or more; a component of the mask is right if any of it lies within NEAR pixels of an
    artefact.

    Args:
        mask: bool (H, W), what the backend chose to repair.
        where: regions of the truth mask.
    """
    number, labels = components(mask)
    right = per_label(labels, number, where.near) > 0
    return {
        "mask_pixels": float(np.count_nonzero(mask)),
        "mask_hits": float(np.count_nonzero(mask & where.artefacts)),
        "mask_false": float(np.count_nonzero(mask & ~where.near)),
        "objects": float(number),
        "objects_right": float(np.count_nonzero(right)),
        "blobs_found": float(np.count_nonzero(found_blobs(mask, where))),
    }


def found_blobs(mask: NDArray[np.bool_], where: Regions) -> NDArray[np.bool_]:
    """Which blobs have half of their artefact pixels or more in the mask: bool (count,)."""
    area = per_label(where.blobs, where.count, where.artefacts)
    covered = per_label(where.blobs, where.count, where.artefacts & mask)
    return 2 * covered >= area


def breakdown(found: NDArray[np.bool_], healed: NDArray[np.bool_], where: Regions) -> Arrays:
    """Blobs by kind and by size.

    Args:
        found: bool (count,), blobs the mask covers.
        healed: bool (count,), blobs whose squared error fell by half or more.
        where: regions of the truth mask.

    Returns:
        "kinds" (4, 3) and "sizes" (5, 3): rows in the order of KINDS and SIZES, columns all blobs,
        found, healed.
    """
    columns = (np.ones(where.count, bool), found, healed)
    tables = {"kinds": (where.kind, len(KINDS)), "sizes": (where.size, len(SIZES))}
    return {
        name: np.stack([np.bincount(row[c], minlength=n) for c in columns], axis=1).astype(np.int64)
        for name, (row, n) in tables.items()
    }


def score_histograms(score: Bytes, where: Regions) -> Arrays:
    """Scores of artefact pixels and of clean ones, for the precision-recall curve.

    Args:
        score: uint8 (H, W), the backend's confidence from 0 to 255.
        where: regions of the truth mask.

    Returns:
        "score_hits" and "score_false", 256 counts each. Pixels near an artefact are in neither.
    """
    hits, false = score[where.artefacts], score[~where.near]
    return {
        "score_hits": np.bincount(hits, minlength=SCORE_LEVELS).astype(np.int64),
        "score_false": np.bincount(false, minlength=SCORE_LEVELS).astype(np.int64),
    }


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
