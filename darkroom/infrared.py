"""What clean film lets through in infrared, given the picture; the rest is dust.

Dyes are nearly clear in infrared, and dust, hairs and scratches are not: log infrared of clean film
is a constant, a little of each channel's log light (the dyes' crosstalk, cyan most) and the slow
falloff of the lamp. The three are fitted to each frame, so that no scanner has to be known; what
is left is the log transmission of whatever lies on the film, 0 where nothing does.

Logarithms are natural. Light is linear: the picture's [0, 1] values decoded by the sRGB curve
without its straight toe, which keeps the logarithm finite at black.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import Window
from darkroom.scan import Float, InfraredStats, Tile, reflect

TOE, GAIN, POWER = 0.055, 1.055, 2.4  # of the sRGB curve (IEC 61966-2-1) above its straight part
DARKEST = 1e-4  # of full scale; the logarithm of infrared ends here
TUKEY = 4.685  # of the biweight, in standard deviations (95 % efficient on normal errors)
MAD_TO_SIGMA = 1.4826
KNOTS = 65  # along each side of the frame, between which the lamp is interpolated
FEWEST = 200  # bright samples in a level of luminance that its noise can be told from
FEWEST_BRIGHT = 0.2  # share of a level's samples; clean film has half of them
# Next to what is brighter by more log light than this, a place may be darker than it looks, by that
# share of what is beyond.
GLARE, GLARE_SHARE = 0.7, 0.6
NOISIEST_LEVEL = 4.0  # times the noise over all


def log_light(image: Float) -> Float:
    """Log of linear light from gamma-encoded values in [0, 1]; -7.1 at black."""
    out = image + np.float32(TOE)
    np.log(out, out=out)
    out -= np.float32(np.log(GAIN))
    out *= np.float32(POWER)
    return out


def from_log_light(light: Float) -> Float:
    """The inverse of `log_light`, clipped to [0, 1]."""
    encoded = np.exp(light * np.float32(1 / POWER)) * np.float32(GAIN) - np.float32(TOE)
    return np.asarray(np.clip(encoded, 0.0, 1.0), np.float32)


def log_infrared(infrared: Float) -> Float:
    """Log of infrared values in [0, 1]."""
    return np.asarray(np.log(np.maximum(infrared, np.float32(DARKEST))), np.float32)


def log_transmission(tile: Tile, stats: InfraredStats) -> Float:
    """What the infrared of a tile lacks, beside clean film: float32 (H, W), about 0 or below.

    Args:
        tile: with its infrared.
        stats: of the frame, for a picture with as many channels as the tile.

    Raises:
        ValueError: if the tile has no infrared, or other channels than the frame.
    """
    return _lost(tile, expected(tile, stats), stats)


def expected(tile: Tile, stats: InfraredStats) -> Float:
    """What the dyes alone make of log infrared, beside white: float32 (H, W).

    Raises:
        ValueError: if the tile has other channels than the frame.
    """
    if tile.image.shape[2] != len(stats.crosstalk):
        raise ValueError("the tile does not fit the infrared of the frame")
    out = np.zeros(tile.image.shape[:2], np.float32)
    for c, (low, high) in enumerate(stats.tones):
        tone = log_light(np.ascontiguousarray(tile.image[..., c]))
        # Summed in one order for every pixel, so that tiles cannot matter.
        bent = np.clip(tone, np.float32(low), np.float32(high))
        bent *= bent
        bent *= np.float32(stats.bends[c])
        tone *= np.float32(stats.crosstalk[c])
        out += tone
        out += bent
    return out


def _lost(tile: Tile, dyes: Float, stats: InfraredStats) -> Float:
    """Log infrared less what dyes and lamp explain."""
    if tile.infrared is None:
        raise ValueError("the tile has no infrared")
    out = log_infrared(tile.infrared)
    out -= dyes
    out -= _lamp(tile.read, stats)
    return out


def _lamp(window: Window, stats: InfraredStats) -> Float:
    """Level and lamp over a window, interpolated between the knots: float32 (H, W).

    Every operation is on single pixels, so that tiles cannot matter.
    """
    rows, down = _between(window.y, window.bottom, stats.size[1])
    columns, right = _between(window.x, window.right, stats.size[0])
    lamp = stats.lamp + np.float32(stats.level)
    upper, lower = lamp[rows], lamp[rows + 1]
    across = upper + (lower - upper) * down[:, None]
    left, beyond = across[:, columns], across[:, columns + 1]
    beyond -= left
    beyond *= right
    beyond += left
    return np.asarray(beyond, np.float32)


def _between(start: int, stop: int, size: int) -> tuple[NDArray[np.intp], Float]:
    """The knot before each pixel, and how far it lies towards the next; mirrored outside."""
    place = (reflect(start, stop, size) + 0.5) * ((KNOTS - 1) / size)
    knot = np.minimum(place.astype(np.intp), KNOTS - 2)
    return knot, (place - knot).astype(np.float32)


def mean3(values: Float) -> Float:
    """Means over 3 x 3 pixels (H, W), edges repeated.

    Unlike a running box filter its rounding does not depend on where the array begins.
    """
    padded = np.pad(values, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) * np.float32(1 / 9))


def mean5(values: Float) -> Float:
    """Weighted means over 5 x 5 pixels (H, W): `mean3` twice."""
    return mean3(mean3(values))


def edge_height(dyes: Float) -> Float:
    """How much the picture alone makes log infrared vary within 5 x 5 pixels.

    Args:
        dyes: float32 (H, W), see `expected`.

    Returns:
        float32 (H, W).
    """
    import cv2

    kernel = np.ones((5, 5), np.uint8)
    return np.asarray(cv2.dilate(dyes, kernel) - cv2.erode(dyes, kernel), np.float32)


def unexplained(tile: Tile, stats: InfraredStats) -> tuple[Float, Float]:
    """Log infrared beside the darkest that the picture within 2 pixels makes of it.

    Infrared is focused a little differently, and light spreads from bright to dark places more
    than its logarithm does, so that what the dyes take from infrared never quite cancels at the
    picture's edges.

    Args:
        tile: with its infrared.
        stats: of the frame.

    Returns:
        Two float32 (H, W): that, and the `edge_height` there.
    """
    import cv2

    dyes = expected(tile, stats)
    kernel = np.ones((5, 5), np.uint8)
    lightest = cv2.dilate(dyes, kernel)
    height = lightest - cv2.erode(dyes, kernel)
    darkest = np.minimum(dyes, cv2.erode(mean3(dyes), kernel))
    glare = np.float32(GLARE * abs(sum(stats.crosstalk)))
    darkest -= np.float32(GLARE_SHARE) * np.maximum(lightest - dyes - glare, 0)
    return _lost(tile, darkest, stats), np.asarray(height, np.float32)


def deviations(tile: Tile, stats: InfraredStats) -> tuple[Float, Float]:
    """How unlike clean film each pixel is, and 3 x 3 pixels about it are, in standard deviations.

    Args:
        tile: with its infrared.
        stats: of the frame.

    Returns:
        Two float32 (H, W), positive where infrared is dark.
    """
    lost, edge = unexplained(tile, stats)
    edge *= edge
    level = np.clip(tile.luminance() * np.float32(len(stats.noise)), 0, len(stats.noise) - 1)
    index = level.astype(np.intp)
    found = []
    kinds = ((lost, stats.noise), (mean3(lost), stats.mean_noise))
    for (values, noise), share in zip(kinds, stats.edges, strict=True):
        variance = (np.asarray(noise, np.float32) ** 2)[index]
        variance += edge * np.float32(share * share)
        found.append(-values / np.sqrt(variance))
    if stats.covered is not None and not stats.covered.contains(tile.read):
        for z in found:
            _blank_outside(z, tile.read, stats.covered)
    return found[0], found[1]


def _blank_outside(values: Float, window: Window, covered: Window) -> None:
    """Zeros where infrared is only the mirror image of itself, in place."""
    x0, x1 = (min(max(x - window.x, 0), window.width) for x in (covered.x, covered.right))
    y0, y1 = (min(max(y - window.y, 0), window.height) for y in (covered.y, covered.bottom))
    values[:y0] = 0
    values[y1:] = 0
    values[:, :x0] = 0
    values[:, x1:] = 0


def biweight(residual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tukey's weights of residuals in standard deviations: 1 at 0, 0 from 4.685 on."""
    return np.clip(1 - (residual / TUKEY) ** 2, 0, None) ** 2


def mirrors(light: Float, dyes: Float) -> float:
    """Slope of what dyes take from log infrared against log luminance; 0 for an even picture.

    A silver image absorbs infrared as it absorbs light: 1, or its gamma in an inverted negative.
    The dyes of chromogenic film stay below 0.1.

    Args:
        light: float32 (n, C), log light.
        dyes: float32 (n,), see `expected`.
    """
    luminance = light.mean(axis=1, dtype=np.float64)
    luminance -= luminance.mean()
    variance = float((luminance**2).mean())
    if variance < 0.01:
        return 0.0
    return float(dyes.astype(np.float64) @ luminance / len(light) / variance)


def noise_curve(
    luminance: NDArray[Any], residual: NDArray[Any], bins: int, floor: float
) -> tuple[float, ...]:
    """Robust standard deviation of clean film's residuals in equal bins of luminance.

    Dust only makes infrared darker, so the brighter half tells. Levels with few samples, or few
    that are bright, take the noise over all or their neighbours', whichever is more; a level that
    only dust has cannot make a noise of its own.

    Args:
        luminance: (n,) in [0, 1].
        residual: (n,), log transmission of what is taken for clean film.
        bins: number of levels.
        floor: least standard deviation.
    """
    index = np.clip(luminance * bins, 0, bins - 1).astype(np.intp)
    centres = (np.arange(bins) + 0.5) / bins
    upper = residual[residual > 0]
    over_all = max(robust_spread(upper) if len(upper) else 0.0, floor)
    seen, curve = [], []
    for level in range(bins):
        values = residual[index == level]
        bright = values[values > 0]
        if len(bright) >= FEWEST and len(bright) >= FEWEST_BRIGHT * len(values):
            seen.append(centres[level])
            # What the model misses counts as noise; it cannot be many times that of the scanner.
            spread = max(robust_spread(bright), robust_spread(values))
            curve.append(min(spread, NOISIEST_LEVEL * over_all))
    full = np.interp(centres, seen, curve) if seen else np.full(bins, over_all)
    sure = np.isin(centres, seen)
    full = np.where(sure, full, np.maximum(full, over_all))
    return tuple(float(max(value, floor)) for value in full)


def robust_spread(values: NDArray[Any]) -> float:
    """1.4826 x the median magnitude: a standard deviation about zero, blind to artefacts."""
    return MAD_TO_SIGMA * float(np.median(np.abs(values)))
