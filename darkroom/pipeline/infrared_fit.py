"""What infrared clean film lets through, learnt from a frame that is not clean.

Dust only takes infrared away, and its own tones are found nowhere else in the picture, so whatever
is learnt from dust makes dust look clean. Hence all is learnt from what is not dust: crosstalk from
differences between neighbouring places, where a flake of any size counts at its edge alone; the
lamp from a robust smooth surface that flakes fall below; noise from the rest. Each round leaves out
what the round before took for dust.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from darkroom import infrared as model
from darkroom.geometry import Window
from darkroom.scan import Float

ROUNDS = 3
REACHES = (3, 12)  # pixels of the thumbnail between places that are compared
PAIRS = 60_000
STEPS = 25  # of reweighting, at most
RIDGE = 1e-4  # of each regressor's variance: keeps grey pictures, whose channels agree, solvable
FAR = 2.0  # log light between places, from which a pair weighs less: dust's edges lie there
CELLS = 24  # across the longer side, that the lamp is looked at in
UPPER = 0.7  # share of a cell's pixels below its level; dust may cover much of the others
UPPER_SIGMA = 0.524  # that share of a normal distribution ends here
DEGREES = (2, 4)  # of the surfaces, one after the other
SMOOTH = 2.5  # cells; what is left of the lamp beside the surface varies more slowly
DARKEST_LAMP = 0.02  # of its median
DUSTY = 5.0  # deviations below clean film
WIDEN = 5  # pixels of the thumbnail about dust that are left out with it
RANGE = (0.5, 99.5)  # percentiles of log light beyond which the crosstalk bends no more
LEAST_SPREAD = 2e-4


@dataclass(frozen=True, slots=True)
class Film:
    """Clean film of a frame.

    Attributes:
        level: log infrared where log light and lamp are 0.
        crosstalk: change of log infrared with the log light of each channel.
        bends: the same with its square.
        tones: least and largest log light of each channel, beyond which it bends no more.
        lamp: float32 (h, w), log infrared of the lamp over the thumbnail, beside `level`.
        spread: robust standard deviation of the thumbnail's log infrared about all that.
        dusty: bool (h, w) of the thumbnail, what is darker than clean film.
        dyes: float32 (h, w), what the dyes make of log infrared.
        residual: float32 (h, w), log infrared of the thumbnail beside clean film.
    """

    level: float
    crosstalk: tuple[float, ...]
    bends: tuple[float, ...]
    tones: tuple[tuple[float, float], ...]
    lamp: Float
    spread: float
    dusty: NDArray[np.bool_]
    dyes: Float
    residual: Float


def fit_film(light: Float, heat: Float, known: NDArray[np.bool_]) -> Film:
    """The model of clean film.

    Args:
        light: float32 (h, w, C), log light of a thumbnail of the frame.
        heat: float32 (h, w), log infrared of it.
        known: bool (h, w), where both can be trusted.
    """
    soft = np.stack([_soft(light[..., c]) for c in range(light.shape[2])], axis=2)
    soft_heat = _soft(heat)
    clean, lamp = known.copy(), np.zeros_like(heat)
    for number in range(ROUNDS):
        used = clean if clean.sum() > 0.3 * known.sum() else known
        tones = np.percentile(soft[used], RANGE, axis=0).astype(np.float32)
        slopes = _crosstalk(soft, soft_heat, used, tones, bent=number > 0)
        rest = soft_heat - _expected(soft, slopes, tones)
        spread = _pair_spread(rest, used)
        # Beside the lamp of the round before, since within a cell a steep one has no level.
        more = _lamp(rest - lamp, used, spread)
        lamp = lamp + more
        rest -= lamp
        spread = max(_upper_spread(rest[used]), LEAST_SPREAD)
        dusty = known & (rest < -DUSTY * spread)
        clean = known & ~(cv2.dilate(dusty.astype(np.uint8), np.ones((WIDEN, WIDEN))) > 0)
    channels = light.shape[2]
    level = float(np.median(lamp))
    dyes = _expected(light, slopes, tones)
    residual = heat - dyes - lamp
    spread = max(_upper_spread(residual[clean]), LEAST_SPREAD)
    return Film(
        level,
        tuple(float(v) for v in slopes[:channels]),
        tuple(float(v) for v in slopes[channels:]),
        tuple((float(low), float(high)) for low, high in tones.T),
        lamp - np.float32(level),
        spread,
        dusty,
        dyes,
        residual,
    )


def _soft(values: Float) -> Float:
    """Without what focus and place leave at the picture's edges."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), 1.2), np.float32)


def _expected(light: Float, slopes: NDArray[np.float64], tones: Float) -> Float:
    """Log infrared by the crosstalk alone, (h, w)."""
    channels = light.shape[2]
    out = np.zeros(light.shape[:2], np.float32)
    for c in range(channels):
        tone = np.clip(light[..., c], tones[0, c], tones[1, c])
        out += np.float32(slopes[c]) * light[..., c]
        out += np.float32(slopes[channels + c]) * tone * tone
    return out


def _crosstalk(
    light: Float, heat: Float, known: NDArray[np.bool_], tones: Float, *, bent: bool
) -> NDArray[np.float64]:
    """Slopes, then bends, of all channels; from pairs of places, by Tukey's biweight.

    Reweighting begins at no crosstalk and at that of least squares, and the one that explains half
    of the pairs best is taken (as in Rousseeuw and Yohai, "Robust regression by means of
    S-estimators", 1984).
    """
    channels = light.shape[2]
    tone = np.clip(light, tones[0], tones[1])
    columns = np.concatenate([light, tone * tone], axis=2) if bent else light
    x, y = _pairs(columns, heat, known)
    out = np.zeros(2 * channels)
    if len(y) < 100:
        return out
    far = np.abs(x[:, :channels]).max(axis=1)
    trusted = np.minimum(1.0, FAR / np.maximum(far, 1e-6)).astype(np.float64)
    ridge = np.diag(RIDGE * (x * x).mean(axis=0) + 1e-6)
    best, found = np.inf, np.zeros(x.shape[1])
    for start in (None, np.zeros(x.shape[1])):
        solved = _reweighted(x, y, trusted, ridge, start)
        spread = model.robust_spread(y - x @ solved)
        # Crosstalk needs a reason: what explains hardly more is not worth having.
        if spread < 0.999 * best:
            best, found = spread, solved
    out[: len(found)] = found
    return out


def _pairs(
    columns: Float, heat: Float, known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Differences between places a little apart: (n, k) and (n,)."""
    xs, ys = [], []
    for reach in REACHES:
        for first, second in (
            (np.s_[:, :-reach], np.s_[:, reach:]),
            (np.s_[:-reach], np.s_[reach:]),
        ):
            both = np.flatnonzero(known[first] & known[second])
            if not len(both):
                continue
            share = np.linspace(0, len(both) - 1, min(len(both), PAIRS // 4)).astype(np.intp)
            chosen = both[np.unique(share)]
            shape = heat[first].shape
            index = np.unravel_index(chosen, shape)
            xs.append((columns[first][index] - columns[second][index]).astype(np.float64))
            ys.append((heat[first][index] - heat[second][index]).astype(np.float64))
    if not ys:
        return np.empty((0, columns.shape[2])), np.empty(0)
    return np.concatenate(xs), np.concatenate(ys)


def _reweighted(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    trusted: NDArray[np.float64],
    ridge: NDArray[np.float64],
    start: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Iterated weighted least squares without a constant; from least squares if no start is given.

    Beaton and Tukey, "The fitting of power series" (Technometrics 16, 1974).
    """

    def solve(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total = max(float(weights.sum()), 1e-9)
        square = (x * weights[:, None]).T @ x / total + ridge
        return np.asarray(np.linalg.solve(square, weights * y @ x / total))

    solved = solve(trusted) if start is None else start
    for _ in range(STEPS):
        residual = y - x @ solved
        sigma = max(model.robust_spread(residual), 1e-6)
        before, solved = solved, solve(trusted * model.biweight(residual / sigma))
        if np.allclose(before, solved, atol=1e-5):
            break
    return solved


def _pair_spread(rest: Float, known: NDArray[np.bool_]) -> float:
    """Robust standard deviation of single places, from differences of neighbours."""
    _, y = _pairs(np.zeros((*rest.shape, 1), np.float32), rest, known)
    return max(model.robust_spread(y) / np.sqrt(2), LEAST_SPREAD) if len(y) else LEAST_SPREAD


def _upper_spread(values: Float) -> float:
    """Robust standard deviation about 0 of what is not below it: dust only makes dark."""
    upper = values[values > 0]
    return model.robust_spread(upper) if len(upper) else LEAST_SPREAD


def _lamp(rest: Float, known: NDArray[np.bool_], spread: float) -> Float:
    """The smooth surface that clean film lies on, (h, w)."""
    height, width = rest.shape
    side = max(4, -(-max(height, width) // CELLS))
    rows, columns = max(2, round(height / side)), max(2, round(width / side))
    cells = np.full((rows, columns), np.nan)
    tops, lefts = (
        np.linspace(0, n, k + 1).astype(int) for n, k in ((height, rows), (width, columns))
    )
    for i in range(rows):
        for j in range(columns):
            place = np.s_[tops[i] : tops[i + 1], lefts[j] : lefts[j + 1]]
            values = rest[place][known[place]]
            if len(values) >= 0.15 * rest[place].size:
                cells[i, j] = np.quantile(values, UPPER) - UPPER_SIGMA * spread
    v, u = ((np.arange(n) + 0.5) * 2 / n - 1 for n in (rows, columns))
    # Lamps fall off as their light does, not as its logarithm.
    level = float(np.nanmedian(cells)) if np.isfinite(cells).any() else 0.0
    light, weights = _surface(np.exp(cells - level), u, v, spread)
    surface = np.log(np.maximum(light, DARKEST_LAMP)) + level
    left = np.where(weights > 0, np.nan_to_num(cells) - surface, 0.0) * weights
    # Normalised convolution: holes are filled from around them.
    blurred, share = (
        cv2.GaussianBlur(part, (0, 0), SMOOTH, borderType=cv2.BORDER_REFLECT)
        for part in (left, weights)
    )
    surface += blurred / np.maximum(share, 0.05)
    return np.asarray(_enlarged(surface.astype(np.float32), height, width))


def _surface(
    cells: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64], spread: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A polynomial through most of the cells, and each cell's weight: (rows, columns)."""
    given = np.isfinite(cells)
    y = cells[given]
    weights = np.ones(len(y))
    fitted = np.zeros(cells.shape)
    if not len(y):
        return fitted, np.zeros(cells.shape)
    uu, vv = np.meshgrid(u, v)
    fitted[:] = np.median(y)
    for degree in DEGREES:
        terms = np.stack(
            [uu**i * vv**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=2
        )
        x = terms[given]
        if len(y) < 2 * x.shape[1]:
            break
        for step in range(STEPS):
            root = np.sqrt(weights)[:, None]
            solved = np.linalg.lstsq(x * root, y * root[:, 0], rcond=1e-6)[0]
            residual = y - x @ solved
            sigma = max(model.robust_spread(residual), 0.3 * spread, LEAST_SPREAD)
            # The first steps are those of least absolute differences, which need no good start.
            weights = (
                1 / np.maximum(np.abs(residual), sigma)
                if step < 6 and degree == DEGREES[0]
                else model.biweight(residual / sigma)
            )
        fitted = terms @ solved
    full = np.zeros(cells.shape)
    full[given] = model.biweight((y - fitted[given]) / max(model.robust_spread(residual), spread))
    return fitted, full


def _enlarged(cells: Float, height: int, width: int) -> Float:
    """Bicubic interpolation of cells' middles."""
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def spread_out(lamp: Float, window: Window, size: tuple[int, int]) -> Float:
    """The lamp of a window at places evenly spaced from edge to edge of the whole scan.

    Args:
        lamp: float32 (h, w), over the window.
        window: the part of the scan that was looked at.
        size: (width, height) of the scan.

    Returns:
        float32 (KNOTS, KNOTS); beyond the window its edge goes on.
    """
    height, width = lamp.shape
    places = []
    for start, length, whole, count in (
        (window.y, window.height, size[1], height),
        (window.x, window.width, size[0], width),
    ):
        place = (np.linspace(0, whole, model.KNOTS) - start) * (count / length) - 0.5
        places.append(np.clip(place, 0, count - 1).astype(np.float32))
    xx, yy = np.meshgrid(places[1], places[0])
    return np.asarray(cv2.remap(lamp, xx, yy, cv2.INTER_LINEAR), np.float32)
