"""What a network proposes for a picture, each candidate weighed on its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from darkroom.damage.difference import EIGHT, LEVELS, MIN_PIXELS
from darkroom.geometry import Grid, Window
from darkroom.mask import candidate_mask, components
from darkroom.protocols import Measured, Restorer
from darkroom.scan import Float, FrameStats, Tile, read_padded
from darkroom.training.samples import Sample
from darkroom.training.seeing import Sights
from darkroom.training.validate import FALSE_CHANGE, FALSE_SIZE, NEAR, VISIBLE


@dataclass(frozen=True, slots=True)
class Blobs:
    """The damage of a picture, blob by blob, and what each candidate does to it.

    Attributes:
        visible: bool (b,), whether anyone sees it.
        error: float (b,) squared error.
        touched: int (t, 2), pairs of candidate and blob that share pixels.
        change: float (t,) of the blob's squared error by the candidate's repair.
    """

    visible: NDArray[np.bool_]
    error: NDArray[np.float64]
    touched: NDArray[np.int64]
    change: NDArray[np.float64]

    def healed(self, accepted: NDArray[np.bool_]) -> int:
        """How many of the visible lose half of their error by the accepted candidates."""
        own = accepted[self.touched[:, 0]]
        less = np.bincount(self.touched[own, 1], self.change[own], len(self.error))
        return int((self.visible & (self.error + less <= 0.5 * self.error)).sum())


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a network proposes for a picture.

    Attributes:
        group: of the picture.
        kind: "film", "clean" or "modelled".
        features: float32 (m, n) of the candidates.
        gain: float32 (m,) squared error, in levels, that repairing each takes away.
        harm: float32 (m,) squared error that it adds where nothing is damaged.
        false: bool (m,), whether a repair would count as a false alarm.
        error: squared error of doing nothing.
        damage: the part of it in damaged pixels.
        pixels: of the picture.
        blobs: its damage.
        sights: views of the candidates, where they were wanted.
    """

    group: str
    kind: str
    features: Float
    gain: Float
    harm: Float
    false: NDArray[np.bool_]
    error: float
    damage: float
    pixels: int
    blobs: Blobs
    sights: Sights | None = None


def propose(
    finder: Restorer,
    sample: Sample,
    limits: tuple[float, float],
    relative: float,
    *,
    sights: bool = False,
) -> Proposal:
    """Candidates of a picture, each measured as the pipeline does and weighed on its own.

    Args:
        finder: the network, which can measure candidates (`darkroom.protocols.Measured`).
        sample: the picture.
        limits: score that all pixels of a candidate reach, and that one of them does.
        relative: see `darkroom.protocols.TileContract`.
        sights: whether the views of candidates are kept too.
    """
    assert isinstance(finder, Measured)
    height, width, channels = sample.scan.shape
    stats = _stats(sample)
    whole = Window(0, 0, width, height)
    tile = _tile(finder, sample.scan)
    (restored,), core = finder.restore([tile], stats), tile.core_slices
    score = np.rint(restored.score[core] * 255).clip(0, 255).astype(np.uint8)
    fill = np.ascontiguousarray(restored.over(tile.image)[core].clip(0, 1))
    plane = (score / np.float32(255)).astype(np.float32)
    before, after = (
        (LEVELS**2 / channels * ((p - sample.truth) ** 2).sum(2)) for p in (sample.scan, fill)
    )
    change = LEVELS * np.abs(sample.scan - fill).max(2)
    near = ndi.binary_dilation(sample.damaged, EIGHT, iterations=NEAR)
    labels, count = ndi.label(ndi.binary_dilation(sample.damaged, EIGHT), EIGHT)
    low, high = (int(np.ceil(limit * 255)) for limit in limits)
    features, sums, false, touched, changed, views = [], [], [], [], [], []
    for component in components([(0, score)], width, low, high):
        box = component.window.slices
        mask = candidate_mask(score[box], low, component, relative)
        own = mask > 0
        if own.sum() < MIN_PIXELS:
            continue
        read = component.window.grow(finder.margin).intersect(whole)
        part, shape = read.slices, np.zeros((read.height, read.width), np.uint8)
        shape[component.window.relative_to(read).slices] = mask
        given = component.window, read, sample.scan[part], shape
        crop = Tile(*given, score=plane[part], fill=fill[part])
        found = finder.candidate(crop, stats)
        features.append(found.features())
        if sights:
            views.append(found.views())
        worse = (after - before)[box]
        sums.append((-worse[own].sum(), worse[own & ~sample.damaged[box]].sum()))
        plain = own & (change[box] >= FALSE_CHANGE)
        false.append(plain.sum() >= FALSE_SIZE and not near[box][plain].any())
        for blob in np.unique(labels[box][own & (labels[box] > 0)]):
            touched.append((len(sums) - 1, blob - 1))
            changed.append(worse[own & (labels[box] == blob)].sum())
    index = np.arange(1, count + 1)
    most = LEVELS * np.abs(sample.scan - sample.truth).max(2)
    blobs = Blobs(
        np.asarray(ndi.maximum(most, labels, index) >= VISIBLE, bool).reshape(count),
        np.asarray(ndi.sum(before, labels, index), np.float64).reshape(count),
        np.array(touched, np.int64).reshape(-1, 2),
        np.array(changed, np.float64),
    )
    table = np.array(sums, np.float32).reshape(-1, 2)
    return Proposal(
        sample.group,
        sample.kind,
        np.array(features, np.float32) if features else np.zeros((0, 0), np.float32),
        table[:, 0],
        table[:, 1],
        np.array(false, bool),
        float(before.sum()),
        float(before[sample.damaged].sum()),
        score.size,
        blobs,
        Sights.of(views) if sights else None,
    )


def _tile(finder: Restorer, picture: Float) -> Tile:
    """The whole picture as one tile, as the pipeline cuts it."""
    height, width = picture.shape[:2]
    contract = finder.contract
    grid = Grid(width, height, max(width, height), contract.halo, contract.multiple_of)
    (tiling,) = list(grid)
    image = read_padded(lambda w: picture[w.slices], width, height, tiling.read)
    return Tile(tiling.core, tiling.read, image, inside=tiling.core)


def _stats(sample: Sample) -> FrameStats:
    height, width = sample.scan.shape[:2]
    low, middle, high = (
        float(v) for v in np.quantile(sample.scan[::16, ::16], (0.001, 0.5, 0.999))
    )
    frame = Window(0, 0, width, height)
    return FrameStats(low, high, middle, 0.0, (0.5,), (0.0,), "both", sample.dpi, frame)
