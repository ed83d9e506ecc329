"""Tiles as files, and what is measured of each."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from darkroom.damage.difference import (
    EIGHT,
    artefact_mask,
    robust_noise,
    thresholds,
    tone_corrected,
)
from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io.atomic import writing
from darkroom.io.files import reading
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
        shapes(mask),
        round(float(mask.mean()), 6),
        round(changed, 6),
        round(float((plain**2).mean()), 4),
        flags,
    )


def shapes(mask: NDArray[np.bool_]) -> dict[str, int]:
    """Components of a mask counted as speck, hair, scratch or blob.

    By extent along the principal axes: lines are five times as long as thick; of these, scratches
    are straight (thin across the axis, too), hairs bend. What is compact is a speck up to 12
    pixels across and a blob above.
    """
    labels, count = ndi.label(mask, EIGHT)
    found: Counter[str] = Counter()
    for index, box in enumerate(ndi.find_objects(labels), 1):
        y, x = np.nonzero(labels[box] == index)
        found[_shape(x.astype(np.float64), y.astype(np.float64))] += 1
    assert sum(found.values()) == count
    return dict(sorted(found.items()))


def _shape(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    points = np.stack([x - x.mean(), y - y.mean()])
    _, axes = np.linalg.eigh(points @ points.T / len(x) + np.eye(2) * 1e-9)
    across, along = np.ptp(axes.T @ points, axis=1) + 1
    thick = len(x) / along
    if along >= 12 and along >= 5 * thick:
        return "scratch" if across < 0.08 * along + 3 and along >= 24 else "hair"
    return "speck" if along <= 12 else "blob"


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


def read_tile(path: Path) -> Array:
    """A tile file: (H, W) or (H, W, C), native type.

    Raises:
        InputError: if it is missing or damaged.
    """
    import imagecodecs
    import tifffile

    with reading(path, "tile"):
        if path.suffix == ".tif":
            return np.asarray(tifffile.imread(path))
        image = np.asarray(imagecodecs.png_decode(_pixels_only(path.read_bytes())))
    if image.ndim == 3 and image.shape[2] not in (1, 3):
        raise InputError(f"{path}: {image.shape[2]} samples a pixel in a tile")
    return image


def _pixels_only(png: bytes) -> bytes:
    """A PNG without its ancillary chunks, of whose faults the decoder would complain on stderr."""
    kept, at = [png[:8]], 8
    while at + 12 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 5].isupper():
            kept.append(png[at:end])
        at = end
    return b"".join(kept)


def write_tile(path: Path, data: bytes) -> str:
    """Write a tile, over one that a killed run left; returns its SHA-256.

    Not synced one by one, which would cost more than all else: only what the manifest lists, with
    its hash, counts as written.
    """
    import hashlib

    with writing(path):
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
