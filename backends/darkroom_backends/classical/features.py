"""What is measured of a candidate to tell an artefact from a detail of the picture."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.scan import Bytes, Float, FrameStats
from darkroom_backends.classical.refine import ellipse, estimate

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
    inside = mask > 0
    near = np.asarray(cv2.dilate(mask, ellipse(2)), np.uint8)
    ring = (cv2.dilate(mask, ellipse(8)) > 0) & (cv2.dilate(mask, ellipse(3)) == 0)
    far = cv2.dilate(mask, ellipse(4)) == 0
    guess = estimate(image, near)
    difference = (image - guess)[inside]
    sign = 1.0 if difference.mean() >= 0 else -1.0
    contrast = sign * difference
    mean, peak = float(contrast.mean()), _ranked(contrast, (90,))[0]
    noise = max(_noise_at(stats, float(guess[inside].mean())), 0.3 / 255)

    ring_values = sign * image[ring]
    r_low, r16, r50, r84, r_high = _ranked(ring_values, (2, 16, 50, 84, 98))
    far_values = sign * image[far]
    f_low, f16, f50, f84, f_high = _ranked(far_values, (2, 16, 50, 84, 98))
    ring_spread, far_spread = (r84 - r16) / 2, (f84 - f16) / 2

    length, width, elongation, solidity, sides = _shape(image, inside, ring)
    gx = cv2.Sobel(image, cv2.CV_32F, 1, 0, scale=0.25)
    gy = cv2.Sobel(image, cv2.CV_32F, 0, 1, scale=0.25)
    slope = np.sqrt(gx * gx + gy * gy)
    rim = (cv2.dilate(mask, ellipse(1)) > 0) & (cv2.erode(mask, ellipse(1)) == 0)
    edge = float(slope[rim].mean())
    gradient = float(slope[ring].mean())
    texture = np.abs(image - cv2.blur(image, (5, 5)))
    texture_ring = float(texture[ring].mean())
    # Other pixels that stand out of a smoothed picture as this candidate does
    local = sign * (image - cv2.blur(image, (15, 15)))
    alike = float((local[far] > 0.5 * mean).mean())
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
            np.log1p(inside.sum()),
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
            float(contrast.std()) / (mean + tiny),
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


def _noise_at(stats: FrameStats, level: float) -> float:
    return float(np.interp(level, stats.noise_levels, stats.noise_curve))


def _shape(image: Float, inside: Where, ring: Where) -> tuple[float, float, float, float, float]:
    """(length, width, elongation, solidity, difference of the levels on both long sides)."""
    rows, columns = np.nonzero(inside)
    y, x = rows - rows.mean(), columns - columns.mean()
    xx, yy, xy = float((x * x).mean()), float((y * y).mean()), float((x * y).mean())
    root = np.hypot((xx - yy) / 2, xy)
    major = np.sqrt((xx + yy) / 2 + root + 1 / 12)
    minor = np.sqrt(max((xx + yy) / 2 - root, 0) + 1 / 12)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    across = -np.sin(angle) * x + np.cos(angle) * y
    along = np.cos(angle) * x + np.sin(angle) * y
    length, breadth = float(np.ptp(along)) + 1, float(np.ptp(across)) + 1
    ring_rows, ring_columns = np.nonzero(ring)
    side = -np.sin(angle) * (ring_columns - columns.mean()) + np.cos(angle) * (
        ring_rows - rows.mean()
    )
    values = image[ring]
    left, right = values[side > minor], values[side < -minor]
    sides = abs(float(left.mean()) - float(right.mean())) if left.size and right.size else 0.0
    return (
        length,
        rows.size / length,
        float(major / minor),
        rows.size / (length * breadth),
        sides,
    )
