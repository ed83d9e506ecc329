"""Everything that is printed, and nothing else prints.

Results go to stdout; messages, warnings, errors and progress bars go to stderr. Bars are drawn on
a terminal only. Whatever a file says, its name included, is made printable here.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from darkroom.cli import streams
from darkroom.errors import DarkroomError, DarkroomWarning
from darkroom.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console as RichConsole
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from darkroom.pipeline.outcome import Outcome
    from darkroom.roll.fixed import RollMap


def say(text: str = "") -> None:
    """A result for stdout."""
    streams.put_result(printable(text, keep="\n\t"))


def warn(text: str) -> None:
    """A message for stderr."""
    streams.put_message(printable(text, keep="\n\t"))


@contextmanager
def warnings(quiet: bool = False) -> Iterator[None]:
    """Show darkroom's own warnings as lines on stderr, unless the user wants quiet."""
    import warnings as standard

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if not issubclass(category, DarkroomWarning):
            before(message, category, *rest)
        elif not quiet:
            warn(f"warning: {message}")

    with standard.catch_warnings():
        before: Callable[..., None] = standard.showwarning
        standard.simplefilter("always", DarkroomWarning)
        standard.showwarning = show  # type: ignore[assignment]
        yield


def progress_line(text: str, end: str) -> None:
    """Write over the current line of a terminal's stderr."""
    streams.put_message(f"\r{printable(text)}\x1b[K", end)


def complain(error: DarkroomError) -> None:
    """One line of cause and, where there is one, a line of advice."""
    warn(f"error: {' '.join(str(error).split())}")
    if error.hint:
        warn(f"hint: {error.hint}")


def bug(error: BaseException) -> DarkroomError:
    """What to say of an exception nobody foresaw."""
    text = " ".join(str(error).split()) or "no message"
    return DarkroomError(
        f"this is a bug in darkroom: {type(error).__name__}: {text}",
        hint="Please report it with what -v prints.",
    )


def debugging(arguments: Sequence[str]) -> bool:
    """Whether tracebacks are wanted."""
    return bool(os.environ.get("DARKROOM_DEBUG")) or not {"-v", "--verbose"}.isdisjoint(arguments)


def traceback(error: BaseException) -> None:
    """The full traceback of an exception on stderr."""
    import traceback

    warn("".join(traceback.format_exception(error)).rstrip())


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns on stdout; plain text, so that it can be piped."""
    lines = [[printable(str(cell)) for cell in row] for row in rows]
    if any(headers):
        lines.insert(0, list(headers))
    if not lines:
        return
    widths = [max(len(line[i]) for line in lines) for i in range(len(headers))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        say("  ".join(cells).rstrip())


def show(*parts: Any) -> None:
    """What Rich can draw, on stdout; as wide as it needs to be where that is no terminal."""
    file = streams.results()
    console = _rich_console(highlight=False, file=file)
    if not console.is_terminal:
        console = _rich_console(highlight=False, file=file, width=200, no_color=True)
    with console.capture() as drawn:
        for part in parts:
            console.print(part, markup=False)
    streams.put_result(drawn.get().rstrip("\n"))


def record(values: Any) -> None:
    """One JSON value on a line of its own on stdout, at once."""
    streams.put_result(json.dumps(values, default=str))


@contextmanager
def training(quiet: bool = False) -> Iterator[Callable[[dict[str, Any]], None]]:
    """What to call with each event of a training run: a bar on a terminal, else lines on stderr."""
    if quiet:
        yield lambda event: None
        return
    if not streams.is_terminal():
        yield lambda event: warn(_training_line(event))
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left())
    with Progress(*columns, console=_rich_console(stderr=True)) as bars:
        task = bars.add_task("training", total=None)

        def show(event: dict[str, Any]) -> None:
            if event["event"] == "start":
                bars.update(task, total=event["steps"])
            if event["event"] != "train":
                bars.console.print(_training_line(event), markup=False, highlight=False)
            bars.update(task, completed=event["step"])

        yield show


def _training_line(event: dict[str, Any]) -> str:
    """One line on an event of a training run."""
    values = event
    if event["event"] == "validation":
        values = event["sweep"][event["best_at"]] | {"thresholds": event["best_at"]}
    shown = [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
        if name not in ("event", "step", "time")
    ]
    return f"step {event['step']}: {event['event']}: {', '.join(shown)}"


class Console:
    """Tells how a batch goes, as loudly as the user wants.

    Args:
        quiet: errors only.
        verbose: more about every file.
        as_json: one record a file on stdout.
    """

    def __init__(
        self, *, quiet: bool = False, verbose: bool = False, as_json: bool = False
    ) -> None:
        self.quiet, self.verbose, self.as_json = quiet, verbose, as_json
        self._bars: RichProgress | None = None
        self._file: TaskID | None = None
        self._batch: TaskID | None = None
        self._name = ""

    @contextmanager
    def bars(self, files: int) -> Iterator["Console"]:
        """Draw progress bars within the context, if stderr is a terminal."""
        if self.quiet or not streams.is_terminal():
            yield self
            return
        with _rich_bars() as self._bars:
            if files > 1:
                self._batch = self._bars.add_task("all files", total=files, unit="files")
            try:
                yield self
            finally:
                self._bars = self._file = self._batch = None

    def begin(self, source: "Path") -> None:
        """A file is next."""
        self._name = printable(source.name)
        if self._bars is not None:
            if self._file is not None:
                self._bars.remove_task(self._file)
            self._file = self._bars.add_task(self._name, total=None, unit="MP")

    def stage(self, name: str, total_pixels: int) -> None:
        """A stage of the file begins."""
        if self._bars is not None and self._file is not None:
            self._bars.reset(
                self._file, total=total_pixels, description=f"{self._name}: {name}", start=True
            )

    def advance(self, pixels: int) -> None:
        """So many more pixels of the stage are done."""
        if self._bars is not None and self._file is not None:
            self._bars.advance(self._file, pixels)

    def end(self, outcome: "Outcome") -> None:
        """A file is done, skipped or has failed."""
        if self._bars is not None and self._batch is not None:
            self._bars.advance(self._batch)
        for note in outcome.notes:
            self.message(f"{outcome.source}: {note}")
        if outcome.error is not None:
            self._put(f"error: {' '.join(str(outcome.error).split())}")
            if outcome.error.hint:
                self._put(f"hint: {outcome.error.hint}")
            if self.verbose and outcome.error.__cause__ is not None:
                traceback(outcome.error.__cause__)
        elif not self.as_json:
            self.message(_sentence(outcome))
            for line in _details(outcome) if self.verbose else ():
                self.message(line)
        if self.as_json:
            record(outcome.as_dict())

    def map_made(self, roll: "RollMap", where: "Path | None") -> None:
        """The map of a roll is written."""
        from darkroom.pipeline.roll import account

        if self.as_json:
            record({"status": "done", "output": where and str(where), **account(roll)})
            return
        count = len(roll.places)
        self.message(
            f"{where or 'nothing written'}: {count} place{'s' * (count != 1)} where dirt stays, "
            f"from {roll.pictures} pictures"
        )

    def summary(self, outcomes: Sequence["Outcome"]) -> None:
        """What became of the batch; failures are listed once more at the end."""
        failed = [outcome for outcome in outcomes if outcome.status == "failed"]
        if len(outcomes) < 2:
            return
        counts = {s: sum(o.status == s for o in outcomes) for s in ("done", "skipped", "failed")}
        text = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
        self.message(f"{len(outcomes)} files: {text}")
        for outcome in failed:
            warn(f"failed: {printable(str(outcome.source))}")

    def message(self, text: str) -> None:
        """Something worth knowing, for stderr, unless the user wants quiet."""
        if text and not self.quiet:
            self._put(text)

    def _put(self, text: str) -> None:
        text = printable(text)
        if self._bars is None:
            warn(text)
            return
        with suppress(OSError, ValueError):  # the terminal is gone
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _sentence(outcome: "Outcome") -> str:
    """One line on a file that went well."""
    receipt = outcome.receipt
    if receipt is None:
        return f"{outcome.source}: skipped, {outcome.target} exists"
    by = " by infrared" if receipt.infrared and receipt.infrared["used"] else ""
    found = f"{receipt.artefacts} artefacts{by}, {receipt.coverage:.3%} of the picture"
    if receipt.decisions is not None:
        found += f", as reviewed ({receipt.decisions['vetoed']} vetoed)"
    speed = f"{receipt.megapixels:.1f} MP in {receipt.seconds:.1f} s"
    made = receipt.output or receipt.mask
    return f"{receipt.source} -> {made or 'nothing written'}: {found}; {speed}"


def _details(outcome: "Outcome") -> list[str]:
    receipt = outcome.receipt
    if receipt is None:
        return []
    parts = {
        "backend": f"{receipt.backend} {receipt.backend_version}",
        "inpainter": receipt.inpainter,
        "device": receipt.device,
        "preset": receipt.preset,
        "changed": f"{receipt.changed_pixels} pixels",
        "noise": f"{receipt.noise:.4f}",
        "peak memory": f"{receipt.peak_memory / 2**20:.0f} MiB",
        "mask": receipt.mask,
        "untouched": receipt.untouched_after,
    }
    return [f"  {name}: {value}" for name, value in parts.items() if value is not None]


def _rich_console(**options: Any) -> "RichConsole":
    """A console of Rich that writes control characters out, its own apart."""
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

    class Printable(Console):
        def render_str(self, text: str, **how: Any) -> Any:
            # Before anything is measured, so that tables have room for what is written out.
            return super().render_str(printable(text, keep="\n"), **how)

        def render(
            self, renderable: Any, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for part in super().render(renderable, options):
                if part.control:
                    yield part
                else:
                    yield Segment(printable(part.text, keep="\n"), part.style)

    return Printable(**options)


def _rich_bars() -> "RichProgress":
    """Bars with share done, speed in MP/s or files, and time left."""
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        """Megapixels a second of the file, or files done of the batch."""

        def render(self, task: Task) -> Text:
            if task.fields["unit"] == "files":
                return Text(f"{task.completed:.0f}/{task.total or 0:.0f}")
            speed = task.finished_speed or task.speed
            return Text(f"{speed / 1e6:.1f} MP/s" if speed else "")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        Speed(),
        TimeRemainingColumn(),
        console=_rich_console(stderr=True),
        transient=True,
    )
