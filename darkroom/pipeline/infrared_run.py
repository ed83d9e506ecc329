"""Whether a run takes a scan's infrared, from where, and what it does with it."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.codec import Codec
from darkroom.errors import DarkroomError, InputError
from darkroom.io import open_scan
from darkroom.io.infrared import SampleScan, find_sidecar, open_infrared
from darkroom.options import INFRARED, IR_AUTO, IR_OFF, CleanOptions
from darkroom.pipeline.infrared import Look, look
from darkroom.plugins.manager import Plugins, installed
from darkroom.scan import FrameStats, Scan


@dataclass(frozen=True, slots=True)
class InfraredRun:
    """An infrared plane, and what will use it if it is any good.

    Attributes:
        plane: as it is stored, a grey scan of any size.
        where: where it was found, for people.
        required: it was asked for by name, so that being no use is an error.
        options: of a run by it, which name the infrared detector and its inpainter.
    """

    plane: Scan
    where: str
    required: bool
    options: CleanOptions


def infrared_file(source: Path, options: CleanOptions) -> Path | None:
    """The file beside a scan that its infrared would be read from."""
    if options.ir == IR_OFF:
        return None
    return find_sidecar(source) if options.ir == IR_AUTO else Path(options.ir)


def prepare(
    scan: Scan,
    options: CleanOptions,
    plugins: Plugins,
    limits: dict[str, Any],
    stack: ExitStack,
) -> tuple[InfraredRun | None, str | None]:
    """Open the infrared that a run wants.

    Args:
        scan: the picture.
        options: what was asked for.
        plugins: where backends come from.
        limits: `cache_bytes`, `max_pixels` and `scratch` for what is opened.
        stack: closes what is opened.

    Returns:
        The plane and the options of a run by it, or None, and what the user should know where it
        would have been used but cannot be.

    Raises:
        InputError: infrared was asked for by name and is not there or cannot be read.
        BackendError: it was asked for by name and the backend is missing.
    """
    required = options.backend == INFRARED or options.ir != IR_AUTO
    if options.ir == IR_OFF:
        return None, None
    try:
        found = _plane(scan, options, limits, stack)
        if found is None and not required:
            return None, None
        if found is None:
            raise InputError(
                f"{scan.info.path}: has no infrared channel, in the file or beside it",
                hint="Name a file with --ir FILE, or choose another --backend.",
            )
        chosen = _chosen(options, plugins)
    except DarkroomError as error:
        if required:
            raise
        return None, f"its infrared was not used: {error}"
    return InfraredRun(*found, required, chosen), None


def _plane(
    scan: Scan, options: CleanOptions, limits: dict[str, Any], stack: ExitStack
) -> tuple[Scan, str] | None:
    """The plane and where it is."""
    if options.ir != IR_AUTO:
        path = Path(options.ir)
        if path.exists() and path.samefile(scan.info.path):
            raise InputError(
                f"--ir {path}: is the scan itself",
                hint="--ir auto finds the infrared inside a scan.",
            )
        return stack.enter_context(SampleScan(open_scan(path, **limits), 0)), f"the file {path}"
    inside = scan.info.infrared
    if inside is not None and inside.where == "sample":
        # The picture's own reader has these samples at hand; it stays open for the run.
        return SampleScan(scan, inside.index), f"sample {inside.index + 1} of the picture"
    plane = open_infrared(scan.info, **limits)
    if plane is None:
        return None
    beside = f"page {inside.index}" if inside is not None else f"the file {plane.info.path}"
    return stack.enter_context(plane), beside


def array_infrared(plane: Scan, options: CleanOptions) -> InfraredRun:
    """The run for a plane that is already in memory, with the installed backends.

    Raises:
        BackendError: the infrared backend is missing.
    """
    chosen = _chosen(options, installed())
    return InfraredRun(plane, "array", options.backend == INFRARED, chosen)


def _chosen(options: CleanOptions, plugins: Plugins) -> CleanOptions:
    """The options of a run by infrared: who fills is whom the user named, else the picture
    detector's choice, else the infrared's."""
    spec = plugins.backends.get(options.backend)
    own = spec.inpainter if spec is not None else None
    filler = options.inpainter or own or plugins.backend(INFRARED).inpainter
    return replace(options, backend=INFRARED, inpainter=filler)


def judge(
    run: InfraredRun, scan: Scan, codec: Codec, stats: FrameStats
) -> tuple[Look, dict[str, Any]]:
    """Look at the plane; returns what was seen, and what the receipt says of it.

    Raises:
        InputError: the plane is no use and was asked for by name.
    """
    seen = look(scan, codec, run.plane, stats.frame)
    if seen.refusal is not None and run.required:
        raise InputError(
            f"{scan.info.path}: its infrared ({run.where}) cannot be used: {seen.refusal}",
            hint="Leave it out with --ir off and choose another --backend.",
        )
    report: dict[str, Any] = {
        "where": run.where,
        "used": seen.refusal is None,
        "refusal": seen.refusal,
    }
    report["confidence"] = round(seen.confidence, 1)
    if seen.plane.inverted:
        report["inverted"] = True
    if seen.plane.warp is not None:
        warp = seen.plane.warp
        report |= {"rotation": round(warp.angle, 3), "scale": round(warp.scale, 5)}
    if seen.stats is not None:
        report |= {
            "shift": list(seen.stats.shift),
            "crosstalk": list(seen.stats.crosstalk),
            "mirrors": seen.stats.mirrors,
            "noise": float(np.median(seen.stats.noise)),
            "exponents": list(seen.stats.exponents),
        }
    return seen, report
