"""Noise of clean film at full size, and how deep dust dims the picture for its depth in infrared.

Both are measured on pieces spread over the frame.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom import infrared as model
from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.pipeline.infrared_plane import InfraredPlane
from darkroom.pipeline.survey import NOISE_LEVELS
from darkroom.scan import Bytes, Float, InfraredStats, Scan, Tile

PIECE, PIECES = 512, 4  # pixels of a side at most, number along each side of the frame
DUSTY = 5.0  # deviations of means over 3 x 3 pixels below clean film
BODY, SURE = (
    3.5,
    7.0,
)  # deviations of all pixels and of the strongest of specks that exponents are learnt from
WIDEN = 9  # pixels across, about dust, that noise is not measured on
EDGE = 5.0  # an edge is that many times higher than the noise
FEWEST_EDGES, EDGE_SHARE = 200, 0.05  # pixels that tell what edges leave; and unless they do
EDGE_TAIL = ((90, 1.645), (99, 2.576), (99.9, 3.29))  # percentiles, in standard deviations
LARGEST_SPECK = 4000  # pixels, its rim included
DIMMEST = -5.5  # log light below which a picture tells nothing of what dims it
DARKEST = -7.2  # log light of black is a little more
SURROUNDINGS = 25  # pixels across, about a speck, that tell how well its picture can be guessed
LEAST_DOUBT = 0.02  # log light that any guess is wrong by
GUESSED, PATCH = 0.5, 25.0  # share of the variance left to a guess; pixels that it errs alike over
STRAY, STRAYS, FEWEST_RIMS = 0.3, (0.03, 0.5), 60  # unless told by so many pixels, and its bounds
FEWEST_SPECKS = 3
MOST_SPECKS, BOOTSTRAPS = 2000, 200
# What exponents are without any speck to learn from: dust dims linear light by one to seven times
# what it takes from infrared; of encoded pictures not even the sign is known.
LINEAR, LINEAR_DOUBT = 1.1, 0.6
UNKNOWN_DOUBT = 3.0
LEAST_SPREAD = 0.04  # of an exponent, as a share: no two specks are quite alike


def measure(
    scan: Scan,
    codec: Codec,
    plane: InfraredPlane,
    frame: Window,
    stats: InfraredStats,
    floor: float,
) -> InfraredStats:
    """The stats with noise and exponents.

    Args:
        scan: the picture.
        codec: its encoding.
        plane: its infrared, laid over it.
        frame: the picture without its border.
        stats: of the fitted film, whose noise is a first guess.
        floor: least noise of log infrared, that of its storage.
    """
    seen = [_residues(tile, stats) for tile in _pieces(scan, codec, plane, frame)]
    levels, single, mean, *edges = (np.concatenate([part[i] for part in seen]) for i in range(6))
    stats = replace(
        stats,
        noise=model.noise_curve(levels, single, NOISE_LEVELS, floor),
        mean_noise=model.noise_curve(levels, mean, NOISE_LEVELS, floor / 3),
    )
    stats = replace(
        stats,
        edges=_edges(edges, (float(np.median(stats.noise)), float(np.median(stats.mean_noise)))),
    )
    specks = [_specks(tile, stats) for tile in _pieces(scan, codec, plane, frame)]
    depths, changes, doubts = (np.concatenate([part[i] for part in specks]) for i in range(3))
    exponents, doubt = exponents_of(codec.linear, depths, changes, doubts)
    stats = replace(stats, exponents=exponents, exponent_doubt=doubt)
    rims = [_rims(tile, stats) for tile in _pieces(scan, codec, plane, frame)]
    return replace(
        stats, stray=_stray(*(np.concatenate([part[i] for part in rims]) for i in range(3)))
    )


def _pieces(scan: Scan, codec: Codec, plane: InfraredPlane, frame: Window) -> Iterator[Tile]:
    """Pieces spread over the frame, with their infrared."""
    columns, rows = (min(PIECES, -(-side // PIECE)) for side in (frame.width, frame.height))
    width, height = min(PIECE, frame.width // columns), min(PIECE, frame.height // rows)
    for y in np.linspace(frame.y, frame.bottom - height, rows).astype(int):
        for x in np.linspace(frame.x, frame.right - width, columns).astype(int):
            window = Window(int(x), int(y), width, height)
            image = codec.encode(scan.read(window)[..., : scan.info.channels])
            yield Tile(window, window, image, infrared=plane.padded(window))


def _residues(tile: Tile, stats: InfraredStats) -> tuple[Float, ...]:
    """Luminance, residual and mean residual of some pixels of clean film, each (n,); and residual,
    mean residual and height of some at the picture's edges, each (k,)."""
    dyes = model.expected(tile, stats)
    lost = model.log_transmission(tile, stats)
    smooth = model.mean3(lost)
    sigma = max(stats.mean_noise)
    dusty = (smooth < -DUSTY * sigma).astype(np.uint8)
    clean = cv2.dilate(dusty, np.ones((WIDEN, WIDEN), np.uint8)) == 0
    height = model.edge_height(dyes)
    edge = height > EDGE * sigma
    edge[::2] = False
    every = (slice(1, -1, 2), slice(1, -1, 2))
    kept = clean[every]
    return (
        *(plane[every][kept] for plane in (tile.luminance(), lost, smooth)),
        *(plane[edge] for plane in (lost, smooth, height)),
    )


def _edges(residuals: list[Float], noise: tuple[float, float]) -> tuple[float, float]:
    """Spread of residuals at edges, beyond the noise, as a share of the edges' height.

    Only what is too bright is looked at, which dust never is; and its tail, since edges are many.
    """
    single, mean, height = residuals
    if len(height) < FEWEST_EDGES:
        return EDGE_SHARE, EDGE_SHARE
    found = []
    for values, sigma in zip((single, mean), noise, strict=True):
        bright = np.maximum(values - 2 * np.float32(sigma), 0) / height
        shares = (float(np.percentile(bright, at)) / normal for at, normal in EDGE_TAIL)
        found.append(max(shares))
    return found[0], found[1]


def _specks(tile: Tile, stats: InfraredStats) -> tuple[Float, Float, Float]:
    """Log transmission and change of log light of specks, means over each and its rim.

    The means are weighed by the depth over 3 x 3 pixels, so that they hardly mind that infrared and
    picture are focused differently. What the picture was is
    guessed from around the speck, and how far that may be out is told by how much the surroundings
    vary.

    Returns:
        float32 (n,), (n, C) and (n, C): depths, changes, and standard errors of the changes.
    """
    image, channels = tile.image, tile.image.shape[2]
    lost = model.log_transmission(tile, stats)
    core = _cores(tile, stats)
    whole = np.asarray(cv2.dilate(core, np.ones((7, 7), np.uint8)), np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(whole, connectivity=8)
    area = np.asarray(boxes[:, cv2.CC_STAT_AREA], np.float64)
    left, top = boxes[:, cv2.CC_STAT_LEFT], boxes[:, cv2.CC_STAT_TOP]
    right, low = left + boxes[:, cv2.CC_STAT_WIDTH], top + boxes[:, cv2.CC_STAT_HEIGHT]
    cut = (left == 0) | (top == 0) | (right == image.shape[1]) | (low == image.shape[0])
    owner = labels.ravel()
    light = model.log_light(image)
    clipped = ((light <= DIMMEST) | (image >= 0.995)).any(axis=2).ravel()
    spoilt = np.bincount(owner, clipped, minlength=count) > 0
    usable = (area <= LARGEST_SPECK) & ~spoilt & ~cut
    usable[0] = False
    if not usable.any():
        none = np.empty((0, channels), np.float32)
        return none[:, 0], none, none
    weights = np.maximum(-model.mean3(lost), 0).ravel()

    def mean(values: Float) -> NDArray[np.float64]:
        sums = np.bincount(owner, weights * values.ravel(), minlength=count)
        return np.asarray(sums[usable] / total, np.float64)

    total = np.maximum(np.bincount(owner, weights, minlength=count)[usable], 1e-9)
    squares = np.bincount(owner, weights * weights, minlength=count)[usable]
    witnesses = np.maximum(total * total / np.maximum(squares, 1e-12) / PATCH, 1)
    depth = mean(lost)
    changes, doubts = [], []
    for channel in range(channels):
        change = light[..., channel] - _guess(light[..., channel], whole)
        changes.append(mean(change))
        variance = mean(local_variance(light[..., channel], whole == 0))
        doubts.append(np.sqrt(GUESSED * variance / witnesses) + LEAST_DOUBT)
    found = (depth, np.stack(changes, axis=1), np.stack(doubts, axis=1))
    return tuple(part.astype(np.float32) for part in found)  # type: ignore[return-value]


def _rims(tile: Tile, stats: InfraredStats) -> tuple[Float, Float, Float]:
    """Rims of specks, each (n,): what the exponents leave of the change of log light, its variance
    by the guess, and the change that a shift by the whole range of 3 x 3 pixels would make."""
    lost = model.log_transmission(tile, stats)
    core = _cores(tile, stats)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(core, connectivity=8)
    small = boxes[:, cv2.CC_STAT_AREA] <= LARGEST_SPECK
    small[0] = False
    core = small[labels].astype(np.uint8)
    whole = np.asarray(cv2.dilate(core, np.ones((7, 7), np.uint8)), np.uint8)
    luminance = tile.luminance()
    light = model.log_light(luminance)
    change = light - _guess(light, whole)
    exponent = np.float32(np.mean(stats.exponents))
    kernel = np.ones((3, 3), np.uint8)
    reach = np.abs(exponent) * (cv2.dilate(lost, kernel) - cv2.erode(lost, kernel))
    variance = local_variance(light, whole == 0)
    clear = (whole > 0) & (reach > 3 * np.sqrt(variance) + 0.05) & (light > DIMMEST)
    return (change - exponent * lost)[clear], variance[clear], reach[clear]


def _stray(left: Float, variance: Float, reach: Float) -> float:
    """Share of the range about a rim pixel that its own value is out by."""
    if len(left) < FEWEST_RIMS:
        return STRAY
    excess = (model.MAD_TO_SIGMA * np.median(np.abs(left))) ** 2 - np.median(variance)
    return float(np.clip(max(excess, 0.0) ** 0.5 / np.median(reach), *STRAYS))


def _guess(light: Float, whole: Bytes) -> Float:
    """Log light filled in from around: float32 (H, W).

    Navier-Stokes inpainting (Bertalmio, Bertozzi and Sapiro, CVPR 2001). Of light itself the guess
    would be too bright wherever the picture varies, as means are brighter than means of logarithms.
    """
    scale = np.float32(65535 / -DARKEST)
    stored = np.rint(np.clip(light - np.float32(DARKEST), 0, -DARKEST) * scale).astype(np.uint16)
    return cv2.inpaint(stored, whole, 3, cv2.INPAINT_NS).astype(np.float32) / scale + np.float32(
        DARKEST
    )


def _cores(tile: Tile, stats: InfraredStats) -> Bytes:
    """What is surely dust: uint8 (H, W), 0 or 1."""
    z = np.maximum(*model.deviations(tile, stats))
    sure = np.asarray(z > BODY, np.uint8)
    count, labels = cv2.connectedComponents(sure, connectivity=8)
    most = np.zeros(count, np.float32)
    np.maximum.at(most, labels.ravel().astype(np.intp), z.ravel())
    most[0] = 0
    return np.asarray(most[labels] > SURE, np.uint8)


def local_variance(light: Float, known: NDArray[np.bool_]) -> Float:
    """Variance of what is known within `SURROUNDINGS` of each pixel; 0 where nothing is."""
    side = (SURROUNDINGS, SURROUNDINGS)
    share = known.astype(np.float32)
    count = np.maximum(cv2.blur(share, side), np.float32(1e-6))
    mean = cv2.blur(light * share, side) / count
    square = cv2.blur(light * light * share, side) / count
    return np.asarray(np.maximum(square - mean * mean, 0), np.float32)


def exponents_of(
    linear: bool, depths: Float, changes: Float, doubts: Float
) -> tuple[tuple[float, ...], float]:
    """Change of each channel's log light with the log transmission of what lies on the film.

    Scanners differ: where infrared light is as directed as the picture's they go one to one, while
    diffuse infrared light passes around dust that the picture shows black. What is opaque, or lies
    in the light as paint does, follows no power at all; then specks disagree, and the doubt is
    large.

    Args:
        linear: whether the picture's samples are proportional to the light that came through.
        depths: float32 (n,), log transmissions of specks.
        changes: float32 (n, C), their changes of log light.
        doubts: float32 (n, C), standard errors of these.

    Returns:
        One for each channel, and how far that of one speck may be from them.
    """
    channels = changes.shape[1]
    known, doubt = (LINEAR, LINEAR_DOUBT) if linear else (0.0, UNKNOWN_DOUBT)
    if len(depths) < FEWEST_SPECKS:
        return (known,) * channels, doubt
    ratios = changes / depths[:, None]
    errors = np.abs(doubts / depths[:, None])
    weights = errors**-2
    seen, error = _middle(ratios, weights)
    spread = _spread(ratios, errors, seen)
    own = [_middle(ratios[:, [c]], weights[:, [c]]) for c in range(channels)]
    between = 0.1 * abs(seen) + 1e-3
    values = tuple(round(float(_combined((seen, between), channel)), 4) for channel in own)
    return values, round(float(np.hypot(spread, error)), 4)


def _spread(ratios: Float, errors: Float, middle: float) -> float:
    """How far specks' ratios stray from their middle beyond their errors."""
    surest = np.argsort(errors.mean(axis=1))[: max(FEWEST_SPECKS, len(errors) // 2)]
    off = np.abs(ratios[surest] - middle)
    variance = (model.MAD_TO_SIGMA * np.median(off)) ** 2 - np.median(errors[surest]) ** 2
    return float(max(np.sqrt(max(variance, 0.0)), LEAST_SPREAD * abs(middle)))


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
