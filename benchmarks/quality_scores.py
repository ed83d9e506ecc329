"""Sums over pictures and the figures they make, for `quality.py`.

Levels are those of an 8-bit picture, whatever the file holds. `healed`: a blob of damage whose
squared error fell by half. `seen`: one that is 25 levels off somewhere. A false alarm is a blob of
4 pixels or more, changed by 8 levels, more than 4 pixels from any damage.
"""

import numpy as np
from scipy import ndimage as ndi

EIGHT = np.ones((3, 3), bool)
SEEN, CHANGED, LEAST, NEAR, TOUCHED = 25.0, 8.0, 4, 4, 2.0
WORSE, FILM_WORSE = 1.02, 1.05
RESAMPLED = 1000


def levels(picture):
    """float32 (H, W, C) in 8-bit levels."""
    picture = picture[..., None] if picture.ndim == 2 else picture
    return picture.astype(np.float32) / np.float32(np.iinfo(picture.dtype).max / 255)


def score(scan, truth, result, damaged):
    """Sums of one picture; all in levels (H, W, C), `damaged` bool (H, W)."""
    before, after = ((p - truth) ** 2 for p in (scan, result))
    change = np.abs(result - scan).max(2)
    near = ndi.binary_dilation(damaged, EIGHT, iterations=NEAR)
    sums = {
        "before": float(before.sum()),
        "after": float(after.sum()),
        "damage": float(before[damaged].sum()),
        "harm": float((after - before)[~damaged].sum()),
        "touched": int(((change > TOUCHED) & ~near).sum()),
        "clean": int((~near).sum()),
        "pixels": damaged.size,
        "false": int(false_alarms(change, near).sum()),
        "blobs": 0,
        "healed": 0,
    }
    for name in ("seen", "seen_bright", "seen_dark"):
        sums[name] = sums[f"{name}_healed"] = 0
    labels, count = ndi.label(ndi.binary_dilation(damaged, EIGHT), EIGHT)
    if count:
        index = np.arange(1, count + 1)
        worst = ndi.maximum(np.sqrt(before.max(2)), labels, index)
        healed = ndi.sum(after.sum(2), labels, index) <= 0.5 * ndi.sum(before.sum(2), labels, index)
        bright = ndi.sum((scan - truth).sum(2), labels, index) > 0
        seen = worst >= SEEN
        sums["blobs"], sums["healed"] = count, int(healed.sum())
        groups = {"seen": seen, "seen_bright": seen & bright, "seen_dark": seen & ~bright}
        for name, group in groups.items():
            sums[name] = int(group.sum())
            sums[f"{name}_healed"] = int((group & healed).sum())
    return sums


def false_alarms(change, near):
    """bool, one for each blob of change that is large enough: whether it is nowhere near damage."""
    labels, count = ndi.label(change >= CHANGED, EIGHT)
    if not count:
        return np.zeros(0, bool)
    index = np.arange(1, count + 1)
    large = ndi.sum(labels > 0, labels, index) >= LEAST
    return large & (ndi.maximum(near, labels, index) == 0)


def colour_error(truth, result, mask):
    """CIEDE2000 inside repairs: its sum over pixels and their number, and that of repairs' means.

    A mean over a whole repair leaves out the grain, which no fill can know.

    Args:
        truth: levels (H, W, C), as `result`.
        mask: bool (H, W), the repairs.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab

    labels, count = ndi.label(mask, EIGHT)
    if not count:
        return {"ciede": 0.0, "ciede_pixels": 0, "hue": 0.0, "repairs": 0}
    lab = []
    for picture in (truth, result):
        inside = np.repeat(picture[mask], 3 // picture.shape[2], axis=1) / 255
        lab.append(rgb2lab(inside[None])[0])
    number = labels[mask]
    size = np.bincount(number)[1:, None]
    means = [
        np.stack([np.bincount(number, plane[:, i])[1:] for i in range(3)], 1) / size
        for plane in lab
    ]
    return {
        "ciede": float(deltaE_ciede2000(*lab).sum()),
        "ciede_pixels": int(mask.sum()),
        "hue": float(deltaE_ciede2000(*means).sum()),
        "repairs": count,
    }


def total(rows):
    """The sums of many pictures."""
    return {key: sum(row[key] for row in rows) for key in rows[0]} if rows else {}


def ratio(sums):
    """Squared error left; 1 is doing nothing."""
    return sums["after"] / max(sums["before"], 1e-9)


def share(sums, name):
    """Share of the blobs of a group that healed, or None where there are none."""
    return sums[f"{name}_healed"] / sums[name] if sums[name] else None


def geometric(ratios):
    """Geometric mean, of ratios not below 0.001."""
    return float(np.exp(np.mean(np.log(np.maximum(ratios, 1e-3)))))


def figures(units):
    """The figures of independent pictures (photographs), from the sums of each."""
    sums, ratios = total(units), [ratio(unit) for unit in units]
    return {
        "error left": ratio(sums),
        "geometric mean": geometric(ratios),
        "median": float(np.median(ratios)),
        "visible": share(sums, "seen"),
        "bright visible": share(sums, "seen_bright"),
        "dark visible": share(sums, "seen_dark"),
        "harm": sums["harm"] / max(sums["damage"], 1e-9),
        "false/MP": sums["false"] / sums["pixels"] * 1e6,
    }


def intervals(units, families, seed=0):
    """95 % percentile bootstrap of each figure, whole families drawn with replacement."""
    rng, groups = np.random.default_rng(seed), {}
    for unit, family in zip(units, families, strict=True):
        groups.setdefault(family, []).append(unit)
    groups = list(groups.values())
    drawn = []
    for _ in range(RESAMPLED):
        picked = rng.integers(len(groups), size=len(groups))
        drawn.append(figures([unit for i in picked for unit in groups[i]]))
    return {
        name: tuple(np.percentile([d[name] for d in drawn if d[name] is not None], (2.5, 97.5)))
        for name in drawn[0]
    }
