"""Writing a repaired scan and its mask, and reading them back before they get their names."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import OutputError
from darkroom.geometry import Window, bands
from darkroom.io.registry import all_writers
from darkroom.io.together import Output
from darkroom.mask import marked_pixels
from darkroom.pipeline.job import Job
from darkroom.pipeline.output import MaskFile, ResultFile
from darkroom.pipeline.progress import Progress, ordered_map
from darkroom.pipeline.receipt import UntouchedDigest
from darkroom.pipeline.run import Found
from darkroom.scan import Pixels, Scan

Opener = Callable[[Path], Scan]


@dataclass(slots=True)
class Written:
    """Files that are complete and have no names yet.

    Attributes:
        outputs: the result first, then the mask, as far as there are any.
        paths: where each of them lies for now, by its part: "output", "mask".
        changed_pixels: pixels of the result that differ from the source.
        untouched_before: as in the receipt.
        untouched_after: as in the receipt.
        lost: metadata that the result cannot carry.
        warnings: what a user should know.
    """

    outputs: list[Output] = field(default_factory=list)
    paths: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    changed_pixels: int = 0
    untouched_before: str | None = None
    untouched_after: str | None = None
    lost: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def keep(self, part: str, output: Output) -> None:
        """Complete one more file."""
        self.outputs.append(output)
        self.paths[part] = (output.finish(), output.target)


def write(
    job: Job, scan: Scan, found: Found, reopen: Opener, progress: Progress, stack: ExitStack
) -> Written:
    """Write result and mask under hidden names, and compare the result with the source.

    Args:
        job: says what is written.
        scan: the source.
        found: its artefacts.
        reopen: opens what was written.
        progress: told of each stage.
        stack: throws away what has no name when it ends.

    Raises:
        OutputError: a file cannot be written, or differs from the source outside the mask.
    """
    request, written = job.request, Written()
    mask_file = None
    overwrite = request.output.overwrite
    if job.mask is not None:
        mask_file = stack.enter_context(
            MaskFile(job.mask, found.mask, scan.info, overwrite=overwrite)
        )
        mask_file.write()
    if job.target is not None:
        result = stack.enter_context(
            ResultFile(
                job.target,
                scan.info,
                compression=request.output.compression,
                overwrite=overwrite,
                writers=all_writers(request.plugins),
                layers=request.output.layers,
                scratch=request.machine.scratch,
            )
        )
        written.untouched_before = _write_rows(result, scan, found, written, progress)
        written.lost = result.losses
        written.keep("output", result)
        if result.exact:
            path, _ = written.paths["output"]
            written.untouched_after = _read_back(path, found, reopen, progress)
            _require_equal(job.target, written)
        else:
            written.warnings.append("the format changes every pixel; nothing could be compared")
    if mask_file is not None:
        written.keep("mask", mask_file)
    return written


def _write_rows(
    result: ResultFile, scan: Scan, found: Found, written: Written, progress: Progress
) -> str:
    """Write all rows; returns the digest of the source's untouched samples."""
    before = UntouchedDigest(scan.info.channels)
    hashed: Future[None] | None = None
    with ThreadPoolExecutor(1) as hashing:
        for _, old, new, mask in found.repaired(progress):
            marked = marked_pixels(mask)
            if hashed is not None:
                hashed.result()
            hashed = hashing.submit(before.update, old, marked)
            # Nothing else can differ, as the digests prove.
            pairs = (rows.reshape(-1, rows.shape[2])[marked] for rows in (old, new))
            written.changed_pixels += int(np.not_equal(*pairs).any(axis=1).sum())
            result.write(old, new, mask)
        if hashed is not None:
            hashed.result()
    return before.hexdigest()


def _read_back(path: Path, found: Found, reopen: Opener, progress: Progress) -> str:
    """The digest of the untouched samples of the file just written."""
    with reopen(path) as again:
        info = again.info
        progress.stage("verifying", info.width * info.height)
        digest = UntouchedDigest(info.channels)

        def look(window: Window) -> tuple[Window, Pixels, NDArray[np.intp]]:
            return window, again.read(window), marked_pixels(found.mask.read(window))

        windows = bands(info.width, info.height, found.plan.band)
        with ThreadPoolExecutor(1) as pool:
            for window, rows, marked in ordered_map(pool, look, windows, 2):
                digest.update(rows, marked)
                progress.advance(window.area)
    return digest.hexdigest()


def _require_equal(target: Path, written: Written) -> None:
    if written.untouched_after != written.untouched_before:
        raise OutputError(
            f"{target}: what was written differs from the scan outside the mask; it was discarded",
            hint="This is a fault of darkroom or of the disk; please report it.",
        )
