"""`darkroom clean` and `darkroom detect` as library calls: a file in, files out."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom import __version__
from darkroom.config import scratch_folder
from darkroom.errors import OutputError
from darkroom.geometry import Window, bands
from darkroom.io import open_scan
from darkroom.io.atomic import write_atomic
from darkroom.io.marks import open_marks
from darkroom.io.registry import all_readers, all_writers
from darkroom.io.scratch import Scratch
from darkroom.mask import marked_pixels
from darkroom.options import CleanOptions, MachineOptions, OutputOptions
from darkroom.pipeline.engine import Engine, load_engine
from darkroom.pipeline.infrared_run import (
    InfraredRun,
    check_request,
    infrared_file,
    prepare,
)
from darkroom.pipeline.output import MaskFile, ResultFile, refuse_existing
from darkroom.pipeline.plan import current_rss, peak_rss
from darkroom.pipeline.progress import Progress, Silent, ordered_map
from darkroom.pipeline.receipt import Receipt, UntouchedDigest
from darkroom.pipeline.run import Found, find_artefacts
from darkroom.plugins.manager import Plugins, installed
from darkroom.presets import Preset
from darkroom.protocols import Cleaned
from darkroom.scan import Pixels, Scan, ScanInfo


@dataclass(frozen=True, slots=True)
class Job:
    """One run over one file.

    Attributes:
        source: the scan.
        target: the cleaned scan to write, or None for masks or statistics only.
        options: what decides the result.
        machine: memory, threads, device.
        output: what else is written, and what may be replaced.
        preset: where the options came from, for the receipt.
        plugins: where backends come from.
    """

    source: Path
    target: Path | None
    options: CleanOptions
    machine: MachineOptions
    output: OutputOptions
    preset: Preset | None
    plugins: Plugins

    @property
    def beside(self) -> Path:
        """The file that mask and receipt are named after."""
        return self.target or self.source

    @property
    def mask_path(self) -> Path | None:
        """Where the mask goes, if it is to be saved."""
        if self.output.dry_run or not self.output.save_mask:
            return None
        if isinstance(self.output.save_mask, Path):
            return self.output.save_mask
        return self.beside.with_name(f"{self.beside.stem}_mask.png")

    @property
    def receipt_path(self) -> Path | None:
        """Where the receipt goes, if there is to be one."""
        if self.target is None or not self.output.receipt:
            return None
        return self.target.with_name(f"{self.target.stem}.receipt.json")

    def check(self) -> None:
        """Refuse what could lose something, before any work is done.

        Raises:
            OutputError: an output exists or would replace the source.
        """
        outputs = [p for p in (self.target, self.mask_path) if p is not None]
        for path in outputs:
            infrared = infrared_file(self.source, self.options)
            for given in (self.source, self.output.mask, self.output.exclude, infrared):
                if given is not None and _same_file(path, given):
                    raise OutputError(
                        f"{path}: is an input of this run and is never written to",
                        hint="Choose another name or folder with -o.",
                    )
        if len({str(p.absolute()) for p in outputs}) < len(outputs):
            raise OutputError(f"{outputs[0]}: two outputs would have this name")
        if not self.output.overwrite:
            for path in outputs:
                refuse_existing(path)


def clean_file(
    source: Path,
    target: Path | None,
    options: CleanOptions | None = None,
    *,
    machine: MachineOptions | None = None,
    output: OutputOptions | None = None,
    progress: Progress | None = None,
    preset: Preset | None = None,
    plugins: Plugins | None = None,
) -> Receipt:
    """Clean one scan.

    Nothing appears under an output's name before all of it is on the disk and has been read back
    and compared; the source is only ever read.

    Args:
        source: the scan.
        target: the cleaned scan; None, or `output.dry_run`, writes none.
        options: what decides the result.
        machine: memory, threads, device.
        output: what else is written, and what may be replaced.
        progress: told of each stage.
        preset: where `options` came from, for the receipt.
        plugins: where backends come from; the installed ones by default.

    Raises:
        InputError: the scan or a mask cannot be read or does not fit.
        OutputError: an output exists or cannot be written.
        BackendError: the backend is missing or failed.
        SafetyError: the mask covers more than `options.max_coverage`.
        UsageError: options that contradict each other or the machine.
    """
    output = output or OutputOptions()
    job = Job(
        source,
        None if output.dry_run else target,
        options or CleanOptions(),
        machine or MachineOptions(),
        output,
        preset,
        plugins or installed(),
    )
    return _run(job, progress or Silent())


def detect_file(
    source: Path,
    mask: Path | None,
    options: CleanOptions | None = None,
    *,
    machine: MachineOptions | None = None,
    output: OutputOptions | None = None,
    progress: Progress | None = None,
    preset: Preset | None = None,
    plugins: Plugins | None = None,
) -> Receipt:
    """Find artefacts and write their mask only; arguments and errors as for `clean_file`.

    The mask is written whatever it covers: looking at it is how one finds out.
    """
    options = replace(options or CleanOptions(), max_coverage=1.0)
    output = replace(output or OutputOptions(), save_mask=mask or False)
    return clean_file(
        source,
        None,
        options,
        machine=machine,
        output=output,
        progress=progress,
        preset=preset,
        plugins=plugins,
    )


def _run(job: Job, progress: Progress) -> Receipt:
    """All stages of one job."""
    started = time.monotonic()
    job.check()
    mask_given = job.output.mask is not None
    check_request(job.options, mask_given=mask_given)
    engine = load_engine(job.options, job.machine.device, job.plugins, mask_given=mask_given)
    with ExitStack() as stack:
        scan = stack.enter_context(_open(job, job.source))
        others = {
            name: stack.enter_context(_open_marks(job, path, scan.info))
            for name, path in (("mask", job.output.mask), ("exclude", job.output.exclude))
            if path is not None
        }
        receipt = _blank_receipt(job, engine, scan)
        for marks in others.values():
            receipt.warnings += [f"{marks.info.path.name}: {said}" for said in marks.warnings]
        infrared = None if mask_given else _infrared(job, scan, receipt, stack)
        found = stack.enter_context(
            find_artefacts(
                scan,
                engine,
                job.options,
                job.machine,
                progress,
                infrared=infrared,
                **others,
            )
        )
        if found.infrared is not None and infrared is not None:
            _report_infrared(found.infrared, infrared, job, receipt)
        receipt.artefacts = len(found.parts)
        receipt.masked_pixels = found.masked_pixels
        receipt.noise = found.stats.noise
        if job.options.max_coverage < 1.0:
            found.refuse_beyond(job.options.max_coverage)
        if found.whole:
            receipt.warnings.append(
                f"{receipt.backend} was asked to replace every pixel; nothing of the scan is kept"
            )
        _write(job, scan, found, receipt, progress)
        receipt.seconds = time.monotonic() - started
        receipt.peak_memory = peak_rss()
        if job.receipt_path is not None:
            # The receipt belongs to the output beside it, so an old one is always replaced.
            write_atomic(job.receipt_path, receipt.as_json().encode(), overwrite=True)
    receipt.warnings += job.plugins.scan_cleaned(
        Cleaned(receipt.source, receipt.output, receipt.as_dict())
    )
    return receipt


def _open(job: Job, path: Path) -> Scan:
    """An open scan."""
    return open_scan(path, readers=all_readers(job.plugins), **_limits(job))


def _open_marks(job: Job, path: Path, info: ScanInfo) -> Scan:
    """A mask laid over a scan."""
    return open_marks(path, info, readers=all_readers(job.plugins), **_limits(job))


def _limits(job: Job) -> dict[str, Any]:
    """How a scan is opened: its cache leaves most of the budget to the run."""
    free = max(0, job.machine.max_memory - current_rss())
    return {
        "cache_bytes": free // 5,
        "max_pixels": job.machine.max_pixels,
        # What decodes in one piece does so before the run needs its own share.
        "scratch": Scratch(scratch_folder(job.machine.scratch), memory=free - free // 5),
    }


def _infrared(job: Job, scan: Scan, receipt: Receipt, stack: ExitStack) -> InfraredRun | None:
    """The infrared to try; why there is none goes to the receipt where that is worth a word."""
    run, why = prepare(*(scan, job.options, job.machine.device, job.plugins), _limits(job), stack)
    if why is not None:
        receipt.warnings.append(why)
    return run


def _report_infrared(report: dict[str, Any], run: InfraredRun, job: Job, receipt: Receipt) -> None:
    """Say in the receipt what became of the infrared, and which backend worked."""
    receipt.infrared = report
    if report["refusal"] is not None:
        receipt.warnings.append(
            f"its infrared ({run.where}) was not used: {report['refusal']}; "
            f"backend {job.options.backend} looked at the picture instead"
        )
        return
    receipt.backend = run.options.backend
    receipt.backend_version = job.plugins.version_of(run.options.backend)
    receipt.inpainter = run.options.inpainter
    receipt.device = run.engine.device.name


def _write(job: Job, scan: Scan, found: Found, receipt: Receipt, progress: Progress) -> None:
    """Write mask and result to temporary files, compare, and give them their names."""
    with ExitStack() as stack:
        mask_file = None
        if job.mask_path is not None:
            mask_file = stack.enter_context(
                MaskFile(job.mask_path, found.mask, scan.info, overwrite=job.output.overwrite)
            )
            mask_file.write()
        if job.target is not None:
            result = stack.enter_context(
                ResultFile(
                    job.target,
                    scan.info,
                    compression=job.output.compression,
                    overwrite=job.output.overwrite,
                    writers=all_writers(job.plugins),
                    layers=job.output.layers,
                    scratch=job.machine.scratch,
                )
            )
            hashing = stack.enter_context(ThreadPoolExecutor(1))
            before = UntouchedDigest(scan.info.channels)
            hashed: Future[None] | None = None
            for _, old, new, mask in found.repaired(progress):
                marked = marked_pixels(mask)
                if hashed is not None:
                    hashed.result()
                hashed = hashing.submit(before.update, old, marked)
                # Nothing else can differ, as the digests prove.
                pairs = (rows.reshape(-1, rows.shape[2])[marked] for rows in (old, new))
                receipt.changed_pixels += int(np.not_equal(*pairs).any(axis=1).sum())
                result.write(old, new, mask)
            if hashed is not None:
                hashed.result()
            receipt.lost = result.losses
            receipt.untouched_before = before.hexdigest()
            written = result.finish()
            if result.exact:
                receipt.untouched_after = _read_back(job, written, found, progress)
            else:
                receipt.warnings.append("the format changes every pixel; nothing could be compared")
            if result.exact and receipt.untouched_after != receipt.untouched_before:
                raise OutputError(
                    f"{job.target}: what was written differs from the scan outside the mask; "
                    "it was thrown away",
                    hint="This is a fault of darkroom or of the disk; please report it.",
                )
            result.commit()
            receipt.output = str(job.target)
        if mask_file is not None:
            mask_file.commit()
            receipt.mask = str(job.mask_path)


def _read_back(job: Job, path: Path, found: Found, progress: Progress) -> str:
    """The digest of the untouched samples of the file just written."""
    with _open(job, path) as written:
        info = written.info
        progress.stage("verifying", info.width * info.height)
        digest = UntouchedDigest(info.channels)

        def look(window: Window) -> tuple[Window, Pixels, NDArray[np.intp]]:
            return window, written.read(window), marked_pixels(found.mask.read(window))

        windows = bands(info.width, info.height, found.plan.band)
        with ThreadPoolExecutor(1) as pool:
            for window, rows, marked in ordered_map(pool, look, windows, 2):
                digest.update(rows, marked)
                progress.advance(window.area)
    return digest.hexdigest()


def _blank_receipt(job: Job, engine: Engine, scan: Scan) -> Receipt:
    spec = job.plugins.backends[job.options.backend]
    inpainter = job.options.inpainter or (spec.inpainter if engine.inpainter else None)
    return Receipt(
        source=str(job.source),
        output=None,
        mask=None,
        darkroom=__version__,
        backend=spec.name,
        backend_version=job.plugins.version_of(spec.name),
        inpainter=inpainter,
        device=engine.device.name,
        preset=job.preset.name if job.preset else None,
        preset_digest=job.preset.digest if job.preset else None,
        options=_options(job),
        width=scan.info.width,
        height=scan.info.height,
        warnings=list(scan.warnings),
    )


def _options(job: Job) -> dict[str, object]:
    """The options as a user would write them."""
    values = {key: value for key, value in asdict(job.options).items() if value is not None}
    for key in ("min_size", "max_size"):
        if getattr(job.options, key) is not None:
            values[key] = str(getattr(job.options, key))
    given = {"mask": job.output.mask, "exclude": job.output.exclude}
    return values | {key: str(path) for key, path in given.items() if path is not None}


def _same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return a.absolute() == b.absolute()
