"""Many files in one call, and what became of each."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from darkroom.errors import DarkroomError, OutputError, UsageError
from darkroom.io.together import put_right
from darkroom.pipeline.clean import detecting, run
from darkroom.pipeline.inputs import Item
from darkroom.pipeline.job import Job
from darkroom.pipeline.naming import name_outputs, refuse_clashes
from darkroom.pipeline.progress import Progress
from darkroom.pipeline.receipt import Receipt
from darkroom.pipeline.request import Request
from darkroom.pipeline.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    source: Path
    target: Path | None
    status: Literal["done", "skipped", "failed"]
    notes: tuple[str, ...] = ()
    receipt: Receipt | None = None
    error: DarkroomError | None = None

    def as_dict(self) -> dict[str, Any]:
        """One record of `--json`: the receipt without its mask, or why there is none."""
        status: dict[str, Any] = {"status": self.status, "source": str(self.source)}
        if self.receipt is not None:
            values = self.receipt.as_dict()
            del values["packed_mask"]
            return status | values | {"notes": list(self.notes)}
        if self.error is not None:
            code = self.error.exit_code
            return status | {
                "error": str(self.error),
                "hint": self.error.hint,
                "exit_code": code,
            }
        return status | {"output": str(self.target), "notes": list(self.notes)}


class Reporter(Progress, Protocol):
    """A listener to a batch."""

    def begin(self, source: Path) -> None:
        """A file is next."""

    def end(self, outcome: Outcome) -> None:
        """A file is done, skipped or has failed."""

    def message(self, text: str) -> None:
        """Something worth knowing about the batch."""


def clean_batch(
    items: Sequence[Item], output: str | None, request: Request, *, reporter: Reporter
) -> list[Outcome]:
    """Clean scans; one that fails does not keep the others from being done.

    Args:
        items: from `find_scans`; their targets and notes are filled in.
        output: as for `name_outputs`.
        request: what is asked for.
        reporter: told of every file.

    Raises:
        UsageError: the request contradicts itself.
        BackendError: there is no such backend.
    """
    request.check(len(items))
    name_outputs(items, output)
    if isinstance(request.output.save_mask, Path) and len(items) > 1:
        raise UsageError(
            "--save-mask names one file for several inputs", hint="Use --save-mask without a name."
        )
    return _batch(items, request, Job.clean, reporter)


def detect_batch(
    items: Sequence[Item], output: str | None, request: Request, *, reporter: Reporter
) -> list[Outcome]:
    """Write the masks of scans; arguments and errors as for `clean_batch`."""
    request = detecting(request)
    request.check(len(items))
    name_outputs(items, output, ending="_mask", mask=True)
    return _batch(items, request, Job.detect, reporter)


def _batch(
    items: Sequence[Item],
    request: Request,
    make: Callable[[Path, Path | None, Request], Job],
    reporter: Reporter,
) -> list[Outcome]:
    bench = Workbench(request)
    jobs = [make(item.source, item.target, request) for item in items]
    refuse_clashes(items, jobs)
    if not request.output.dry_run:
        for folder in dict.fromkeys(path.parent for job in jobs for path in job.outputs):
            for text in put_right(folder):
                reporter.message(text)
    outcomes = []
    for item, job in zip(items, jobs, strict=True):
        reporter.begin(item.source)
        blank = Outcome(item.source, item.target, "done", tuple(item.notes))
        if item.error is not None:
            outcome = replace(blank, status="failed", error=item.error)
        elif request.output.skip_existing and _exists(job):
            notes = () if _has_receipt(job) else (NO_RECEIPT,)
            outcome = replace(blank, status="skipped", notes=notes)
        else:
            outcome = _one(item, job, blank, bench, reporter)
        outcomes.append(outcome)
        reporter.end(outcome)
    return outcomes


NO_RECEIPT = "was left alone since its output exists, but that has no receipt"


def _exists(job: Job) -> bool:
    """Whether the output is there that --skip-existing goes by."""
    path = job.target or job.mask
    return path is not None and os.path.lexists(path)


def _has_receipt(job: Job) -> bool:
    return job.receipt is None or os.path.lexists(job.receipt)


def _one(item: Item, job: Job, blank: Outcome, bench: Workbench, reporter: Reporter) -> Outcome:
    """The outcome of one file, whatever it raises."""
    try:
        for path in job.outputs:
            _make_folder(path.parent)
        receipt = run(job, bench, reporter)
    except DarkroomError as error:
        return replace(blank, status="failed", error=_named(error, item.source))
    except Exception as error:
        text = f"this is a bug in darkroom: {type(error).__name__}: {error}"
        bug = _named(DarkroomError(text, hint="Please report it with what -v prints."), item.source)
        bug.__cause__ = error
        return replace(blank, status="failed", error=bug)
    lost = [f"{what} could not be carried over" for what in receipt.lost]
    return replace(blank, receipt=receipt, notes=(*item.notes, *receipt.warnings, *lost))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from error


def _named(error: DarkroomError, source: Path) -> DarkroomError:
    """The error, with the file's name in front unless it names one already."""
    if source.name not in str(error):
        error.args = (f"{source}: {error}",)
    return error


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 if all went well, the errors' own code if all failed alike, else 1."""
    codes = {o.error.exit_code for o in outcomes if o.error is not None}
    if not codes:
        return 0
    return codes.pop() if len(codes) == 1 and all(o.error for o in outcomes) else 1
