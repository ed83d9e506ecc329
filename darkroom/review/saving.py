"""Saving a review: the decisions, the mask that follows from them, and the result of that mask."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from darkroom import __version__
from darkroom.errors import DarkroomError
from darkroom.geometry import Window, bands
from darkroom.io.atomic import write_atomic
from darkroom.mask import REPAIR
from darkroom.options import OutputOptions
from darkroom.packed import pack
from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.decisions import Decisions, review_mask_path, review_path
from darkroom.pipeline.output import TIFF_SUFFIXES, MaskFile
from darkroom.review.live import Earlier, LiveRepairs
from darkroom.review.marks import ROWS, LiveMask, State, put
from darkroom.review.sources import Sources, sha256_of
from darkroom.scan import Bytes, Pixels

CODECS = ("none", "lzw", "deflate", "packbits", "zstd")  # of TIFFs, that a run may be asked for


class Conflict(DarkroomError):
    """Something is no longer what it was when the review began; nothing was written."""


def save(sources: Sources, mask: LiveMask, state: State, repairs: LiveRepairs, sha256: str) -> str:
    """Write decisions, mask and result; returns a word on what was done.

    The result is what `darkroom clean SCAN --mask MASK` gives; repairs that did not change are
    taken from the result before.

    Args:
        sources: what is open for the scan.
        mask: the marks as they are.
        state: what was decided.
        repairs: where repairs are known from.
        sha256: of the scan when the review began.

    Raises:
        Conflict: the scan, the decisions or the result were changed by somebody else.
        DarkroomError: as cleaning does.
    """
    _require_same(sources, sha256)
    decisions = describe(sources, mask, state, sha256)
    # First what cannot be made again.
    text = decisions.as_json().encode()
    write_atomic(review_path(sources.target), text, overwrite=True)
    sources.decisions, sources.decisions_sha256 = decisions, hashlib.sha256(text).hexdigest()
    given = review_mask_path(sources.target)
    with MaskFile(given, mask.live, sources.scan.info, overwrite=True) as file:
        file.write()
        file.commit()
    request = sources.request
    output = OutputOptions(mask=given, overwrite=True, compression=_compression(sources))
    known = Counted(repairs)
    options = replace(request.options, max_coverage=1.0)  # a person has seen each of them
    receipt = clean_file(
        sources.source,
        sources.target,
        replace(request, options=options, output=output),
        known=known,
    )
    _take_over(sources, mask, repairs)
    sources.receipt = receipt
    vetoed = len(state.vetoed) + sum(e.vetoed for e in state.edits if e.adds)
    made = f"{known.made} of {known.made + known.taken} repairs made anew"
    return f"saved {sources.target.name}: {receipt.artefacts} repairs, {vetoed} vetoed; {made}"


class Counted:
    """Known repairs, and how many of them there were.

    Args:
        repairs: that know.

    Attributes:
        taken: repairs that were known.
        made: repairs that were not.
    """

    def __init__(self, repairs: LiveRepairs) -> None:
        self._repairs = repairs
        self.taken = self.made = 0

    def __call__(self, cell: Window, seen: Window, chosen: NDArray[np.bool_]) -> Pixels | None:
        """As `LiveRepairs.known`."""
        samples = self._repairs.known(cell, seen, chosen)
        self.taken += samples is not None
        self.made += samples is None
        return samples


def describe(sources: Sources, mask: LiveMask, state: State, sha256: str) -> Decisions:
    """The decisions of a state, as they are kept."""
    vetoed = [m for name in state.vetoed if (m := mask.mark(name)) is not None]
    edits = [edit for edit in state.edits if not edit.vetoed]
    info = sources.scan.info

    def veto() -> Iterator[Bytes]:
        for window in bands(info.width, info.height, ROWS):
            plane = np.zeros((window.height, window.width), np.uint8)
            for mark in vetoed:
                if mark.part.window.intersect(window).area:
                    put(plane, window, mask.shape(mark), REPAIR)
            yield plane

    def edited(adds: bool) -> Iterator[Bytes]:
        """Where the last edit added, or took away."""
        for window in bands(info.width, info.height, ROWS):
            plane = np.zeros((window.height, window.width), np.uint8)
            for edit in edits:
                put(plane, window, edit.shape, REPAIR if edit.adds == adds else 0)
            yield plane

    return Decisions(
        sources.source.name,
        sha256,
        info.width,
        info.height,
        pack(veto()),
        pack(edited(False)),
        pack(edited(True)),
        __version__,
    )


def _compression(sources: Sources) -> str | None:
    """That of the result so far, where it can be asked for; None leaves it to the source."""
    if sources.result is None or sources.target.suffix.lower() not in TIFF_SUFFIXES:
        return None
    found = sources.result.info.storage.compression
    return found if found in CODECS else None


def _require_same(sources: Sources, sha256: str) -> None:
    """Refuse to write over what somebody else wrote, or about another scan.

    Raises:
        Conflict: a file is not what it was.
    """
    if sha256_of(sources.source) != sha256:
        raise Conflict(
            f"{sources.source.name} has changed since it was opened; nothing was saved",
            hint="Start the review again: what is shown is of the scan as it was.",
        )
    path = review_path(sources.target)
    now = sha256_of(path) if path.exists() else None
    if now != sources.decisions_sha256:
        raise Conflict(
            f"{path.name} was changed by another program; nothing was saved",
            hint="Start the review again to go on from what is there now.",
        )
    if sources.target.exists():
        ours = None if sources.receipt is None else sources.receipt.files["output"]["sha256"]
        if sha256_of(sources.target) != ours:
            raise Conflict(
                f"{sources.target.name} is not as darkroom wrote it; nothing was saved",
                hint="Move it away, or review with another -o.",
            )


def _take_over(sources: Sources, mask: LiveMask, repairs: LiveRepairs) -> None:
    """Work on from the result that was just written."""
    spool = sources.spool()
    for window in bands(spool.width, spool.height, ROWS):
        spool.write(window, mask.live.read(window))
    sources.result = sources.open(sources.target)
    repairs.earlier = Earlier(sources.result, spool, True)
