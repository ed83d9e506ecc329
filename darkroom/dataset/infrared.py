"""Training data without a retoucher: the infrared channel says where the damage is.

A network that will only ever see the picture learns from masks that the infrared backend made. The
ground truth is the repair by the same backend: film brought back where it shows through, else an
inpainter's guess, so that masks are to be trusted more than what is filled in.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from darkroom.config import scratch_folder
from darkroom.dataset.build import Opened, Settings, build
from darkroom.dataset.encoded import as_seen
from darkroom.errors import DarkroomError, InputError
from darkroom.io import open_scan
from darkroom.options import INFRARED, CleanOptions, MachineOptions, OutputOptions
from darkroom.pairs.find import Pair, identities
from darkroom.pairs.manifest import Manifest
from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.inputs import find_scans
from darkroom.pipeline.orders import Parcel
from darkroom.pipeline.request import Request
from darkroom.pipeline.workers import ALONE, Crew

MAX_COVERAGE = 0.1  # of a frame that labels may mark; nothing is lost by dirtier frames than usual


def build_from_infrared(
    scans: Path,
    root: Path,
    settings: Settings,
    machine: MachineOptions | None = None,
    *,
    overwrite: bool = False,
    advance: Callable[[str, int, int], None] = lambda photo, done, total: None,
    crew: Crew = ALONE,
) -> tuple[Manifest, list[DarkroomError]]:
    """Build a data set from scans with an infrared channel, in the file or beside it.

    Tiles are what backends see: linear scans are stored gamma-encoded, in 16 bits.

    Args:
        scans: a scan, or a folder of them.
        root: as for `darkroom.dataset.build.build`.
        settings: likewise.
        machine: memory and threads.
        overwrite: replace a data set.
        advance: told the photograph, and the pixels done and in all.
        crew: who works; memory and threads are shared out among them.

    Returns:
        The manifest, written, and the scans that failed, each with why: without infrared, with
        infrared that mirrors the picture, or marked beyond a tenth of the frame.

    Raises:
        InputError: if no scan is usable.
        OutputError: if the folder holds something else or cannot be written.
    """
    items = find_scans([scans])
    wrong = [item.error for item in items if item.error is not None]
    sources = [item.source for item in items if item.error is None]
    if not sources:
        raise wrong[0] if wrong else InputError(f"{scans}: no scans there")
    names = identities(sources, scans if scans.is_dir() else scans.parent)
    pairs = [
        Pair(name, source, None, None, name, name)
        for name, source in zip(names, sources, strict=True)
    ]

    shared = Parcel.pack(Request(machine=machine or MachineOptions()), crew.size()).machine
    manifest, failed = build(
        pairs,
        root,
        replace(settings, labels=INFRARED),
        opener=partial(_labelled, machine=machine if crew.alone else shared),
        overwrite=overwrite,
        advance=advance,
        crew=crew,
    )
    return manifest, [*wrong, *failed]


@contextmanager
def _labelled(pair: Pair, settings: Settings, machine: MachineOptions | None) -> Iterator[Opened]:
    """(scan, repair, mask), all open; what was written for it is removed afterwards."""
    path, machine = pair.scan, machine or MachineOptions()
    options = CleanOptions(backend=INFRARED, max_coverage=MAX_COVERAGE)
    with ExitStack() as stack:
        within = scratch_folder(machine.scratch)
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="darkroom-", dir=within)))
        repair, mask = folder / "repair.tif", folder / "mask.png"
        output = OutputOptions(save_mask=mask, receipt=False)
        clean_file(path, repair, Request(options, machine, output))
        before, after, marked = (
            stack.enter_context(open_scan(each, cache_bytes=settings.cache_bytes))
            for each in (path, repair, mask)
        )
        yield as_seen(before), as_seen(after), marked
