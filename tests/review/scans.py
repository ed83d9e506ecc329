"""Scans to review."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from darkroom.options import CleanOptions

OPTIONS = CleanOptions(backend="classical", ir="off")
SPECKS = 14


def picture(seed: int = 5, height: int = 420, width: int = 560) -> np.ndarray:
    """A smooth 16-bit colour picture with grain, specks and one hair."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    image = np.stack([0.3 + 0.2 * np.sin(x / 90 + c) * np.cos(y / 70) for c in range(3)], axis=2)
    image += rng.normal(0, 0.008, (height, width, 1))
    for i in range(SPECKS):
        cx, cy = 40 + 36 * i, 60 + (97 * i) % (height - 120)
        image[(x - cx) ** 2 + (y - cy) ** 2 <= (2 + i % 3) ** 2] = 0.92
    hair = (np.abs(y - 200 - 12 * np.sin(x / 25)) < 1.2) & (x > 250) & (x < 330)
    image[hair] = 0.9
    return (np.clip(image, 0, 1) * 65535).astype(np.uint16)


def write_scan(path: Path, **settings: Any) -> Path:
    """A 16-bit RGB TIFF."""
    tifffile.imwrite(path, picture(**settings), photometric="rgb", rowsperstrip=32)
    return path
