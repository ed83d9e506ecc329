"""Fitting the damage model: outlines of real artefacts give sizes, residues give contrast.

Outlines were drawn around artefacts on empty frames at two resolutions. They are some pixels
larger than what they surround, by the same number of pixels at either resolution; since hairs are
equally thick in µm on both, the two resolutions tell that margin, and it is taken off.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.damage.difference import LEVELS, artefact_mask, robust_noise, tone_corrected
from darkroom.damage.render import LINES, MICRONS_PER_INCH
from darkroom.damage.transplant import Residue, lift
from darkroom.errors import InputError
from darkroom.values import read_json

LABELS = {
    "Dust": "speck",
    "Dirt": "dirt",
    "Short hair": "short_hair",
    "Long hair": "long_hair",
    "Scratch": "scratch",
}
KINDS = tuple(LABELS.values())
PROBABILITIES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.995, 1.0)
# The width of a 35 mm frame in pixels tells which of the two scanners' settings was used.
FRAME_WIDTH_LIMIT, DPI_HIGH, DPI_LOW = 4000, 3500.0, 2350.0
CLUSTERED = 0.7
FAINT_NOISE = 1.0  # 8-bit levels: residues of noisier pairs say nothing of faint edges
Q = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outline:
    """One outlined artefact, in pixels of its frame."""

    kind: str
    x: float
    y: float
    length: float
    width: float
    area: float
    span: float


@dataclass(frozen=True, slots=True)
class Frame:
    """All outlines of one empty frame."""

    outlines: tuple[Outline, ...]
    dpi: float
    width: float
    height: float

    @property
    def cm2(self) -> float:
        """Area of film in square centimetres."""
        return self.width * self.height * (2.54 / self.dpi) ** 2


@dataclass(frozen=True, slots=True)
class Contrast:
    """How one repaired artefact stood out, measured on an 8-bit grey pair.

    Attributes:
        elongated: a hair or scratch, not a spot.
        half_area: pixels above half the peak.
        opacity: peak change as a share of the way to white (or black).
        bright: brighter than the truth.
        blur: standard deviation in pixels of the Gaussian with the same peak and volume.
    """

    elongated: bool
    half_area: int
    opacity: float
    bright: bool
    blur: float

    @classmethod
    def of(cls, residue: Residue) -> "Contrast":
        """The figures of a residue."""
        values = np.where(residue.inside, residue.change[..., 0], 0)
        size = np.abs(values)
        at = np.unravel_index(int(size.argmax()), size.shape)
        peak, bright = float(size[at]), bool(values[at] > 0)
        truth = float(residue.under[..., 0][at])
        room = (LEVELS - truth) if bright else truth
        rows, columns = np.nonzero(residue.inside)
        span, area = int(max(np.ptp(rows), np.ptp(columns))) + 1, len(rows)
        volume = float(size[np.sign(values) == np.sign(values[at])].sum())
        return cls(
            elongated=span >= 14 and span * span > 5 * area,
            half_area=int((size > peak / 2).sum()),
            opacity=min(1.0, peak / max(room, peak, 1.0)),
            bright=bright,
            blur=math.sqrt(volume / (2 * math.pi * peak)),
        )


def read_frame(path: Path) -> Frame:
    """One file of outlines: a JSON list of `{"label": ..., "points": [[x, y], ...]}`.

    Raises:
        InputError: if the file is not that.
    """
    try:
        entries = read_json(path)
        polygons = [
            (LABELS[entry["label"]], np.asarray(entry["points"], np.float64).reshape(-1, 2))
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a file of outlines: {error!r}") from error
    if not polygons:
        raise InputError(f"{path}: no outlines in it")
    right, bottom = np.concatenate([points for _, points in polygons]).max(axis=0)
    outlines = tuple(_outline(kind, points) for kind, points in polygons if len(points) >= 3)
    dpi = DPI_HIGH if right > FRAME_WIDTH_LIMIT else DPI_LOW
    return Frame(outlines, dpi, float(right), float(bottom))


def _outline(kind: str, points: Q) -> Outline:
    following = np.roll(points, -1, axis=0)
    area = 0.5 * abs(float((points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]).sum()))
    half = float(np.hypot(*(following - points).T).sum()) / 2
    _, sides, _ = cv2.minAreaRect(points.astype(np.float32))
    if kind in LINES:
        # A bent strip of length L and width w has perimeter 2 (L + w) and area L w.
        root = math.sqrt(max(half * half - 4 * area, 0.0))
        length, width = (half + root) / 2, (half - root) / 2
    else:
        length, width = max(sides), min(sides)
    x, y = points.mean(axis=0)
    return Outline(kind, float(x), float(y), length, width, area, max(sides))


def outline_margin(frames: Sequence[Frame]) -> tuple[float, float]:
    """(margin in pixels added to a diameter, hair width in µm), from two resolutions."""
    widths: dict[float, list[float]] = {}
    for frame in frames:
        hairs = [o.width for o in frame.outlines if o.kind in ("short_hair", "long_hair")]
        widths.setdefault(frame.dpi, []).extend(hairs)
    if len(widths) < 2:
        raise InputError("outlines at two resolutions are needed to tell their margin")
    (low, at_low), (high, at_high) = sorted(widths.items())
    slope = (float(np.median(at_high)) - float(np.median(at_low))) / (high - low)
    return float(np.median(at_low)) - slope * low, slope * MICRONS_PER_INCH


def quantiles(values: Sequence[float] | Q, digits: int = 2) -> list[float]:
    """Values at `PROBABILITIES`, rounded: what ships of a distribution."""
    return [round(float(v), digits) for v in np.quantile(np.asarray(values), PROBABILITIES)]


def core_sizes(frames: Sequence[Frame], margin: float) -> dict[str, dict[str, list[float]]]:
    """Lists of `diameter`, `aspect` (spots) or `length`, `width`, `straightness` (lines), in µm."""
    found: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    for frame in frames:
        um = MICRONS_PER_INCH / frame.dpi
        for o in frame.outlines:
            table = found[o.kind]
            # Whatever the outline's margin, nothing below a pixel was seen.
            length, width = (max(v - margin, 1.0) for v in (o.length, o.width))
            if o.kind in LINES:
                table.setdefault("length", []).append(length * um)
                table.setdefault("width", []).append(width * um)
                straight = min(1.0, o.span / max(o.length, 1e-6))
                table.setdefault("straightness", []).append(straight)
            else:
                diameter = max(math.sqrt(4 * o.area / math.pi) - margin, 1.0)
                table.setdefault("diameter", []).append(diameter * um)
                table.setdefault("aspect", []).append(min(6.0, max(length, width) / width))
    return found


def fit_clusters(frames: Sequence[Frame]) -> dict[str, float]:
    """How artefacts crowd together: a Thomas process, by its K function.

    Of the artefacts `share` lie in groups of `children` on average, whose members scatter with
    standard deviation `radius_mm` about a centre (only share x children is told by K; the share is
    taken as given): K(r) = pi r^2 + amplitude (1 - exp(-r^2 / 4 sigma^2))
    (Stoyan and Stoyan 1994). Edge effects are left uncorrected: r is far below the frame's side.
    """
    radii = np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0])
    excess, density = [], []
    for frame in frames:
        at = np.array([(o.x, o.y) for o in frame.outlines]) * 25.4 / frame.dpi
        near = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
        area = frame.cm2 * 100
        pairs = np.array([(near < r).sum() - len(at) for r in radii])
        excess.append(pairs * area / len(at) ** 2 - math.pi * radii**2)
        density.append(len(at) / area)
    curve, per_mm2 = np.median(excess, axis=0), float(np.median(density))
    best = (math.inf, 0.0, 0.0)
    for sigma in np.arange(0.1, 2.0, 0.05):
        basis = 1 - np.exp(-(radii**2) / (4 * sigma**2))
        amplitude = max(0.0, float(basis @ curve / (basis @ basis)))
        loss = float(((curve - amplitude * basis) ** 2).sum())
        best = min(best, (loss, float(sigma), amplitude))
    children = max(1.0, best[2] * per_mm2 / CLUSTERED)
    return {
        "share": CLUSTERED,
        "children": round(children, 1),
        "radius_mm": round(best[1], 2),
    }


def measure_residues(scan: NDArray[Any], gt: NDArray[Any]) -> list[Contrast]:
    """Every repaired artefact of an 8-bit grey pair (H, W); none of a pair that is noisy."""
    difference = tone_corrected(scan, gt)
    if robust_noise(difference) > FAINT_NOISE:
        return []
    truth = scan.astype(np.float32) - difference
    found = lift(scan.astype(np.float32), truth, artefact_mask(scan, gt), margin=0)
    return [Contrast.of(residue) for residue in found]


def fit_contrast(residues: Sequence[Contrast]) -> dict[str, dict[str, Any]]:
    """Opacity, polarity and blur by kind; spots are told apart by their size.

    Raises:
        InputError: if there are too few residues to say anything.
    """
    groups = {
        "speck": [r for r in residues if not r.elongated and r.half_area <= 8],
        "dirt": [r for r in residues if not r.elongated and r.half_area > 8],
        "line": [r for r in residues if r.elongated],
    }
    if min(map(len, groups.values())) < 20:
        raise InputError("fewer than 20 repaired artefacts of some kind in the pairs")
    # The smallest spots are the optics' own blur and little else.
    points = [r.blur for r in groups["speck"] if r.half_area <= 4]
    table: dict[str, dict[str, Any]] = {"blur": {"sigma_px": quantiles(points)}}
    for name, members in groups.items():
        table[name] = {
            "bright_share": round(float(np.mean([r.bright for r in members])), 3),
            "opacity": quantiles([r.opacity for r in members], 3),
        }
    return table


def fit_damage(
    outlines: Path, pairs: Iterable[tuple[NDArray[Any], NDArray[Any]]]
) -> dict[str, Any]:
    """The fitted numbers, as they stand in `damage.toml`.

    Args:
        outlines: folder of `*.json`, one a frame (see `read_frame`).
        pairs: (scan, ground truth) of 8-bit grey pictures.

    Raises:
        InputError: for a folder without outlines, or too few residues.
    """
    paths = sorted(outlines.glob("*.json"))
    if not paths:
        raise InputError(f"{outlines}: no outlines (*.json) in this folder")
    frames = [read_frame(path) for path in paths]
    margin, hair = outline_margin(frames)
    sizes = core_sizes(frames, margin)
    residues = [r for scan, gt in pairs for r in measure_residues(scan, gt)]
    contrast = fit_contrast(residues)
    kinds: dict[str, Any] = {}
    for kind in KINDS:
        per_cm2 = [sum(o.kind == kind for o in f.outlines) / f.cm2 for f in frames]
        kinds[kind] = {
            "per_cm2": round(float(np.mean(per_cm2)), 3),
            **{f"{name}": quantiles(values) for name, values in sizes[kind].items()},
            **contrast["line" if kind in LINES else kind],
        }
    totals = np.array([len(f.outlines) / f.cm2 for f in frames])
    return {
        "version": 1,
        "probabilities": list(PROBABILITIES),
        "source": {
            "frames": len(frames),
            "outlines": sum(len(f.outlines) for f in frames),
            "residues": len(residues),
            "outline_margin_px": round(margin, 2),
            "hair_width_um": round(hair, 1),
        },
        "amount": {"log_sigma": round(float(np.std(np.log(totals))), 3)},
        "clusters": fit_clusters(frames),
        "blur": contrast["blur"],
        "kinds": kinds,
    }


def to_toml(table: dict[str, Any], prefix: str = "") -> str:
    """A nested table of numbers, strings and flat lists as TOML."""
    lines = [
        f"{key} = {json.dumps(value)}"
        for key, value in table.items()
        if not isinstance(value, dict)
    ]
    text = "\n".join(lines) + "\n" if lines else ""
    for key, value in table.items():
        if isinstance(value, dict):
            name = f"{prefix}{key}"
            text += f"\n[{name}]\n{to_toml(value, name + '.')}"
    return text
