"""Tiles as files, and what is measured of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.damage.difference import (
    artefact_mask,
    robust_noise,
    thresholds,
    tone_corrected,
)
from darkroom.damage.kinds import count_kinds
from darkroom.geometry import Window
from darkroom.io.atomic import writing
from darkroom.pairs.manifest import TileRecord

Array = NDArray[Any]
CHANGED_LIMIT = 0.2  # a tile with more of its pixels changed was edited, not dusted


@dataclass(frozen=True, slots=True)
class Measured:
    """A tile's mask (uint8, 0 or 255) and figures; see `TileRecord` for their meaning."""

    mask: NDArray[np.uint8]
    artefacts: dict[str, int]
    damaged: float
    changed: float
    mse: float
    flags: tuple[str, ...]


def level(dtype: np.dtype[Any]) -> float:
    """Units of a sample type in one 8-bit level."""
    return 1 / 255 if dtype.kind == "f" else np.iinfo(dtype).max / 255


def measure(scan: Array, gt: Array, mask: NDArray[np.bool_] | None = None) -> Measured:
    """Mask and figures of a pair of tiles, (H, W) or (H, W, C), of the same shape and type.

    The mask is told from the pair unless one is given, bool (H, W).
    """
    scale = level(scan.dtype)
    if mask is None:
        mask = artefact_mask(scan, gt, scale=scale)
    difference = tone_corrected(scan, gt) / scale
    limit = thresholds(robust_noise(difference)).low
    changed = float((np.abs(difference) > 0.5).mean())
    flags: tuple[str, ...] = ("edited",) if changed > CHANGED_LIMIT else ()
    plain = (scan.astype(np.float64) - gt.astype(np.float64)) / scale
    if limit > 20:
        flags += ("noisy",)
    return Measured(
        mask.astype(np.uint8) * np.uint8(255),
        count_kinds(mask),
        round(float(mask.mean()), 6),
        round(changed, 6),
        round(float((plain**2).mean()), 4),
        flags,
    )


def encode(image: Array) -> bytes:
    """A tile as a lossless file: PNG for 8 and 16 bits, TIFF for floats."""
    import imagecodecs

    if image.dtype.kind == "f":
        return _float_tiff(image)
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(image), level=6))


def _float_tiff(image: Array) -> bytes:
    import io

    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, software=False, metadata=None)
    return buffer.getvalue()


def suffix(dtype: np.dtype[Any]) -> str:
    """The suffix that `encode` calls for."""
    return ".tif" if dtype.kind == "f" else ".png"


def write_tile(path: Path, data: bytes) -> str:
    """Write a tile, over one that a killed run left; returns its SHA-256.

    Not synced one by one, which would cost more than all else: only what the manifest lists, with
    its hash, counts as written.
    """
    import hashlib

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def store_tile(
    root: Path,
    photo: str,
    window: Window,
    scan: Array,
    truth: Array,
    *,
    mask: NDArray[np.bool_] | None = None,
    judged: bool = True,
) -> TileRecord:
    """Measure a tile and write its scan, truth and mask.

    Args:
        root: the data set's folder.
        photo: the photograph, which is also taken as its family for now.
        window: where in the photograph the tile lies.
        scan: (H, W, 1 or 3) in the scan's own dtype.
        truth: likewise.
        mask: bool (H, W), or None to tell it from scan and truth.
        judged: whether differences that no damage explains flag the tile.
    """
    scan, truth = (a[..., 0] if a.shape[2] == 1 else a for a in (scan, truth))
    measured = measure(scan, truth, mask)
    name = f"{photo}_{window.x}_{window.y}{suffix(scan.dtype)}"
    files = {"scan": encode(scan), "gt": encode(truth), "mask": encode(measured.mask)}
    return TileRecord(
        name=name,
        photo=photo,
        family=photo,
        split="train",
        window=(window.x, window.y, window.width, window.height),
        sha256={side: write_tile(root / side / name, data) for side, data in files.items()},
        artefacts=measured.artefacts,
        damaged=measured.damaged,
        changed=measured.changed,
        mse=measured.mse,
        flags=measured.flags if judged else (),
    )
