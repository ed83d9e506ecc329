"""Drawn shapes: specks, hairs and scratches that are damage, and highlights that only look like it.

Dust lies on the film and hides the grain below; its edge is as sharp as the scanner. A catch-light
or a disc of unsharpness is in the picture: its edge is as soft as the lens, and grain runs on
across it.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Plane: TypeAlias = NDArray[np.float32]

LEVELS = 255.0
GRAINY = 1.5  # pixels; what a Gaussian of this width takes away counts as grain


def draw_artefact(rng: np.random.Generator, size: float = 1.0) -> Plane:
    """The opacity in [0, 1] of a speck, hair or scratch, (h, w).

    Args:
        rng: draws all about it.
        size: times as large, or as wide.
    """
    straight = rng.random() < 0.5
    opacity = _speck(rng, size) if rng.random() < 1 / 3 else _thread(rng, size, straight=straight)
    soft = ndi.gaussian_filter(opacity, rng.uniform(0.3, 1.0)) * rng.uniform(0.15, 1.0)
    return np.asarray(soft, np.float32)


def _speck(rng: np.random.Generator, size: float) -> Plane:
    side = int(rng.integers(7, 22) * size)
    turn, squeeze = rng.uniform(0, np.pi), rng.uniform(0.35, 1)
    u, v = _axes(side, side / 2, turn)
    lobes = 1 + 0.2 * np.sin(np.arctan2(v, u) * rng.integers(2, 5) + rng.uniform(0, 6))
    radius = (side / 2 - 2) * rng.uniform(0.3, 1) * lobes
    opacity = np.clip(radius - np.hypot(u, v / squeeze) + 0.5, 0, 1)
    return np.asarray(opacity, np.float32)


def _axes(side: int, middle: float, turn: float) -> tuple[Plane, Plane]:
    """Coordinates (side, side) along two axes turned by an angle, from the middle."""
    y, x = np.mgrid[:side, :side].astype(np.float32) - middle
    return x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)


def _thread(rng: np.random.Generator, size: float, *, straight: bool) -> Plane:
    side = int(rng.integers(24, 100))
    opacity = np.zeros((side, side), np.float32)
    heading = rng.uniform(0, 2 * np.pi)
    at = side / 2 - side / 3 * np.array([np.sin(heading), np.cos(heading)])
    bend, half = 0.0 if straight else rng.normal(0, 0.04), rng.uniform(0.5, 1.3) * size
    reach = int(half + 1.5)
    for _ in range(int(side * 0.7)):
        at = at + np.array([np.sin(heading), np.cos(heading)])
        heading += bend + (0.0 if straight else rng.normal(0, 0.06))
        y, x = int(at[0]), int(at[1])
        if not (reach <= y < side - reach and reach <= x < side - reach):
            break
        near = np.s_[y - reach : y + reach + 1, x - reach : x + reach + 1]
        ys, xs = np.mgrid[near]
        away = np.hypot(ys - at[0], xs - at[1])
        opacity[near] = np.maximum(opacity[near], np.clip(half + 0.5 - away, 0, 1))
    return opacity


def draw_highlight(rng: np.random.Generator) -> Plane:
    """The opacity in [0, 1] of a catch-light, a disc of unsharpness or a glint, (h, w).

    Args:
        rng: draws all about it.
    """
    radius = float(np.exp(rng.uniform(np.log(1.5), np.log(12.0))))
    soft = rng.uniform(0.8, 2.5)
    side = int(2 * (radius + 3 * soft)) + 3
    u, v = _axes(side, (side - 1) / 2, rng.uniform(0, np.pi))
    squeeze = rng.uniform(0.15, 0.5) if rng.random() < 0.3 else rng.uniform(0.6, 1.0)
    away = np.hypot(u, v / squeeze)
    opacity = np.clip(radius - away + 0.5, 0, 1)
    if rng.random() < 0.3:  # a rim, perhaps not all around
        opacity *= 1 - rng.uniform(0.3, 1) * np.clip(0.7 * radius - away + 0.5, 0, 1)
        opacity *= np.clip(0.5 + u / radius * rng.uniform(0, 1), 0, 1)
    opacity = ndi.gaussian_filter(opacity, soft)
    return np.asarray(opacity * (rng.uniform(0.2, 1.0) / opacity.max()), np.float32)


def lit(plane: Plane, opacity: Plane, level: float) -> Plane:
    """A place under a highlight, its grain kept.

    Args:
        plane: (h, w) in [0, 255].
        opacity: (h, w) in [0, 1].
        level: of the light, in [0, 255]; what is brighter stays.
    """
    smooth = ndi.gaussian_filter(plane, GRAINY)
    bright = plane + opacity * np.maximum(level - smooth, 0)
    return np.asarray(np.clip(bright, 0, LEVELS), np.float32)
