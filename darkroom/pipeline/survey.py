"""A quick look at the whole frame before any tile is judged.

A sample of bands is read, so that tone, noise and film border are those of the frame and no tile
normalises by itself.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from darkroom.codec import Codec
from darkroom.geometry import Window
from darkroom.options import Polarity
from darkroom.scan import Float, FrameStats, Scan, luminance

BANDS, BAND_ROWS = 24, 64
SURVEY_ROWS = 32  # of a band are plenty for tone and noise
BINS = 1024
NOISE_LEVELS = 16
BORDER_SHARE = 0.15  # the holder is looked for in this share of each side
BORDER_STEP = 8  # every so many rows
STEP_LINES, STEP_HEIGHT = 4, 0.08  # the border ends in a step this high within so many lines
MAX_COLUMNS = 16_384  # of a band, so that a very wide scan costs no more than a large one


def float_white(scan: Scan) -> float:
    """The largest value in the sampled bands of a float32 scan, at least 1; 1 for integers."""
    if scan.info.dtype.kind != "f":
        return 1.0
    values = [scan.read(w)[..., : scan.info.channels] for w in sample_windows(scan)]
    return max(1.0, *(float(np.nanmax(v, initial=1.0)) for v in values))


def sample_windows(scan: Scan, rows: int = BAND_ROWS) -> list[Window]:
    """Evenly spaced bands over the frame, cut to the middle columns where it is very wide."""
    info = scan.info
    count = min(BANDS, -(-info.height // rows))
    width = min(info.width, MAX_COLUMNS)
    x = (info.width - width) // 2
    tops = np.linspace(0, max(0, info.height - rows), count).astype(int)
    return [Window(x, int(y), width, min(rows, info.height)) for y in tops]


def survey(
    scan: Scan,
    codec: Codec,
    polarity: Polarity = "auto",
    pool: Executor | None = None,
) -> FrameStats:
    """Tone, noise and border of a scan.

    Noise is the median absolute response to the Laplacian difference mask of Immerkær ("Fast
    noise variance estimation", CVIU 1996), scaled to a standard deviation, in each of 16 levels
    of luminance; the median keeps edges and artefacts out.

    Args:
        scan: the pixels.
        codec: their encoding.
        polarity: which artefacts to expect.
        pool: threads to look at several places at once.
    """

    def look(window: Window) -> tuple[NDArray[np.intp], list[Float]]:
        plane = _luminance(scan, codec, window)
        bins = np.minimum((plane * BINS).astype(np.intp), BINS - 1)
        return np.bincount(bins.ravel(), minlength=BINS), _residues(plane)

    looked = list((pool.map if pool else map)(look, sample_windows(scan, SURVEY_ROWS)))
    histogram = np.sum([bins for bins, _ in looked], axis=0)
    share = np.cumsum(histogram) / max(1, histogram.sum())
    black, median, white = (
        float((np.searchsorted(share, level) + 0.5) / BINS) for level in (0.001, 0.5, 0.999)
    )
    levels, curve, noise = _noise_curve([residues for _, residues in looked])
    resolution = scan.info.resolution
    return FrameStats(
        black=black,
        white=white,
        median=median,
        noise=noise,
        noise_levels=levels,
        noise_curve=curve,
        polarity="both" if polarity == "auto" else polarity,
        dpi=resolution[0] if resolution else None,
        frame=find_frame(scan, codec, black, noise),
    )


def find_frame(scan: Scan, codec: Codec, black: float, noise: float) -> Window:
    """The picture without the film holder and the clear or black margin around it.

    A row or column at the edge is border while it is flat (its 5 % to 95 % range within the
    noise) and as dark as the frame gets, or clipped to white. It must end in a step, as holders
    do and dark skies do not; otherwise, and where no end is found, nothing is left out.
    """
    info = scan.info
    flat = max(4.0 * noise, 0.01)

    def is_border(line: Float) -> bool:
        low, middle, high = np.percentile(line, (5, 50, 95))
        dark = middle <= black + 0.02 and high - low <= flat
        return bool(dark or low >= 0.999)

    def trim(lines: Iterator[Float]) -> int:
        """Pixels of border along lines that follow one another inwards; takes but those needed."""
        depth, edge, first = 0, 0.0, None
        for line in lines:
            if not is_border(line):
                first = line
                break
            depth, edge = depth + BORDER_STEP, float(np.median(line))
        if first is None or not depth:
            return 0
        after = [float(np.median(line)) for line in (first, *islice(lines, STEP_LINES - 1))]
        return depth if max(abs(v - edge) for v in after) >= STEP_HEIGHT else 0

    def row(y: int) -> Float:
        return np.asarray(_luminance(scan, codec, Window(0, y, info.width, 1))[0])

    depth_y, depth_x = int(info.height * BORDER_SHARE), int(info.width * BORDER_SHARE)
    offsets = range(0, depth_y, BORDER_STEP)
    top = trim(row(y) for y in offsets)
    bottom = trim(row(info.height - 1 - y) for y in offsets)
    sampled = np.linspace(top, max(top, info.height - bottom - 1), 4 * BANDS).astype(int)
    strip = np.stack([row(int(y)) for y in sampled]).T
    left = trim(iter(strip[:depth_x:BORDER_STEP]))
    right = trim(iter(strip[::-1][:depth_x:BORDER_STEP]))
    return Window(left, top, info.width - left - right, info.height - top - bottom)


def _luminance(scan: Scan, codec: Codec, window: Window) -> Float:
    """(H, W), of the encoded channels."""
    return luminance(codec.encode(scan.read(window)[..., : scan.info.channels]))


def _residues(luminance: Float) -> list[Float]:
    """For each luminance level, the responses of its pixels to the difference mask."""
    if min(luminance.shape) < 3:
        return [np.empty(0, np.float32)] * NOISE_LEVELS
    # Every seventh column is plenty for a median and keeps neighbours apart.
    left, middle, right = (luminance[:, i : luminance.shape[1] - 2 + i : 7] for i in range(3))
    columns = left - 2 * middle + right
    response = np.abs(columns[:-2] - 2 * columns[1:-1] + columns[2:]).ravel() / 6.0
    level = middle[1:-1].ravel() * NOISE_LEVELS
    level = np.minimum(level, NOISE_LEVELS - 1).astype(np.int8)
    return [response[level == i] for i in range(NOISE_LEVELS)]


def _noise_curve(
    residues: list[list[Float]],
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """(levels, noise at each, noise over all) from the residues of several places.

    Levels with few pixels are interpolated.
    """
    centres = (np.arange(NOISE_LEVELS) + 0.5) / NOISE_LEVELS
    merged = [np.concatenate(part) for part in zip(*residues, strict=True)]
    everything = np.concatenate(merged)
    if not everything.size:
        return tuple(centres.tolist()), (0.0,) * NOISE_LEVELS, 0.0
    noise = 1.4826 * float(np.median(everything))
    seen = [i for i, part in enumerate(merged) if part.size >= 500]
    curve = [1.4826 * float(np.median(merged[i])) for i in seen]
    full = np.interp(centres, centres[seen], curve) if seen else np.full(NOISE_LEVELS, noise)
    return tuple(centres.tolist()), tuple(float(v) for v in full), noise
