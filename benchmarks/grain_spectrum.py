"""How the grain of repairs compares with the grain around them.

    python benchmarks/grain_spectrum.py

A picture of pure film grain gets holes of the shapes of dust and hairs; each is filled smooth,
with and without `darkroom.damage.grain`. Prints the power inside over the power outside in three
bands of frequency; 1.00 is a repair that cannot be told by its grain, 0.00 a plastic one.
"""

import cv2
import numpy as np

from darkroom.damage.grain import match_grain

BANDS = {"fine (under 2 px)": (0.0, 0.8), "middle (2 to 4 px)": (0.8, 1.6), "coarse": (1.6, 3.2)}
LEVEL, SPREAD = 0.5, 0.02


def main():
    """Measure on 196 holes for each size of grain."""
    rng = np.random.default_rng(0)
    for size in (0.5, 0.8, 1.2):
        noise = cv2.GaussianBlur(rng.standard_normal((2048, 2048), np.float32), (0, 0), size)
        image = (LEVEL + SPREAD * noise / noise.std()).astype(np.float32)[..., None]
        smooth, matched = image.copy(), image.copy()
        mask = np.zeros(image.shape[:2], np.uint8)
        for number in range(14 * 14):
            y, x = 70 + 140 * (number // 14), 70 + 140 * (number % 14)
            window = np.s_[y - 60 : y + 60, x - 60 : x + 60]
            hole = np.zeros((120, 120), np.uint8)
            axes = (int(rng.integers(4, 30)), int(rng.integers(3, 8)))
            cv2.ellipse(hole, (60, 60), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
            flat = image[window].copy()
            flat[hole > 0] = LEVEL
            smooth[window] = flat
            matched[window] = match_grain(image[window], hole, flat, seed=number, origin=(x, y))
            mask[window] = hole
        inside, outside = cv2.erode(mask, np.ones((3, 3))) > 0, mask == 0
        for band, limits in BANDS.items():
            power = [_power(picture[..., 0], limits) for picture in (image, matched, smooth)]
            usual = power[0][outside].mean()
            print(
                f"grain {size} px, {band:18}: matched {power[1][inside].mean() / usual:.2f}, "
                f"smooth {power[2][inside].mean() / usual:.2f}"
            )


def _power(image, limits):
    """Squared difference of two Gaussian smoothings."""
    low, high = limits
    first = cv2.GaussianBlur(image, (0, 0), low) if low else image
    return (first - cv2.GaussianBlur(image, (0, 0), high)) ** 2


if __name__ == "__main__":
    main()
