"""Checkpoints: all that a run needs to go on as if it had never stopped."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darkroom.errors import InputError
from darkroom.io.atomic import AtomicFile, writing
from darkroom.values import LARGEST_STATE, small_file

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a run between two steps.

    Attributes:
        step: steps done.
        network: weights as trained.
        average: their moving average.
        optimizer: state of the optimiser.
        best: the figure of the best validation so far, or None.
        config: the training configuration, to refuse going on with another.
        architecture: name and configuration of the network.
        random: states of the generators of random numbers.
    """

    step: int
    network: dict[str, Any]
    average: dict[str, Any]
    optimizer: dict[str, Any]
    best: float | None
    config: dict[str, Any]
    architecture: dict[str, Any]
    random: dict[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    names = Checkpoint.__slots__
    with AtomicFile(path, overwrite=True) as partial:
        with writing(path):
            values = {"format": FORMAT} | {n: getattr(checkpoint, n) for n in names}
            torch.save(values, partial.file)
        partial.commit()


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; only tensors and plain values are accepted.

    Raises:
        InputError: it is missing, damaged, or no checkpoint of ours.
    """
    try:
        with small_file(path, LARGEST_STATE):
            values = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # a damaged pickle can raise whatever its bytes happen to mean
        raise InputError(f"{path}: not a checkpoint, or damaged") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise InputError(f"{path}: not a checkpoint of this version")
    if values.keys() != set(Checkpoint.__slots__):
        raise InputError(f"{path}: not a checkpoint of this version")
    return Checkpoint(**values)


def random_states() -> dict[str, Any]:
    """The states of all generators a network may draw from."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - networks of others may use it
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [kind, torch.from_numpy(np.asarray(keys, np.int64)), *rest],
        "python": list(random.getstate()[1]),
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Go back to states that `random_states` gave."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate((3, tuple(states["python"]), None))
