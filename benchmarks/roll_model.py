"""Rolls of frames with dirt that stays in place, the truth of it, and what only looks like it."""

from dataclasses import dataclass

import cv2
import numpy as np
from scratch_model import GRAIN, grainy, photograph

WIDTH, HEIGHT = 1000, 680
GAMMA = 2.2  # dirt takes a share of the light, pictures are encoded
KINDS = ("speck", "shadow", "hair", "column")
FIXTURES = ("none", "letterbox", "stamp", "border", "holder")


@dataclass(frozen=True)
class Fixed:
    """Dirt that stays: the gain of encoded values, (H, W), 1 where it is not; and its kind."""

    kind: str
    gain: np.ndarray
    depth: float

    def contrast(self, sigma):
        """How far it stands out of the middle grey, in standard deviations of the grain."""
        return 0.5 * float(np.abs(1 - self.gain).max()) / sigma

    @property
    def mask(self):
        """Where it takes at least a third of its most."""
        taken = np.abs(1 - self.gain)
        return taken > taken.max() / 3


def piece(path, rng):
    """A photograph cut to the size of a frame at random, or None where it is smaller."""
    picture = photograph(path)
    if picture.shape[0] > picture.shape[1]:
        picture = np.ascontiguousarray(np.rot90(picture))
    height, width = picture.shape[:2]
    if height < HEIGHT or width < WIDTH:
        return None
    y, x = int(rng.integers(height - HEIGHT + 1)), int(rng.integers(width - WIDTH + 1))
    return picture[y : y + HEIGHT, x : x + WIDTH]


def _blob(rng, radius):
    """An irregular outline about the middle of a small square, 0 to 1."""
    side = int(4 * radius) | 1
    field = cv2.GaussianBlur(rng.normal(size=(side, side)), (0, 0), max(radius / 2, 0.6))
    field /= np.abs(field).max() + 1e-9
    y, x = np.mgrid[:side, :side] - side // 2
    reach = np.hypot(y, x) / radius
    return 1 / (1 + np.exp(np.clip((reach - 1 + 0.45 * field) * radius * 2, -30, 30)))


def _hair(rng, length, width):
    """A bent line in a square, 0 to 1."""
    side = int(1.2 * length) | 1
    turn, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.02, 0.02)
    point, points = np.array([0.0, 0.0]), []
    for _ in range(int(length)):
        points.append(point.copy())
        point += (np.cos(turn), np.sin(turn))
        bend += rng.normal(0, 0.004)
        turn += bend
    points = np.array(points)
    points += side / 2 - (points.max(axis=0) + points.min(axis=0)) / 2
    line = np.zeros((side, side), np.float32)
    steps = np.rint(points * 16).astype(np.int32)[:, None]
    cv2.polylines(line, [steps], False, 1.0, max(1, round(width)), cv2.LINE_AA, 4)
    return np.clip(cv2.GaussianBlur(line, (0, 0), 0.5), 0, 1)


def fixed(kind, rng):
    """One piece of dirt that stays in place."""
    light = np.ones((HEIGHT, WIDTH))
    if kind == "column":
        depth = float(rng.uniform(0.03, 0.3) * rng.choice((1, -1)))
        light[:, int(rng.integers(30, WIDTH - 30))] -= depth
        return Fixed(kind, light ** (1 / GAMMA), abs(depth))
    if kind == "speck":
        depth = float(rng.uniform(0.3, 0.98))
        shape = _blob(rng, rng.uniform(1.5, 5))
    elif kind == "shadow":
        depth = float(rng.uniform(0.05, 0.3))
        radius = rng.uniform(5, 14)
        shape = cv2.GaussianBlur(_blob(rng, radius), (0, 0), radius / 4)
    else:
        depth = float(rng.uniform(0.2, 0.9))
        shape = _hair(rng, rng.uniform(25, 90), rng.uniform(1, 3))
    side = len(shape)
    y, x = (int(rng.integers(8, whole - side - 8)) for whole in (HEIGHT, WIDTH))
    light[y : y + side, x : x + side] -= depth * shape
    return Fixed(kind, light ** (1 / GAMMA), depth)


def own_dirt(picture, rng):
    """Dirt of one frame alone, in place."""
    for _ in range(int(rng.integers(3, 15))):
        shape = _blob(rng, rng.uniform(1.5, 5))
        side = len(shape)
        y, x = (int(rng.integers(0, whole - side)) for whole in (HEIGHT, WIDTH))
        view = picture[y : y + side, x : x + side]
        view += (shape[..., None] * (0.95 - view)).astype(np.float32)


def fixture(name, picture, number, rng):
    """What is the same in all frames and is no dirt, drawn in place."""
    if name == "letterbox":
        picture[:70] = picture[-70:] = 0.02
    elif name == "border":  # of the film, with the frame's number
        picture[:, :40] = picture[:, -40:] = (0.75, 0.45, 0.3)
        _write(picture, f"{number}A", (4, 300), cv2.FONT_HERSHEY_PLAIN, 1, (1, 1, 0.6))
    elif name == "holder":
        inside = np.zeros((HEIGHT, WIDTH), np.float32)
        cv2.rectangle(inside, (45, 40), (WIDTH - 45, HEIGHT - 40), 1, -1)
        inside = (cv2.GaussianBlur(inside, (0, 0), 8) > 0.5).astype(np.float32)
        picture *= cv2.GaussianBlur(inside, (0, 0), 1)[..., None]
    elif name == "stamp":
        text = f"'98  7 {number % 28 + 1:2d}"
        at = (WIDTH - 190, HEIGHT - 40)
        _write(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (1, 0.5, 0.1))


def _write(picture, text, at, font, size, colour):
    """Draws glowing text, in place."""
    glow = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(glow, text, at, font, size, 255, 2, cv2.LINE_AA)
    np.maximum(picture, glow[..., None] * (np.float32(colour) / 255), out=picture)


def roll(files, rng, dirt=(), still=False, fixtures="none", sigma=None):
    """Frames of a roll, one after the other: uint16 (H, W, 3), and the same without `dirt`.

    Args:
        files: a photograph each.
        rng: random numbers.
        dirt: `Fixed` pieces.
        still: one picture for all frames, as from a tripod.
        fixtures: one of `FIXTURES`.
        sigma: of the grain; any by default.
    """
    sigma, first = sigma or rng.uniform(*GRAIN), None
    light = np.ones((HEIGHT, WIDTH, 1), np.float32)
    for each in dirt:
        light *= each.gain[..., None].astype(np.float32)
    for number, path in enumerate(files):
        picture = first if still and first is not None else piece(path, rng)
        first = picture
        picture = picture.copy()
        fixture(fixtures, picture, number, rng)
        grain = grainy(picture, sigma, rng) - picture
        bare = picture + grain
        picture = picture * light + grain
        # The frame's own dirt is the same on both.
        state = rng.bit_generator.state
        own_dirt(bare, rng)
        rng.bit_generator.state = state
        own_dirt(picture, rng)
        yield tuple(np.rint(np.clip(p, 0, 1) * 65535).astype(np.uint16) for p in (picture, bare))
