"""All counts of one restoration of one picture, or of a band of one."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.detection import (
    Arrays,
    breakdown,
    detection_counts,
    found_blobs,
    score_histograms,
)
from darkroom.compare.measure.harm import Counts, clean_frame_counts, harm_counts
from darkroom.compare.measure.paper import confusion_matrix
from darkroom.compare.measure.quality import grain_counts, ssim_counts
from darkroom.compare.measure.regions import components, regions
from darkroom.compare.pairs.levels import classes, grey_levels
from darkroom.scan import Bytes, Pixels

VERSION = 2  # of what is counted; a new one lets no cached measurement through


@dataclass
class Measurement:
    """Additive counts and histograms of a picture.

    Attributes:
        counts: sums by name.
        arrays: int64 histograms by name.
    """

    counts: Counts = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)

    def __iadd__(self, other: "Measurement") -> "Measurement":
        for name, count in other.counts.items():
            self.counts[name] = self.counts.get(name, 0.0) + count
        for name, array in other.arrays.items():
            self.arrays[name] = self.arrays[name] + array if name in self.arrays else array
        return self


def measure(
    scan: Pixels,
    output: Pixels,
    mask: NDArray[np.bool_],
    *,
    score: Bytes | None = None,
    truth: Pixels | None = None,
    artefacts: NDArray[np.bool_] | None = None,
) -> Measurement:
    """Count everything about one restoration.

    Args:
        scan: the picture before, (H, W) or (H, W, S), native samples.
        output: the picture after, likewise.
        mask: bool (H, W), what the backend chose to repair.
        score: uint8 (H, W), its confidence, if it gives one.
        truth: ground truth, (H, W) or (H, W, S), any sample type.
        artefacts: bool (H, W), the truth mask; needed with `truth`.
    """
    result = Measurement(change_counts(scan, output, mask))
    if truth is None or artefacts is None:
        return result
    before, after, model = grey_levels(scan), grey_levels(output), grey_levels(truth)
    where = regions(artefacts)
    harm, healed = harm_counts(before, model, after, where)
    result.counts |= harm
    result.counts |= detection_counts(mask, where)
    result.counts |= ssim_counts(model, after, where)
    result.counts |= grain_counts(after, model, mask, where)
    result.arrays = breakdown(found_blobs(mask, where), healed, where)
    result.arrays["confusion"] = confusion_matrix(classes(model), classes(after))
    if score is not None:
        result.arrays |= score_histograms(score, where)
    return result


def measure_clean(truth: Pixels, output: Pixels) -> Measurement:
    """Count what a backend does to the ground truth given to it as the scan."""
    return Measurement(clean_frame_counts(grey_levels(truth), grey_levels(output)))


def change_counts(scan: Pixels, output: Pixels, mask: NDArray[np.bool_]) -> Counts:
    """Counts that need no ground truth, on the native samples."""
    differs = scan != output
    changed = differs.any(axis=2) if differs.ndim == 3 else differs
    number, _ = components(mask)
    return {
        "pixels": float(mask.size),
        "changed": float(np.count_nonzero(changed)),
        "outside_mask": float(np.count_nonzero(changed & ~mask)),
        "mask_area": float(np.count_nonzero(mask)),
        "marks": float(number),
    }
