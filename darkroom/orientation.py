"""The eight EXIF orientations: how stored pixels lie on the screen (EXIF 2.3, section 4.6.4)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window

# Orientation -> (transposed, columns reversed, rows reversed), done in this order.
_STEPS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def swaps_sides(orientation: int) -> bool:
    """Whether columns become rows."""
    return _STEPS[orientation][0]


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of stored pixels, (H, W) or (H, W, S), as they are shown."""
    transposed, columns, rows = _STEPS[orientation]
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


def stored(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view of pixels as they are shown, the way they are stored: undoes `upright`."""
    transposed, columns, rows = _STEPS[orientation]
    pixels = pixels[:: -1 if rows else 1, :: -1 if columns else 1]
    return pixels.swapaxes(0, 1) if transposed else pixels


def upright_window(window: Window, size: tuple[int, int], orientation: int) -> Window:
    """Where a window of the stored image of `size` (width, height) lies in what is shown."""
    transposed, columns, rows = _STEPS[orientation]
    (x, y, width, height), (across, down) = _sides(window), size
    if transposed:
        x, y, width, height, across, down = y, x, height, width, down, across
    return Window(
        across - x - width if columns else x, down - y - height if rows else y, width, height
    )


def stored_window(window: Window, size: tuple[int, int], orientation: int) -> Window:
    """Where a window of what is shown lies in the stored image of `size` (width, height)."""
    transposed, columns, rows = _STEPS[orientation]
    x, y, width, height = _sides(window)
    across, down = size[::-1] if transposed else size
    x = across - x - width if columns else x
    y = down - y - height if rows else y
    return Window(y, x, height, width) if transposed else Window(x, y, width, height)


def upright_points(
    points: NDArray[np.float64], size: tuple[int, int], orientation: int
) -> NDArray[np.float64]:
    """Points (n, 2) of x, y from the corner of the stored image, from that of what is shown."""
    transposed, columns, rows = _STEPS[orientation]
    across, down = size[::-1] if transposed else size
    x, y = (points[:, ::-1] if transposed else points).T
    return np.stack([across - x if columns else x, down - y if rows else y], axis=1)


def stored_points(
    points: NDArray[np.float64], size: tuple[int, int], orientation: int
) -> NDArray[np.float64]:
    """Points (n, 2) of what is shown, from the corner of the stored image of `size`."""
    transposed, columns, rows = _STEPS[orientation]
    across, down = size[::-1] if transposed else size
    x, y = points.T
    out = np.stack([across - x if columns else x, down - y if rows else y], axis=1)
    return out[:, ::-1] if transposed else out


def _sides(window: Window) -> tuple[int, int, int, int]:
    return window.x, window.y, window.width, window.height
