"""Many files in one call: which they are, what their outputs are called, what became of each."""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from darkroom.errors import DarkroomError, InputError, OutputError, UsageError
from darkroom.io.infrared import SIDECAR_ENDINGS
from darkroom.io.registry import all_readers, scan_suffixes
from darkroom.options import CleanOptions, MachineOptions, OutputOptions
from darkroom.pipeline.clean import clean_file, detect_file
from darkroom.pipeline.infrared_run import check_request
from darkroom.pipeline.output import TIFF_SUFFIXES
from darkroom.pipeline.progress import Progress
from darkroom.pipeline.receipt import Receipt
from darkroom.plugins.manager import Plugins, installed
from darkroom.presets import Preset

KEPT_SUFFIXES = (*TIFF_SUFFIXES, ".png")  # formats that are written as they were read
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe")
OWN_ENDINGS = ("_clean", "_mask")
JPEG_NOTE = (
    "written as TIFF, since encoding a JPEG again would change every pixel; "
    "for a JPEG all the same, name it with -o"
)


@dataclass(slots=True)
class Item:
    """A file of a batch.

    Attributes:
        source: the file.
        folder: its folder below the folder that was given, to be kept under an output folder.
        target: the file to write, or None.
        notes: what the user should know beforehand.
        error: why it cannot be done at all.
    """

    source: Path
    folder: Path = Path()
    target: Path | None = None
    notes: list[str] = field(default_factory=list)
    error: DarkroomError | None = None


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
        """One record of `--json`: the receipt, or why there is none."""
        status: dict[str, Any] = {"status": self.status, "source": str(self.source)}
        if self.receipt is not None:
            return status | self.receipt.as_dict() | {"notes": list(self.notes)}
        if self.error is not None:
            code = self.error.exit_code
            return status | {
                "error": str(self.error),
                "hint": self.error.hint,
                "exit_code": code,
            }
        return status | {"output": str(self.target)}


class Reporter(Progress, Protocol):
    """A listener to a batch."""

    def begin(self, source: Path) -> None:
        """A file is next."""

    def end(self, outcome: Outcome) -> None:
        """A file is done, skipped or has failed."""


def find_scans(
    given: Sequence[str | Path], *, recursive: bool = False, plugins: Plugins | None = None
) -> list[Item]:
    """The scans that files, folders and patterns stand for, each once, in the order given.

    A folder stands for the scans in it, less what darkroom itself wrote there (`NAME_clean.tif`
    beside `NAME.tif`) and infrared beside its scan (`NAME_IR.tif`). What is missing becomes an item
    with an error, so that the rest is done.
    """
    suffixes = scan_suffixes(all_readers(plugins))
    items: dict[str, Item] = {}
    for text in given:
        for item in _expand(str(text), recursive, suffixes):
            items.setdefault(os.path.realpath(item.source), item)
    return list(items.values())


def _expand(text: str, recursive: bool, suffixes: frozenset[str]) -> Iterator[Item]:
    path = Path(text)
    if path.is_dir():
        found = list(_inside(path, recursive, suffixes))
        if not found:
            error = InputError(f"{path}: no scans in this folder", hint=_deeper(path, recursive))
            found = [Item(path, error=error)]
        yield from found
    elif os.path.lexists(path) or not glob.has_magic(text):
        yield Item(path)  # whether it can be read is found out when its turn comes
    else:
        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207  # absolute patterns too
        if not matches:
            yield Item(path, error=InputError(f"{text}: no file matches this pattern"))
        for match in matches:
            if Path(match).is_dir():
                yield from _inside(Path(match), recursive, suffixes)
            elif Path(match).suffix.lower() in suffixes:
                yield Item(Path(match))


def _inside(folder: Path, recursive: bool, suffixes: frozenset[str]) -> Iterator[Item]:
    paths = sorted(folder.rglob("*") if recursive else folder.iterdir())
    scans = [p for p in paths if p.suffix.lower() in suffixes and p.is_file()]
    scans = [p for p in scans if not p.name.startswith(".")]
    stems = {p.with_suffix("") for p in scans}
    for path in scans:
        if not _belongs(path, stems):
            yield Item(path, path.parent.relative_to(folder))


def _belongs(path: Path, stems: set[Path]) -> bool:
    """Whether darkroom made this file from one beside it, or it is the infrared of one."""
    return any(
        path.stem.endswith(end) and path.with_name(path.stem.removesuffix(end)) in stems
        for end in (*OWN_ENDINGS, *SIDECAR_ENDINGS)
    )


def _deeper(folder: Path, recursive: bool) -> str | None:
    return None if recursive else "Use --recursive to look into the folders inside it."


def name_outputs(
    items: Sequence[Item], output: str | None, *, ending: str = "_clean", mask: bool = False
) -> None:
    """Give every item its target, in place.

    Args:
        items: from `find_scans`.
        output: None for `NAME_clean.ext` beside the source, a folder (the name is kept), or, for
            a single input, a file.
        ending: what is added to the name beside the source.
        mask: targets are masks, `NAME_mask.png` wherever they go.

    Raises:
        UsageError: several inputs and one output file.
    """
    folder, file = _folder_or_file(
        output, many=len(items) > 1 or any(i.folder.parts for i in items)
    )
    for item in items:
        suffix = ".png" if mask else target_suffix(item.source)
        if file is not None:
            item.target = file
        elif folder is None:
            item.target = item.source.with_name(f"{item.source.stem}{ending}{suffix}")
        else:
            name = item.source.stem + (ending if mask else "")
            item.target = folder / item.folder / f"{name}{suffix}"
        if not mask and file is None and item.source.suffix.lower() in JPEG_SUFFIXES:
            item.notes.append(JPEG_NOTE)
    _refuse_clashes(items)


def _folder_or_file(output: str | None, *, many: bool) -> tuple[Path | None, Path | None]:
    if output is None:
        return None, None
    path = Path(output)
    if path.is_dir() or output.endswith(("/", os.sep)) or not path.suffix:
        return path, None
    if not many:
        return None, path
    if path.suffix.lower() in (*KEPT_SUFFIXES, *JPEG_SUFFIXES):
        raise UsageError(
            f"{output}: one output file for several inputs", hint="Give a folder with -o."
        )
    return path, None


def target_suffix(source: Path) -> str:
    """Suffix of the cleaned file, unless the user names one."""
    return source.suffix if source.suffix.lower() in KEPT_SUFFIXES else ".tif"


def _refuse_clashes(items: Sequence[Item]) -> None:
    """Fail every item whose target another, earlier item has."""
    taken: dict[str, Path] = {}
    for item in items:
        key = os.path.realpath(item.target) if item.target else ""
        if key in taken and item.error is None:
            item.error = OutputError(
                f"{item.source}: its output {item.target} is also that of {taken[key]}",
                hint="Clean them one by one, each with its own -o.",
            )
        taken.setdefault(key, item.source)


Work = Callable[[Item, Progress], Receipt]


def clean_batch(
    items: Sequence[Item],
    output: str | None = None,
    options: CleanOptions | None = None,
    *,
    machine: MachineOptions | None = None,
    writing: OutputOptions | None = None,
    skip_existing: bool = False,
    preset: Preset | None = None,
    plugins: Plugins | None = None,
    reporter: Reporter,
) -> list[Outcome]:
    """Clean scans; one that fails does not keep the others from being done.

    Args:
        items: from `find_scans`; their targets and notes are filled in.
        output: as for `name_outputs`.
        options: what decides the result.
        machine: memory, threads, device.
        writing: what else is written, and what may be replaced.
        skip_existing: leave a file alone whose output exists.
        preset: where `options` came from.
        plugins: the installed ones by default.
        reporter: told of every file.

    Raises:
        UsageError: the request contradicts itself.
        BackendError: there is no such backend.
    """
    options, writing = options or CleanOptions(), writing or OutputOptions()
    plugins = plugins or installed()
    _check(plugins, options, writing, skip_existing)
    check_request(options, mask_given=writing.mask is not None, files=len(items))
    name_outputs(items, output)
    if isinstance(writing.save_mask, Path) and len(items) > 1:
        raise UsageError(
            "--save-mask names one file for several inputs", hint="Use --save-mask without a name."
        )

    def work(item: Item, progress: Progress) -> Receipt:
        return clean_file(
            item.source,
            item.target,
            options,
            machine=machine,
            output=writing,
            progress=progress,
            preset=preset,
            plugins=plugins,
        )

    return _run(items, work, writing, skip_existing, reporter)


def detect_batch(
    items: Sequence[Item],
    output: str | None = None,
    options: CleanOptions | None = None,
    *,
    machine: MachineOptions | None = None,
    writing: OutputOptions | None = None,
    skip_existing: bool = False,
    preset: Preset | None = None,
    plugins: Plugins | None = None,
    reporter: Reporter,
) -> list[Outcome]:
    """Write the masks of scans; arguments and errors as for `clean_batch`."""
    options, writing = options or CleanOptions(), writing or OutputOptions()
    plugins = plugins or installed()
    _check(plugins, options, writing, skip_existing)
    check_request(options, mask_given=False, files=len(items))
    name_outputs(items, output, ending="_mask", mask=True)

    def work(item: Item, progress: Progress) -> Receipt:
        return detect_file(
            item.source,
            item.target,
            options,
            machine=machine,
            output=writing,
            progress=progress,
            preset=preset,
            plugins=plugins,
        )

    return _run(items, work, writing, skip_existing, reporter)


def _check(
    plugins: Plugins, options: CleanOptions, writing: OutputOptions, skip_existing: bool
) -> None:
    """Refuse what would fail for every file."""
    if skip_existing and writing.overwrite:
        raise UsageError("--overwrite and --skip-existing exclude each other")
    plugins.backend(options.backend, ("detector", "restorer"))
    if options.inpainter is not None:
        plugins.backend(options.inpainter, ("inpainter",))


def _run(
    items: Sequence[Item],
    work: Work,
    writing: OutputOptions,
    skip_existing: bool,
    reporter: Reporter,
) -> list[Outcome]:
    outcomes = []
    for item in items:
        reporter.begin(item.source)
        blank = Outcome(item.source, item.target, "done", tuple(item.notes))
        exists = item.target is not None and os.path.lexists(item.target)
        if item.error is not None:
            outcome = replace(blank, status="failed", error=item.error)
        elif skip_existing and exists and not writing.dry_run:
            outcome = replace(blank, status="skipped", notes=())
        else:
            outcome = _one(item, blank, work, writing, reporter)
        outcomes.append(outcome)
        reporter.end(outcome)
    return outcomes


def _one(
    item: Item, blank: Outcome, work: Work, writing: OutputOptions, reporter: Reporter
) -> Outcome:
    """The outcome of one file, whatever it raises."""
    try:
        if item.target is not None and not writing.dry_run:
            _make_folder(item.target.parent)
        receipt = work(item, reporter)
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
