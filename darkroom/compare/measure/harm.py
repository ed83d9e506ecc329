"""Do-no-harm counts: what a restoration gains inside the artefacts and costs outside them.

All are sums over pixels or blobs, so images, bands of one image and photographs add up; the
figures themselves are ratios of such sums and stand in `darkroom.compare.statistics.metrics`.
"""

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.regions import Regions, components, peak_per_label, per_label
from darkroom.scan import Float

Counts = dict[str, float]

TOUCHED = 2.0  # levels; a smaller change is not seen
FALSE_LEVEL = 8.0  # levels; the least change of a false repair
FALSE_AREA = 4  # pixels; the least area of one
VISIBLE = 25.0  # levels; the least error of a blob that anyone sees


def harm_counts(
    scan: Float, truth: Float, output: Float, where: Regions
) -> tuple[Counts, NDArray[np.bool_]]:
    """Squared errors inside and outside the artefacts, blobs healed, false repairs.

    Args:
        scan: damaged picture, grey levels, float32 (H, W).
        truth: ground truth, likewise.
        output: the restoration, likewise.
        where: regions of the truth mask.

    Returns:
        the counts, and which blobs were healed: bool (count,).
    """
    before = (scan - truth).astype(np.float64) ** 2
    after = (output - truth).astype(np.float64) ** 2
    inside = where.artefacts
    was = per_label(where.blobs, where.count, before)
    healed = per_label(where.blobs, where.count, after) <= 0.5 * was
    seen = peak_per_label(where.blobs, where.count, before) >= VISIBLE**2
    counts = {
        "pixels": scan.size,
        "sse_before": before.sum(),
        "sse_after": after.sum(),
        "sse_inside_before": before[inside].sum(),
        "sse_inside_after": after[inside].sum(),
        "artefact_pixels": np.count_nonzero(inside),
        "blobs": where.count,
        "blobs_healed": np.count_nonzero(healed),
        "blobs_visible": np.count_nonzero(seen),
        "blobs_visible_healed": np.count_nonzero(healed & seen),
        "around_pixels": np.count_nonzero(where.around),
        "sse_around_before": before[where.around].sum(),
        "sse_around_after": after[where.around].sum(),
    }
    counts |= change_counts(scan, output, where.near)
    return {name: float(value) for name, value in counts.items()}, healed


def change_counts(scan: Float, output: Float, near: NDArray[np.bool_]) -> Counts:
    """Pixels touched and false repairs away from `near`, bool (H, W)."""
    change = np.abs(output - scan)
    clean = ~near
    number, labels = components(change >= FALSE_LEVEL)
    area = per_label(labels, number, np.ones_like(change))
    excused = per_label(labels, number, near) > 0
    return {
        "clean_pixels": float(np.count_nonzero(clean)),
        "clean_touched": float(np.count_nonzero((change > TOUCHED) & clean)),
        "false_repairs": float(np.count_nonzero((area >= FALSE_AREA) & ~excused)),
    }


def clean_frame_counts(truth: Float, output: Float) -> Counts:
    """What a restoration of the ground truth itself changes: every change is harm."""
    counts = change_counts(truth, output, np.zeros(truth.shape, bool))
    return {
        "frame_pixels": float(truth.size),
        "frame_touched": counts["clean_touched"],
        "frame_false": counts["false_repairs"],
        "frame_sse": float(((output - truth).astype(np.float64) ** 2).sum()),
    }
