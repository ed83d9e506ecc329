"""What a plane is, where it is no infrared at all, or infrared turned upside down."""

import cv2
import numpy as np

from darkroom import infrared as model
from darkroom.pipeline.infrared_thumbs import Thumbs
from darkroom.scan import Float

EXTREME = 0.01  # of full scale, within which a value is black or white
TWO_VALUES = 0.98  # share of pixels that are black or white, in an alpha channel or a selection
CUT = 0.03  # share of the rows at an end that hold nothing, where a transfer broke off
SMOOTH = 2e-4  # of full scale; no sensor is that free of noise
ALIKE = 0.97  # correlation with the picture's light, of a copy of it
CONTRAST = 3.0  # of a copy; what dyes take from infrared varies by less
TAIL = 6.0  # robust deviations of detail
OUTNUMBERED = 3.0  # times more power of bright detail than of dark, in a negative
FOLLOWS = 0.5  # correlation with the picture's light, which a negative of infrared never has
FEWEST = 20  # pixels of bright detail
BLANK_SPREAD, BLANK_DETAIL = 0.02, 8.0  # spread of log infrared, and of no detail, of a blank plane


def what_else(thumbs: Thumbs) -> str | None:
    """Why a plane cannot be infrared, beginning with "it", or None."""
    heat = thumbs.heat
    black, white = heat < EXTREME, heat > 1 - EXTREME
    two = (black | white).mean()
    if two > TWO_VALUES and white.any():
        return "it is black or white all over, as an alpha channel or a selection is"
    # What is black in the picture too is the film holder.
    lit = (thumbs.light > np.log(0.002)).any(axis=2)
    rows = (black | ~lit).mean(axis=1) > 0.999
    for part, where in ((rows, "below"), (rows[::-1], "above")):
        length = len(part) if part.all() else int(np.argmin(part[::-1]))
        empty = lit[len(lit) - length :] if where == "below" else lit[:length]
        if length > CUT * len(part) and empty.any():
            at = (len(part) - length) / len(part) if where == "below" else length / len(part)
            return f"it holds nothing {where} {at:.0%} of its height, as after a transfer cut short"
    even = _noise(heat, ~black & ~white)
    if even is not None and even < SMOOTH and two > 0.05:
        return "it has no noise and is black or white in part, as a saved selection or alpha is"
    light = np.exp(thumbs.light).mean(axis=2)
    low, high = np.percentile(heat, (2, 98))
    for picture in (light, np.sqrt(light)) if high > CONTRAST * max(low, EXTREME) else ():
        if picture.std() > 0.02 and abs(np.corrcoef(picture.ravel(), heat.ravel())[0, 1]) > ALIKE:
            return (
                "it mirrors the picture: it is a copy of its brightness, or infrared of silver-"
                "based black-and-white film or Kodachrome"
            )
    return None


def _noise(heat: Float, known: np.ndarray) -> float | None:
    """Robust noise of neighbouring pixels, or None where too few can tell."""
    change = np.abs(heat[:, 2:] - 2 * heat[:, 1:-1] + heat[:, :-2])[known[:, 1:-1]]
    return float(np.median(change)) if change.size > 500 else None


def is_negative(thumbs: Thumbs) -> bool:
    """Whether a plane is dark where film is clear: its small bright things are dust then."""
    heat = thumbs.heat
    detail = heat - cv2.GaussianBlur(heat, (0, 0), 6)
    spread = model.MAD_TO_SIGMA * float(np.median(np.abs(detail))) + 1e-5
    # Squares, since the deepest are dust; the picture's own edges have both.
    bright = float((np.maximum(detail / spread - TAIL, 0) ** 2).sum())
    dark = float((np.maximum(-detail / spread - TAIL, 0) ** 2).sum())
    many = int((detail > TAIL * spread).sum()) >= FEWEST
    if not many or bright <= OUTNUMBERED * dark or float(np.median(heat)) >= 0.5:
        return False
    # Dyes take infrared where they take light, which all but the small things shows; bright dust in
    # a negative is bright in both.
    apart = (np.abs(detail) > TAIL * spread).astype(np.uint8)
    known = (cv2.dilate(apart, np.ones((5, 5), np.uint8)) == 0).astype(np.float32)
    share = np.maximum(cv2.GaussianBlur(known, (0, 0), 6), np.float32(1e-3))
    light = thumbs.light.mean(axis=2)
    u, v = (
        (cv2.GaussianBlur(part * known, (0, 0), 6) / share)[known > 0] for part in (light, heat)
    )
    if u.size < FEWEST or min(float(u.std()), float(v.std())) < 1e-4:
        return True
    return float(np.corrcoef(u, v)[0, 1]) < FOLLOWS


def outweighs(deviations: Float) -> bool:
    """Whether what is far too bright has more power than what is far too dark, as dust is."""
    bright, dark = (float((np.maximum(sign * deviations - TAIL, 0) ** 2).sum()) for sign in (1, -1))
    return bright > dark


def is_blank(heat: Float) -> bool:
    """Whether log infrared shows neither dust nor picture, so that its place does not matter."""
    detail = heat - cv2.GaussianBlur(heat, (0, 0), 6)
    spread = model.MAD_TO_SIGMA * float(np.median(np.abs(detail))) + 1e-5
    low = float(np.percentile(detail, 0.02))
    return spread < BLANK_SPREAD and low > -BLANK_DETAIL * spread
