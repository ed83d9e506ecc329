"""Pairs as pixels: any depth and any format that darkroom opens, encoded as backends see scans."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from darkroom.codec import Codec
from darkroom.damage.difference import (
    CLEAN,
    DAMAGED,
    EIGHT,
    LEVELS,
    UNDECIDED,
    artefact_mask,
    tone_corrected,
)
from darkroom.errors import InputError
from darkroom.geometry import Window
from darkroom.io import open_scan
from darkroom.io.files import reading
from darkroom.pairs.find import Pair
from darkroom.scan import Float, Pixels, ScanInfo, luminance

FAINT = 2.5  # levels; differences above it that are no artefact are left undecided
MARKED = 0.5  # share of a mask file's range from which a pixel is marked
EDITED = 4.0  # levels; differences above it that are no artefact are edits of tone


@dataclass(frozen=True, slots=True)
class Picture:
    """A pair in memory, gamma-encoded, in levels of 8 bits.

    Attributes:
        name: its identity, see `Pair`.
        scan: float32 (H, W) of a grey pair, (H, W, 3) of a colour one, 0 to 255 but not whole.
        truth: the same shape, freed of a global shift of tone against the scan.
        state: uint8 (H, W): CLEAN, DAMAGED, UNDECIDED.
        retouched: share of pixels that differ from the truth and are no damage.
        family: what photographs have in common that are versions of one another.
    """

    name: str
    scan: Float
    truth: Float
    state: NDArray[np.uint8]
    retouched: float
    family: str = ""


def read_pixels(path: Path) -> tuple[Pixels, ScanInfo]:
    """The samples of a picture as they are, (H, W, 1 or 3), and what the file says of them.

    Raises:
        InputError: it cannot be read.
    """
    with open_scan(path) as scan:
        info = scan.info
        return scan.read(Window(0, 0, info.width, info.height))[..., : info.channels], info


def read_tile(path: Path) -> Pixels:
    """A tile's samples as they are: (H, W) if grey, (H, W, 3) in colour.

    Raises:
        InputError: it is missing or damaged.
    """
    pixels, _ = read_pixels(path)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def read_image(path: Path, channels: int | None = None) -> Float:
    """A picture as backends see it.

    Args:
        path: of the picture.
        channels: 1 for luminance, 3 for red, green and blue (grey thrice), None for what it has.

    Returns:
        float32 (H, W, C) in [0, 1], gamma-encoded.

    Raises:
        InputError: it cannot be read.
    """
    pixels, info = read_pixels(path)
    return in_channels(Codec.of(info, _white(pixels)).encode(pixels), channels)


def read_levels(path: Path, channels: int) -> NDArray[Any]:
    """A picture in levels of 8 bits: uint8 if the file has no more, otherwise float32.

    Args:
        path: of the picture, which may be a WebP.
        channels: 1 for luminance (H, W), 3 for colour (H, W, 3).

    Raises:
        InputError: it cannot be read.
    """
    if path.suffix.lower() == ".webp":
        import imagecodecs

        with reading(path, "picture"):
            pixels = np.asarray(imagecodecs.webp_decode(path.read_bytes()))[..., :3]
        image, eight = in_channels(pixels.astype(np.float32) / np.float32(LEVELS), channels), True
    else:
        pixels, info = read_pixels(path)
        codec = Codec.of(info, _white(pixels))
        image = in_channels(codec.encode(pixels), channels)
        eight = info.dtype == np.uint8 and not codec.linear
    levels = (image[..., 0] if channels == 1 else image) * np.float32(LEVELS)
    return np.rint(levels).astype(np.uint8) if eight else levels


def in_channels(image: Float, channels: int | None) -> Float:
    """An image (H, W, C) with so many channels; None leaves it."""
    if channels == 1:
        return luminance(image)[..., None]
    if channels == 3 and image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return image


def read_mask(path: Path) -> NDArray[np.bool_]:
    """A mask file: bool (H, W), true where half or more of its range is reached.

    Raises:
        InputError: it cannot be read.
    """
    pixels, info = read_pixels(path)
    plane = luminance(pixels.astype(np.float32))
    return np.asarray(plane >= MARKED * (1 if info.dtype.kind == "f" else np.iinfo(info.dtype).max))


def load_picture(pair: Pair, channels: int | None = 1) -> Picture:
    """Read a pair and mark its damage: by its mask, or where it has none by the difference.

    Args:
        pair: with a truth.
        channels: as for `read_image`.

    Raises:
        InputError: a file cannot be read, there is no truth, or sizes differ.
    """
    if pair.truth is None:
        raise InputError(f"{pair.scan}: no ground truth for it")
    (seen, first), (meant, second) = read_pixels(pair.scan), read_pixels(pair.truth)
    if seen.shape[:2] != meant.shape[:2]:
        raise InputError(f"{pair.scan} and {pair.truth} differ in size")
    white = max(_white(seen), _white(meant))
    scan, truth = (
        in_channels(Codec.of(info, white).encode(pixels), channels) * np.float32(LEVELS)
        for pixels, info in ((seen, first), (meant, second))
    )
    if scan.shape != truth.shape:
        raise InputError(f"{pair.scan} and {pair.truth}: one is grey and the other in colour")
    marked = read_mask(pair.mask) if pair.mask else None
    if marked is not None and marked.shape != scan.shape[:2]:
        raise InputError(f"{pair.scan} and {pair.mask} differ in size")
    return picture_of(scan, truth, marked, name=pair.name, family=pair.family)


def picture_of(
    scan: Float,
    truth: Float,
    marked: NDArray[np.bool_] | None = None,
    *,
    name: str = "",
    family: str = "",
) -> Picture:
    """A pair of arrays (H, W, C) in levels, with its damage marked.

    Two pixels around damage, and differences that are faint, are undecided.

    Args:
        scan: damaged, 0 to 255.
        truth: without damage.
        marked: bool (H, W), what is damaged; None to conclude it from the difference.
        name: of the pair.
        family: of its photograph.
    """
    scan, truth = (plane[..., 0] if plane.shape[2] == 1 else plane for plane in (scan, truth))
    damaged = artefact_mask(scan, truth) if marked is None else marked
    difference = tone_corrected(scan, truth)
    size = np.abs(difference) if scan.ndim == 2 else np.abs(difference).max(axis=2)
    state = np.full(scan.shape[:2], CLEAN, np.uint8)
    state[ndi.binary_dilation(damaged, EIGHT, iterations=2) | (size > FAINT)] = UNDECIDED
    state[damaged] = DAMAGED
    edited = float(((size > EDITED) & ~damaged).mean())
    return Picture(name, scan, scan - difference, state, edited, family)


def _white(pixels: NDArray[Any]) -> float:
    """The value that becomes 1: of floats the largest, at least 1."""
    return float(np.nanmax(pixels, initial=1.0)) if pixels.dtype.kind == "f" else 1.0
