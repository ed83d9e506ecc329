"""`darkroom inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from darkroom.cli import options as o
from darkroom.cli.console import complain, record, show, warnings
from darkroom.errors import UsageError

PreviewFile = Annotated[
    Path | None,
    typer.Option(
        "--preview",
        metavar="FILE",
        help="Write a small upright picture of the scan, .png or .tif.",
    ),
]


def inspect(
    inputs: o.Inputs,
    recursive: o.Recursive = False,
    preview: PreviewFile = None,
    overwrite: o.Overwrite = False,
    quiet: o.Quiet = False,
    as_json: o.AsJson = False,
    verbose: o.Verbose = False,
    max_pixels: o.MaxPixels = o.MAX_PIXELS,
    scratch: o.ScratchFolder = None,
) -> int:
    """Say what files hold: pages, infrared, previews, encoding, film, and what `clean` keeps.

    Nothing is changed. With -v, the values of all tags too.
    """
    from darkroom.cli.inspect_table import draw
    from darkroom.config import scratch_folder
    from darkroom.errors import DarkroomError
    from darkroom.inspect import inspect_file, write_preview
    from darkroom.inspect.look import DECODE_MEMORY
    from darkroom.io.scratch import Scratch
    from darkroom.pipeline.inputs import find_scans

    items = find_scans(inputs, recursive=recursive)
    if preview is not None and len(items) > 1:
        raise UsageError("--preview names one file for several inputs", hint="Give one scan.")
    codes: set[int] = set()
    for item in items:
        try:
            if item.error is not None:
                raise item.error
            spools = Scratch(scratch_folder(scratch), memory=DECODE_MEMORY)
            report, scan = inspect_file(item.source, max_pixels=max_pixels, scratch=spools)
            with scan:
                if preview is not None:
                    with warnings(quiet):
                        write_preview(scan, preview, overwrite=overwrite)
            codes.add(0)
            if as_json:
                record(report.as_dict())
            elif not quiet:
                show(*draw(report, verbose=verbose))
        except DarkroomError as error:
            codes.add(error.exit_code)
            complain(error)
            if as_json:
                record({"path": str(item.source), "error": str(error), "hint": error.hint})
    return codes.pop() if len(codes) == 1 else 1
