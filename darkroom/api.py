"""What `import darkroom` offers: cleaning, detecting and opening scans from Python."""

from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from darkroom.io.registry import open_scan as _open_scan
from darkroom.machine import default_memory
from darkroom.options import MachineOptions, OutputOptions, parse_size
from darkroom.pipeline.clean import clean_file, detect_file
from darkroom.pipeline.receipt import Receipt
from darkroom.pipeline.request import Request
from darkroom.plugins.manager import installed
from darkroom.presets import merge
from darkroom.scan import Scan

PathArgument: TypeAlias = str | PathLike[str]


def clean(
    source: PathArgument,
    output: PathArgument | None = None,
    *,
    mask: PathArgument | None = None,
    exclude: PathArgument | None = None,
    save_mask: PathArgument | bool = False,
    overwrite: bool = False,
    receipt: bool = True,
    preset: str | None = None,
    device: str = "auto",
    max_memory: int | str | None = None,
    jobs: int | None = None,
    **options: Any,
) -> Receipt:
    """Clean one scan, as `darkroom clean` does.

    Args:
        source: the scan; it is only ever read.
        output: the cleaned scan to write; None finds and counts only.
        mask: a mask that says exactly what to repair; nothing is looked for then.
        exclude: a mask of areas never to touch.
        save_mask: True writes the mask beside the output, a path writes it there.
        overwrite: replace outputs that exist.
        receipt: write `OUTPUT.receipt.json`.
        preset: name of a preset, or a TOML file.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        max_memory: peak memory of the process, in bytes or as "2GiB".
        jobs: threads that work; None for one a processor.
        options: what else decides the result, by the names and in the units of
            `darkroom.options.CleanOptions`: `backend`, `inpainter`, `sensitivity` (0 to 100),
            `min_size` and `max_size` ("12px", "300um"), `polarity`, `max_coverage` ("2%" or 0.02),
            `ir`, `grain`, `seed`, and `options`, a list of "backend:key=value".

    Returns:
        What was done: counts, hashes, warnings.

    Raises:
        darkroom.errors.DarkroomError: with a hint, and one of its kinds: InputError, OutputError,
            UsageError, BackendError, SafetyError.
    """
    wishes = OutputOptions(
        mask=_path(mask),
        exclude=_path(exclude),
        save_mask=save_mask if isinstance(save_mask, bool) else Path(save_mask),
        overwrite=overwrite,
        receipt=receipt,
        dry_run=output is None and save_mask is False,
    )
    request = _request(wishes, preset, device, max_memory, jobs, options)
    return clean_file(Path(source), _path(output), request)


def detect(
    source: PathArgument,
    output: PathArgument | None = None,
    *,
    exclude: PathArgument | None = None,
    overwrite: bool = False,
    preset: str | None = None,
    device: str = "auto",
    max_memory: int | str | None = None,
    jobs: int | None = None,
    **options: Any,
) -> Receipt:
    """Find the artefacts of one scan, as `darkroom detect` does.

    Args:
        source: the scan.
        output: the mask to write, an 8-bit grey PNG or TIFF, 255 where `clean` would repair and 0
            elsewhere; None counts only.
        exclude: as for `clean`, like all that follow.
        overwrite: likewise.
        preset: likewise.
        device: likewise.
        max_memory: likewise.
        jobs: likewise.
        options: likewise.

    Raises:
        darkroom.errors.DarkroomError: as for `clean`.
    """
    wishes = OutputOptions(exclude=_path(exclude), overwrite=overwrite, dry_run=output is None)
    request = _request(wishes, preset, device, max_memory, jobs, options)
    return detect_file(Path(source), _path(output), request)


def open_scan(path: PathArgument) -> Scan:
    """Open a scan of any kind that darkroom reads; use it as a context manager.

    `scan.info` says what it is; `scan.read(window)` gives samples (height, width, samples) in the
    file's own dtype, for a `darkroom.geometry.Window(x, y, width, height)` inside the picture.

    Raises:
        darkroom.errors.InputError: it cannot be opened or is not supported.
    """
    return _open_scan(Path(path))


def _request(
    output: OutputOptions,
    preset: str | None,
    device: str,
    max_memory: int | str | None,
    jobs: int | None,
    options: dict[str, Any],
) -> Request:
    chosen, found = merge(preset, installed().preset_packages, **options)
    memory = default_memory() if max_memory is None else parse_size(max_memory)
    machine = MachineOptions(device=device, jobs=jobs, max_memory=memory)
    return Request(chosen, machine, output, found)


def _path(given: PathArgument | None) -> Path | None:
    return None if given is None else Path(given)
