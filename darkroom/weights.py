"""Weights of a network in one file: tensors, and what one must know to use and to judge them.

The file is safetensors. Its metadata hold one JSON text under the key `darkroom`: the header. A
digest of the tensors is part of it, since safetensors itself would not notice a flipped bit.
Nothing is ever unpickled.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import BackendError
from darkroom.values import typed

Tensors: TypeAlias = dict[str, NDArray[Any]]

KEY = "darkroom"
FORMAT = 1
LONGEST_HEADER = 16 * 2**20
JUDGE = "judge."  # begins the names of tensors that are the judge's, not the network's


@dataclass(frozen=True, slots=True)
class WeightsHeader:
    """What a weights file says of itself.

    Attributes:
        architecture: the network's name, e.g. "unet".
        config: what the network's constructor was given.
        data: digest of the training data, as `darkroom.training.data.digest` makes it.
        recipe: how it was trained: the training configuration and what came of it.
        calibration: what turns scores into decisions; its keys are the backend's own.
        metrics: figures on the validation part, each beside that of doing nothing.
        licence: one line on who may use the weights.
        digest: SHA-256 of the tensors; filled in by `save_weights`.
        format: version of this layout.
    """

    architecture: str
    config: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    digest: str = ""
    format: int = FORMAT


def save_weights(
    path: Path, tensors: Mapping[str, NDArray[Any]], header: WeightsHeader, *, half: bool = True
) -> WeightsHeader:
    """Write a weights file, whole or not at all.

    Args:
        path: where to; replaced if it exists.
        tensors: name -> array.
        header: written with the digest of the tensors as stored.
        half: store float32 as float16; loading widens it again.

    Returns:
        The header as written.

    Raises:
        OutputError: the file cannot be written.
        BackendError: a tensor is not finite as stored.
    """
    from safetensors.numpy import save

    from darkroom.io.atomic import write_atomic

    stored: Tensors = {}
    for name, array in tensors.items():
        # A judge's thresholds stay as they are: candidates must not change sides.
        narrow = half and array.dtype == np.float32 and not name.startswith(JUDGE)
        with np.errstate(over="ignore"):  # what overflows is refused below
            stored[name] = np.ascontiguousarray(array, np.float16 if narrow else array.dtype)
    for name, array in stored.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BackendError(f"{name} is not finite as {array.dtype}", hint="Store float32.")
    values = asdict(header) | {"digest": tensor_digest(stored)}
    data = save(stored, {KEY: json.dumps(values, sort_keys=True)})
    write_atomic(path, data, overwrite=True)
    return WeightsHeader(**values)


def read_header(path: Path) -> WeightsHeader:
    """The header alone; the tensors are not read.

    Raises:
        BackendError: the file is missing, broken, or not ours.
    """
    try:
        if path.exists() and not path.is_file():
            raise BackendError(f"{path}: is not a regular file")
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(LONGEST_HEADER, path.stat().st_size):
                raise BackendError(f"{path}: not a safetensors file, or cut short")
            text = file.read(length)
        table = json.loads(text)
        values = json.loads(table["__metadata__"][KEY])
    except OSError as error:
        raise BackendError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackendError(
            f"{path}: no darkroom weights in here",
            hint="`darkroom weights convert` makes them from a foreign file.",
        ) from error
    return _header(path, values)


def load_weights(path: Path, architecture: str | None = None) -> tuple[WeightsHeader, Tensors]:
    """Read a weights file and check it.

    Args:
        path: the file.
        architecture: refuse any other.

    Returns:
        The header, and name -> array; float16 is widened to float32.

    Raises:
        BackendError: the file is missing, cut short, corrupt, or of another architecture.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    header = read_header(path)
    if architecture is not None and header.architecture != architecture:
        raise BackendError(
            f"{path} holds weights of {header.architecture!r}, not of {architecture!r}"
        )
    try:
        stored: Tensors = load(path.read_bytes())
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise BackendError(f"{path}: damaged or cut short ({error})") from error
    if tensor_digest(stored) != header.digest:
        raise BackendError(
            f"{path}: the tensors are not those the header was written for",
            hint="The file is damaged; fetch it again.",
        )
    for name, array in stored.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BackendError(
                f"{path}: {name} holds values that are not finite (NaN or infinity)",
                hint="Training went wrong; take weights of an earlier step.",
            )
    half = np.dtype(np.float16)
    return header, {n: a.astype(np.float32) if a.dtype == half else a for n, a in stored.items()}


def fill_module(module: Any, tensors: Mapping[str, NDArray[Any]], origin: Path | str) -> None:
    """Give a `torch.nn.Module` its weights; every name and shape must match, the judge's aside.

    Raises:
        BackendError: they do not.
    """
    import torch

    try:
        own = {n: torch.from_numpy(a) for n, a in network_arrays(tensors).items()}
        module.load_state_dict(own, strict=True)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        raise BackendError(f"{origin} does not fit the network: {first}") from error


def network_arrays(tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """Those of the tensors that are the network's."""
    return {n: a for n, a in tensors.items() if not n.startswith(JUDGE)}


def judge_arrays(tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """Those of the tensors that are the judge's, by its own names for them."""
    return {n.removeprefix(JUDGE): a for n, a in tensors.items() if n.startswith(JUDGE)}


def tensor_digest(tensors: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _header(path: Path, values: Any) -> WeightsHeader:
    if not isinstance(values, dict) or not isinstance(values.get("architecture"), str):
        raise BackendError(f"{path}: the header names no architecture")
    if values.get("format") != FORMAT:
        raise BackendError(
            f"{path}: layout {values.get('format')!r}; this version reads {FORMAT}",
            hint="Update darkroom.",
        )
    return typed(WeightsHeader, values, path, BackendError)
