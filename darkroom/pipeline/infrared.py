"""A look at the infrared of a frame before it is used.

Where it lies, how clean film looks in it, and whether it can tell dust from the picture at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom import infrared as model
from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.pipeline.infrared_plane import InfraredPlane
from darkroom.pipeline.survey import NOISE_LEVELS, sample_windows
from darkroom.scan import Float, InfraredStats, Scan, Tile

SAMPLES = 150_000  # that the model is fitted to
FEWEST_SAMPLES = 2_000
SECOND_LOOK = 4_000_000  # pixels, or so, that noise and exponents are measured on
MIRRORED = 0.25  # slope against luminance from which the plane shows the picture itself
CONSTANT = 1e-4  # spread of log infrared below which a plane holds nothing
NOISIEST = 0.25  # spread of log infrared about the model beyond which it does not belong
CROP, CROPS = 256, 5  # registration looks at CROPS x CROPS pieces
DETAIL = 6.0  # pixels; what varies more slowly is no help in registration
OUTLIER = 8.0  # robust standard deviations that detail is limited to
FARTHEST = 24.0  # pixels; no scanner misplaces infrared by more
CLEAR_PEAK = 12.0  # of the correlation, in its standard deviations
EDGE = 5.0  # an edge is that many times higher than the noise
THINNEST = 0.5  # transmission that specks which exponents are measured on stay above
LARGEST_SPECK = 900  # pixels, its rim included
FEWEST_SPECKS = 6
SURROUNDINGS = 25  # pixels across, about a speck, that tell how well its picture can be guessed
LEAST_DOUBT = 0.02  # log light a pixel that any guess is wrong by
NEGATIVE_GAMMA = 0.6  # about that of all colour negative films
# How far exponents stray from what is known, as shares: for linear samples, for encoded ones, whose
# contrast somebody chose, and between the channels.
LINEAR_DOUBT, ENCODED_DOUBT, CHANNEL_DOUBT = 0.1, 0.3, 0.1
CLEAR_SIGN = 2.0  # standard errors from 0 by which specks show whether dust dims or brightens
MOST_SPECKS, BOOTSTRAPS = 2000, 200


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


def look(scan: Scan, codec: Codec, plane: Scan, frame: Window) -> Look:
    """Register a plane to its picture, fit what clean film shows, and judge whether it is of use.

    Args:
        scan: the picture.
        codec: its encoding.
        plane: the infrared, a grey scan of any size.
        frame: the picture without its border.
    """
    info = scan.info
    laid = InfraredPlane(plane, info.width, info.height)
    wide, tall = plane.info.width / info.width, plane.info.height / info.height
    if abs(wide / tall - 1) > 0.02:
        found = f"{plane.info.width} x {plane.info.height}"
        return Look(laid, None, f"it is {found} pixels, which is another shape than the picture")
    shift = find_shift(scan, codec, laid, frame)
    laid = laid.moved(shift)
    size = (info.width, info.height)
    samples = [_sampled(tile, bands, size) for tile, bands in _bands(scan, codec, laid, frame)]
    if sum(len(part.heat) for part in samples) < FEWEST_SAMPLES:
        return Look(laid, None, "the picture is too small to learn from")
    light, heat, places = (
        np.concatenate([getattr(part, name) for part in samples])
        for name in ("light", "heat", "places")
    )
    low, high = np.percentile(heat, (1, 99))
    if high - low < CONSTANT:
        return Look(laid, None, "it is the same everywhere")
    solved, residual = model.fit(light, heat, places)
    slopes, shading = np.split(solved[1:], [info.channels])
    spread = model.robust_spread(residual)
    stats = InfraredStats(
        size=size,
        level=float(solved[0]),
        crosstalk=tuple(float(v) for v in slopes),
        shading=tuple(float(v) for v in shading),
        mirrors=model.mirrors(light, slopes),
        noise=(max(spread, model.FLOOR),) * NOISE_LEVELS,
        mean_noise=(max(spread, model.FLOOR),) * NOISE_LEVELS,
        shift=shift,
    )
    if abs(stats.mirrors) > MIRRORED:
        return Look(
            laid,
            stats,
            "it mirrors the picture, as on silver-based black-and-white film and Kodachrome",
        )
    if spread > NOISIEST:
        return Look(laid, stats, "it does not follow the picture; is it of another frame?")
    return Look(laid, _second_look(scan, codec, laid, frame, stats))


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


def _bands(
    scan: Scan, codec: Codec, plane: InfraredPlane, frame: Window, step: int = 1
) -> Iterator[tuple[Tile, int]]:
    """Sampled bands as tiles, and how many bands there are in all."""
    windows = [w.intersect(frame) for w in sample_windows(scan)]
    windows = [w for w in windows if min(w.width, w.height) >= 8]
    for window in windows[::step]:
        image = codec.encode(scan.read(window)[..., : scan.info.channels])
        yield Tile(window, window, image, infrared=plane.padded(window)), len(windows)


@dataclass(frozen=True, slots=True)
class _Samples:
    """Log light (n, C), log infrared (n,) and places (n, 2) of some pixels."""

    light: Float
    heat: Float
    places: Float


def _sampled(tile: Tile, bands: int, size: tuple[int, int]) -> _Samples:
    """Evenly spread pixels of one of so many bands of a frame of `size`."""
    assert tile.infrared is not None
    height, width, channels = tile.image.shape
    count = min(height * width, max(1, SAMPLES // bands))
    chosen = np.linspace(0, height * width - 1, count).astype(np.intp)
    rows, columns = np.divmod(chosen, width)
    u, v = model.positions(tile.read, size)
    return _Samples(
        model.log_light(tile.image.reshape(-1, channels)[chosen]),
        model.log_infrared(tile.infrared.ravel()[chosen]),
        np.stack([u[columns], v[rows]], axis=1),
    )


def _second_look(
    scan: Scan, codec: Codec, plane: InfraredPlane, frame: Window, stats: InfraredStats
) -> InfraredStats:
    """The stats with the noise of single pixels and of means, and the exponents."""
    pixels = sum(window.area for window in sample_windows(scan))
    step = max(1, round(pixels / SECOND_LOOK))
    seen = [_residues(tile, stats) for tile, _ in _bands(scan, codec, plane, frame, step)]
    levels, single, mean, edges, depths, changes, doubts = (
        np.concatenate(part) for part in zip(*seen, strict=True)
    )
    return replace(
        stats,
        noise=model.noise_curve(levels, single, NOISE_LEVELS),
        mean_noise=model.noise_curve(levels, mean, NOISE_LEVELS),
        edges=float(np.percentile(edges, 90)) / 1.645 if len(edges) else 0.0,
        exponents=_exponents(codec.linear, sum(stats.crosstalk), depths, changes, doubts),
    )


def _residues(tile: Tile, stats: InfraredStats) -> tuple[Float, ...]:
    """What one band adds to the second look.

    Returns:
        Luminance, residual and mean residual of every fourth pixel, each (n,); residuals at the
        picture's edges over their height, (k,); depths (m,), changes and doubts (m, C) of thin
        specks, see `_thin_specks`.
    """
    lost = model.log_transmission(tile, stats)
    smooth = model.mean3(lost)
    height = model.edge_height(model.log_light(tile.image), stats)
    edge = (height > EDGE * max(stats.noise)) & (np.abs(lost) < height)
    every = (slice(1, -1, 2), slice(1, -1, 2))
    return (
        *(plane[every].ravel() for plane in (tile.luminance(), lost, smooth)),
        np.asarray(np.abs(lost[edge]) / height[edge], np.float32),
        *_thin_specks(tile.image, lost, smooth, max(stats.noise)),
    )


def _thin_specks(
    image: Float, lost: Float, smooth: Float, noise: float
) -> tuple[Float, Float, Float]:
    """Log transmission and change of log light of specks that let film show, summed over each.

    Sums over a speck and its rim do not mind that infrared and picture are focused differently.
    What the picture was is guessed from around the speck, and how far that may be out is told by
    how much the surroundings vary.

    Returns:
        float32 (n,), (n, C) and (n, C): depths, changes, and standard errors of the changes.
    """
    channels = image.shape[2]
    core = (smooth < -5 * noise).astype(np.uint8)
    whole = np.asarray(cv2.dilate(core, np.ones((7, 7), np.uint8)), np.uint8)
    count, labels = cv2.connectedComponents(whole, connectivity=8)
    owner = labels.ravel()
    area = np.bincount(owner, minlength=count)
    deepest = np.zeros(count)
    np.minimum.at(deepest, owner.astype(np.intp), smooth.ravel())
    clipped = ((image <= 0.02) | (image >= 0.98)).any(axis=2).ravel()
    spoilt = np.bincount(owner, clipped, minlength=count) > 0
    usable = (area <= LARGEST_SPECK) & (deepest > np.log(THINNEST)) & ~spoilt
    usable[0] = False
    if not usable.any():
        none = np.empty((0, channels), np.float32)
        return none[:, 0], none, none
    depth = np.bincount(owner, lost.ravel(), minlength=count)[usable]
    changes, doubts = [], []
    for channel in range(channels):
        plane = image[..., channel]
        stored = np.rint(plane * np.float32(65535)).astype(np.uint16)
        guess = cv2.inpaint(stored, whole, 3, cv2.INPAINT_NS).astype(np.float32) / np.float32(65535)
        light = model.log_light(plane)
        change = light - model.log_light(guess)
        changes.append(np.bincount(owner, change.ravel(), minlength=count)[usable])
        variance = _variance(light, whole == 0).ravel()
        mean = np.bincount(owner, variance, minlength=count)[usable] / area[usable]
        doubts.append((np.sqrt(mean) + LEAST_DOUBT) * area[usable])
    found = (depth, np.stack(changes, axis=1), np.stack(doubts, axis=1))
    return tuple(part.astype(np.float32) for part in found)  # type: ignore[return-value]


def _variance(light: Float, known: NDArray[np.bool_]) -> Float:
    """Variance of what is known within `SURROUNDINGS` of each pixel; 0 where nothing is."""
    side = (SURROUNDINGS, SURROUNDINGS)
    share = known.astype(np.float32)
    count = np.maximum(cv2.blur(share, side), np.float32(1e-6))
    mean = cv2.blur(light * share, side) / count
    square = cv2.blur(light * light * share, side) / count
    return np.asarray(np.maximum(square - mean * mean, 0), np.float32)


def _exponents(
    linear: bool, crosstalk: float, depths: Float, changes: Float, doubts: Float
) -> tuple[float, ...]:
    """Change of each channel's log light with the log transmission of what lies on the film.

    The frame has few specks and each is a poor witness, so that they only correct what is known:
    dust dims light and infrared about alike, and a negative turned positive shows that raised to
    the reciprocal of its gamma.

    Args:
        linear: whether the picture's samples are proportional to the light that came through.
        crosstalk: sum of the channels'; it takes that share from the log transmission.
        depths: float32 (n,), log transmissions of specks.
        changes: float32 (n, C), their changes of log light.
        doubts: float32 (n, C), standard errors of these.

    Returns:
        One for each channel; empty where the picture is encoded and specks do not show clearly
        whether dust dims it or brightens it.
    """
    alike = 1 / max(0.5, 1 - crosstalk)
    channels = changes.shape[1]
    enough = len(depths) >= FEWEST_SPECKS
    if not enough:
        return (round(alike, 4),) * channels if linear else ()
    ratios = changes / depths[:, None]
    weights = (depths[:, None] / doubts) ** 2
    seen, error = _middle(ratios, weights)
    known, doubt = alike, LINEAR_DOUBT
    if not linear:
        if abs(seen) < CLEAR_SIGN * error:
            return ()
        known, doubt = alike * (1 if seen > 0 else -1 / NEGATIVE_GAMMA), ENCODED_DOUBT
    joint = _combined((known, doubt * abs(known)), (seen, error))
    own = [_middle(ratios[:, [c]], weights[:, [c]]) for c in range(channels)]
    between = CHANNEL_DOUBT * abs(joint)
    return tuple(round(float(_combined((joint, between), channel)), 4) for channel in own)


def _middle(ratios: Float, weights: Float) -> tuple[float, float]:
    """The weighted median of specks' ratios, which outliers do not tilt, and its standard error.

    The error is that of bootstrap samples of the specks (Efron, "Bootstrap methods: another look at
    the jackknife", Annals of Statistics 7, 1979), which see when one speck outweighs all others.

    Args:
        ratios: float32 (n, k), of n specks in k channels.
        weights: float32 (n, k), reciprocals of their variances.
    """
    surest = np.argsort(-weights.sum(axis=1))[:MOST_SPECKS]
    values, weights = ratios[surest], weights[surest]
    order = np.argsort(values, axis=None)
    owner, values, weights = order // values.shape[1], values.ravel()[order], weights.ravel()[order]

    def median(counts: NDArray[Any]) -> float:
        sums = np.cumsum(counts[owner] * weights)
        return float(values[np.searchsorted(sums, sums[-1] / 2)])

    number = len(surest)
    drawn = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), BOOTSTRAPS)
    error = np.std([median(counts) for counts in drawn])
    return median(np.ones(number)), max(float(error), 1e-3)


def _combined(known: tuple[float, float], seen: tuple[float, float]) -> float:
    """The mean of two estimates, (value, standard error), each as sure as it is."""
    a, b = known[1] ** -2, seen[1] ** -2
    return (known[0] * a + seen[0] * b) / (a + b)
