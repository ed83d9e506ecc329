from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile


def picture(seed: int, height: int = 300, width: int = 400, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width), np.float32)
    for sigma, weight in ((1.2, 5), (5, 14), (30, 40)):
        layer = cv2.GaussianBlur(
            rng.standard_normal((height, width)).astype(np.float32), (0, 0), sigma
        )
        image += layer / layer.std() * weight
    grey = np.clip(image + 128, 5, 250)
    return grey if channels == 1 else np.stack([grey, grey * 0.9, grey * 0.7], axis=2)


def dust(truth: np.ndarray, seed: int = 0, count: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scan = truth.copy()
    for _ in range(count):
        y, x = rng.integers(8, truth.shape[0] - 8), rng.integers(8, truth.shape[1] - 8)
        scan[y : y + 3, x : x + 4] = np.iinfo(truth.dtype).max
    return scan


@pytest.fixture
def pairs(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Writes folders of dusty scans and their truths."""

    def make(count: int = 4, dtype: str = "uint16", channels: int = 1) -> tuple[Path, Path]:
        folders = tmp_path / "scans", tmp_path / "truths"
        for folder in folders:
            folder.mkdir()
        factor = np.iinfo(dtype).max / 255
        for n in range(count):
            truth = np.rint(picture(n, channels=channels) * factor).astype(dtype)
            tifffile.imwrite(folders[0] / f"p{n}.tif", dust(truth, n))
            tifffile.imwrite(folders[1] / f"p{n}_gt.tif", truth)
        return folders

    return make
