"""Bringing back what film shows through dust, stains and smears.

Whatever lies on film and lets some light through only dims the picture there. Dividing by its
transmission restores the film itself, grain and all, which no inpainting can. Each pixel is the
mean of the divided picture and of the fill, each weighed by how far it may be out:

- a fill is as good as the picture is even, and better near the rim of what it fills;
- a division is as good as infrared is free of noise, its focus is that of the picture, and the
  exponent between the two is known. How deep the picture is dimmed for a depth in infrared was
  measured on the frame; each artefact corrects it by what its own rim shows, and where its rim
  does not fit any exponent, as under paint, the fill is taken.
"""

from dataclasses import dataclass

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
    known_doubt = _fill_doubt(crop, inside)
    out = fill.copy()
    for channel in range(crop.image.shape[2]):
        plane = np.ascontiguousarray(crop.image[..., channel])
        light, guess = log_light(plane), log_light(np.ascontiguousarray(fill[..., channel]))
        prior = infrared.exponents[channel], infrared.exponent_doubt
        even = inside & (np.abs(prior[0] * lost) < EVEN) & (np.abs(lost) < 3 * noise)
        doubt = known_doubt * _honesty((light - guess)[even], known_doubt[even])
        own = _own_exponents(light - guess, lost, doubt, steep, labels, count, prior)
        exponent = own.exponent[labels]
        divided = light - exponent * lost
        # Black is not known any better than flare and the last bits allow.
        variance = (np.float32(POWER * FLARE) / (plane + np.float32(TOE))) ** 2
        variance += (exponent * noise) ** 2
        variance += (exponent * steep) ** 2
        variance += lost * lost * own.variance[labels]
        variance += own.misfit[labels]
        variance[np.exp(lost) < thinnest] = np.inf
        if infrared.exponents[channel] < 0:
            variance[plane >= WHITE] = np.inf
        share = doubt / (doubt + variance)
        mixed = guess + share * (divided - guess)
        out[..., channel][inside] = from_log_light(np.asarray(mixed[inside], np.float32))
    return out


def _honesty(missed: Float, doubt: Float) -> np.float32:
    """How much further fills are out than thought, seen where nothing lies on the film."""
    if len(missed) < FEWEST_EVEN:
        return np.float32(1)
    seen, thought = (float(np.mean(part)) for part in (missed * missed, doubt))
    return np.float32(np.clip(seen / max(thought, 1e-9), *HONESTY))


@dataclass(frozen=True, slots=True)
class Exponents:
    """What each artefact of a crop says of its own exponent: float32 (count,), 0 the background.

    Attributes:
        exponent: change of log light with log transmission.
        variance: of that.
        misfit: variance of log light that no exponent explains.
    """

    exponent: Float
    variance: Float
    misfit: Float


def _own_exponents(
    change: Float,
    lost: Float,
    doubt: Float,
    steep: Float,
    labels: NDArray[np.int32],
    count: int,
    prior: tuple[float, float],
) -> Exponents:
    """Each artefact's exponent by least squares, beginning from that of the frame.

    Args:
        change: float32 (H, W), log light beside the fill.
        lost: float32 (H, W), log transmission.
        doubt: float32 (H, W), variance of the fill.
        steep: see `_steepness`.
        labels: int32 (H, W), which artefact each pixel belongs to.
        count: number of labels.
        prior: exponent of the frame, and its standard deviation.
    """
    known, spread = prior
    deep = cv2.distanceTransform((labels > 0).astype(np.uint8), cv2.DIST_L2, 3)
    # Far from the rim a fill is a guess; there are many such pixels, and they err together.
    weights = np.exp(deep * np.float32(-1 / REACH)) / (doubt + (known * steep) ** 2)
    owner = labels.ravel()

    def total(values: Float) -> NDArray[np.float64]:
        sums = np.bincount(owner, (values * weights).ravel(), minlength=count)
        return np.asarray(sums, np.float64)

    precision = spread**-2
    squares = total(lost * lost) / PATCH
    own = (known * precision + total(lost * change) / PATCH) / (precision + squares)
    left = change - own.astype(np.float32)[labels] * lost
    weighed = np.maximum(total(np.ones_like(lost)), 1e-9)
    misfit = np.maximum(total(left * left - doubt) / weighed, 0)
    parts = own, 1 / (precision + squares), misfit
    return Exponents(*(part.astype(np.float32) for part in parts))


def _fill_doubt(crop: Tile, inside: NDArray[np.bool_]) -> Float:
    """Variance of a fill's log light: float32 (H, W).

    The picture varies about an artefact by so much, and a fill knows it only near the rim. Grain is
    not known at all; what a fill has of it is another's.
    """
    known = ~inside
    luminance = log_light(crop.luminance())
    varies, nearby = _variation(luminance, known)
    fine = np.abs(luminance - mean3(luminance))[known]
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
