"""Small pairs of scans and ground truths."""

import imagecodecs
import numpy as np


def make_pair(seed, height=96, width=128, spots=8):
    """(scan, truth) uint8: a ramp with grain, and bright specks on the scan."""
    rng = np.random.default_rng(seed)
    truth = np.linspace(60, 140, width)[None].repeat(height, 0) + rng.normal(0, 2, (height, width))
    truth = truth.clip(0, 255).astype(np.uint8)
    scan = truth.copy()
    ys, xs = rng.integers(8, height - 12, spots), rng.integers(8, width - 12, spots)
    for y, x in zip(ys, xs, strict=True):
        scan[y : y + 3, x : x + 4] = 245
    return scan, truth


def write(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(picture)))
    return path
