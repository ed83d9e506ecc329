"""What a frame shows beside its large forms: the reduced plane that frames are compared on.

Dust on a sensor or on glass takes a share of the light, so that it is a constant in the logarithm
of the picture, whatever the picture is: Zhou and Lin, "Removal of image artifacts due to sensor
dust" (CVPR 2007), and Dirik, Sencar and Memon, "Source camera identification based on sensor dust
characteristics" (SAFE 2007). The picture's own large forms are taken away by a median, which
leaves edges as steep as they are and so nothing beside them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window, bands
from darkroom.scan import Float, luminance

Reader = Callable[[Window], Float]
Spread = Callable[[Callable[[Any], Any], Any], Iterator[Any]]

MAP_PIXELS = 6_000_000  # of the reduced plane at most; never by the machine, as it is of the result
DARKEST = 1 / 64  # below which the logarithm says nothing but noise
# Pixels of the reduced plane across, odd: what is half as wide is no form of the picture.
FORMS = 61
# Levels, each half as large as the one before, for what is soft and faint: pixels by which each is
# blurred, and over which its usual deviation is taken.
BLUR = (0.0, 0.8, 1.0, 1.0)
LOCAL = (49, 33, 25, 17)
LEVELS = len(BLUR)
LEAST = 0.003  # deviation below which rounding rules
MEAN_TO_SIGMA = 1.2533  # sqrt(pi / 2), of a normal distribution
FAR = 4.0  # usual deviations
BAND = 512  # rows of the reduced plane at a time
HALO = 192  # rows above and below that those depend on; a multiple of 2 ** LEVELS
EVEN = 0.02  # logarithms by which the cells of a blank frame differ
ODD, ODD_SHARE = 2.5, 0.15  # usual deviations of a place with dirt; share of a blank frame
CELLS = 64  # cells on the longer side, in which pictures are compared as wholes


def reduction(width: int, height: int) -> int:
    """How many times smaller the plane of a frame is."""
    return max(1, int(np.ceil(np.sqrt(width * height / MAP_PIXELS))))


@dataclass(frozen=True, slots=True)
class Plane:
    """A frame, made smaller.

    Attributes:
        light: float32 (H, W), the logarithm of its luminance.
        colour: float32 (H, W), of red over blue, less that of the surroundings; None if grey.
    """

    light: Float
    colour: Float | None


def log_plane(read: Reader, width: int, height: int, spread: Spread = map) -> Plane:
    """A frame on (height // n, width // n) pixels, where n is its `reduction`.

    Args:
        read: gives (H, W, C) float32 in [0, 1], gamma-encoded, for a window inside the frame.
        width, height: of the frame.
        spread: a `map` that keeps order, over threads if it likes.
    """
    import cv2

    scale = reduction(width, height)
    columns, rows = width // scale, height // scale
    darkest = np.float32(DARKEST)

    def look(window: Window) -> tuple[Float, Float | None]:
        whole = Window(0, window.y * scale, columns * scale, window.height * scale)
        size = (columns, window.height)
        small = cv2.resize(read(whole), size, interpolation=cv2.INTER_AREA)
        image: Float = np.asarray(small.reshape(window.height, columns, -1), np.float32)
        light = np.log(np.maximum(luminance(image), darkest), dtype=np.float32)
        if image.shape[2] == 1:
            return light, None
        red, blue = image[..., 0] + darkest, image[..., 2] + darkest
        return light, np.log(red / blue)

    parts = list(spread(look, bands(columns, rows, BAND)))
    colours = [colour for _, colour in parts if colour is not None]
    colour = np.concatenate(colours) if colours else None
    if colour is not None:
        colour -= cv2.blur(colour, (FORMS, FORMS))
    return Plane(np.concatenate([light for light, _ in parts]), colour)


@dataclass(frozen=True, slots=True)
class Deviations:
    """How far each place of some rows of a frame stands out of its surroundings.

    Attributes:
        rows: of the plane.
        rest: float32, the residue in logarithms.
        levels: for each level (residue, its usual size about there), both float32.
    """

    rows: slice
    rest: Float
    levels: list[tuple[Float, Float]]


def deviations(plane: Float, spread: Spread = map) -> Iterator[Deviations]:
    """The deviations of a frame, band by band.

    Args:
        plane: its logarithms, see `Plane`.
        spread: as for `log_plane`.
    """
    height, width = plane.shape

    def look(window: Window) -> Deviations:
        top, bottom = max(0, window.y - HALO), min(height, window.bottom + HALO)
        rest, usual = _residue(plane[top:bottom])
        first, count = window.y - top, window.height
        # What stands out that far does so without the help of its neighbours.
        clipped, levels = np.clip(rest, -FAR * usual, FAR * usual), []
        for level in range(LEVELS):
            part = slice(first >> level, (first >> level) + (count >> level))
            own = _reduced(clipped, level) if level else rest
            size = _usual(own, LOCAL[level], LEAST / 2**level)
            levels.append((own[part], size[part]))
        return Deviations(slice(window.y, window.bottom), rest[first : first + count], levels)

    yield from spread(look, bands(width, height, BAND))


def level_shape(height: int, width: int, level: int) -> tuple[int, int]:
    """(rows, columns) of a level."""
    rows = sum(window.height >> level for window in bands(width, height, BAND))
    return rows, width >> level


def _residue(plane: Float) -> tuple[Float, Float]:
    """(the plane without large forms, the usual size of what is left about each place)."""
    import cv2

    low = np.log(DARKEST)
    coded = np.clip(plane * (-255 / low) + 255, 0, 255)
    forms = cv2.medianBlur(np.rint(coded).astype(np.uint8), FORMS)
    rest = plane - (forms.astype(np.float32) - 255) * np.float32(-low / 255)
    # The median is one of 256 steps: what is left of them is as smooth as they are.
    usual = _usual(rest, FORMS, LEAST)
    rest -= cv2.blur(np.clip(rest, -2 * usual, 2 * usual), (FORMS // 2, FORMS // 2))
    return rest, _usual(rest, FORMS, LEAST)


def _usual(rest: Float, size: int, least: float) -> Float:
    """The usual size of a residue about each place."""
    import cv2

    usual = cv2.blur(np.abs(rest), (size, size)) * np.float32(MEAN_TO_SIGMA)
    return np.asarray(np.maximum(usual, np.float32(least)), np.float32)


def _reduced(rest: Float, level: int) -> Float:
    """A residue on a level."""
    import cv2

    height, width = (side >> level << level for side in rest.shape)
    size = (width >> level, height >> level)
    small = cv2.resize(rest[:height, :width], size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), BLUR[level]), np.float32)


def cells(plane: Float) -> Float:
    """float32 (rows, columns): means of a plane in square cells, `CELLS` on its longer side."""
    import cv2

    height, width = plane.shape
    side = max(1, max(height, width) // CELLS)
    rows, columns = max(1, height // side), max(1, width // side)
    view = plane[: rows * side, : columns * side]
    return np.asarray(cv2.resize(view, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def smooth(levels: Float) -> bool:
    """Whether `cells` show no forms but what falls off to the sides."""
    import cv2

    rest = levels - cv2.GaussianBlur(levels, (0, 0), max(levels.shape) / 10)
    return float(np.median(np.abs(rest))) < EVEN


def alike(usual: Float) -> bool:
    """Whether deviations are of one size nearly everywhere, as those of grain are."""
    return float((usual > ODD * np.median(usual)).mean()) < ODD_SHARE


def signature(levels: Float) -> NDArray[np.float64]:
    """What makes a picture this one: the forms in the middle of its `cells`, of length 1.

    The outer cells are left out, as holders and borders are the same in all frames.
    """
    import cv2

    rows, columns = levels.shape
    y, x = int(rows * 0.15), int(columns * 0.15)
    inner = levels[y : rows - y, x : columns - x].astype(np.float64)
    inner = inner - cv2.GaussianBlur(inner, (0, 0), max(inner.shape) / 10)
    size = float(np.sqrt((inner**2).sum()))
    return np.asarray((inner / size if size > 0 else inner).ravel(), np.float64)
