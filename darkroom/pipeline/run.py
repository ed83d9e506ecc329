"""One scan through all stages, in memory as far as possible and never more than the plan allows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from darkroom.codec import Codec
from darkroom.errors import InputError, SafetyError, UsageError
from darkroom.geometry import Window, bands
from darkroom.io.scratch import Scratch, Spool
from darkroom.mask import REPAIR, Component, components
from darkroom.pipeline.cutting import Cutter
from darkroom.pipeline.decide import Decision, decide
from darkroom.pipeline.decisions import Decisions, Honoured, honour
from darkroom.pipeline.detect import Find, mask_bands, replaces_frame
from darkroom.pipeline.infrared_run import InfraredRun
from darkroom.pipeline.lines import line_scratches, paint
from darkroom.pipeline.paint import Marked
from darkroom.pipeline.plan import Plan, tune_malloc, tune_threads
from darkroom.pipeline.progress import Progress
from darkroom.pipeline.repair import Known, Repair
from darkroom.pipeline.roll import account, thin_places
from darkroom.pipeline.survey import float_white, survey
from darkroom.pipeline.workbench import Workbench
from darkroom.protocols import Inpainter, Recoverer, Restorer
from darkroom.roll.fixed import Places
from darkroom.roll.shadow import Shadow, ShadowRepair
from darkroom.scan import Bytes, FrameStats, Pixels, Scan, held_rows
from darkroom.scratches.lines import LineRepair, LineScratch

MASK_LEVEL = 128  # a mask file's pixels at or above this are marked


@dataclass(frozen=True, slots=True)
class Found:
    """A scan whose artefacts are found and not yet repaired.

    Attributes:
        decision: who looked.
        plan: how the scan is cut.
        mask: uint8 spool, 0 or 255.
        score: uint8 spool of scores, or None where the mask was given.
        parts: the separate places of the mask.
        masked_pixels: pixels under the mask.
        lines: the line scratches among them.
        line_pixels: pixels that only they have marked.
        whole: whether the backend replaces the whole frame, as it was asked to.
        stats: the survey.
        honoured: what a person's decisions did to the mask, or None where there are none.
        fixed: what the receipt says of dirt that stays in place, or None.
        shadows: the thin of it that is divided out.
    """

    decision: Decision
    plan: Plan
    mask: Spool
    score: Spool | None
    parts: list[Component]
    masked_pixels: int
    lines: list[LineScratch]
    line_pixels: int
    whole: bool
    stats: FrameStats
    _cutter: Cutter
    _fill: Spool | None
    _pool: ThreadPoolExecutor
    _find: Find | None
    _known: Known | None
    honoured: Honoured | None = None
    _filler: Inpainter | None = None
    fixed: dict[str, Any] | None = None
    shadows: list[Shadow] = field(default_factory=list)

    @property
    def coverage(self) -> float:
        """Share of pixels under the mask, less line scratches: a tramline is no reason to doubt."""
        marked = self.masked_pixels - self.line_pixels
        return max(marked, 0) / (self.mask.width * self.mask.height)

    def refuse_beyond(self, limit: float) -> None:
        """Refuse a mask that covers too much.

        Raises:
            SafetyError: the mask covers more than `limit`.
        """
        if self.coverage > limit and not self.whole:
            raise SafetyError(
                f"{self._cutter.scan.info.path}: the mask covers {self.coverage:.2%} of the "
                f"picture, more than --max-coverage {limit:.3%}; nothing was written",
                hint="Look at it with `darkroom detect`; lower --sensitivity or raise the limit.",
            )

    def again(self, sensitivity: float) -> Iterator[Marked]:
        """What would be marked at another sensitivity; nothing where the mask was given.

        Raises:
            BackendError: the backend failed.
        """
        if self._find is not None:
            options = replace(self.decision.options, sensitivity=sensitivity)
            yield from self._find.again(options)

    def repaired(self, progress: Progress) -> Iterator[tuple[Window, Pixels, Pixels, Bytes]]:
        """Bands of (window, samples before, samples after, mask), top to bottom."""
        engine, options = self.decision.engine, self.decision.options
        given = self._filler is not None
        repair = Repair(
            replace(self._cutter, infrared=None) if given else self._cutter,
            self.mask,
            self._filler or engine.inpainter,
            None if given else self._recoverer(),
            self.stats,
            None if given else self._fill,
            "none" if self.whole else options.grain,
            options.seed,
            self.plan.band,
            engine.inpainter_name,
            known=self._known,
            lines=LineRepair(tuple(self.lines)),
            shadows=ShadowRepair(tuple(self.shadows)),
        )
        return repair.rows(self._pool, self.parts, progress)

    def _recoverer(self) -> Recoverer | None:
        finder = self.decision.engine.finder
        return finder if isinstance(finder, Recoverer) else None


@contextmanager
def find_artefacts(
    bench: Workbench,
    scan: Scan,
    progress: Progress,
    *,
    mask: Scan | None = None,
    exclude: Scan | None = None,
    infrared: InfraredRun | None = None,
    keep_all: bool = False,
    known: Known | None = None,
    decisions: Decisions | None = None,
) -> Iterator[Found]:
    """Survey, decide who looks, plan and find; the result is valid within the context.

    Args:
        bench: the request, and its backends.
        scan: what to clean.
        progress: told of each stage.
        mask: repair exactly this instead of looking for artefacts.
        exclude: areas never to touch.
        infrared: the infrared plane, which takes the place of the picture if it is of use.
        keep_all: keep all that a restorer says, for what else might be marked (`Found.again`).
        known: gives repairs that need not be made again.
        decisions: what a person decided of this scan's marks. What is left is then repaired as a
            given mask would be.

    Raises:
        DarkroomError: as the stages do.
    """
    import cv2

    cv2.setNumThreads(1)  # threads are ours; two layers of them only fight
    tune_malloc()
    tune_threads()
    info, machine = scan.info, bench.request.machine
    for other in (mask, exclude):
        _same_size(scan, other)
    if infrared is None:
        bench.engine(bench.request.options)  # what cannot be loaded is known before any work
    codec = Codec.of(info, float_white(scan))
    with ThreadPoolExecutor(machine.threads) as looking:
        stats = survey(scan, codec, bench.request.options.polarity, looking)
    decision = decide(bench, scan, codec, stats, infrared)
    engine, options, stats = decision.engine, decision.options, decision.stats
    planes = [scan] if decision.plane is None or infrared is None else [scan, infrared.plane]
    plan = bench.plan(info, engine, held_rows(*planes))
    cutter = Cutter(scan, codec, decision.plane)
    scratch = Scratch(machine.scratch)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(plan.jobs))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)

        def spool(samples: int, dtype: object) -> Spool:
            made = scratch.spool(info.width, info.height, samples, np.dtype(dtype))  # type: ignore[call-overload]
            return stack.enter_context(made)

        whole = mask is None and replaces_frame(engine.finder)
        frame_mask, score, find = spool(1, np.uint8), None, None
        fill = spool(info.channels, info.dtype) if isinstance(engine.finder, Restorer) else None
        roll = None if mask is not None or whole else bench.roll_map(info)
        if engine.finder is not None:
            score = spool(1, np.uint8)
            target = frame_mask if mask is None else spool(1, np.uint8)
            find = Find(
                *(cutter, engine.finder, stats, options, plan, score, target, fill),
                keep_all=keep_all or mask is not None or decisions is not None,
                stays=None if roll is None else Places(roll).mask,
            )
            find.run(pool, progress)
        lines: list[LineScratch] = []
        if mask is None and engine.finder is not None and not whole:
            lines = line_scratches(scan, codec, stats, options, plan, pool, progress)
        line_pixels = paint(lines, frame_mask)
        thin = [] if roll is None else thin_places(scan, codec, stats, roll)
        paint(thin, frame_mask)
        if mask is not None:
            _copy_mask(mask, frame_mask, plan.band)
        honoured, filler = None, None
        if decisions is not None:
            if replaces_frame(engine.finder):
                raise UsageError(
                    "a backend that replaces the whole frame cannot honour a review",
                    hint="Clean with --no-reviews, or choose another --backend.",
                )
            honoured = honour(decisions, frame_mask, scratch)
            filler = bench.filler().inpainter
        if exclude is not None:
            _remove(exclude, frame_mask, plan.band)
        parts = list(components(mask_bands(frame_mask, plan.band), info.width))
        masked = sum(part.area for part in parts)
        yield Found(
            decision,
            plan,
            frame_mask,
            score,
            parts,
            masked,
            lines,
            line_pixels,
            whole,
            stats,
            cutter,
            fill,
            pool,
            find,
            known,
            honoured,
            filler,
            None if roll is None else account(roll) | {"divided": len(thin)},
            thin,
        )


def _same_size(scan: Scan, other: Scan | None) -> None:
    if other is None:
        return
    a, b = scan.info, other.info
    if (a.width, a.height) != (b.width, b.height):
        raise InputError(
            f"{b.path}: the mask is {b.width} x {b.height} pixels, the scan {a.width} x {a.height}",
            hint="A mask must have exactly the size of the scan.",
        )


def _marked(mask: Scan, window: Window) -> Bytes:
    """uint8 (H, W): 255 where any picture sample of a mask file is at or above its middle."""
    samples = mask.read(window)[..., : mask.info.channels]
    if samples.dtype.kind == "f":
        level: float = 0.5
    else:
        level = MASK_LEVEL * (np.iinfo(samples.dtype).max // 255)
    return np.asarray(np.where((samples >= level).any(axis=2), REPAIR, 0), np.uint8)


def _copy_mask(mask: Scan, target: Spool, rows: int) -> None:
    for window in bands(target.width, target.height, rows):
        target.write(window, _marked(mask, window))


def _remove(exclude: Scan, target: Spool, rows: int) -> None:
    for window in bands(target.width, target.height, rows):
        kept = target.read(window)[..., 0] & ~_marked(exclude, window)
        target.write(window, kept)
