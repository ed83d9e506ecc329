"""A look at the infrared of a frame before it is used.

Where it lies, how clean film looks in it, and whether it can tell dust from the picture at all.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from darkroom import infrared as model
from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.pipeline.infrared_dust import measure
from darkroom.pipeline.infrared_fit import Film, fit_film, spread_out
from darkroom.pipeline.infrared_kind import is_blank, is_negative, outweighs, what_else
from darkroom.pipeline.infrared_plane import InfraredPlane, Warp, still
from darkroom.pipeline.infrared_register import Placing, place, refine
from darkroom.pipeline.infrared_thumbs import Thumbs, take_thumbs
from darkroom.pipeline.survey import NOISE_LEVELS
from darkroom.scan import Float, InfraredStats, Scan

FEWEST_SAMPLES = 2_000
BACKWARDS = -0.03  # slope against luminance below which a plane is a negative of infrared
MIRRORED = 0.25  # slope against luminance from which the plane shows the picture itself
CONSTANT = 1e-4  # spread of log infrared below which a plane holds nothing
NOISIEST = 0.25  # spread of log infrared about the model beyond which it does not belong
STEEPEST = 0.8  # log infrared between the lamp's brightest and darkest place that is trusted
LEAST_NOISE = 5e-4  # of log infrared; no scanner is finer
CROP, CROPS = 256, 4  # registration looks at CROPS x CROPS pieces
SURE = 10.0  # confidence from which a place is trusted


@dataclass(frozen=True, slots=True)
class Look:
    """What was found out about an infrared plane.

    Attributes:
        plane: the plane, moved to lie over the picture.
        stats: of its model, or None where there is none to be had.
        refusal: why it is no use, or None.
        confidence: of its place, see `Placing`.
    """

    plane: InfraredPlane
    stats: InfraredStats | None
    refusal: str | None = None
    confidence: float = 0.0


def look(
    scan: Scan, codec: Codec, plane: Scan, frame: Window, pool: Executor | None = None
) -> Look:
    """Register a plane to its picture, fit what clean film shows, and judge whether it is of use.

    Args:
        scan: the picture.
        codec: its encoding.
        plane: the infrared, a grey scan of any size.
        frame: the picture without its border.
        pool: threads to look with.
    """
    info = scan.info
    laid = InfraredPlane(plane, info.width, info.height)
    wide, tall = plane.info.width / info.width, plane.info.height / info.height
    if abs(wide / tall - 1) > 0.02:
        found = f"{plane.info.width} x {plane.info.height}"
        return Look(laid, None, f"it is {found} pixels, which is another shape than the picture")
    thumbs = take_thumbs(scan, codec, laid, frame, pool)
    if thumbs.heat.size < FEWEST_SAMPLES:
        return Look(laid, None, "the picture is too small to learn from")
    low, high = np.percentile(thumbs.log_heat, (0.1, 99.9))
    if high - low < CONSTANT:
        return Look(laid, None, "it is the same everywhere")
    kind = what_else(thumbs)
    if kind is not None:
        return Look(laid, None, kind)
    if is_negative(thumbs):
        laid = laid.turned()
        thumbs = thumbs.with_heat(1 - thumbs.heat)
    placing = find_place(scan, codec, laid, frame, thumbs)
    if placing.confidence < SURE and not is_blank(thumbs.log_heat):
        return Look(
            laid,
            None,
            "nothing in it is found again in the picture, so that its place is not certain",
            confidence=placing.confidence,
        )
    laid = laid.moved(placing.warp)
    thumbs = thumbs.with_heat(warped(thumbs, placing.warp))
    heat = thumbs.log_heat
    covered = laid.covered.intersect(frame)
    film = fit_film(thumbs.light, heat, (thumbs.heat > 0) & thumbs.within(covered))
    if _slope(thumbs, film) < BACKWARDS and outweighs(film.residual / film.spread):
        # No dye lets more infrared through where it is denser, so the plane is a negative after
        # all; or the picture is an inverted negative, but then dust is dark.
        other = thumbs.with_heat(1 - thumbs.heat)
        again = fit_film(other.light, other.log_heat, (other.heat > 0) & other.within(covered))
        if _slope(other, again) > 0:
            laid, thumbs, film = laid.turned(), other, again
    floor = _floor(plane, float(np.median(thumbs.heat)))
    stats = _stats(scan, thumbs, film, laid.shift, max(film.spread, floor))
    if abs(stats.mirrors) > MIRRORED:
        return Look(
            laid,
            stats,
            "it mirrors the picture, as on silver-based black-and-white film and Kodachrome",
        )
    falloff = float(np.ptp(film.lamp))
    if falloff > STEEPEST:
        lost = 1 - np.exp(-falloff)
        return Look(
            laid,
            stats,
            f"its light falls off by {lost:.0%} over the frame, which cannot be told from dust",
        )
    if model.robust_spread(film.residual) > NOISIEST:
        return Look(laid, stats, "it does not follow the picture; is it of another frame?")
    stats = measure(scan, codec, laid, covered, stats, floor)
    if covered != frame:
        stats = replace(stats, covered=covered)
    return Look(laid, stats, confidence=placing.confidence)


def _stats(
    scan: Scan, thumbs: Thumbs, film: Film, shift: tuple[float, float], noise: float
) -> InfraredStats:
    """The stats of a fitted film; the noise, still that of the thumbnail, is a first guess."""
    size, window = (scan.info.width, scan.info.height), thumbs.window()
    return InfraredStats(
        size=size,
        level=film.level,
        crosstalk=film.crosstalk,
        bends=film.bends,
        tones=film.tones,
        lamp=spread_out(film.lamp, window, size),
        mirrors=_slope(thumbs, film),
        noise=(noise * thumbs.step,) * NOISE_LEVELS,
        mean_noise=(noise * max(1.0, thumbs.step / 3),) * NOISE_LEVELS,
        shift=shift,
    )


def _slope(thumbs: Thumbs, film: Film) -> float:
    """Slope of what dyes take from log infrared against log luminance."""
    return model.mirrors(thumbs.light.reshape(-1, thumbs.light.shape[2]), film.dyes.ravel())


def _floor(plane: Scan, level: float) -> float:
    """Noise of log infrared that storage in integers makes, at least."""
    dtype = plane.info.dtype
    steps = 65535.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    return max(LEAST_NOISE, 1 / (steps * max(level, 0.02) * 12**0.5))


def find_place(
    scan: Scan, codec: Codec, plane: InfraredPlane, frame: Window, thumbs: Thumbs
) -> Placing:
    """Where a plane lies beside its picture; without a shift where that cannot be told.

    Args:
        scan: the picture.
        codec: its encoding.
        plane: the infrared, not yet moved.
        frame: the picture without its border.
        thumbs: of both.
    """
    size = (scan.info.width, scan.info.height)
    light = np.ascontiguousarray(thumbs.light.mean(axis=2))
    found = place(light, thumbs.log_heat, thumbs.step, thumbs.origin, size)
    if found.confidence < SURE:
        return Placing(Warp(size, still((0.0, 0.0))), found.confidence)
    side = min(CROP, frame.width, frame.height)

    def look_at(x: float, y: float, warp: Warp) -> tuple[Float, Float]:
        window = Window(int(x) - side // 2, int(y) - side // 2, side, side)
        image = codec.encode(scan.read(window)[..., : scan.info.channels])
        return (
            np.ascontiguousarray(model.log_light(image).mean(axis=2)),
            model.log_infrared(plane.moved(warp).padded(window)),
        )

    return refine(found, list(_pieces(frame, side)), look_at)


def _pieces(frame: Window, side: int) -> Iterator[tuple[float, float]]:
    """The middles of pieces spread over the frame."""
    seen = set()
    for y in np.linspace(frame.y, frame.bottom - side, CROPS).astype(int):
        for x in np.linspace(frame.x, frame.right - side, CROPS).astype(int):
            if (x, y) not in seen:
                seen.add((x, y))
                yield float(x + side // 2), float(y + side // 2)


def warped(thumbs: Thumbs, warp: Warp) -> Float:
    """The infrared of a thumbnail, laid over its picture: float32 (h, w)."""
    height, width = thumbs.heat.shape
    x, y = (
        (np.arange(n) + 0.5) * thumbs.step - 0.5 + start
        for n, start in zip((width, height), thumbs.origin, strict=True)
    )
    dx, dy = (part / thumbs.step for part in warp.at(x[None], y[:, None]))
    across = (np.arange(width)[None] + dx + np.zeros((height, 1))).astype(np.float32)
    down = (np.arange(height)[:, None] + dy + np.zeros((1, width))).astype(np.float32)
    mode = cv2.BORDER_REFLECT_101
    return np.asarray(cv2.remap(thumbs.heat, across, down, cv2.INTER_LINEAR, borderMode=mode))
