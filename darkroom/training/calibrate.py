"""Figures and thresholds of finished weights, on a part of a data set."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.errors import BackendError, InputError
from darkroom.io.atomic import writing
from darkroom.judging import Judge
from darkroom.pairs.find import Pair, find_parts
from darkroom.pairs.read import Picture
from darkroom.pairs.split import families
from darkroom.pairs.split import photographs as photographs_of
from darkroom.pairs.torch import PairDataset
from darkroom.plugins.manager import Plugins, load_object, make_options
from darkroom.processes import process_pool
from darkroom.protocols import BackendSpec, Device, Measured, Restorer
from darkroom.training.config import Recipe
from darkroom.training.judge import FOLDS, MIDDLE, Fitting, fit_judge, name_of
from darkroom.training.proposals import Proposal, propose
from darkroom.training.samples import Source, film_sources, photograph_sources
from darkroom.training.session import make_trainable
from darkroom.training.trainable import CLEAN, DAMAGED, JudgedTrainable, Trainable, channels_of
from darkroom.training.validate import Figures, merit, restored, validate
from darkroom.weights import JUDGE, WeightsHeader, fill_module, load_weights, save_weights

LOWS = (0.3, 0.5, 0.7)
HIGHS = (0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
FINE = tuple((low, high) for low, high in product(LOWS, HIGHS) if low < high)
BINS = 10


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often pixels of a score are damaged.

    Attributes:
        score: (BINS,) mean score of the pixels of each bin.
        damaged: (BINS,) share of them that are damaged; undecided pixels are left out.
        pixels: (BINS,) how many there are.
    """

    score: NDArray[np.float64]
    damaged: NDArray[np.float64]
    pixels: NDArray[np.float64]


def load_trainable(path: Path, plugins: Plugins) -> tuple[WeightsHeader, Trainable]:
    """The network of a weights file, whatever plugin it is from.

    Raises:
        BackendError: the file is broken, or no plugin knows the architecture.
    """
    header, tensors = load_weights(path)
    trainable = make_trainable(header.architecture, Recipe(None, header.config, {}), plugins)
    fill_module(trainable.module, tensors, path)
    trainable.module.eval()
    return header, trainable


def pairs_of(data: Path, parts: Sequence[str], table: Path | None) -> list[Pair]:
    """The pairs of parts of a data set.

    Raises:
        InputError: there is no such part.
    """
    found = find_parts(data, parts, table)
    if missing := [part for part in parts if part not in found]:
        raise InputError(f"{data}: no pairs for {missing[0]!r}")
    return [pair for part in parts for pair in found[part]]


def load_pictures(
    data: Path, parts: Sequence[str], table: Path | None, trainable: Trainable
) -> list[Picture]:
    """The pictures of parts of a data set, in the channels that the network takes.

    Raises:
        InputError: there is no such part, a pair cannot be read, or none is damaged.
    """
    pairs = pairs_of(data, parts, table)
    pictures = PairDataset(pairs, channels=channels_of(trainable)).pictures()
    if not any((picture.state == DAMAGED).any() for picture in pictures):
        raise InputError(f"{data}: nothing is damaged there, so there is nothing to choose by")
    return pictures


def groups_of(pictures: Sequence[Picture], group_by: str | None) -> list[str]:
    """What each picture belongs together with: as `darkroom.pairs.split.families` has it.

    Raises:
        UsageError: `group_by` says nothing of any picture.
        InputError: it is a table that cannot be read.
    """
    if group_by is None:
        return [p.family or p.name for p in pictures]
    photo = photographs_of(p.name for p in pictures)
    family = families(photo.values(), group_by)
    return [family[photo[p.name]] for p in pictures]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What calibration came to.

    Attributes:
        header: as written with the weights.
        sweep: figures at every pair of thresholds or sensitivity tried.
        folds: weights files whose judges were fitted without some groups each.
    """

    header: WeightsHeader
    sweep: dict[str, Figures]
    folds: tuple[Path, ...] = ()


def calibrate(
    path: Path,
    output: Path,
    pictures: Sequence[Picture],
    plugins: Plugins,
    groups: Sequence[str] | None = None,
    *,
    judged: bool = True,
    photographs: Sequence[Path] = (),
    more: Sequence[Source] = (),
    folds: Path | None = None,
    steps: int = 0,
    workers: int = 1,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Calibrated:
    """Choose thresholds anew, or fit a judge, and write them with the weights.

    Args:
        path: weights file.
        output: where the same weights go with their calibration; may be `path`.
        pictures: what thresholds are chosen on; never those that figures are reported for.
        plugins: where networks come from.
        groups: of each picture, what belongs together; its name by default.
        judged: whether a network that can have a judge gets one.
        photographs: files of clean ones, which a judge is fitted on too.
        more: samples of any other kind for it.
        folds: folder for weights files with judges that were fitted without a fifth of the groups
            each; their calibration lists those as `without`.
        steps: of training a network by which the judge sees candidates; 0 for figures alone.
        workers: processes that look at pictures for a judge.
        advance: told the pictures done and in all.

    Raises:
        BackendError: the file is broken, no plugin knows the architecture, or the pictures show
            too little to fit a judge on.
        OutputError: nothing can be written.
    """
    header, trainable = load_trainable(path, plugins)
    tensors = {n: t.numpy() for n, t in trainable.module.state_dict().items()}
    groups = groups or [p.name for p in pictures]
    if not (judged and isinstance(trainable, JudgedTrainable)):
        calibration, sweep, chosen = choose_thresholds(trainable, pictures)
        header = _with(header, calibration, sweep[chosen], pictures)
        return Calibrated(save_weights(output, tensors, header), sweep)
    low, high = trainable.candidates
    calibration = {"thresholds": [[0.0, low, high], [100.0, low, high]]}
    with TemporaryDirectory() as folder:
        bare = Path(folder) / "network.safetensors"
        save_weights(bare, tensors, replace(header, calibration=calibration))
        sources = [*film_sources(pictures, groups), *photograph_sources(photographs), *more]
        proposals = []
        for proposal in look(Looker.of(bare, trainable, plugins, steps > 0), sources, workers):
            proposals.append(proposal)
            advance(len(proposals), len(sources))
    try:
        judge, apart, sweep = fit_judge(Fitting(proposals, trainable.relative, steps))
    except ValueError as error:
        raise BackendError(
            str(error), hint="Give more pictures, or choose thresholds (--no-judge)."
        ) from error

    def save(target: Path, chosen: Judge, **more: Any) -> WeightsHeader:
        table = calibration | {"judge": chosen.table()} | more
        arrays = {JUDGE + name: array for name, array in chosen.arrays().items()}
        own = _with(header, table, sweep[name_of(MIDDLE)], pictures)
        return save_weights(target, tensors | arrays, own)

    files = fold_files(output, folds, len(apart)) if folds is not None else []
    for target, (without, fitted) in zip(files, apart, strict=False):
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        save(target, fitted, without=without)
    return Calibrated(save(output, judge), sweep, tuple(files))


def fold_files(output: Path, folder: Path, number: int = FOLDS) -> list[Path]:
    """What the weights files are called whose judges were fitted without some groups each."""
    names = (f"{output.stem}-fold{n}{output.suffix}" for n in range(1, number + 1))
    return [folder / name for name in names]


def _with(
    header: WeightsHeader,
    calibration: Mapping[str, Any],
    figures: Figures,
    pictures: Sequence[Picture],
) -> WeightsHeader:
    return replace(header, calibration=calibration, metrics=figures | {"pictures": len(pictures)})


def choose_thresholds(
    trainable: Trainable, pictures: Sequence[Picture]
) -> tuple[dict[str, Any], dict[str, Figures], str]:
    """Thresholds without a judge: (calibration, figures by name, the name to quote)."""
    sweep = measure(trainable, pictures, FINE)
    chosen = min(sweep, key=lambda name: merit(sweep[name]))
    return dict(trainable.calibrate(sweep)), sweep, chosen


@dataclass(frozen=True, slots=True)
class Looker:
    """Proposes candidates with the backend that the weights are for, loaded once a process.

    Attributes:
        weights: file of the network, with the thresholds of candidates.
        limits: those thresholds.
        relative: see `darkroom.protocols.TileContract`.
        backend: "package.module:callable" and class of options, of the backend.
        sights: whether views of candidates are wanted.
    """

    weights: Path
    limits: tuple[float, float]
    relative: float
    backend: BackendSpec
    sights: bool = False

    @classmethod
    def of(
        cls, weights: Path, trainable: JudgedTrainable, plugins: Plugins, sights: bool = False
    ) -> "Looker":
        """For the backend that has the architecture's name.

        Raises:
            BackendError: there is none.
        """
        spec = plugins.backend(trainable.architecture, ("restorer",))
        return cls(weights, trainable.candidates, trainable.relative, spec, sights)

    def __call__(self, source: Source) -> Proposal:
        """The candidates of one picture."""
        finder = _finder(self.backend, self.weights)
        return propose(finder, source(), self.limits, self.relative, sights=self.sights)


@cache
def _finder(spec: BackendSpec, weights: Path) -> Restorer:
    """The backend with those weights, which measures candidates.

    Raises:
        BackendError: it cannot measure them.
    """
    options = make_options(spec, {"weights": str(weights)})
    finder = load_object(spec.factory)(options, device=Device("cpu", torch.get_num_threads()))
    if not (isinstance(finder, Restorer) and isinstance(finder, Measured)):
        raise BackendError(f"backend {spec.name!r} does not measure candidates for a judge")
    return finder


def look(looker: Looker, sources: Sequence[Source], workers: int) -> Iterator[Proposal]:
    """Proposals for each sample in turn."""
    if workers < 2:
        yield from map(looker, sources)
        return
    with process_pool(workers, _one_thread) as pool:
        yield from pool.map(looker, sources, chunksize=4)


def _one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def measure(
    trainable: Trainable, pictures: Sequence[Picture], sweep: Sequence[tuple[float, float]]
) -> dict[str, Figures]:
    """The figures of a network at pairs of thresholds."""
    return validate(trainable, trainable.module, pictures, torch.device("cpu"), sweep)


def reliability(trainable: Trainable, pictures: Sequence[Picture]) -> Reliability:
    """Compare scores with how often they are right."""
    sums = np.zeros((3, BINS))
    for picture in pictures:
        score, _ = restored(trainable, trainable.module, picture, torch.device("cpu"))
        decided = (picture.state == CLEAN) | (picture.state == DAMAGED)
        values, damaged = score[decided], picture.state[decided] == DAMAGED
        number = np.minimum((values * BINS).astype(int), BINS - 1)
        for row, weights in enumerate((values, damaged, np.ones_like(values))):
            sums[row] += np.bincount(number, weights, BINS)
    filled = np.maximum(sums[2], 1)
    return Reliability(sums[0] / filled, sums[1] / filled, sums[2])
