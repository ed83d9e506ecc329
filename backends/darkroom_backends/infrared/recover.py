"""Bringing back what film shows through dust, stains and smears.

Whatever lies on film and lets some light through only dims the picture there. Dividing by its
transmission restores the film itself, grain and all, which no inpainting can. Each pixel is the
mean of the divided picture and of the fill, each weighed by how far it may be out:

- a fill is as good as the picture is even, and better near the rim of what it fills;
- a division is as good as infrared is free of noise, its focus is that of the picture, and the
  exponent between the two is known. How deep the picture is dimmed for a depth in infrared was
  measured on the frame; each artefact corrects it by what its own rim shows.
"""

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom.infrared import (
    MAD_TO_SIGMA,
    POWER,
    TOE,
    from_log_light,
    log_light,
    log_transmission,
    mean3,
)
from darkroom.scan import Bytes, Float, FrameStats, InfraredStats, Tile

# Of one channel: log light, that of the fill, the fill's variance, and the frame's exponent.
Guess: TypeAlias = tuple[Float, Float, Float, np.float32]
REACH = 6.0  # pixels from the rim over which a fill loses what it knows
PATCH = 25.0  # pixels that err alike, so that they are one witness
SURROUNDINGS = 25  # pixels across that tell how much the picture varies
FLARE = 0.004  # encoded light that a picture's black may be out by
LEAST_VARIES = 0.01  # log light that any picture varies by
LAG = 2  # pixels over which the picture's variation is compared with that over many
KEPT = (0.02, 0.9)  # of itself that a picture keeps over so many pixels, within bounds
EVEN, FEWEST_EVEN = 0.03, 12  # log light; where nothing lies on film, and pixels to tell by
HONESTY = (0.5, 50.0)  # bounds of what fills are further out than thought
WIDE_NOISE = 0.45  # of the noise of means over 3 x 3 pixels, after three means more
WHITE = 0.995  # where dust brightens, nothing is left to divide above


def divide(crop: Tile, fill: Float, stats: FrameStats, thinnest: float) -> Float:
    """The fill, and in its place the divided picture as far as that is the better guess.

    Args:
        crop: the picture with its mask and infrared.
        fill: float32 (H, W, C), the repair by an inpainter.
        stats: of the frame.
        thinnest: least transmission that is divided by.

    Returns:
        float32 (H, W, C) in [0, 1]; outside the mask the fill.
    """
    assert crop.mask is not None and stats.infrared is not None
    infrared = stats.infrared
    inside = crop.mask > 0
    if thinnest >= 1 or not inside.any():
        return fill
    lost, noise, steep = _shadow(crop, infrared)
    count, found = cv2.connectedComponents(crop.mask, connectivity=8)
    labels = np.asarray(found, np.int32)
    guesses = []
    for channel, frames in enumerate(infrared.exponents):
        light, guess = (
            log_light(np.ascontiguousarray(image[..., channel])) for image in (crop.image, fill)
        )
        doubt = _fill_doubt(light, inside)
        even = inside & (np.abs(frames * lost) < EVEN) & (np.abs(lost) < 3 * noise)
        doubt *= _honesty((light - guess)[even], doubt[even])
        guesses.append((light, guess, doubt, np.float32(frames)))
    more, spread = _own_exponents(guesses, lost, steep, labels, count, infrared.exponent_doubt)
    out = fill.copy()
    for channel, (light, guess, doubt, known) in enumerate(guesses):
        exponent = known + more[labels]
        # Black is not known any better than flare and the last bits allow, which dividing shows.
        plane = crop.image[..., channel]
        variance = (np.float32(POWER * FLARE) / (plane + np.float32(TOE))) ** 2
        variance *= np.minimum(np.abs(exponent * lost), 1) ** 2
        variance += exponent * exponent * (noise * noise + steep * steep)
        variance += lost * lost * spread[labels]
        variance[np.exp(lost) < thinnest] = np.inf
        if (exponent < 0).any():
            # What brightens may be a negative turned positive, or paint, which no power describes.
            left = light - exponent * lost - guess
            variance += np.where(exponent < 0, _misfit(left, doubt, lost, labels, count)[labels], 0)
            variance[plane >= WHITE] = np.inf
        share = doubt / (doubt + variance)
        mixed = guess + share * (light - exponent * lost - guess)
        out[..., channel][inside] = from_log_light(np.asarray(mixed[inside], np.float32))
    return out


def _honesty(missed: Float, doubt: Float) -> np.float32:
    """How much further fills are out than thought, seen where nothing lies on the film."""
    if len(missed) < FEWEST_EVEN:
        return np.float32(1)
    seen, thought = (float(np.mean(part)) for part in (missed * missed, doubt))
    return np.float32(np.clip(seen / max(thought, 1e-9), *HONESTY))


def _own_exponents(
    guesses: Sequence[Guess],
    lost: Float,
    steep: Float,
    labels: NDArray[np.int32],
    count: int,
    prior: float,
) -> tuple[Float, Float]:
    """How far each artefact's exponents are from the frame's, by least squares about its rim.

    Args:
        guesses: of each channel.
        lost: float32 (H, W), log transmission.
        steep: float32 (H, W), how far that may be out.
        labels: int32 (H, W), which artefact each pixel belongs to, 0 for none.
        count: number of labels.
        prior: standard deviation of artefacts' exponents about the frame's.

    Returns:
        float32 (count,) each: the difference, and the variance of what it leads to.
    """
    deep = cv2.distanceTransform((labels > 0).astype(np.uint8), cv2.DIST_L2, 3)
    # Far from the rim a fill is a guess; there are many such pixels, and they err together.
    trusted = np.exp(deep * np.float32(-1 / REACH))
    owner = labels.ravel()
    moved, squares = np.zeros(count), np.zeros(count)
    for light, guess, doubt, known in guesses:
        weights = trusted / (doubt + (known * steep) ** 2)
        left = light - guess - known * lost
        moved += np.bincount(owner, (weights * lost * left).ravel(), minlength=count)
        squares += np.bincount(owner, (weights * lost * lost).ravel(), minlength=count)
    # Channels vary alike, so that together they are one witness.
    witnesses = PATCH * len(guesses)
    precision = prior**-2 + squares / witnesses
    return (
        (moved / witnesses / precision).astype(np.float32),
        (1 / precision).astype(np.float32),
    )


def _misfit(left: Float, doubt: Float, lost: Float, labels: NDArray[np.int32], count: int) -> Float:
    """Variance that exponents leave beyond that of the fill, in each artefact: float32 (count,)."""
    weights = (np.abs(lost) / doubt).ravel()
    owner = labels.ravel()
    total = np.bincount(owner, weights, minlength=count)
    excess = np.bincount(owner, weights * (left * left - doubt).ravel(), minlength=count)
    return np.maximum(excess / np.maximum(total, 1e-9), 0).astype(np.float32)


def _fill_doubt(light: Float, inside: NDArray[np.bool_]) -> Float:
    """Variance of a fill's log light in one channel: float32 (H, W).

    The picture varies about an artefact by so much, and a fill knows it only near the rim. Grain is
    not known at all; what a fill has of it is another's.
    """
    known = ~inside
    varies, nearby = _variation(light, known)
    fine = np.abs(light - mean3(light))[known]
    grain = (MAD_TO_SIGMA * float(np.median(fine))) ** 2 if len(fine) else LEAST_VARIES**2
    deep = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    # How fast the picture forgets itself, by its variation over `LAG` pixels and over many.
    kept = np.clip(1 - nearby / np.maximum(varies, 1e-9), *KEPT)
    varies *= 1 - kept ** (deep / np.float32(LAG))
    varies += np.float32(2 * grain + LEAST_VARIES**2)
    return np.asarray(varies, np.float32)


def _variation(light: Float, known: NDArray[np.bool_]) -> tuple[Float, Float]:
    """Variance of what is known within `SURROUNDINGS` of each pixel, or in all of the crop, and
    half the mean square of its differences over `LAG` pixels: float32 (H, W)."""
    share = known.astype(np.float32)
    square = [light * light, np.zeros_like(light)]
    count = [share, np.zeros_like(light)]
    for one, other in ((np.s_[:, LAG:], np.s_[:, :-LAG]), (np.s_[LAG:], np.s_[:-LAG])):
        both = share[one] * share[other]
        square[1][one] += (light[one] - light[other]) ** 2 * both / 2
        count[1][one] += both
    mean = _about(light * share, share)
    varies = _about(square[0] * share, share) - mean * mean
    return np.maximum(varies, 0), _about(square[1], count[1])


def _about(values: Float, share: Float) -> Float:
    """Means of what counts within `SURROUNDINGS`, or in all of the crop where nothing does."""
    side = (SURROUNDINGS, SURROUNDINGS)
    whole = np.float32(values.sum() / max(float(share.sum()), 1e-6))
    count = cv2.blur(share, side)
    return np.where(
        count < 0.1, whole, cv2.blur(values, side) / np.maximum(count, np.float32(1e-6))
    )


def _shadow(crop: Tile, infrared: InfraredStats) -> tuple[Float, Float, Float]:
    """Log transmission, its noise, and how far it may be out by focus and place: float32 (H, W).

    Single pixels, means over 3 x 3 and wider ones: at each pixel that which is out least.
    """
    single = log_transmission(crop, infrared)
    levels = [_noise(crop, values) for values in (infrared.noise, infrared.mean_noise)]
    fine = mean3(single)
    wide = mean3(mean3(mean3(fine)))
    kernel: Bytes = np.ones((3, 3), np.uint8)
    best = None
    for values, noise in (
        (single, levels[0]),
        (fine, levels[1]),
        (wide, levels[1] * np.float32(WIDE_NOISE)),
    ):
        height = cv2.dilate(values, kernel) - cv2.erode(values, kernel)
        # The noise itself has a range, which is no slope.
        steep = np.maximum(height - 3 * noise, 0) * np.float32(infrared.stray)
        blur = np.maximum(mean3((values - single) ** 2) - levels[0] ** 2, 0) * 2
        variance = noise * noise + steep * steep + blur
        if best is None:
            best = [variance, values, noise, np.sqrt(steep * steep)]
            continue
        better = variance < best[0]
        for old, new in zip(
            best, (variance, values, noise, np.sqrt(steep * steep + blur)), strict=True
        ):
            np.copyto(old, new, where=better)
    assert best is not None
    return np.minimum(best[1], 0), best[2], best[3]


def _noise(crop: Tile, levels: tuple[float, ...]) -> Float:
    """Noise of log infrared at each pixel's luminance: float32 (H, W)."""
    curve = np.asarray(levels, np.float32)
    index = np.clip(crop.luminance() * np.float32(len(curve)), 0, len(curve) - 1)
    return np.asarray(curve[index.astype(np.intp)])
