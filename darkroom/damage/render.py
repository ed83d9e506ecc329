"""Shapes of single artefacts, drawn analytically: no supersampling, any window of them alone.

A blurred edge is the error function of the distance to it. A thread of width w seen through a
Gaussian blur of standard deviation s has the profile Phi((d + w/2)/s) - Phi((d - w/2)/s) at
distance d from its centreline; a spot is treated alike along its radius.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from darkroom.geometry import Window

Float = NDArray[np.float32]
Doubles = NDArray[np.float64]

MICRONS_PER_INCH = 25400.0
SPOTS = ("speck", "dirt")
HAIRS = ("short_hair", "long_hair")
LINES = (*HAIRS, "scratch")
TAIL = 3.5  # blurs to this many standard deviations, beyond which an artefact is nothing
RIPPLES = {"speck": 0.10, "dirt": 0.22}  # how ragged the rim of a spot is
CHUNK = 48  # centreline points drawn together


@dataclass(frozen=True, slots=True)
class Artefact:
    """One artefact; lengths in pixels, angles in radians, colours in [0, 1].

    Attributes:
        kind: speck, dirt, short_hair, long_hair or scratch.
        x: column of its centre.
        y: row of its centre.
        length: of the centreline (lines), or the long axis (spots).
        width: across.
        angle: of the long axis, from the x axis towards y.
        straightness: distance between the ends of a line over its length, 0..1.
        opacity: at its densest pixel.
        blur: standard deviation of its edges.
        bright: lighter than the picture, as dust on a negative is after inversion.
        colour: RGB it covers the picture with.
        seed: draws its outline.
    """

    kind: str
    x: float
    y: float
    length: float
    width: float
    angle: float
    straightness: float
    opacity: float
    blur: float
    bright: bool
    colour: tuple[float, ...]
    seed: int


def extent(artefact: Artefact) -> Window:
    """The pixels an artefact may touch."""
    if artefact.kind in SPOTS:
        reach = artefact.length / 2 * (1 + 3 * RIPPLES[artefact.kind])
        reach += TAIL * artefact.blur + 1
        x0, x1, y0, y1 = (
            artefact.x - reach,
            artefact.x + reach,
            artefact.y - reach,
            artefact.y + reach,
        )
    else:
        line = centreline(artefact)
        reach = artefact.width / 2 + TAIL * artefact.blur + 1
        (x0, y0), (x1, y1) = line.min(axis=0) - reach, line.max(axis=0) + reach
    x, y = math.floor(x0), math.floor(y0)
    return Window(x, y, math.ceil(x1) - x + 1, math.ceil(y1) - y + 1)


def shape(artefact: Artefact, window: Window) -> Float:
    """Opacity of an artefact over a window: float32 (H, W) in [0, 1]."""
    cover = _spot(artefact, window) if artefact.kind in SPOTS else _line(artefact, window)
    return (cover * artefact.opacity).astype(np.float32)


def _profile(distance: Doubles, half: Doubles | float, blur: float) -> Doubles:
    """A blurred bar of half-width `half`, scaled to reach 1 at its centre."""
    peak = 2 * ndtr(np.asarray(half) / blur) - 1
    bar: Doubles = (ndtr((distance + half) / blur) - ndtr((distance - half) / blur)) / peak
    return bar


def _spot(artefact: Artefact, window: Window) -> Doubles:
    rng = np.random.default_rng(artefact.seed)
    y, x = np.mgrid[window.y : window.bottom, window.x : window.right].astype(np.float64)
    dx, dy = x + 0.5 - artefact.x, y + 0.5 - artefact.y
    cos, sin = math.cos(artefact.angle), math.sin(artefact.angle)
    u = (dx * cos + dy * sin) / (artefact.length / artefact.width)
    v = dy * cos - dx * sin
    # Squeezed to a circle of the short axis; distances along the long axis shrink with it.
    theta, radius = np.arctan2(v, u), np.hypot(u, v)
    rim = np.ones_like(theta)
    orders = np.arange(2, 8)
    sizes = rng.normal(0, RIPPLES[artefact.kind], len(orders)) * 1.6 / orders
    phases = rng.uniform(0, 2 * math.pi, len(orders))
    for order, size, phase in zip(orders, sizes, phases, strict=True):
        rim += size * np.cos(order * theta + phase)
    stretch = np.hypot(dx, dy) / np.maximum(radius, 1e-9)
    rim = np.maximum(rim, 0.3) * (artefact.width / 2)
    cover = _profile(radius * stretch, np.maximum(rim * stretch, 0.15), artefact.blur)
    return cover * _texture(dx, dy, artefact, rng)


def _texture(dx: Doubles, dy: Doubles, artefact: Artefact, rng: np.random.Generator) -> Doubles:
    """Dust is not evenly dense: a slow wave over it, in 0.6..1."""
    wave = rng.normal(0, 1, 2) * 3 / max(artefact.length, 4.0)
    phase = rng.uniform(0, 2 * math.pi)
    texture: Doubles = 0.8 + 0.2 * np.cos(dx * wave[0] + dy * wave[1] + phase)
    return texture


def centreline(artefact: Artefact) -> Doubles:
    """(N, 2) points x, y a pixel apart or so: a walk whose direction bends smoothly.

    The bend is scaled until the ends lie as far apart as `straightness` says; its middle is the
    artefact's centre.
    """
    rng = np.random.default_rng(artefact.seed)
    count = max(4, math.ceil(artefact.length / max(1.0, artefact.width / 4)))
    t = (np.arange(count) + 0.5) / count
    bend = np.zeros(count)
    for order in (1, 2, 3):
        bend += rng.normal(0, 1 / order) * np.cos(math.pi * order * t)
    bend += rng.choice((-1.0, 1.0)) * (t - 0.5) * 2
    low, high = 0.0, 6.0
    for _ in range(20):
        middle = (low + high) / 2
        chord = abs(np.exp(1j * middle * bend).mean())
        low, high = (middle, high) if chord > artefact.straightness else (low, middle)
    steps = np.exp(1j * low * bend)
    # The chord lies along the angle asked for.
    steps *= np.exp(1j * (artefact.angle - np.angle(steps.sum())))
    path = np.concatenate(([0], np.cumsum(steps))) * (artefact.length / count)
    path -= path.mean()
    return np.stack([path.real + artefact.x, path.imag + artefact.y], axis=1)


def _line(artefact: Artefact, window: Window) -> Doubles:
    points = centreline(artefact)
    rng = np.random.default_rng(artefact.seed + 1)
    t = np.linspace(0, 1, len(points))
    strength = _strength(artefact, t, rng)
    # Threads thin out towards their ends.
    half = artefact.width / 2 * np.minimum(1, 0.35 + 6 * np.minimum(t, 1 - t))
    cover = np.zeros((window.height, window.width))
    reach = artefact.width / 2 + TAIL * artefact.blur + 1
    for start in range(0, len(points) - 1, CHUNK):
        part = slice(start, start + CHUNK + 1)
        corner, end = points[part].min(axis=0) - reach, points[part].max(axis=0) + reach
        x, y = math.floor(corner[0]), math.floor(corner[1])
        box = Window(x, y, math.ceil(end[0]) - x + 1, math.ceil(end[1]) - y + 1)
        box = box.intersect(window)
        if not box.area:
            continue
        distance, nearest = _distances(points[part], box)
        local = _profile(distance, half[part][nearest], artefact.blur) * strength[part][nearest]
        at = box.relative_to(window).slices
        np.maximum(cover[at], local, out=cover[at])
    return cover


def _strength(artefact: Artefact, t: Doubles, rng: np.random.Generator) -> Doubles:
    """How dense a line is along its length; scratches skip and fade more than hairs do."""
    depth = 0.45 if artefact.kind == "scratch" else 0.15
    wave = sum(np.cos(2 * math.pi * (k * t + rng.random())) for k in (1.3, 2.7, 5.1)) / 3
    strength: Doubles = 1 - depth * (0.5 + 0.5 * np.asarray(wave))
    return strength


def _distances(points: Doubles, box: Window) -> tuple[Doubles, NDArray[np.intp]]:
    """Distance of each pixel centre to a polyline, and the index of the nearest segment."""
    y, x = np.mgrid[box.y : box.bottom, box.x : box.right] + 0.5
    best = np.full(x.shape, np.inf)
    index = np.zeros(x.shape, np.intp)
    for i, ((ax, ay), (bx, by)) in enumerate(pairwise(points)):
        ux, uy = bx - ax, by - ay
        along = np.clip(((x - ax) * ux + (y - ay) * uy) / (ux * ux + uy * uy), 0, 1)
        squared = (x - ax - along * ux) ** 2 + (y - ay - along * uy) ** 2
        closer = squared < best
        best[closer] = squared[closer]
        index[closer] = i
    return np.sqrt(best), index
