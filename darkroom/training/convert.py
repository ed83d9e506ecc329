"""Weights that others trained, made into weights files."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from darkroom.errors import BackendError, InputError, about
from darkroom.training.trainable import Trainable
from darkroom.values import LARGEST_STATE, small_file
from darkroom.weights import WeightsHeader, fill_module, save_weights

NESTED = ("state_dict", "model", "net", "ema", "average")  # the last: of our own checkpoints


def convert(source: Path, output: Path, trainable: Trainable, licence: str = "") -> WeightsHeader:
    """Make a weights file from a state dict that `torch.save` wrote.

    Only tensors and plain containers are read; a file that holds code is refused.

    Args:
        source: a `.pth`: a state dict, or a dict that holds one under a usual name.
        output: weights file to write.
        trainable: the network it must fit, name by name and shape by shape.
        licence: licence note for the weights file.

    Raises:
        InputError: the file cannot be read, or holds more than tensors.
        BackendError: it does not fit the network.
        OutputError: the weights file cannot be written.
    """
    found = read_state(source)
    tensors = {
        name: np.ascontiguousarray(
            (value.float() if value.is_floating_point() else value).contiguous().numpy()
        )
        for name, value in found.items()
    }
    fill_module(trainable.module, tensors, source)
    header = WeightsHeader(
        trainable.architecture,
        dict(trainable.config()),
        recipe={"converted_from": source.name},
        licence=licence,
    )
    with about(source):
        return save_weights(output, tensors, header)


def read_state(source: Path) -> Mapping[str, torch.Tensor]:
    """The state dict in a file that `torch.save` wrote; for arguments and errors see `convert`."""
    try:
        with small_file(source, LARGEST_STATE):
            found = torch.load(source, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # a foreign pickle can raise whatever its bytes happen to mean
        raise InputError(f"{source}: not a file of plain tensors, or damaged") from error
    for name in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
    ):
        raise BackendError(f"{source} holds no state dict")
    return found


def is_torch_file(path: Path) -> bool:
    """Whether a file begins as `torch.save` begins it: a zip archive, or formerly a pickle."""
    try:
        with path.open("rb") if path.is_file() else nullcontext() as file:
            return file is not None and file.read(2) in (b"PK", b"\x80\x02")
    except OSError:
        return False  # whoever reads it as something else says what is wrong
