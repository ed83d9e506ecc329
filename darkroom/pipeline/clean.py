"""`darkroom clean` and `darkroom detect` as library calls: a file in, files out."""

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from darkroom.io import open_scan
from darkroom.io.atomic import AtomicFile, writing
from darkroom.io.fingerprint import Fingerprint, Watched, fingerprint
from darkroom.io.marks import open_marks
from darkroom.io.registry import all_readers
from darkroom.io.together import commit_together
from darkroom.pipeline.account import make_receipt
from darkroom.pipeline.decisions import (
    Decisions,
    load_decisions,
    require_source,
    review_path,
)
from darkroom.pipeline.infrared_run import InfraredRun, prepare
from darkroom.pipeline.job import Job
from darkroom.pipeline.progress import Progress, Silent
from darkroom.pipeline.receipt import Receipt
from darkroom.pipeline.repair import Known
from darkroom.pipeline.request import Request
from darkroom.pipeline.run import find_artefacts
from darkroom.pipeline.workbench import Workbench
from darkroom.pipeline.written import Written, write
from darkroom.protocols import Cleaned
from darkroom.scan import Scan, ScanInfo


def clean_file(
    source: Path,
    target: Path | None,
    request: Request | None = None,
    *,
    progress: Progress | None = None,
    bench: Workbench | None = None,
    known: Known | None = None,
) -> Receipt:
    """Clean one scan.

    Nothing appears under an output's name before all of it is on the disk and has been read back
    and compared; the source is only ever read.

    Args:
        source: the scan.
        target: the cleaned scan; None, or a dry run, writes none.
        request: what is asked for.
        progress: told of each stage.
        bench: what was got ready for files before this one, of the same request.
        known: gives repairs that need not be made again.

    Raises:
        InputError: the scan or a mask cannot be read, does not fit or changes meanwhile.
        OutputError: an output exists or cannot be written.
        BackendError: the backend is missing or failed.
        SafetyError: the mask covers more than `max_coverage`.
        UsageError: options that contradict each other or the machine.
    """
    request = request or Request()
    bench = bench or Workbench(request)
    return run(Job.clean(source, target, request), bench, progress, known)


def detect_file(
    source: Path,
    mask: Path | None,
    request: Request | None = None,
    *,
    progress: Progress | None = None,
    bench: Workbench | None = None,
) -> Receipt:
    """Find artefacts and write their mask only; arguments and errors as for `clean_file`.

    The mask is written whatever it covers: looking at it is how one finds out.
    """
    request = detecting(request or Request()) if bench is None else bench.request
    return run(Job.detect(source, mask, request), bench or Workbench(request), progress)


def detecting(request: Request) -> Request:
    """The request without a limit to what may be found."""
    return replace(request, options=replace(request.options, max_coverage=1.0))


def run(
    job: Job, bench: Workbench, progress: Progress | None = None, known: Known | None = None
) -> Receipt:
    """All stages of one file; arguments and errors as for `clean_file`."""
    started, progress = time.monotonic(), progress or Silent()
    request = job.request
    job.check()
    request.check()
    with ExitStack() as stack:
        inputs = _Inputs(job, stack)
        limits = bench.limits()
        scan = stack.enter_context(_open(request, job.source, limits))
        given = {"mask": request.output.mask, "exclude": request.output.exclude}
        others: dict[str, Any] = {
            name: stack.enter_context(_open_marks(request, path, scan.info, limits))
            for name, path in given.items()
            if path is not None
        }
        infrared, why = _infrared(request, scan, limits, stack)
        why += [f"{m.info.path.name}: {said}" for m in others.values() for said in m.warnings]
        inputs.hash(_read_files(job, infrared))
        decisions, reviewed = _decisions(job, scan)
        others |= {"infrared": infrared, "known": known, "decisions": decisions}
        found = stack.enter_context(find_artefacts(bench, scan, progress, **others))
        why += bench.misfit(scan.info)
        if request.options.max_coverage < 1.0:
            found.refuse_beyond(request.options.max_coverage)
        if decisions is not None and job.target is not None:
            sha256 = inputs.fingerprints()["source"][1].sha256
            require_source(decisions, review_path(job.target), sha256)
        written = write(job, scan, found, lambda p: _open(request, p, limits), progress, stack)
        files = inputs.fingerprints() | {
            part: (target, fingerprint(path)) for part, (path, target) in written.paths.items()
        }
        receipt = make_receipt(job, scan, found, written, files, why, started)
        if found.honoured is not None:
            receipt.decisions = reviewed | asdict(found.honoured)
        _keep_receipt(job, receipt, written, stack)
        inputs.require_unchanged()
        if written.outputs:
            commit_together(written.outputs)
    receipt.warnings += request.plugins.scan_cleaned(
        Cleaned(receipt.source, receipt.output, receipt.as_dict())
    )
    return receipt


def _decisions(job: Job, scan: Scan) -> tuple[Decisions | None, dict[str, Any]]:
    """What a person decided of this scan's marks, and what the receipt says of the file.

    Raises:
        InputError: the decisions cannot be read, or are of a scan of another size.
    """
    request = job.request
    if job.target is None or request.mask_given or not request.output.reviews:
        return None, {}
    path = review_path(job.target)
    if not os.path.lexists(path):  # never raises, however long the name
        return None, {}
    decisions, sha256 = load_decisions(path)
    if (decisions.width, decisions.height) != (scan.info.width, scan.info.height):
        require_source(decisions, path, "")
    return decisions, {"file": path.name, "sha256": sha256}


def _open(request: Request, path: Path, limits: dict[str, Any]) -> Scan:
    """An open scan."""
    return open_scan(path, readers=all_readers(request.plugins), **limits)


def _open_marks(request: Request, path: Path, info: ScanInfo, limits: dict[str, Any]) -> Scan:
    """A mask laid over a scan."""
    return open_marks(path, info, readers=all_readers(request.plugins), **limits)


def _infrared(
    request: Request, scan: Scan, limits: dict[str, Any], stack: ExitStack
) -> tuple[InfraredRun | None, list[str]]:
    """The infrared to try, and why there is none where that is worth a word."""
    if request.mask_given:
        return None, []
    found, why = prepare(scan, request.options, request.plugins, limits, stack)
    return found, [] if why is None else [why]


def _read_files(job: Job, infrared: InfraredRun | None) -> dict[str, Path]:
    """The files that are read, by their part; the infrared only where it is one of its own."""
    parts = {part: path for part, path in job.inputs.items() if part != "infrared"}
    if infrared is not None and infrared.plane.info.path != job.source:
        parts["infrared"] = infrared.plane.info.path
    return parts


class _Inputs:
    """The files that a run reads: hashed beside the work, and watched until the end.

    Args:
        job: says which they are.
        stack: ends the hashing.

    Raises:
        InputError: one is missing.
    """

    def __init__(self, job: Job, stack: ExitStack) -> None:
        self._watched = [Watched(path) for path in job.inputs.values()]
        self._pool = stack.enter_context(ThreadPoolExecutor(1, "hash"))
        stack.callback(self._pool.shutdown, wait=True, cancel_futures=True)
        self._hashed: dict[str, tuple[Path, Future[Fingerprint]]] = {}

    def hash(self, parts: dict[str, Path]) -> None:
        """Begin to hash files."""
        for part, path in parts.items():
            self._hashed[part] = path, self._pool.submit(fingerprint, path)

    def fingerprints(self) -> dict[str, tuple[Path, Fingerprint]]:
        """Each file with its size and SHA-256."""
        return {part: (path, made.result()) for part, (path, made) in self._hashed.items()}

    def require_unchanged(self) -> None:
        """Refuse to go on if one of them is no longer what it was."""
        for watched in self._watched:
            watched.require_unchanged()


def _keep_receipt(job: Job, receipt: Receipt, written: Written, stack: ExitStack) -> None:
    """The receipt as one more file that waits for its name."""
    if job.receipt is None:
        return
    # It belongs to the output beside it, so an old one is always replaced.
    file = stack.enter_context(AtomicFile(job.receipt, overwrite=True))
    with writing(job.receipt):
        file.file.write(receipt.as_json().encode())
    written.outputs.append(file)
