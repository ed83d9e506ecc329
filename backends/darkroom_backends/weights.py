"""The weights file of a network's backend: which it is, and what it holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from darkroom.errors import BackendError
from darkroom.judging import Judge
from darkroom.weights import judge_arrays, load_weights
from darkroom_backends.calibration import Anchor, read_table

SHIPPED = "weights.safetensors"

Built = TypeVar("Built")


@dataclass(frozen=True, slots=True)
class Contents(Generic[Built]):
    """What a weights file holds.

    Attributes:
        built: what the header's configuration describes.
        tensors: of the network and its judge.
        table: thresholds, see `darkroom_backends.calibration`.
        judge: of candidates, or None.
        digest: of the tensors.
    """

    built: Built
    tensors: Mapping[str, NDArray[Any]]
    table: list[list[float]]
    judge: Judge | None
    digest: str


def weights_file(given: str, architecture: str, hint: str) -> Path:
    """The file that an option names, or the one that ships with a backend.

    Args:
        given: the option; empty for the one that ships.
        architecture: name of the backend.
        hint: what to do where none ships.

    Raises:
        BackendError: none is named and none ships.
    """
    if given:
        return Path(given)
    shipped = Path(str(resources.files(f"{__package__}.{architecture}").joinpath(SHIPPED)))
    if not shipped.is_file():
        raise BackendError(
            f"the weights of the {architecture} backend are not installed", hint=hint
        )
    return shipped


def read_weights(
    path: Path,
    architecture: str,
    build: Callable[[Mapping[str, Any]], Built],
    default: Sequence[Anchor],
) -> Contents[Built]:
    """Read a weights file.

    Args:
        path: the file.
        architecture: which it must be of.
        build: makes the network, or its shape, from a configuration whose lists are tuples.
        default: thresholds where the file has none.

    Raises:
        BackendError: the file is missing, broken, or of another network.
    """
    header, tensors = load_weights(path, architecture)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in header.config.items()}
    try:
        built = build(values)
        table = read_table(header.calibration, default)
        judge = header.calibration.get("judge")
        judge = Judge.of(judge, judge_arrays(tensors)) if judge else None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BackendError(f"{path}: the header describes no such network: {error}") from error
    return Contents(built, tensors, table, judge, header.digest)
