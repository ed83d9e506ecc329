"""What is measured of a candidate to tell an artefact from a detail of the picture."""

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Bytes, Float, FrameStats
from darkroom_backends.classical.refine import close_up, ellipse, estimate

Where: TypeAlias = NDArray[np.bool_]

NAMES = (
    "sign",
    "contrast_mean",
    "contrast_peak",
    "contrast_noise",
    "contrast_ring",
    "peak_ring",
    "area",
    "length",
    "width",
    "elongation",
    "solidity",
    "edge",
    "edge_contrast",
    "ring_level",
    "ring_spread",
    "ring_spread_noise",
    "ring_high",
    "ring_low",
    "far_spread",
    "far_high",
    "far_low",
    "texture",
    "texture_noise",
    "alike",
    "sides",
    "gradient",
    "above_white",
    "white_room",
    "level_rank",
    "uniformity",
    "noise",
    "frame_median",
)


def features(image: Float, mask: Bytes, stats: FrameStats) -> Float:
    """float32 (len(NAMES),): the candidate's shape, contrast and surroundings.

    Contrasts are against the picture as inpainted from around the candidate; spreads are half the
    distance of the 16 % and 84 % percentiles. All lengths are in pixels, levels in [0, 1].

    Args:
        image: float32 (H, W) in [0, 1], the candidate with a margin.
        mask: uint8 (H, W), 255 in the candidate.
        stats: of the frame.
    """
    import cv2

    tiny = np.float32(1e-4)
    far = cv2.dilate(mask, ellipse(4)) == 0
    # Other pixels that stand out of a smoothed picture as this candidate does
    local = (image - cv2.blur(image, (15, 15)))[far]
    far_values = image[far]
    close = close_up(mask)
    image, mask = image[close], mask[close]
    inside = mask > 0
    ring = (cv2.dilate(mask, ellipse(8)) > 0) & (cv2.dilate(mask, ellipse(3)) == 0)
    guess = estimate(image, np.asarray(cv2.dilate(mask, ellipse(2)), np.uint8))[inside]
    difference = image[inside] - guess
    sign = 1.0 if _mean(difference) >= 0 else -1.0
    contrast = sign * difference
    mean, peak = _mean(contrast), _ranked(contrast, (90,))[0]
    noise = max(_noise_at(stats, _mean(guess)), 0.3 / 255)

    ring_values = image[ring]
    r_low, r16, r50, r84, r_high = _ranked(sign * ring_values, (2, 16, 50, 84, 98))
    f_low, f16, f50, f84, f_high = _ranked(sign * far_values, (2, 16, 50, 84, 98))
    ring_spread, far_spread = (r84 - r16) / 2, (f84 - f16) / 2
    alike = np.count_nonzero(sign * local > 0.5 * mean) / len(local)

    length, width, elongation, solidity, sides = _shape(inside, ring, ring_values)
    gx = cv2.Sobel(image, cv2.CV_32F, 1, 0, scale=0.25)
    gy = cv2.Sobel(image, cv2.CV_32F, 0, 1, scale=0.25)
    slope = np.sqrt(gx * gx + gy * gy)
    rim = (cv2.dilate(mask, ellipse(1)) > 0) & (cv2.erode(mask, ellipse(1)) == 0)
    edge, gradient = _mean(slope[rim]), _mean(slope[ring])
    texture_ring = _mean(np.abs(image - cv2.blur(image, (5, 5)))[ring])
    top = _ranked(sign * image[inside], (90,))[0]
    level = sign * (stats.white if sign > 0 else stats.black)
    return np.array(
        (
            sign,
            mean,
            peak,
            mean / noise,
            mean / (ring_spread + tiny),
            peak / (r_high - r50 + tiny),
            np.log1p(len(contrast)),
            np.log1p(length),
            width,
            elongation,
            solidity,
            edge,
            edge / (peak + tiny),
            sign * r50,
            ring_spread,
            ring_spread / noise,
            (r_high - r50) / (peak + tiny),
            (r50 - r_low) / (peak + tiny),
            far_spread / (peak + tiny),
            (f_high - f50) / (peak + tiny),
            (f50 - f_low) / (peak + tiny),
            texture_ring,
            texture_ring / noise,
            alike,
            sides / (peak + tiny),
            gradient / (peak + tiny),
            (top - f_high) / (peak + tiny),
            level - top,
            (sign * r50 - stats.black) / max(stats.white - stats.black, 0.05),
            _mean((contrast - np.float32(mean)) ** 2) ** 0.5 / (mean + tiny),
            stats.noise,
            stats.median,
        ),
        np.float32,
    )


def _ranked(values: Float, shares: tuple[float, ...]) -> list[float]:
    """Percentiles by rank; much faster than `np.percentile` on so few values."""
    ordered = np.sort(values)
    last = len(ordered) - 1
    return [float(ordered[round(share / 100 * last)]) for share in shares]


def _mean(values: NDArray[Any]) -> float:
    """The mean, at half the cost of the method on so few values."""
    return float(np.add.reduce(values) / len(values))


def _noise_at(stats: FrameStats, level: float) -> float:
    return float(np.interp(level, *_curve(stats.noise_levels, stats.noise_curve)))


@lru_cache(maxsize=1)
def _curve(
    levels: tuple[float, ...], noise: tuple[float, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array(levels), np.array(noise)


def _shape(
    inside: Where, ring: Where, ring_values: Float
) -> tuple[float, float, float, float, float]:
    """(length, width, elongation, solidity, difference of the levels on both long sides)."""
    rows, columns = np.nonzero(inside)
    middle_y, middle_x = _mean(rows), _mean(columns)
    y, x = rows - middle_y, columns - middle_x
    xx, yy, xy = _mean(x * x), _mean(y * y), _mean(x * y)
    root = np.hypot((xx - yy) / 2, xy)
    major = np.sqrt((xx + yy) / 2 + root + 1 / 12)
    minor = np.sqrt(max((xx + yy) / 2 - root, 0) + 1 / 12)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    sine, cosine = np.sin(angle), np.cos(angle)
    across = -sine * x + cosine * y
    along = cosine * x + sine * y
    length = float(along.max() - along.min()) + 1
    breadth = float(across.max() - across.min()) + 1
    ring_rows, ring_columns = np.nonzero(ring)
    side = -sine * (ring_columns - middle_x) + cosine * (ring_rows - middle_y)
    left, right = ring_values[side > minor], ring_values[side < -minor]
    sides = abs(_mean(left) - _mean(right)) if left.size and right.size else 0.0
    return (
        length,
        rows.size / length,
        float(major / minor),
        rows.size / (length * breadth),
        sides,
    )
