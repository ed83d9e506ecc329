"""Scans to be cleaned elsewhere: what travels to the process that does it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from darkroom.errors import BackendError
from darkroom.machine import processors
from darkroom.options import CleanOptions, MachineOptions, OutputOptions
from darkroom.pipeline.job import Job
from darkroom.pipeline.outcome import Outcome, one
from darkroom.pipeline.progress import Silent
from darkroom.pipeline.request import Request
from darkroom.pipeline.workbench import Workbench
from darkroom.presets import Preset
from darkroom.roll.fixed import RollMap


@dataclass(frozen=True, slots=True)
class Parcel:
    """A request as it travels to other processes, which have plugins of their own.

    Called, it gives what carries out orders there.
    """

    options: CleanOptions
    machine: MachineOptions
    output: OutputOptions
    preset: Preset | None
    roll: RollMap | None = None

    @classmethod
    def pack(cls, request: Request, workers: int, roll: RollMap | None = None) -> "Parcel":
        """The request with a share of the memory, and of the threads unless those are given."""
        machine = request.machine
        shared = replace(
            machine,
            max_memory=machine.max_memory // workers,
            jobs=machine.jobs or max(1, processors() // workers),
            workers=1,
            scheduler=None,
        )
        return cls(request.options, shared, request.output, request.preset, roll)

    def __call__(self) -> Callable[["Order"], Outcome]:
        """What carries out orders, with the plugins installed here."""
        request = Request(self.options, self.machine, self.output, self.preset)
        return partial(Order.carry_out, bench=Workbench(request, roll=self.roll))


@dataclass(frozen=True, slots=True)
class Order:
    """A file to be done elsewhere.

    Attributes:
        source: the scan.
        target: as in `Job`.
        mask: as in `Job`.
        blank: the outcome to fill in.
    """

    source: Path
    target: Path | None
    mask: Path | None
    blank: Outcome

    @classmethod
    def of(cls, job: Job, blank: Outcome) -> "Order":
        """The order for a job."""
        return cls(job.source, job.target, job.mask, blank)

    def carry_out(self, bench: Workbench) -> Outcome:
        """Do it here."""
        job = Job(self.source, self.target, self.mask, bench.request)
        return one(job, self.blank, bench, Silent())

    def lost(self, why: str, hint: str) -> Outcome:
        """The outcome where nobody could do it."""
        text = f"{self.source}: the worker that cleaned it {why}; nothing was written"
        return replace(self.blank, status="failed", error=BackendError(text, hint=hint))
