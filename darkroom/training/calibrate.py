"""Figures and thresholds of finished weights, on a part of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.errors import BackendError, InputError
from darkroom.pairs.find import find_parts
from darkroom.pairs.read import Picture
from darkroom.pairs.torch import PairDataset
from darkroom.plugins.manager import Plugins
from darkroom.training.config import Recipe
from darkroom.training.judge import MIDDLE, fit_judge, name_of
from darkroom.training.session import make_trainable
from darkroom.training.trainable import CLEAN, DAMAGED, JudgedTrainable, Trainable, channels_of
from darkroom.training.validate import Figures, merit, restored, validate
from darkroom.weights import WeightsHeader, fill_module, load_weights, save_weights

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


def load_pictures(
    data: Path, parts: Sequence[str], table: Path | None, trainable: Trainable
) -> list[Picture]:
    """The pictures of parts of a data set, in the channels that the network takes.

    Raises:
        InputError: there is no such part, a pair cannot be read, or none is damaged.
    """
    found = find_parts(data, parts, table)
    if missing := [part for part in parts if part not in found]:
        raise InputError(f"{data}: no pairs for {missing[0]!r}")
    pairs = [pair for part in parts for pair in found[part]]
    pictures = PairDataset(pairs, channels=channels_of(trainable)).pictures()
    if not any((picture.state == DAMAGED).any() for picture in pictures):
        raise InputError(f"{data}: nothing is damaged there, so there is nothing to choose by")
    return pictures


def calibrate(
    path: Path,
    output: Path,
    pictures: Sequence[Picture],
    plugins: Plugins,
    groups: Sequence[str] | None = None,
    *,
    judged: bool = True,
) -> tuple[WeightsHeader, dict[str, Figures]]:
    """Choose thresholds anew, or fit a judge, and write them with the weights.

    Args:
        path: weights file.
        output: where the same weights go with their calibration; may be `path`.
        pictures: what thresholds are chosen on; never those that figures are reported for.
        plugins: where networks come from.
        groups: of each picture, what belongs together; its name by default.
        judged: whether a network that can have a judge gets one.

    Returns:
        The new header, and the figures at every pair of thresholds or sensitivity tried.

    Raises:
        BackendError: the file is broken, no plugin knows the architecture, or the pictures show
            too little to fit a judge on.
        OutputError: nothing can be written.
    """
    header, trainable = load_trainable(path, plugins)
    calibration, sweep, chosen = decide(trainable, pictures, groups, judged=judged)
    header = replace(
        header, calibration=calibration, metrics=sweep[chosen] | {"pictures": len(pictures)}
    )
    tensors = {n: t.numpy() for n, t in trainable.module.state_dict().items()}
    return save_weights(output, tensors, header), sweep


def decide(
    trainable: Trainable,
    pictures: Sequence[Picture],
    groups: Sequence[str] | None = None,
    *,
    judged: bool = True,
) -> tuple[dict[str, Any], dict[str, Figures], str]:
    """How scores become decisions: (calibration, figures by name, the name to quote).

    Raises:
        BackendError: the pictures show too little to fit a judge on.
    """
    if not (judged and isinstance(trainable, JudgedTrainable)):
        sweep = measure(trainable, pictures, FINE)
        chosen = min(sweep, key=lambda name: merit(sweep[name]))
        return dict(trainable.calibrate(sweep)), sweep, chosen
    low = trainable.candidates_from
    try:
        judge, sweep = fit_judge(trainable, pictures, groups or [p.name for p in pictures], low)
    except ValueError as error:
        raise BackendError(
            str(error), hint="Give more pictures, or choose thresholds (--no-judge)."
        ) from error
    table = [[0.0, low, low], [100.0, low, low]]
    return {"thresholds": table, "judge": judge.table()}, sweep, name_of(MIDDLE)


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
