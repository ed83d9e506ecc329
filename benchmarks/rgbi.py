"""Scans with an infrared channel, made from photographs by a model of film, damage and scanner.

The model is physical where it matters to whoever looks for dust in infrared:

- Film: the photograph's densities become cyan, magenta and yellow dye, with grain in each. Dyes
  absorb a little infrared, cyan most; a silver image absorbs it as it absorbs light.
- Damage: shapes and sizes of darkroom's fitted damage model. What lies on the film multiplies
  the light that comes through, in red, green, blue and infrared by powers of one transmission.
  Smears are large and thin. Emulsion scratches take dye away and cannot be seen in infrared.
- Scanner: infrared light falls off to the corners, is focused a little differently and lands a
  fraction of a pixel away; each channel has shot and read noise and 16 bits.

The clean twin of each scan has the same grain and noise, so every difference is damage.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import ndimage as ndi

from darkroom.damage.model import DamageModel, render
from darkroom.damage.render import shape
from darkroom.geometry import Window

Kind = Literal["slide", "negative", "inverted", "kodachrome", "silver"]
DYE_INFRARED = {  # density in infrared for each density of cyan, magenta and yellow dye
    "slide": (0.06, 0.02, 0.01),
    "negative": (0.06, 0.02, 0.01),
    "inverted": (0.06, 0.02, 0.01),
    "kodachrome": (0.45, 0.05, 0.02),
}
SILVER_INFRARED = 0.95
D_MAX = 2.6  # of a slide
NEGATIVE_GAMMA = 0.6
DUST_POWERS = np.array([0.96, 1.0, 1.05])  # dust swallows a little more blue than red
SMEAR_POWERS = np.array([0.85, 0.9, 0.95])
INFRARED_WHITE = 0.8
SEEN = 4.0 / 255  # a pixel is damaged where an encoded channel changes by more


@dataclass(frozen=True)
class Scanner:
    """Noise as a share of white, misalignment in pixels, falloff at the corners."""

    infrared_noise: float = 0.002
    picture_noise: float = 0.0015
    shift: tuple[float, float] = (0.6, -0.35)
    falloff: float = 0.06


@dataclass(frozen=True)
class Frame:
    """A damaged scan and its clean twin.

    Attributes:
        damaged: uint16 (H, W, 4), red, green, blue, infrared.
        clean: the same without damage.
        encoded: whether red, green and blue are gamma-encoded; else all are linear.
        visible: bool (H, W), damaged as anyone sees it.
        emulsion: bool (H, W), the part of it that infrared cannot show.
    """

    damaged: np.ndarray
    clean: np.ndarray
    encoded: bool
    visible: np.ndarray
    emulsion: np.ndarray


def make_frame(
    photo: np.ndarray,
    kind: Kind = "slide",
    scanner: Scanner | None = None,
    *,
    amount: float = 1.0,
    smears: int = 3,
    dpi: float = 2400,
    scale: float = 2.0,
    seed: int = 0,
) -> Frame:
    """Film with the photograph on it, scanned.

    Args:
        photo: uint8 (H, W, 3), sRGB.
        kind: of film; "inverted" is a negative turned positive and gamma-encoded.
        scanner: noise and misalignment.
        amount: of damage, 1 as measured on real frames.
        smears: number of large thin stains.
        dpi: resolution that sizes of damage are drawn for.
        scale: the photograph is enlarged by this.
        seed: of everything drawn.
    """
    scanner = scanner or Scanner()
    rng = np.random.default_rng(seed)
    density = _dyes(photo, scale, rng)
    if kind in ("negative", "inverted"):
        density = NEGATIVE_GAMMA * (D_MAX - density)
    height, width = density.shape[:2]
    if kind == "silver":
        density = np.repeat(density.mean(axis=2, keepdims=True), 3, axis=2)
        infrared = SILVER_INFRARED * density[..., 1]
    else:
        infrared = density @ np.array(DYE_INFRARED[kind])
    dust, smear, scraped = _damage(width, height, dpi, amount, smears, seed)
    noise = rng.standard_normal((height, width, 4))
    pictures = []
    for damaged in (True, False):
        lost = (1 - scraped)[..., None] if damaged else 1.0
        light = 10.0 ** -(density * lost)
        heat = 10.0 ** -(infrared * (lost[..., 0] if damaged else 1.0))
        if damaged:
            light = light * dust[..., None] ** DUST_POWERS * smear[..., None] ** SMEAR_POWERS
            heat = heat * dust * smear
        pictures.append(_scan(light, heat, kind, scanner, noise))
    encoded = kind == "inverted"
    before, after = (as_seen(p, encoded) for p in pictures)
    visible = np.abs(before - after).max(axis=2) > SEEN
    return Frame(pictures[0], pictures[1], encoded, visible, visible & (scraped > 0.05))


def write_vuescan(path: Path, frame: Frame, dpi: int = 2400) -> None:
    """A linear frame as VueScan writes raw files: four chunky 16-bit samples, infrared last."""
    import tifffile

    tifffile.imwrite(
        path,
        frame.damaged,
        photometric="rgb",
        extrasamples=["unspecified"],
        software="VueScan 9 x64 (9.7.50)",
        resolution=(dpi, dpi),
        resolutionunit="INCH",
        metadata=None,
    )


def write_sidecar(path: Path, frame: Frame, dpi: int = 2400) -> Path:
    """The picture as a plain RGB TIFF and its infrared beside it, whose path is returned."""
    import tifffile

    beside = path.with_name(f"{path.stem}_IR{path.suffix}")
    resolution = {"resolution": (dpi, dpi), "resolutionunit": "INCH", "metadata": None}
    tifffile.imwrite(path, frame.damaged[..., :3], photometric="rgb", **resolution)
    tifffile.imwrite(beside, frame.damaged[..., 3], photometric="minisblack", **resolution)
    return beside


CHOSEN_ON = ("astronaut", "coffee", "chelsea", "rocket")  # what defaults were chosen on
REPORTED = ("motorcycle", "hubble", "retina", "tissue")  # what figures are reported of
LARGEST = 600  # pixels of a side that larger photographs are cut to


def bundled_photos(names: tuple[str, ...] = CHOSEN_ON) -> dict[str, np.ndarray]:
    """Colour photographs that come with scikit-image: uint8 (H, W, 3)."""
    import skimage.data

    makers = {
        "motorcycle": lambda: skimage.data.stereo_motorcycle()[0],
        "hubble": skimage.data.hubble_deep_field,
        "tissue": skimage.data.immunohistochemistry,
    }
    photos = {name: makers.get(name, getattr(skimage.data, name, None))() for name in names}
    return {name: _middle(photo) for name, photo in photos.items()}


def _middle(photo: np.ndarray) -> np.ndarray:
    """The middle of a photograph, at most `LARGEST` pixels a side."""
    top, left = (max(0, (side - LARGEST) // 2) for side in photo.shape[:2])
    return photo[top : top + LARGEST, left : left + LARGEST]


def _dyes(photo: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Densities (H, W, 3) to red, green and blue of a slide, grain included."""
    encoded = photo.astype(np.float64) / 255
    encoded = np.clip(ndi.zoom(encoded, (scale, scale, 1), order=3, mode="nearest"), 0, 1)
    encoded = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    density = -np.log10(np.maximum(encoded, 10.0**-D_MAX))
    grain = rng.standard_normal(density.shape)
    grain = ndi.gaussian_filter(grain, (0.7, 0.7, 0))
    return np.maximum(density + 0.02 * grain / grain.std() * np.sqrt(density + 0.1), 0)


def _damage(
    width: int, height: int, dpi: float, amount: float, smears: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(transmission of dust, transmission of smears, share of dye scraped off), each (H, W)."""
    model = replace(DamageModel.load(polarity="dark"), amount=amount)
    rng = np.random.default_rng([seed, 1])
    scraped, lying = [], []
    for artefact in model.sample(width, height, dpi, seed):
        # Half of the scratches reach the emulsion; the others scatter light away from the lens.
        deep = artefact.kind == "scratch" and rng.random() < 0.5
        (scraped if deep else lying).append(artefact)
    window = Window(0, 0, width, height)
    dust = 1 - render(lying, window)[0].astype(np.float64)
    bare = np.zeros((height, width))
    for artefact in scraped:
        np.maximum(bare, shape(artefact, window), out=bare)
    y, x = np.mgrid[:height, :width]
    smear = np.ones((height, width))
    for _ in range(smears):
        cy, cx = rng.uniform(0, height), rng.uniform(0, width)
        a, b = rng.uniform(0.02, 0.06, 2) * min(width, height)
        across = rng.uniform(0, np.pi)  # ridges of a finger are half a millimetre apart
        ridges = np.sin((x * np.cos(across) + y * np.sin(across)) * 2 * np.pi * 25.4 / dpi / 0.5)
        blob = np.exp(-0.5 * (((x - cx) / a) ** 2 + ((y - cy) / b) ** 2))
        smear *= 1 - rng.uniform(0.1, 0.35) * blob * (0.8 + 0.2 * ridges)
    return np.maximum(dust, 1e-4), smear, bare


def _scan(
    light: np.ndarray, heat: np.ndarray, kind: Kind, scanner: Scanner, noise: np.ndarray
) -> np.ndarray:
    """uint16 (H, W, 4) from the light that comes through the film."""
    height, width = heat.shape
    light = ndi.gaussian_filter(light, (0.5, 0.5, 0))
    dx, dy = scanner.shift
    heat = ndi.shift(ndi.gaussian_filter(heat, 0.7), (dy, dx), order=3, mode="nearest")
    v, u = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    heat = np.maximum(heat, 0) * INFRARED_WHITE * (1 - scanner.falloff * (u * u + v * v) / 2)
    # The orange mask of negatives is left out: scanners expose each channel for it.
    sigma = scanner.picture_noise * np.sqrt(0.05 + light)
    light = light + sigma * noise[..., :3]
    heat = heat + scanner.infrared_noise * np.sqrt(0.05 + heat) * noise[..., 3]
    if kind == "inverted":
        density = -np.log10(np.maximum(light, 1e-4))
        light = 10.0 ** (density / NEGATIVE_GAMMA - D_MAX)
        light = np.clip(light, 0, 1)
        light = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    stacked = np.concatenate([light, heat[..., None]], axis=2)
    return np.rint(np.clip(stacked, 0, 1) * 65535).astype(np.uint16)


def as_seen(scan: np.ndarray, encoded: bool) -> np.ndarray:
    """The picture as people see it: (H, W, 3) in [0, 1]."""
    light = scan[..., :3] / 65535
    if encoded:
        return light
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
