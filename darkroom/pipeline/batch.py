"""Many files in one call, and what became of each."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from darkroom.errors import UsageError
from darkroom.io.guard import Inputs
from darkroom.io.together import put_right
from darkroom.pipeline.clean import detecting
from darkroom.pipeline.inputs import Item
from darkroom.pipeline.job import Job
from darkroom.pipeline.naming import KEPT_SUFFIXES, name_outputs, refuse_clashes
from darkroom.pipeline.orders import Order, Parcel
from darkroom.pipeline.outcome import Outcome, one
from darkroom.pipeline.output import refuse_existing
from darkroom.pipeline.progress import Progress
from darkroom.pipeline.request import Request
from darkroom.pipeline.roll import learnt, made_of, write_map
from darkroom.pipeline.workbench import Workbench
from darkroom.pipeline.workers import Crew
from darkroom.roll.fixed import RollMap


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


def map_roll(
    items: Sequence[Item], output: str | None, request: Request, *, reporter: Reporter
) -> tuple[RollMap, Path | None]:
    """Write the map of where dirt stays over the frames of a roll.

    Args:
        items: from `find_scans`.
        output: the file; None for `FOLDER_map.tif` beside the folder of the first frame.
        request: what is asked for.
        reporter: told how far it is.

    Returns:
        The map, and its file, or None where none is to be written.

    Raises:
        DarkroomError: a file cannot be read, the frames cannot tell, or the map not be written.
    """
    request.check(len(items))
    folder = Path(os.path.abspath(items[0].source)).parent  # noqa: PTH100
    path = Path(output) if output else folder.with_name(f"{folder.name}_map.tif")
    if path.suffix.lower() not in KEPT_SUFFIXES:
        raise UsageError(f"{path}: the map of a roll is a TIFF or PNG", hint="Name it .tif.")
    Inputs([path for item in items for path in Job.detect(item.source, None, request).read]).refuse(
        path
    )
    writing = request.output
    if not (writing.dry_run or writing.overwrite):
        refuse_existing(path)
    reporter.begin(path)
    roll = made_of(items, request, reporter)
    if not writing.dry_run:
        write_map(roll, path, overwrite=writing.overwrite)
    return roll, None if writing.dry_run else path


def _batch(
    items: Sequence[Item],
    request: Request,
    make: Callable[[Path, Path | None, Request], Job],
    reporter: Reporter,
) -> list[Outcome]:
    jobs = [make(item.source, item.target, request) for item in items]
    refuse_clashes(items, jobs)
    if not request.output.dry_run:
        for folder in dict.fromkeys(path.parent for job in jobs for path in job.outputs):
            for text in put_right(folder):
                reporter.message(text)
    machine = request.machine
    todo = [_settled(item, job) for item, job in zip(items, jobs, strict=True)]
    roll = learnt(items, request, reporter) if None in todo else None
    if machine.scheduler is None and machine.workers == 1:
        bench, outcomes = Workbench(request, roll=roll), []
        for item, job in zip(items, jobs, strict=True):
            reporter.begin(item.source)
            outcomes.append(_settled(item, job) or one(job, _blank(item), bench, reporter))
            reporter.end(outcomes[-1])
        return outcomes
    return list(_spread(items, jobs, request, reporter, roll))


def _spread(
    items: Sequence[Item],
    jobs: Sequence[Job],
    request: Request,
    reporter: Reporter,
    roll: RollMap | None,
) -> Iterator[Outcome]:
    """The outcomes by many workers, told in the order of the files."""
    known = {i: _settled(item, job) for i, (item, job) in enumerate(zip(items, jobs, strict=True))}
    asked = [i for i, outcome in known.items() if outcome is None]
    orders = [Order.of(jobs[i], _blank(items[i])) for i in asked]
    crew = Crew(request.machine.workers, request.machine.scheduler)
    parcel = Parcel.pack(request, crew.size(), roll)
    coming = crew.spread(parcel, orders, Order.lost)
    told = 0
    while told < len(items):
        outcome = known[told]
        if outcome is None:
            number, done = next(coming)
            known[asked[number]] = done
            continue
        reporter.begin(items[told].source)
        reporter.end(outcome)
        yield outcome
        told += 1


def _blank(item: Item) -> Outcome:
    return Outcome(item.source, item.target, "done", tuple(item.notes))


def _settled(item: Item, job: Job) -> Outcome | None:
    """The outcome of a file that nothing needs to be done for."""
    if item.error is not None:
        return replace(_blank(item), status="failed", error=item.error)
    if job.request.output.skip_existing and _exists(job):
        notes = () if _has_receipt(job) else (NO_RECEIPT,)
        return replace(_blank(item), status="skipped", notes=notes)
    return None


NO_RECEIPT = "was left alone since its output exists, but that has no receipt"


def _exists(job: Job) -> bool:
    """Whether the output is there that --skip-existing goes by."""
    path = job.target or job.mask
    return path is not None and os.path.lexists(path)


def _has_receipt(job: Job) -> bool:
    return job.receipt is None or os.path.lexists(job.receipt)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 if all went well, the errors' own code if all failed alike, else 1."""
    codes = {o.error.exit_code for o in outcomes if o.error is not None}
    if not codes:
        return 0
    return codes.pop() if len(codes) == 1 and all(o.error for o in outcomes) else 1
