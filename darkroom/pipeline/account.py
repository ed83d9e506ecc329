"""What a run has to say for itself: everything in a receipt is put together here."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from darkroom import __version__
from darkroom.io.fingerprint import Fingerprint
from darkroom.pipeline.engine import Engine
from darkroom.pipeline.job import Job
from darkroom.pipeline.plan import peak_rss
from darkroom.pipeline.receipt import Receipt, pack_mask
from darkroom.pipeline.request import Request
from darkroom.pipeline.run import Found
from darkroom.pipeline.written import Written
from darkroom.protocols import Accountable, Backend
from darkroom.scan import Scan

# What computes, by the name of its distribution: its version may matter to the last bit.
LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "cv2": "opencv-python-headless",
    "skimage": "scikit-image",
    "torch": "torch",
}


def make_receipt(
    job: Job,
    scan: Scan,
    found: Found,
    written: Written,
    files: dict[str, tuple[Path, Fingerprint]],
    warnings: list[str],
    started: float,
) -> Receipt:
    """The receipt of one file.

    Args:
        job: what was to be done.
        scan: the source, open.
        found: its artefacts.
        written: what was written.
        files: every file read or written, by its part.
        warnings: what the stages found worth a word.
        started: `time.monotonic()` at the start.
    """
    request, decision = job.request, found.decision
    versions, engine = request.plugins, decision.engine
    inpainter = engine.inpainter_name if engine.inpainter is not None else None
    warnings = [*scan.warnings, *warnings, *written.warnings]
    report = decision.infrared
    if report is not None and report["refusal"] is not None:
        warnings.append(
            f"its infrared ({report['where']}) was not used: {report['refusal']}; "
            f"backend {request.options.backend} looked at the picture instead"
        )
    if found.whole:
        warnings.append(
            f"{decision.options.backend} was asked to replace every pixel; "
            "nothing of the scan is kept"
        )
    return Receipt(
        source=str(job.source),
        output=None if job.target is None else str(job.target),
        mask=None if job.mask is None else str(job.mask),
        darkroom=__version__,
        backend=decision.options.backend,
        backend_version=versions.version_of(decision.options.backend),
        inpainter=inpainter,
        inpainter_version=versions.version_of(inpainter) if inpainter else None,
        weights=dict(_weights(engine)),
        numeric=numeric_form(engine),
        device=engine.device.name,
        preset=request.preset.name if request.preset else None,
        preset_digest=request.preset.digest if request.preset else None,
        options=_options(request),
        width=scan.info.width,
        height=scan.info.height,
        files={part: _file(job, *found) for part, found in files.items()},
        artefacts=len(found.parts),
        changed_pixels=written.changed_pixels,
        masked_pixels=found.masked_pixels,
        untouched_before=written.untouched_before,
        untouched_after=written.untouched_after,
        packed_mask=pack_mask(found.mask) if job.receipt is not None else None,
        noise=found.stats.noise,
        seconds=time.monotonic() - started,
        peak_memory=peak_rss(),
        infrared=report,
        reference=found.fixed,
        warnings=warnings,
        lost=written.lost,
    )


def numeric_form(engine: Engine) -> dict[str, Any]:
    """What the last bit of a result can depend on besides program, weights and options.

    Returns:
        `precision`: the number format of each backend that says it; `processor`: what kind it is
        and which of its instructions are used; `libraries`: versions of those installed.
    """
    precision = {
        name: backend.provenance.precision
        for name, backend in _named(engine)
        if isinstance(backend, Accountable)
    }
    return {"precision": precision, "processor": _processor(), "libraries": _versions()}


@cache
def _versions() -> dict[str, str]:
    """Of those installed, loaded or not: what a process did before must not show in a receipt."""
    found = {}
    for name, distribution in LIBRARIES.items():
        with suppress(PackageNotFoundError):
            found[name] = version(distribution)
    return found


def _processor() -> str:
    """The machine's kind, and the last in OpenCV's list of the instructions that it uses there."""
    import cv2

    # Those that a processor lacks end in "?", those chosen while running begin with "*".
    used = [name.strip("*") for name in cv2.getCPUFeaturesLine().split() if "?" not in name]
    return " ".join([platform.machine(), *used[-1:]])


def _weights(engine: Engine) -> Iterator[tuple[str, dict[str, str]]]:
    for name, backend in _named(engine):
        if isinstance(backend, Accountable) and backend.provenance.weights is not None:
            made = backend.provenance
            yield name, {"file": str(made.weights), "sha256": made.weights_sha256}


def _named(engine: Engine) -> Iterator[tuple[str, Backend]]:
    if engine.finder is not None:
        yield engine.finder_name, engine.finder
    if engine.inpainter is not None:
        yield engine.inpainter_name, engine.inpainter


def _file(job: Job, path: Path, fingerprint: Fingerprint) -> dict[str, Any]:
    """A file as the receipt names it: from the folder of the receipt, so that both may be moved."""
    seen = os.path.abspath(path)  # noqa: PTH100  # links stay as they were named
    if job.receipt is not None:
        try:
            folder = os.path.abspath(job.receipt.parent)  # noqa: PTH100
            seen = os.path.relpath(seen, folder)
        except ValueError:  # another drive
            pass
    return {"path": Path(seen).as_posix(), **asdict(fingerprint)}


def _options(request: Request) -> dict[str, object]:
    """The options as a user would write them."""
    options = request.options
    values = {key: value for key, value in asdict(options).items() if value is not None}
    for key in ("min_size", "max_size"):
        if getattr(options, key) is not None:
            values[key] = str(getattr(options, key))
    given = {"mask": request.output.mask, "exclude": request.output.exclude}
    return values | {key: str(path) for key, path in given.items() if path is not None}
