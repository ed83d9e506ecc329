"""Everything a review reads: the scan, its infrared, its result, and what was decided before."""

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from darkroom import __version__
from darkroom.codec import Codec
from darkroom.errors import DarkroomError, InputError
from darkroom.geometry import bands
from darkroom.inspect.film import guess_film
from darkroom.io import open_scan
from darkroom.io.files import reading
from darkroom.io.infrared import SampleScan, open_infrared
from darkroom.io.registry import all_readers
from darkroom.io.scratch import Scratch, Spool
from darkroom.options import CleanOptions, Length
from darkroom.pipeline.account import numeric_form
from darkroom.pipeline.decisions import (
    Decisions,
    fill,
    load_decisions,
    require_source,
    review_path,
)
from darkroom.pipeline.engine import Engine
from darkroom.pipeline.infrared_plane import InfraredPlane
from darkroom.pipeline.receipt import Receipt, load_receipt, receipt_path, unpack_mask
from darkroom.pipeline.request import Request
from darkroom.pipeline.survey import float_white
from darkroom.review.live import Earlier
from darkroom.review.marks import ROWS, Edit, LiveMask, State, shapes
from darkroom.review.picture import Picture
from darkroom.review.view import Mode, View
from darkroom.scan import ColorProfile, Encoding, Scan

CACHE = 48 << 20  # bytes that each open file may keep decoded
CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256()
    with reading(path), path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


@dataclass(slots=True)
class Sources:
    """What is open for one scan under review.

    Attributes:
        source: the scan's file.
        target: its result, there or not.
        request: options of the run that made the result, or of the one to come.
        scan: open.
        codec: its encoding.
        picture: as it is shown.
        look: how it is shown at first.
        notes: what a user should know of it.
        infrared: its infrared as a picture, or None.
        receipt: of the result, or None.
        result: open, or None.
        decisions: made before, or None.
        decisions_sha256: of their file as it was read or written last, or None.
        stack: closes everything.
        open: opens a file that the stack closes.
    """

    source: Path
    target: Path
    request: Request
    scan: Scan
    codec: Codec
    picture: Picture
    look: Mode
    notes: list[str]
    infrared: Picture | None
    receipt: Receipt | None
    result: Scan | None
    decisions: Decisions | None
    decisions_sha256: str | None
    stack: ExitStack
    open: Callable[[Path], Scan]

    @property
    def scratch(self) -> Scratch:
        """Where planes of the size of the scan are kept."""
        return Scratch(self.request.machine.scratch)

    def spool(self) -> Spool:
        """A plane of bytes the size of the scan."""
        info = self.scan.info
        return self.stack.enter_context(self.scratch.spool(info.width, info.height, 1, np.uint8))

    def check_hashes(self, sha256: str) -> None:
        """Refuse what was written about another state of the scan.

        Args:
            sha256: of the scan as it is now.

        Raises:
            InputError: the scan is not the one that was cleaned or reviewed.
        """
        if self.decisions is not None:
            require_source(self.decisions, review_path(self.target), sha256)
        if self.receipt is not None:
            then = self.receipt.files["source"]["sha256"]
            if then != sha256:
                raise InputError(
                    f"{self.source}: has changed since it was cleaned (its SHA-256 is "
                    f"{sha256[:12]}…, the receipt's {then[:12]}…)",
                    hint=f"Clean it again: darkroom clean {self.source.name} --overwrite",
                )

    def marks_of_receipt(self, mask: Spool) -> None:
        """Write what the receipt's run repaired into a spool.

        Raises:
            InputError: the mask in the receipt is damaged.
        """
        assert self.receipt is not None and self.receipt.packed_mask is not None
        fill(mask, unpack_mask(self.receipt.packed_mask))

    def found_before(self, mask: Spool, found: Spool) -> State:
        """What had been found before a person decided, and what was decided.

        Args:
            mask: what the last run repaired, with the decisions of then.
            found: becomes what was found.

        Returns:
            the decisions. Names of vetoed marks are left to the caller, who knows the marks.
        """
        decisions = self.decisions
        if decisions is None:
            for window in bands(mask.width, mask.height, ROWS):
                found.write(window, mask.read(window))
            return State()
        edits: list[Edit] = []
        erased, painted = self.spool(), self.spool()
        fill(erased, decisions.rows("erased"))
        fill(painted, decisions.rows("painted"))
        for kind, plane in (("erase", erased), ("paint", painted)):
            for shape in shapes(plane):
                edits.append(Edit(f"{kind[0]}{len(edits)}", kind, shape))  # type: ignore[arg-type]
        vetoed = decisions.rows("vetoed")
        for window, (_, veto) in zip(bands(mask.width, mask.height, ROWS), vetoed, strict=True):
            values = mask.read(window)[..., 0].copy()
            values[painted.read(window)[..., 0] > 0] = 0
            found.write(window, values | veto)
        return State(frozenset(), tuple(edits))

    def vetoed_names(self, mask: LiveMask) -> frozenset[str]:
        """Names of the found marks that earlier decisions vetoed."""
        if self.decisions is None:
            return frozenset()
        plane = self.spool()
        fill(plane, self.decisions.rows("vetoed"))
        shapes = ((mark.name, mask.shape(mark)) for mark in mask.marks)
        return frozenset(name for name, s in shapes if plane.read(s.window)[..., 0][s.pixels].any())

    def earlier(self, mask: Spool, engine: Engine) -> Earlier | None:
        """The result on the disk, of which `mask` was repaired; None if it is gone.

        Args:
            mask: uint8 spool.
            engine: what would repair now.
        """
        if self.result is None or self.receipt is None:
            return None
        return Earlier(self.result, mask, repeats(self.receipt, engine))


def repeats(receipt: Receipt, engine: Engine) -> bool:
    """Whether a run with the receipt's mask given would make the same repairs, bit for bit.

    It would not where a network or the infrared filled what it had found itself, nor with another
    version of anything that the last bit can depend on.
    """
    by_infrared = receipt.infrared is not None and bool(receipt.infrared.get("used"))
    as_given = "given_mask" in receipt.files or receipt.decisions is not None
    if not as_given and (by_infrared or receipt.inpainter is None):
        return False
    now, then = numeric_form(engine), receipt.numeric
    libraries = then.get("libraries", {})
    return (
        receipt.darkroom == __version__
        and then.get("processor") == now["processor"]
        and all(libraries.get(name, v) == v for name, v in now["libraries"].items())
    )


def open_sources(source: Path, target: Path, request: Request) -> Sources:
    """Open a scan and what belongs to it.

    Raises:
        InputError: something cannot be read.
    """
    stack = ExitStack()
    with ExitStack() as failed:
        failed.callback(stack.close)
        opened = _opener(request, stack)
        scan = opened(source)
        codec = Codec.of(scan.info, float_white(scan))
        view = View.of(codec)
        guess = guess_film(scan)
        notes = [note for note in (view.note,) if note]
        if guess.kind == "colour negative":
            notes.append("Shown as a positive: the film base is orange.")
        receipt = load_receipt(receipt_path(target)) if receipt_path(target).exists() else None
        result = opened(target) if receipt is not None and target.exists() else None
        if receipt is not None and (receipt.packed_mask is None or "source" not in receipt.files):
            notes.append("Its receipt is of an older version and holds no mask.")
            receipt, result = None, None
        decisions, sha256 = None, None
        if review_path(target).exists():
            decisions, sha256 = load_decisions(review_path(target))
        if receipt is not None:
            request = replace(request, options=options_of(receipt))
        made = Sources(
            source,
            target,
            request,
            scan,
            codec,
            Picture(scan, view),
            "positive" if guess.kind == "colour negative" else "plain",
            notes,
            _infrared(scan, request, stack, notes),
            receipt,
            result,
            decisions,
            sha256,
            stack,
            opened,
        )
        failed.pop_all()
        return made


def options_of(receipt: Receipt) -> CleanOptions:
    """The options that a receipt says a run had.

    Raises:
        InputError: they are not of this version.
    """
    values: dict[str, Any] = dict(receipt.options)
    for key in ("mask", "exclude"):
        values.pop(key, None)
    try:
        for key in ("min_size", "max_size"):
            if values.get(key) is not None:
                values[key] = Length.parse(values[key])
        # A person has seen these marks, however many there are.
        return CleanOptions(**(values | {"max_coverage": 1.0}))
    except (TypeError, DarkroomError) as error:
        raise InputError(
            f"{receipt.output}: its receipt names options that this version does not have: {error}",
            hint="Clean the scan again.",
        ) from error


def _opener(request: Request, stack: ExitStack) -> Callable[[Path], Scan]:
    readers = all_readers(request.plugins)
    machine = request.machine

    def opened(path: Path) -> Scan:
        scan = open_scan(
            path,
            cache_bytes=CACHE,
            max_pixels=machine.max_pixels,
            scratch=Scratch(machine.scratch),
            readers=readers,
        )
        return stack.enter_context(scan)

    return opened


def _infrared(scan: Scan, request: Request, stack: ExitStack, notes: list[str]) -> Picture | None:
    """The infrared as a picture; what is wrong with it is no reason not to show the scan."""
    inside = scan.info.infrared
    try:
        plane: Scan | None
        if inside is not None and inside.where == "sample":
            plane = SampleScan(scan, inside.index)
        else:
            plane = open_infrared(
                scan.info, cache_bytes=CACHE, scratch=Scratch(request.machine.scratch)
            )
            if plane is not None:
                stack.enter_context(plane)
    except DarkroomError as error:
        notes.append(f"Its infrared cannot be shown: {error}")
        return None
    if plane is None:
        return None
    laid = InfraredPlane(plane, scan.info.width, scan.info.height)
    # Gamma-encoded for the eye, as the picture is.
    grey = replace(
        scan.info,
        channels=1,
        extra=0,
        dtype=np.dtype(np.float32),
        photometric="minisblack",
        profile=ColorProfile(None, Encoding.LINEAR),
    )
    view = View(Codec.of(grey))
    return Picture(scan, view, lambda window: laid.padded(window)[..., None], channels=1)
