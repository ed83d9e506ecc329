"""What the outputs of a batch are called, and that none of them is one of its inputs."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from darkroom.errors import DarkroomError, OutputError, UsageError
from darkroom.io.guard import Inputs
from darkroom.pipeline.inputs import Item
from darkroom.pipeline.job import Job, mask_path
from darkroom.pipeline.output import TIFF_SUFFIXES

KEPT_SUFFIXES = (*TIFF_SUFFIXES, ".png")  # formats that are written as they were read
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe")
JPEG_NOTE = (
    "written as TIFF, since encoding a JPEG again would change every pixel; "
    "for a JPEG all the same, name it with -o"
)


def name_outputs(
    items: Sequence[Item], output: str | None, *, ending: str = "_clean", mask: bool = False
) -> None:
    """Give every item its target, in place.

    Args:
        items: from `find_scans`.
        output: None for `NAME_clean.ext` beside the source, a folder (the name is kept), or, for
            a single input, a file.
        ending: what is added to the name beside the source.
        mask: targets are masks, named after the whole name of the scan wherever they go.

    Raises:
        UsageError: several inputs and one output file, or standard output.
    """
    folder, file = _folder_or_file(
        output, many=len(items) > 1 or any(i.folder.parts for i in items)
    )
    stems = Counter((i.source.parent, i.source.stem, target_suffix(i.source)) for i in items)
    for item in items:
        source, suffix = item.source, target_suffix(item.source)
        stem = source.stem
        if stems[source.parent, stem, suffix] > 1 and suffix != source.suffix:
            # scan.jpg beside scan.tif or scan.nef: all of them would be scan.tif.
            stem += f"_{source.suffix[1:]}"
        if file is not None:
            item.target = file
        elif mask:
            beside = source if folder is None else folder / item.folder / source.name
            item.target = mask_path(beside)
        elif folder is None:
            item.target = source.with_name(f"{stem}{ending}{suffix}")
        else:
            item.target = folder / item.folder / f"{stem}{suffix}"
        if not mask and file is None and source.suffix.lower() in JPEG_SUFFIXES:
            item.notes.append(JPEG_NOTE)


def _folder_or_file(output: str | None, *, many: bool) -> tuple[Path | None, Path | None]:
    if output is None:
        return None, None
    if output in ("", "-"):
        raise UsageError(
            f"-o {output or repr(output)}: a scan cannot be written to standard output",
            hint="Name a file or a folder; a folder that is called so is ./-",
        )
    path = Path(output)
    is_folder = os.path.isdir(path)  # noqa: PTH112  # never raises
    if is_folder or output.endswith(("/", os.sep)) or not path.suffix:
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


def refuse_clashes(items: Sequence[Item], jobs: Sequence[Job]) -> None:
    """Fail every item of which an output is an input of the batch, or the output of another.

    Args:
        items: whose errors are filled in.
        jobs: what becomes of each, in the same order.
    """
    inputs, taken = Inputs(), Inputs()
    for job in jobs:
        for path in job.read:
            inputs.add(path)
    owners: dict[Path, Path] = {}
    for item, job in zip(items, jobs, strict=True):
        if item.error is not None:
            continue
        try:
            inputs.refuse(*job.outputs)
            _refuse_taken(job, taken, owners)
        except DarkroomError as error:
            item.error = error
            continue
        for path in job.outputs:
            taken.add(path)
            owners[path] = job.source


def _refuse_taken(job: Job, taken: Inputs, owners: dict[Path, Path]) -> None:
    for path in job.outputs:
        other = taken.find(path)
        if other is not None:
            raise OutputError(
                f"{job.source}: its output {path} is also that of {owners[other]}",
                hint="Clean them one by one, each with its own -o.",
            )
