"""How far backends agree where no ground truth can say who is right."""

from itertools import combinations
from typing import Any

import numpy as np

from darkroom.compare.run.cell import kept_scan
from darkroom.compare.run.evaluate import Comparison
from darkroom.compare.run.restore import Kept
from darkroom.compare.run.runners import IDENTITY

ROWS = 1024


def agreements(comparison: Comparison) -> list[dict[str, Any]]:
    """For every two backends, over the pictures both restored.

    Returns:
        rows of "first", "second", "images", "changed_iou" (pixels both changed as a share of those
        either changed), "mask_iou" (the same of the masks) and "same" (share of all pixels that
        are alike in both results); None where undefined.
    """
    runners = [runner for runner in comparison.runners if runner.name != IDENTITY]
    sums = {pair: np.zeros(6) for pair in combinations([r.name for r in runners], 2)}
    images = dict.fromkeys(sums, 0)
    for picture in comparison.pairs:
        kept = {runner.name: kept_scan(comparison.task(runner, picture)) for runner in runners}
        for (first, second), total in sums.items():
            a, b = kept[first], kept[second]
            if a is not None and b is not None:
                total += _overlap(a, b)
                images[first, second] += 1
    return [_row(*names, images[names], total) for names, total in sums.items()]


def _row(first: str, second: str, images: int, total: Any) -> dict[str, Any]:
    changed, either_changed, mask, either_mask, same, pixels = (float(value) for value in total)
    return {
        "first": first,
        "second": second,
        "images": images,
        "changed_iou": changed / either_changed if either_changed else None,
        "mask_iou": mask / either_mask if either_mask else None,
        "same": same / pixels if pixels else None,
    }


def _overlap(a: Kept, b: Kept) -> Any:
    """(both changed, either changed, both masked, either masked, alike, pixels)."""
    total: Any = np.zeros(6)
    height = a.mask.bits.shape[0]
    for top in range(0, height, ROWS):
        bottom = min(top + ROWS, height)
        changed_a, changed_b = a.changes.where.rows(top, bottom), b.changes.where.rows(top, bottom)
        mask_a, mask_b = a.mask.rows(top, bottom), b.mask.rows(top, bottom)
        both = changed_a & changed_b
        values_a = a.changes.values[a.changes.starts[top] : a.changes.starts[bottom]]
        values_b = b.changes.values[b.changes.starts[top] : b.changes.starts[bottom]]
        alike = np.all(values_a[both[changed_a]] == values_b[both[changed_b]], axis=1)
        untouched = ~(changed_a | changed_b)
        total += [
            np.count_nonzero(both), np.count_nonzero(~untouched),
            np.count_nonzero(mask_a & mask_b), np.count_nonzero(mask_a | mask_b),
            np.count_nonzero(untouched) + np.count_nonzero(alike), changed_a.size,
        ]  # fmt: skip
    return total
