"""The backends of a run, loaded: who detects, who fills, on which device."""

import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from darkroom.errors import BackendError, DarkroomError
from darkroom.geometry import Window
from darkroom.machine import accelerators
from darkroom.options import CleanOptions
from darkroom.plugins.isolation import PluginError, isolated, load
from darkroom.plugins.manager import Plugins, load_object, make_options
from darkroom.protocols import (
    Backend,
    BackendSpec,
    Detector,
    Device,
    Inpainter,
    Restorer,
    TileContract,
)
from darkroom.scan import Float


@dataclass(frozen=True, slots=True)
class Engine:
    """What a run works with.

    Attributes:
        finder: finds artefacts, or None where the mask is given; a restorer also fills.
        inpainter: fills, or None where a restorer does.
        device: where both compute.
        finder_name: what users call the finder.
        inpainter_name: what users call the inpainter.
    """

    finder: Detector | Restorer | None
    inpainter: Inpainter | None
    device: Device
    finder_name: str = "finder"
    inpainter_name: str = "inpainter"

    @property
    def parts(self) -> list[Backend]:
        """The backends in use."""
        return [part for part in (self.finder, self.inpainter) if part is not None]


def load_backend(spec: BackendSpec, options: CleanOptions, device: Device) -> Backend:
    """One backend, made with its options.

    Raises:
        BackendError: it does not import, cannot start, or is not of the kind it was announced as.
        UsageError: an option it does not have.
    """
    factory = load_object(spec.factory)
    chosen = make_options(spec, options.options.get(spec.name, {}))
    try:
        backend: Backend = load(lambda: factory(chosen, device=device))
    except PluginError as error:
        if isinstance(error.__cause__, DarkroomError):
            raise error.__cause__ from None
        raise BackendError(
            f"backend {spec.name!r} cannot start: {error}",
            hint="Run `darkroom plugins check`.",
        ) from error
    wanted = {"detector": Detector, "restorer": Restorer, "inpainter": Inpainter}[spec.kind]
    if inspect.isclass(backend) or not isinstance(backend, wanted):
        raise BackendError(f"{spec.factory} does not make a {spec.kind}")
    if not isinstance(backend.contract, TileContract):
        raise BackendError(f"backend {spec.name!r} has no TileContract as its contract")
    return backend


def load_engine(
    options: CleanOptions,
    device: str,
    plugins: Plugins,
    *,
    mask_given: bool = False,
    threads: int = 0,
    make: Callable[[BackendSpec, CleanOptions, Device], Backend] = load_backend,
) -> Engine:
    """Load what `options` name.

    With a given mask nothing is detected: the backend's own inpainter fills. A restorer that
    names none fills by itself, although what it does not take for damage it may leave as it is.

    Args:
        options: name the backends and hold their options.
        device: where they shall compute.
        plugins: where they come from.
        mask_given: whether a mask says what to repair.
        threads: of processors, that a backend may compute with; 0 for all.
        make: makes one backend.

    Raises:
        BackendError: an unknown or broken backend, missing modules, or an unusable device.
        UsageError: an option the backend does not have.
    """
    spec = plugins.backend(options.backend, ("detector", "restorer", "inpainter"))
    if spec.kind == "inpainter" and not mask_given:
        raise BackendError(
            f"backend {spec.name!r} only fills; it does not find artefacts",
            hint="Give the places with --mask, or use it as --inpainter with a detector.",
        )
    filler = options.inpainter or (spec.name if spec.kind == "inpainter" else spec.inpainter)
    chosen = replace(pick_device(device, spec), threads=threads)
    finder = None
    if not mask_given or (spec.kind == "restorer" and filler is None):
        finder = make(spec, options, chosen)
    if spec.kind == "restorer" and options.inpainter is None and finder is not None:
        return Engine(finder, None, chosen, spec.name)  # type: ignore[arg-type]
    if filler is None:
        raise BackendError(
            f"detector {spec.name!r} names no inpainter", hint="Choose one with --inpainter."
        )
    inpainter = make(plugins.backend(filler, ("inpainter",)), options, chosen)
    return Engine(finder, inpainter, chosen, spec.name, filler)  # type: ignore[arg-type]


def pick_device(asked: str, spec: BackendSpec) -> Device:
    """The device to use; what was asked for explicitly is never replaced by another.

    Raises:
        BackendError: the device is unknown, not there, or not one the backend can use.
    """
    kind = asked.partition(":")[0]
    if kind not in ("auto", "cpu", "cuda", "mps"):
        raise BackendError(f"unknown device {asked!r}", hint="Use auto, cpu, cuda, cuda:N or mps.")
    if kind != "auto" and kind not in spec.devices:
        raise BackendError(
            f"backend {spec.name!r} computes on {', '.join(spec.devices)}, not on {asked}",
            hint="Leave --device out.",
        )
    if kind == "cpu" or spec.devices == ("cpu",):
        return Device("cpu")
    if kind == "auto" and not ({"cuda", "mps"} & accelerators()).intersection(spec.devices):
        return Device("cpu")  # without torch, which takes two seconds to say so
    torch = importlib.import_module("torch")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        best = [name for name in ("cuda", "mps") if there[name] and name in spec.devices]
        return Device(best[0] if best else "cpu")
    if not there[kind]:
        raise BackendError(
            f"device {asked!r} is not available on this machine", hint="Use --device cpu."
        )
    number = asked.partition(":")[2]
    if number and not (number.isdigit() and int(number) < torch.cuda.device_count()):
        raise BackendError(f"there is no device {asked!r}", hint="`nvidia-smi` lists them.")
    return Device(asked)


def turns(backend: Backend) -> AbstractContextManager[object]:
    """What threads hold while they use the backend: one at a time if it wants that."""
    return nullcontext() if backend.contract.parallel else Lock()


FAULT = "This is a fault of the backend; nothing was written."


@contextmanager
def calling(name: str, where: Window) -> Iterator[None]:
    """Call a backend on some part of a scan; what it raises becomes an error that names it.

    Raises:
        BackendError: it raised anything, an exit or interrupt of its own included.
    """
    try:
        with isolated():
            yield
    except PluginError as error:
        if isinstance(error.__cause__, DarkroomError):
            raise error.__cause__ from None
        raise BackendError(
            f"backend {name!r} failed at x={where.x}, y={where.y}: {error}", hint=FAULT
        ) from error.__cause__


def checked(name: str, what: str, answer: Any, shape: tuple[int, ...], where: Window) -> Float:
    """A backend's answer, if it is an array of that shape and of finite numbers.

    Raises:
        BackendError: it is not.
    """
    wrong = None
    if not isinstance(answer, np.ndarray) or answer.dtype.kind not in "fiub":
        wrong = f"that is a {type(answer).__name__}, not an array of numbers"
    elif answer.shape != shape:
        wrong = f"of shape {answer.shape}, not {shape}"
    elif answer.dtype.kind == "f":
        # One sum is several times faster than a look at each; it can only be wrong one way.
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.add.reduce(answer, axis=None)
        if not np.isfinite(total) and not np.isfinite(answer).all():
            wrong = "that is not finite (NaN or infinity)"
    if wrong is not None:
        raise BackendError(
            f"backend {name!r} gave {what} {wrong} at x={where.x}, y={where.y}",
            hint="This is a fault of the backend or of its weights; nothing was written.",
        )
    given: Float = answer
    return given
