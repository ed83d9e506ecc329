"""One file of a batch, and what became of it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from darkroom.errors import DarkroomError, OutputError
from darkroom.pipeline.clean import run
from darkroom.pipeline.job import Job
from darkroom.pipeline.progress import Progress
from darkroom.pipeline.receipt import Receipt
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


def one(job: Job, blank: Outcome, bench: Workbench, progress: Progress) -> Outcome:
    """The outcome of one file, whatever it raises."""
    try:
        for path in job.outputs:
            _make_folder(path.parent)
        receipt = run(job, bench, progress)
    except DarkroomError as error:
        return replace(blank, status="failed", error=_named(error, job.source))
    except Exception as error:
        text = f"this is a bug in darkroom: {type(error).__name__}: {error}"
        bug = _named(DarkroomError(text, hint="Please report it with what -v prints."), job.source)
        bug.__cause__ = error
        return replace(blank, status="failed", error=bug)
    lost = [f"{what} could not be carried over" for what in receipt.lost]
    return replace(blank, receipt=receipt, notes=(*blank.notes, *receipt.warnings, *lost))


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
