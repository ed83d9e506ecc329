"""`darkroom train` as one library call: data, network and recipe in, a weights file out."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from darkroom.damage.difference import DAMAGED
from darkroom.errors import BackendError, DarkroomError, DarkroomWarning, UsageError, about
from darkroom.io.atomic import write_atomic
from darkroom.io.guard import prepare
from darkroom.pairs.find import Pair, find_parts, warn_of_leaks
from darkroom.pairs.folders import pictures as picture_files
from darkroom.pairs.read import Picture
from darkroom.pairs.torch import PairDataset
from darkroom.plugins.isolation import PluginError, isolated
from darkroom.plugins.manager import Plugins, load_object, make_options
from darkroom.training.config import Recipe, make_config
from darkroom.training.convert import is_torch_file, read_state
from darkroom.training.data import digest, load_photographs, usable
from darkroom.training.loop import BEST, LAST, LOG, Event, Run, join
from darkroom.training.trainable import Growable, Initialisable, Trainable, channels_of
from darkroom.values import LARGEST_STATE, read_file
from darkroom.weights import WeightsHeader, fill_module, load_weights, network_arrays, read_header


@dataclass(frozen=True, slots=True)
class Session:
    """What `darkroom train` was asked.

    Attributes:
        data: any layout whose pairs have parts, see `darkroom.pairs.find.find_parts`.
        output: weights file to write.
        architecture: which trainable; None takes the recipe's.
        recipe: a recipe file's values, or None.
        values: training options that win over the recipe's.
        split: table that says which photograph belongs to which part.
        photographs: folder of clean photographs to cut crops from as well, or None.
        folder: where the run keeps its log and checkpoints; beside `output` by default.
        resume: go on from the folder's last checkpoint.
        start: weights of the same network, or a state dict of another that it can start from.
        device: "cpu", "cuda" or "cuda:N".
        licence: licence note for the weights file.
    """

    data: Path
    output: Path
    architecture: str | None = None
    recipe: Recipe | None = None
    values: Mapping[str, Any] | None = None
    split: Path | None = None
    photographs: Path | None = None
    folder: Path | None = None
    resume: bool = False
    start: Path | None = None
    device: str = "cpu"
    licence: str = ""


def train(
    session: Session, plugins: Plugins, progress: Callable[[Event], None] = lambda event: None
) -> WeightsHeader | None:
    """Train a network and write its best weights.

    Args:
        session: what to do.
        plugins: where networks come from.
        progress: told of every event that is logged, and first of {"event": "start"}.

    Returns:
        The header of the file written; None in all but the first of several processes.

    Raises:
        UsageError: no architecture, unknown options, or no checkpoint to go on from.
        InputError: data that cannot be read.
        BackendError: an unknown network, unfit weights, or a run that diverges.
        OutputError: nothing can be written.
    """
    recipe = session.recipe or Recipe(None, {}, {})
    config = make_config({**recipe.train, **(session.values or {})})
    torch.manual_seed(config.seed)  # the network's first weights come from it
    with about(recipe.path or "--arch") if session.architecture is None else nullcontext():
        trainable = make_trainable(session.architecture or recipe.architecture, recipe, plugins)
    folder = session.folder or session.output.with_suffix(".run")
    if session.resume and not (folder / LAST).is_file():
        raise UsageError(f"{folder} holds no checkpoint to go on from", hint="Leave out --resume.")
    started_from = start_from(trainable, session.start) if session.start else ""
    channels = channels_of(trainable)
    parts = find_parts(session.data, ("train", "val"), session.split)
    training = PairDataset(parts.get("train", ()), channels=channels, flagged=config.flagged)
    photographs = (
        load_photographs(session.photographs, config.crop, channels) if session.photographs else []
    )
    place = join(session.device)
    if place.first:
        _prepare(session, folder, [pair for part in parts.values() for pair in part])
    pictures = training.pictures()
    held_out = _held_out(parts, channels, config.flagged) if place.first else []
    config = config.over(len(usable(pictures, config)), place.world)
    run = Run(
        trainable,
        pictures,
        held_out,
        config,
        folder,
        place=place,
        photographs=photographs,
        data=digest(training.pairs) if place.first else "",
        licence=session.licence,
        started_from=started_from,
        progress=progress,
    )
    if session.resume:
        run.resume(folder / LAST)
    elif place.first:
        (folder / BEST).unlink(missing_ok=True)  # of an earlier run
    if place.first:
        parameters = sum(p.numel() for p in trainable.module.parameters())
        counts = {"pairs": len(pictures), "held_out": len(held_out), "parameters": parameters}
        counts["photographs"] = len(photographs)
        progress({"event": "start", "step": run.step, "steps": config.steps, **counts})
    with about(recipe.path) if recipe.path else nullcontext(), calling(trainable.architecture):
        run.train()
    if not place.first:
        return None
    if not (folder / BEST).is_file():
        return run.export(session.output)
    write_atomic(session.output, (folder / BEST).read_bytes(), overwrite=True)
    return read_header(session.output)


def _prepare(session: Session, folder: Path, pairs: Sequence[Pair]) -> None:
    """Refuse to write over what the run reads."""
    inputs = [path for pair in pairs for path in pair.files]
    if session.photographs is not None:
        inputs += picture_files(session.photographs, also=(".webp",))
    recipe = session.recipe.path if session.recipe else None
    inputs += [path for path in (recipe, session.split, session.start) if path is not None]
    prepare([session.output, *(folder / name for name in (LAST, BEST, LOG))], inputs)


def _held_out(parts: Mapping[str, tuple[Pair, ...]], channels: int, flagged: bool) -> list[Picture]:
    """The pictures to validate on; warns where there are none that tell good from bad."""
    if "val" not in parts:
        _warn("there is no validation part: the last weights are kept, not the best")
        return []
    warn_of_leaks(parts)
    try:
        dataset = PairDataset(parts["val"], channels=channels, flagged=flagged)
    except UsageError as error:
        _warn(f"the validation part is not used: {error}; the last weights are kept, not the best")
        return []
    pictures = dataset.pictures()
    if not any((picture.state == DAMAGED).any() for picture in pictures):
        _warn("the validation part shows no damage: the last weights are kept, not the best")
        return []
    return pictures


def _warn(text: str) -> None:
    warnings.warn(text, DarkroomWarning, stacklevel=3)


def start_from(trainable: Trainable, path: Path) -> str:
    """Begin with given weights: of the same network, or a state dict it knows how to use.

    Returns:
        Digest of the weights (of the file, if it is foreign).

    Raises:
        InputError: a foreign file that cannot be read safely.
        BackendError: the weights do not fit.
    """
    if not is_torch_file(path):
        header, tensors = load_weights(path, trainable.architecture)
        tensors = network_arrays(tensors)
        own = {name: tuple(t.shape) for name, t in trainable.module.state_dict().items()}
        fits = own == {name: t.shape for name, t in tensors.items()}
        if isinstance(trainable, Growable) and not fits:
            state = {name: torch.from_numpy(t) for name, t in tensors.items()}
            _take_over(trainable.grow_from, state, path)
        else:
            fill_module(trainable.module, tensors, path)
        return header.digest
    if not isinstance(trainable, Initialisable):
        raise BackendError(
            f"{path}: {trainable.architecture} starts from weights files only",
            hint="`darkroom weights convert` makes one from a .pth of the same network.",
        )
    _take_over(trainable.start_from, read_state(path), path)
    return hashlib.sha256(read_file(path, LARGEST_STATE)).hexdigest()


def _take_over(
    start: Callable[[Mapping[str, torch.Tensor]], None],
    state: Mapping[str, torch.Tensor],
    path: Path,
) -> None:
    try:
        start(state)
    except ValueError as error:
        raise BackendError(f"{path}: {error}") from error


@contextmanager
def calling(name: str) -> Iterator[None]:
    """Turn whatever a network's code raises into a BackendError that names it."""
    try:
        with isolated():
            yield
    except PluginError as error:
        if isinstance(error.__cause__, DarkroomError | OSError):
            raise error.__cause__ from None
        raise BackendError(
            f"network {name!r} failed: {error}", hint="Its options may not fit each other."
        ) from error


def make_trainable(name: str | None, recipe: Recipe, plugins: Plugins) -> Trainable:
    """The network to train.

    Raises:
        UsageError: none is named, or its options are wrong.
        BackendError: there is none of that name, or it cannot be made.
    """
    if name is None:
        known = ", ".join(sorted(plugins.trainables)) or "none"
        raise UsageError("no network is named", hint=f"Name one with --arch. Known: {known}.")
    spec = plugins.trainable(name)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in recipe.network.items()}
    try:
        with calling(name):
            trainable = load_object(spec.factory)(make_options(spec, values))
    except BackendError as error:
        raise (
            error
            if isinstance(error.__cause__, DarkroomError)
            else UsageError(
                f"network {name!r} cannot be made with the options given: {error.__cause__}",
                hint="See [network] of the recipe.",
            )
        ) from error
    if not isinstance(trainable, Trainable):
        raise BackendError(f"{spec.factory} does not make a trainable network")
    return trainable
