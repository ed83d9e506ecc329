"""A guess at the kind of film by the colours of the frame.

The base of colour negative film is orange, because its masking couplers absorb blue and some green
(R. W. G. Hunt, The Reproduction of Colour, 6th ed., section 15.5): wherever light comes through,
more red arrives than green, and more green than blue. Pictures of that kind throughout are rare
among positives.
"""

from dataclasses import dataclass

import numpy as np

from darkroom.codec import Codec, srgb_to_linear
from darkroom.pipeline.survey import float_white, sample_windows
from darkroom.scan import Float, Scan

STEP = 4  # every so many pixels of the bands looked at
CLIPPED, BLACK = 0.98, 0.01  # of full scale: the holder and bare light say nothing of the film
GREY = 0.03  # relative difference of samples in black-and-white material
ORDERED = 0.9  # share of pixels with red > green > blue
MASK_RATIO = 1.12  # of red to green and of green to blue where the film is clearest


@dataclass(frozen=True, slots=True)
class FilmGuess:
    """A guess and its reason.

    Attributes:
        kind: "colour negative", "positive", "black and white" or "unknown".
        reason: what it was guessed from, with figures.
    """

    kind: str
    reason: str


def guess_film(scan: Scan) -> FilmGuess:
    """Guess the kind of film from a sample of the frame.

    Raises:
        InputError: the pixels cannot be read.
    """
    if scan.info.channels == 1:
        reason = "one sample a pixel; whether a negative or a positive, the file cannot tell"
        return FilmGuess("black and white", reason)
    light = _light(scan)
    inside = (light.max(axis=1) < CLIPPED) & (light.min(axis=1) > BLACK * 0.1)
    light = light[inside & (light.max(axis=1) > BLACK)]
    if len(light) < 100:
        return FilmGuess("unknown", "nearly all pixels are black or clipped")
    high, low = light.max(axis=1), light.min(axis=1)
    spread = float(np.median((high - low) / high))
    if spread < GREY:
        reason = f"red, green and blue differ by {spread:.1%} only"
        return FilmGuess("black and white", reason)
    ordered = float(((light[:, 0] > light[:, 1]) & (light[:, 1] > light[:, 2])).mean())
    brightest = light[high >= np.percentile(high, 98)]
    red, green, blue = (float(v) for v in np.maximum(np.median(brightest, axis=0), 1e-6))
    seen = (
        f"red > green > blue in {ordered:.0%} of the pixels; "
        f"{red / blue:.1f} : {green / blue:.1f} : 1 where the film is clearest"
    )
    if ordered >= ORDERED and red / green >= MASK_RATIO and green / blue >= MASK_RATIO:
        return FilmGuess("colour negative", f"orange mask: {seen}")
    return FilmGuess("positive", f"no orange mask (or an inverted negative): {seen}")


def _light(scan: Scan) -> Float:
    """(n, 3) samples of the frame, linear in light, in [0, 1]."""
    codec = Codec.of(scan.info, float_white(scan))
    parts = []
    for window in sample_windows(scan):
        samples = scan.read(window)[::STEP, ::STEP, : scan.info.channels]
        parts.append(srgb_to_linear(codec.encode(samples)).reshape(-1, scan.info.channels))
    light: Float = np.concatenate(parts)
    return light
