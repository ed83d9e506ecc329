"""A look at the infrared of a frame before it is used.

Where it lies, how clean film looks in it, and whether it can tell dust from the picture at all.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import cv2
import numpy as np

from darkroom import infrared as model
from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.pipeline.infrared_dust import measure
from darkroom.pipeline.infrared_fit import Film, fit_film, spread_out
from darkroom.pipeline.infrared_plane import InfraredPlane
from darkroom.pipeline.infrared_thumbs import Thumbs, take_thumbs
from darkroom.pipeline.survey import NOISE_LEVELS
from darkroom.scan import Float, InfraredStats, Scan

FEWEST_SAMPLES = 2_000
MIRRORED = 0.25  # slope against luminance from which the plane shows the picture itself
CONSTANT = 1e-4  # spread of log infrared below which a plane holds nothing
NOISIEST = 0.25  # spread of log infrared about the model beyond which it does not belong
LEAST_NOISE = 5e-4  # of log infrared; no scanner is finer
CROP, CROPS = 256, 5  # registration looks at CROPS x CROPS pieces
DETAIL = 6.0  # pixels; what varies more slowly is no help in registration
OUTLIER = 8.0  # robust standard deviations that detail is limited to
FARTHEST = 24.0  # pixels; no scanner misplaces infrared by more
CLEAR_PEAK = 12.0  # of the correlation, in its standard deviations


@dataclass(frozen=True, slots=True)
class Look:
    """What was found out about an infrared plane.

    Attributes:
        plane: the plane, moved to lie over the picture.
        stats: of its model, or None where there is none to be had.
        refusal: why it is no use, or None.
    """

    plane: InfraredPlane
    stats: InfraredStats | None
    refusal: str | None = None


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
    shift = find_shift(scan, codec, laid, frame)
    laid = laid.moved(shift)
    thumbs = take_thumbs(scan, codec, laid, frame, pool)
    if thumbs.heat.size < FEWEST_SAMPLES:
        return Look(laid, None, "the picture is too small to learn from")
    heat = thumbs.log_heat
    low, high = np.percentile(heat, (0.1, 99.9))
    if high - low < CONSTANT:
        return Look(laid, None, "it is the same everywhere")
    film = fit_film(thumbs.light, heat, thumbs.heat > 0)
    floor = _floor(plane, float(np.median(thumbs.heat)))
    stats = _stats(scan, thumbs, film, shift, max(film.spread, floor))
    if abs(stats.mirrors) > MIRRORED:
        return Look(
            laid,
            stats,
            "it mirrors the picture, as on silver-based black-and-white film and Kodachrome",
        )
    if model.robust_spread(film.residual) > NOISIEST:
        return Look(laid, stats, "it does not follow the picture; is it of another frame?")
    return Look(laid, measure(scan, codec, laid, frame, stats, floor))


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
        mirrors=model.mirrors(thumbs.light.reshape(-1, thumbs.light.shape[2]), film.dyes.ravel()),
        noise=(noise * thumbs.step,) * NOISE_LEVELS,
        mean_noise=(noise * max(1.0, thumbs.step / 3),) * NOISE_LEVELS,
        shift=shift,
    )


def _floor(plane: Scan, level: float) -> float:
    """Noise of log infrared that storage in integers makes, at least."""
    dtype = plane.info.dtype
    steps = 65535.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    return max(LEAST_NOISE, 1 / (steps * max(level, 0.02) * 12**0.5))


def find_shift(
    scan: Scan, codec: Codec, plane: InfraredPlane, frame: Window
) -> tuple[float, float]:
    """(dx, dy) to a twentieth of a pixel: what the picture has at x, y lies there + dx, dy.

    Phase correlation (Kuglin and Hines, 1975) of log luminance and log infrared: dyes and dust
    show in both. The cross-power spectra of many small pieces are added up before they are
    inverted, and the peak is refined after Guizar-Sicairos, Thurman and Fienup (Optics Letters
    33, 2008) by scikit-image. (0, 0) where no peak stands out.
    """
    from skimage.registration import phase_cross_correlation

    side = min(CROP, frame.width, frame.height)
    if side < 32:
        return 0.0, 0.0
    taper = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    power = np.zeros((side, side), np.complex128)
    for window in _pieces(frame, side):
        image = codec.encode(scan.read(window)[..., : scan.info.channels])
        light = model.log_light(image).mean(axis=2)
        heat = model.log_infrared(plane.padded(window))
        first, second = (np.fft.fft2(_detail(values) * taper) for values in (light, heat))
        power += first * np.conj(second)
    size = np.abs(power)
    if not size.any():
        return 0.0, 0.0
    peaks = np.abs(np.fft.ifft2(power / np.maximum(size, 1e-12)))
    moved, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        power, np.ones_like(power), space="fourier", upsample_factor=20
    )
    dy, dx = (-float(value) for value in moved)
    if peaks.max() < CLEAR_PEAK * peaks.std() or max(abs(dx), abs(dy)) > FARTHEST:
        return 0.0, 0.0
    return round(dx, 3) + 0.0, round(dy, 3) + 0.0


def _pieces(frame: Window, side: int) -> Iterator[Window]:
    seen = set()
    for y in np.linspace(frame.y, frame.bottom - side, CROPS).astype(int):
        for x in np.linspace(frame.x, frame.right - side, CROPS).astype(int):
            if (x, y) not in seen:
                seen.add((x, y))
                yield Window(int(x), int(y), side, side)


def _detail(values: Float) -> Float:
    """Fine detail in robust standard deviations, outliers limited."""
    values = np.ascontiguousarray(values, np.float32)
    detail = values - cv2.GaussianBlur(values, (0, 0), DETAIL)
    spread = model.MAD_TO_SIGMA * float(np.median(np.abs(detail))) + 1e-6
    return np.asarray(np.clip(detail / np.float32(spread), -OUTLIER, OUTLIER), np.float32)
