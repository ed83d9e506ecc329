"""The options that several commands share, each described in one place.

An option that a preset may set has no default here: what is not given comes from the preset, and
only then from `CleanOptions`, whose values are the defaults shown.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from darkroom.errors import DarkroomError, UsageError
from darkroom.options import CleanOptions, MachineOptions, parse_size

_CLEAN = CleanOptions()
_MACHINE = MachineOptions()
FINDING, WRITING, MACHINE, TALKING = "What is repaired", "What is written", "Machine", "Messages"


class Polarity(StrEnum):
    """Values of --polarity."""

    AUTO = "auto"
    BRIGHT = "bright"
    DARK = "dark"
    BOTH = "both"


class Grain(StrEnum):
    """Values of --grain."""

    MATCH = "match"
    NONE = "none"


class Scratches(StrEnum):
    """Values of --scratches."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


def complete_backends(incomplete: str) -> list[tuple[str, str]]:
    """Names of detectors and restorers for shell completion."""
    return _backends(incomplete, ("detector", "restorer"))


def complete_inpainters(incomplete: str) -> list[tuple[str, str]]:
    """Names of inpainters for shell completion."""
    return _backends(incomplete, ("inpainter",))


def complete_presets(incomplete: str) -> list[tuple[str, str]]:
    """Names of presets for shell completion."""
    from darkroom.plugins.manager import installed
    from darkroom.presets import available

    found = available(installed().preset_packages)
    return [(p.name, p.title) for p in found if p.name.startswith(incomplete)]


def _backends(incomplete: str, kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    from darkroom.plugins.manager import installed

    specs = installed().backends.values()
    return [(s.name, s.summary) for s in specs if s.kind in kinds and s.name.startswith(incomplete)]


def _option(*names: str, panel: str, help: str, **settings: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **settings)


Inputs = Annotated[
    list[str], typer.Argument(metavar="IN...", help="Scans: files, folders or glob patterns.")
]
Recursive = Annotated[
    bool, _option("--recursive", "-r", panel=WRITING, help="Look into folders inside folders.")
]
BackendName = Annotated[
    str | None,
    _option(
        *("--backend", "-b"),
        panel=FINDING,
        help="What finds the artefacts; `darkroom backends` lists them.",
        metavar="NAME",
        show_default=_CLEAN.backend,
        autocompletion=complete_backends,
    ),
]
InpainterName = Annotated[
    str | None,
    _option(
        "--inpainter",
        panel=FINDING,
        help="What fills them in, if the backend only finds.",
        metavar="NAME",
        show_default="the backend's own choice",
        autocompletion=complete_inpainters,
    ),
]
BackendOptions = Annotated[
    list[str] | None,
    _option(
        *("--option", "-O"),
        panel=FINDING,
        help="Set an option of a backend; `darkroom backends -v` lists them.",
        metavar="BACKEND:KEY=VALUE",
    ),
]
PresetName = Annotated[
    str | None,
    _option(
        *("--preset", "-p"),
        panel=FINDING,
        help="Settings for a kind of film; other flags win over it.",
        metavar="NAME|FILE",
        autocompletion=complete_presets,
    ),
]
Sensitivity = Annotated[
    float | None,
    _option(
        *("--sensitivity", "-s"),
        panel=FINDING,
        help="0: only the most obvious; 100: faint specks too.",
        metavar="0..100",
        show_default=f"{_CLEAN.sensitivity:g}",
    ),
]
MinSize = Annotated[
    str | None,
    _option(
        "--min-size",
        panel=FINDING,
        help="Shortest artefact repaired, in pixels or µm on the film (300um).",
        metavar="LENGTH",
        show_default="the backend's limit",
    ),
]
MaxSize = Annotated[
    str | None,
    _option(
        "--max-size",
        panel=FINDING,
        help="Longest artefact repaired, in pixels or µm on the film.",
        metavar="LENGTH",
        show_default="no limit",
    ),
]
PolarityName = Annotated[
    Polarity | None,
    _option(
        "--polarity",
        panel=FINDING,
        help="Whether artefacts are brighter or darker than the picture.",
        show_default=_CLEAN.polarity,
    ),
]
ScratchesName = Annotated[
    Scratches | None,
    _option(
        "--scratches",
        panel=FINDING,
        help="Line scratches along the film, beside any backend: on finds fainter ones, off none.",
        show_default=_CLEAN.scratches,
    ),
]
Infrared = Annotated[
    str | None,
    _option(
        "--ir",
        panel=FINDING,
        help="Find by the infrared channel: auto where the scan has one of use and no --backend is "
        "named, off, or the file that holds it.",
        metavar="auto|off|FILE",
        show_default=_CLEAN.ir,
    ),
]
Reference = Annotated[
    str | None,
    _option(
        "--reference",
        panel=FINDING,
        help="Dirt that stays in place: auto learns it from the frames of a roll, off does not; or "
        "the map of a roll, or a blank frame.",
        metavar="auto|off|FILE",
        show_default=_CLEAN.reference,
    ),
]
Roll = Annotated[
    bool,
    _option(
        "--roll",
        panel=WRITING,
        help="Write one map of where dirt stays over all the frames, for --reference.",
    ),
]
MaskFile = Annotated[
    Path | None,
    _option("--mask", panel=FINDING, help="Repair exactly what this mask marks.", metavar="FILE"),
]
ExcludeFile = Annotated[
    Path | None,
    _option("--exclude", panel=FINDING, help="Never touch what this mask marks.", metavar="FILE"),
]
MaxCoverage = Annotated[
    str | None,
    _option(
        "--max-coverage",
        panel=FINDING,
        help="Refuse to repair more than this share of the picture (exit status 5).",
        metavar="SHARE",
        show_default=f"{_CLEAN.max_coverage:.0%}",
    ),
]
GrainName = Annotated[
    Grain | None,
    _option(
        "--grain",
        panel=FINDING,
        help="Give repairs the grain of their surroundings, or leave them smooth.",
        show_default=_CLEAN.grain,
    ),
]
Seed = Annotated[
    int | None,
    _option(
        "--seed", panel=FINDING, help="Of the grain in repairs.", show_default=str(_CLEAN.seed)
    ),
]
OutputName = Annotated[
    str | None,
    _option(
        *("--output", "-o"),
        panel=WRITING,
        help="A folder (names are kept), or a file for a single input.",
        metavar="FILE|DIR",
        show_default="NAME_clean.tif beside the source",
    ),
]
MaskOutput = Annotated[
    str | None,
    _option(
        *("--output", "-o"),
        panel=WRITING,
        help="A folder, or a file for a single input.",
        metavar="FILE|DIR",
        show_default="NAME.mask.png beside the source, NAME with its suffix",
    ),
]
SaveMask = Annotated[
    str | None,
    _option(
        "--save-mask",
        panel=WRITING,
        help="Write the mask too, as NAME.mask.png or under the name given.",
        metavar="[FILE]",
    ),
]
Layers = Annotated[
    bool,
    _option(
        "--layers",
        panel=WRITING,
        help="Write a TIFF of three pages: result, mask, difference. With -o NAME.psd, a file for "
        "image editors: the scan, and over it the repairs as a layer that can be erased.",
    ),
]
Compression = Annotated[
    str | None,
    _option(
        "--compression",
        panel=WRITING,
        help="Of a TIFF: none, lzw, deflate, packbits or zstd.",
        metavar="NAME",
        show_default="as the source",
    ),
]
Overwrite = Annotated[
    bool, _option("--overwrite", panel=WRITING, help="Replace outputs that exist.")
]
SkipExisting = Annotated[
    bool, _option("--skip-existing", panel=WRITING, help="Leave scans alone whose output exists.")
]
Reviews = Annotated[
    bool,
    _option(
        "--reviews/--no-reviews",
        panel=FINDING,
        help="Honour what was vetoed and painted in a review of the scan.",
    ),
]
Review = Annotated[
    bool, _option("--review", panel=WRITING, help="Look at the repairs in the browser afterwards.")
]
DryRun = Annotated[bool, _option("--dry-run", panel=WRITING, help="Find and count; write nothing.")]
DeviceName = Annotated[
    str,
    _option(
        "--device",
        panel=MACHINE,
        help="Where to compute; one that is asked for and missing is an error.",
        metavar="auto|cpu|cuda[:N]|mps",
    ),
]
TileSide = Annotated[
    int | None,
    _option(
        "--tile",
        panel=MACHINE,
        help="Side of a tile in pixels; never changes the result.",
        min=1,
        show_default="the backend's choice",
    ),
]
MaxMemory = Annotated[
    str | None,
    _option(
        "--max-memory",
        panel=MACHINE,
        help="Most memory to use.",
        metavar="SIZE",
        show_default="2GiB, or less where the machine or container has less",
    ),
]
Jobs = Annotated[
    int | None,
    _option(
        *("--jobs", "-j"),
        panel=MACHINE,
        help="Threads that work.",
        min=1,
        show_default="one a processor",
    ),
]
Workers = Annotated[
    int,
    _option(
        "--workers",
        panel=MACHINE,
        help="Processes that the files are shared out among, and --max-memory with them.",
        min=1,
    ),
]
SchedulerAddress = Annotated[
    str | None,
    _option(
        "--scheduler",
        panel=MACHINE,
        help="Share the files out among the workers of a Dask cluster.",
        metavar="ADDRESS",
        show_default="none",
    ),
]
MaxPixels = Annotated[
    int,
    _option("--max-pixels", panel=MACHINE, help="Refuse to open larger images.", min=1),
]
ScratchFolder = Annotated[
    Path | None,
    _option(
        "--scratch",
        panel=MACHINE,
        help="Folder for temporary files.",
        metavar="DIR",
        show_default="the system's",
    ),
]
AsJson = Annotated[bool, _option("--json", panel=TALKING, help="One JSON record a file on stdout.")]
Quiet = Annotated[bool, _option("--quiet", "-q", panel=TALKING, help="Print errors only.")]
Verbose = Annotated[
    bool, _option("--verbose", "-v", panel=TALKING, help="Print more, and tracebacks of bugs.")
]
TableAsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DEVICE = _MACHINE.device
MAX_PIXELS = _MACHINE.max_pixels


def machine(
    device: str,
    tile: int | None,
    max_memory: str | None,
    jobs: int | None,
    max_pixels: int,
    scratch: Path | None,
    workers: int = 1,
    scheduler: str | None = None,
) -> MachineOptions:
    """The options of the machine, as users write them.

    Raises:
        UsageError: a size that is none.
    """
    memory = _MACHINE.max_memory if max_memory is None else parse_size(max_memory)
    if scheduler is not None and workers > 1:
        raise UsageError("--workers and --scheduler exclude each other")
    return MachineOptions(
        device, tile, memory, jobs, max_pixels, scratch, workers=workers, scheduler=scheduler
    )


class OptionalValue(TyperCommand):
    """A command whose `--save-mask` may stand alone or with a file name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a lone `--save-mask` the empty value that stands for the default name."""
        return super().parse_args(ctx, name_mask(args))


def name_mask(arguments: list[str]) -> list[str]:
    """The arguments with every `--save-mask` in the form `--save-mask=VALUE`.

    Raises:
        UsageError: what follows could as well be an input.
    """
    done: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--":
            return [*done, word, *left]
        if word == "--save-mask":
            value = ""
            if left and Path(left[0]).suffix.lower() in (".png", ".tif", ".tiff"):
                if Path(left[0]).exists() and not _is_mask(Path(left[0])):
                    raise UsageError(
                        f"--save-mask {left[0]}: is this file the mask to write or a scan to read?",
                        hint="Write --save-mask=FILE, or put --save-mask last.",
                    )
                value = left.pop(0)
            word = f"--save-mask={value}"
        done.append(word)
    return done


def _is_mask(path: Path) -> bool:
    """Whether a file holds black and white only, as masks do and scans do not."""
    import numpy as np

    from darkroom.geometry import bands
    from darkroom.io import open_scan

    try:
        with open_scan(path) as scan:
            info = scan.info
            if info.samples > 1 or info.dtype != np.uint8:
                return False
            return all(
                bool(np.isin(scan.read(window), (0, 255)).all())
                for window in bands(info.width, info.height, 256)
            )
    except DarkroomError:
        return False
