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
from darkroom.scan import Float, InfraredStats, Tile

TOE, GAIN, POWER = 0.055, 1.055, 2.4  # of the sRGB curve (IEC 61966-2-1) above its straight part
DARKEST = 1e-4  # of full scale; the logarithm of infrared ends here
TUKEY = 4.685  # of the biweight, in standard deviations (95 % efficient on normal errors)
ROUNDS = 30
RIDGE = 1e-4  # of each regressor's variance: keeps grey pictures, whose channels agree, solvable
MAD_TO_SIGMA = 1.4826
FLOOR = 0.003  # least noise of log infrared: finer scanners do not exist, smoother models do
FEWEST = 400  # samples in a level of luminance that its noise can be told from


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
    if tile.infrared is None or tile.image.shape[2] != len(stats.crosstalk):
        raise ValueError("the tile does not fit the infrared of the frame")
    out = log_infrared(tile.infrared)
    out -= np.float32(stats.level)
    light = log_light(tile.image)
    for channel, slope in enumerate(stats.crosstalk):
        out -= np.float32(slope) * light[..., channel]
    # Summed in one order for every pixel, so that tiles cannot matter.
    u, v = positions(tile.read, stats.size)
    a, b, c, d, e = (np.float32(value) for value in stats.shading)
    out -= ((e * v + b) * v)[:, None]
    out -= ((c * u + a) * u)[None]
    out -= (d * v)[:, None] * u[None]
    return out


def positions(window: Window, size: tuple[int, int]) -> tuple[Float, Float]:
    """Columns u (W,) and rows v (H,) of a window, from -1 to 1 over a frame of `size`."""
    u = (2 * np.arange(window.x, window.right) + 1) / size[0] - 1
    v = (2 * np.arange(window.y, window.bottom) + 1) / size[1] - 1
    return u.astype(np.float32), v.astype(np.float32)


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


def edge_height(light: Float, stats: InfraredStats) -> Float:
    """How much the picture alone makes log infrared vary within 5 x 5 pixels.

    Args:
        light: float32 (H, W, C), log light.
        stats: of the frame.

    Returns:
        float32 (H, W).
    """
    import cv2

    expected = np.zeros(light.shape[:2], np.float32)
    for channel, slope in enumerate(stats.crosstalk):
        expected += np.float32(slope) * light[..., channel]
    kernel = np.ones((5, 5), np.uint8)
    return np.asarray(cv2.dilate(expected, kernel) - cv2.erode(expected, kernel), np.float32)


def deviations(tile: Tile, stats: InfraredStats, least: float) -> tuple[Float, Float]:
    """How unlike clean film each pixel is, and 3 x 3 pixels about it are, in standard deviations.

    The picture's edges raise the bar: infrared is focused a little differently, so that what the
    dyes take from it never cancels there.

    Args:
        tile: with its infrared.
        stats: of the frame.
        least: log transmission that counts as one deviation at least.

    Returns:
        Two float32 (H, W), positive where infrared is dark.
    """
    lost = log_transmission(tile, stats)
    edge = edge_height(log_light(tile.image), stats)
    edge *= np.float32(stats.edges)
    edge *= edge
    level = np.clip(tile.luminance() * np.float32(len(stats.noise)), 0, len(stats.noise) - 1)
    index = level.astype(np.intp)
    found = []
    for values, noise in ((lost, stats.noise), (mean3(lost), stats.mean_noise)):
        variance = np.maximum(np.asarray(noise, np.float32), np.float32(least))[index] ** 2
        variance += edge
        found.append(-values / np.sqrt(variance))
    return found[0], found[1]


def fit(
    light: Float, infrared: Float, places: Float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The clean-film model by Tukey's biweight, which artefacts and edges have no say in.

    Beaton and Tukey, "The fitting of power series" (Technometrics 16, 1974), by iterated weighted
    least squares.

    Args:
        light: float32 (n, C), log light of the picture's channels.
        infrared: float32 (n,), log infrared.
        places: float32 (n, 2), u and v.

    Returns:
        (level, slope of each channel, five of shading), and the residuals (n,).
    """
    u, v = places[:, 0], places[:, 1]
    columns = np.column_stack([light, u, v, u * u, u * v, v * v]).astype(np.float64)
    middle = columns.mean(axis=0)
    centred = columns - middle
    ridge = np.diag(RIDGE * (centred**2).mean(axis=0) + 1e-9)
    target = infrared.astype(np.float64)
    # Artefacts are dark, so the darkest samples have little say in the first round.
    sigma, weights = np.inf, np.where(target >= np.percentile(target, 10), 1.0, 0.1)
    for _ in range(ROUNDS):
        total = weights.sum()
        mean_x, mean_y = weights @ centred / total, weights @ target / total
        x, y = centred - mean_x, target - mean_y
        slopes = np.linalg.solve(
            (x * weights[:, None]).T @ x / total + ridge, weights * y @ x / total
        )
        level = mean_y - mean_x @ slopes
        residual = target - level - centred @ slopes
        before, sigma = sigma, max(robust_spread(residual), 1e-6)
        weights = np.clip(1 - (residual / (TUKEY * sigma)) ** 2, 0, None) ** 2
        if abs(before - sigma) < 1e-4 * sigma:
            break
    return np.concatenate([[level - middle @ slopes], slopes]), residual


def robust_spread(values: NDArray[Any]) -> float:
    """1.4826 x the median magnitude: a standard deviation about zero, blind to artefacts."""
    return MAD_TO_SIGMA * float(np.median(np.abs(values)))


def mirrors(light: Float, slopes: NDArray[np.float64]) -> float:
    """Slope of the model's log infrared against log luminance; 0 for a picture without contrast.

    A silver image absorbs infrared as it absorbs light: 1, or its gamma in an inverted negative.
    The dyes of chromogenic film stay below 0.1.
    """
    luminance = light.mean(axis=1, dtype=np.float64)
    luminance -= luminance.mean()
    variance = float((luminance**2).mean())
    if variance < 0.01:
        return 0.0
    return float((light @ slopes) @ luminance / len(light) / variance)


def noise_curve(luminance: NDArray[Any], residual: NDArray[Any], bins: int) -> tuple[float, ...]:
    """Robust standard deviation of residuals in equal bins of luminance, at least `FLOOR`.

    Bins with few samples take the noise over all or their neighbours', whichever is more.
    """
    index = np.clip(luminance * bins, 0, bins - 1).astype(np.intp)
    centres = (np.arange(bins) + 0.5) / bins
    over_all = robust_spread(residual)
    seen, curve = [], []
    for level in range(bins):
        values = residual[index == level]
        if len(values) >= FEWEST:
            seen.append(centres[level])
            curve.append(robust_spread(values))
    full = np.interp(centres, seen, curve) if seen else np.full(bins, over_all)
    sure = np.isin(centres, seen)
    full = np.where(sure, full, np.maximum(full, over_all))
    return tuple(float(max(value, FLOOR)) for value in full)
