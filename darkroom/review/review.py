"""One scan under review: what is shown of it, what is decided, and in which order."""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import cv2
import numpy as np

from darkroom.errors import DarkroomError, InputError, UsageError
from darkroom.geometry import Window
from darkroom.review.marks import Edit, Mark, Shape, State, stroke
from darkroom.review.picture import TILE
from darkroom.review.saving import Conflict, save
from darkroom.review.search import Search, start_search
from darkroom.review.sources import Sources, sha256_of
from darkroom.review.table import Table
from darkroom.review.view import MODES, difference
from darkroom.review.wire import Json
from darkroom.scan import Bytes

LAYERS = ("before", "after", "difference", "infrared")
LARGEST_BRUSH = 200.0  # pixels of radius
MOST_POINTS = 5000
NICE = 10


class Review:
    """A scan, its marks, and a person's decisions; all methods may be called from any thread.

    Args:
        number: of the scan in the batch.
        sources: what is open for it.
    """

    def __init__(self, number: int, sources: Sources) -> None:
        self.number, self._sources, self._picture = number, sources, sources.picture
        self._lock, self._saving = threading.RLock(), threading.Lock()
        self._table: Table | None = None
        self._history, self._at, self._saved = [State()], 0, 0
        self._version, self._revision, self._edits = 0, 0, 0
        self._search: Search | None = None
        self._search_error: str | None = None
        self._error: DarkroomError | None = None
        self._progress: float | None = 0.0
        self._sha256 = ""
        self._closed = False
        self._preparing, self._refreshing = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._preparing.submit(self._guarded, self._prepare)

    # Getting ready, in a thread of its own.

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do some work; what fails is shown on the page instead of being lost."""
        try:
            work()
        except DarkroomError as error:
            self._error = error
        except Exception as error:
            if not self._closed:
                text = f"this is a bug in darkroom: {type(error).__name__}: {error}"
                self._error = DarkroomError(text, hint="Please report it.")
        finally:
            self._progress = None

    def _prepare(self) -> None:
        sources = self._sources
        self._picture.make_overview(self._advance)
        self._picture.view.learn(self._picture.overview())
        self._revision += 1
        self._sha256 = sha256_of(sources.source)
        sources.check_hashes(self._sha256)
        if sources.receipt is not None:
            mask, found = sources.spool(), sources.spool()
            sources.marks_of_receipt(mask)
            self._begin(Table(sources, found, sources.found_before(mask, found), mask))
        _step_back()
        try:
            search = start_search(sources, self._advance)
        except DarkroomError as error:
            if self._table is None:
                raise
            self._search_error = " ".join(str(error).split())
            return
        if self._table is None:
            mask, found = sources.spool(), sources.spool()
            search.copy_mask(mask)
            self._begin(Table(sources, found, sources.found_before(mask, found), None))
        assert self._table is not None
        known = search.confidence(self._table.mask.marks, self._table.mask)
        with self._lock:
            self._table.mask.learn(known)
            self._search = search

    def _begin(self, table: Table) -> None:
        with self._lock:
            self._history, self._at, self._saved = [table.state], 0, 0
            self._table = table
            self._version += 1
            self._edits = len(table.state.edits)
        self._refresh([part.window for part in table.mask.parts])

    def _advance(self, share: float) -> None:
        if self._closed:
            raise InputError("the review was closed")
        self._progress = share

    def _refresh(self, windows: Sequence[Window]) -> None:
        """Bring the overview of the result up to date, in a thread of its own."""

        def work() -> None:
            if self._table is not None and not self._closed:
                self._table.after.refresh(windows)
                self._revision += 1

        self._refreshing.submit(work)

    def close(self) -> None:
        """Let go of all files."""
        self._closed = True
        self._preparing.shutdown(wait=True, cancel_futures=True)
        self._refreshing.shutdown(wait=True, cancel_futures=True)
        self._sources.stack.close()

    # What the page asks.

    @property
    def unsaved(self) -> bool:
        """Whether there are decisions that are only here."""
        return self._history[self._at] is not self._history_saved()

    def _history_saved(self) -> State | None:
        return self._history[self._saved] if 0 <= self._saved < len(self._history) else None

    def describe(self) -> Json:
        """The scan and its state."""
        width, height = self._picture.upright.size
        levels = 1 + max(0, int(np.ceil(np.log2(max(width, height) / TILE))))
        sources = self._sources
        return {
            "name": sources.source.name,
            "width": width,
            "height": height,
            "tile": TILE,
            "levels": levels,
            "look": sources.look,
            "notes": sources.notes,
            "infrared": sources.infrared is not None,
            "sensitivity": sources.request.options.sensitivity,
            **self.news(),
        }

    def news(self) -> Json:
        """What changes while the page is open."""
        with self._lock:
            error = self._error
            return {
                "id": self.number,
                "version": self._version,
                "picture": self._revision,
                "ready": self._table is not None and error is None,
                "searched": self._search is not None,
                "search_error": self._search_error,
                "progress": self._progress,
                "error": None if error is None else {"error": str(error), "hint": error.hint},
                **self._counts(),
            }

    def _counts(self) -> Json:
        state, table = self._history[self._at], self._table
        counts: Json = {
            "undo": self._at > 0,
            "redo": self._at + 1 < len(self._history),
            "unsaved": self.unsaved,
            "saving": self._saving.locked(),
            "savable": self.unsaved or self._sources.result is None,
            "repairs": None,
            "vetoed": 0,
        }
        if table is not None:
            added = [edit for edit in state.edits if edit.adds]
            vetoed = len(state.vetoed) + sum(edit.vetoed for edit in added)
            counts["repairs"] = len(table.mask.marks) + len(added) - vetoed
            counts["vetoed"] = vetoed
        return counts

    def marks(self) -> Json:
        """All marks as they are."""
        with self._lock:
            marks = [] if self._table is None else self._table.wire.all(self._history[self._at])
            return {"version": self._version, "marks": marks}

    def tile(self, layer: str, level: int, column: int, row: int, look: str) -> bytes | None:
        """A tile as a BMP file, or None where there is none.

        Raises:
            UsageError: there is no such layer or look.
            InputError: the pixels cannot be read.
        """
        if layer not in LAYERS or look not in MODES:
            raise UsageError(f"there is no layer {layer!r} or look {look!r}")
        if not 0 <= level < 32:
            return None
        view, after = self._picture.view, self._table.after if self._table else self._picture
        if layer == "infrared":
            return self._infrared_tile(level, column, row)
        if layer == "before":
            after = self._picture
        shades = after.tile(level, column, row)
        if shades is None:
            return None
        if layer == "difference":
            before = self._picture.tile(level, column, row)
            return None if before is None else _image(difference(before, shades))
        return _image(view.show(shades, look))

    def _infrared_tile(self, level: int, column: int, row: int) -> bytes | None:
        plane = self._sources.infrared
        if plane is None:
            return None
        with self._lock:
            if not plane.ready:
                plane.make_overview()
                plane.view.learn(plane.overview())
        shades = plane.tile(level, column, row)
        return None if shades is None else _image(plane.view.show(shades, "levels"))

    # What a person does.

    def act(self, deed: Json) -> Json:
        """One decision; returns what it changed.

        Raises:
            UsageError: the request makes no sense.
            Conflict: the scan is not ready, or not the one that was cleaned.
        """
        with self._lock:
            table = self._require_table()
            before, kind = self._history[self._at], deed.get("kind")
            if kind in ("undo", "redo"):
                at = self._at + (1 if kind == "redo" else -1)
                if not 0 <= at < len(self._history):
                    return self._answer(before, [], f"nothing to {kind}")
                said = kind
                self._at = at
            else:
                after, said = self._decided(table, before, deed)
                if after is before:
                    return self._answer(before, [], said)
                if self._saved > self._at:
                    self._saved = -1  # what was saved can no longer be reached by redo
                del self._history[self._at + 1 :]
                self._history.append(after)
                self._at += 1
            now = self._history[self._at]
            windows = table.mask.changed(before, now)
            table.mask.redraw(windows, now)
            touched = table.repairs.touch(windows)
            self._version += 1
            self._refresh(touched)
            return self._answer(before, touched, said)

    def _require_table(self) -> Table:
        if self._error is not None:
            raise Conflict(str(self._error), hint=self._error.hint)
        if self._table is None:
            raise Conflict("the scan is still being looked at", hint="Wait a little.")
        return self._table

    def _decided(self, table: Table, state: State, deed: Json) -> tuple[State, str]:
        """The state after a decision, and a word on it."""
        kind = deed.get("kind")
        if kind in ("veto", "restore"):
            names = deed.get("names")
            mine = {edit.name for edit in state.edits if edit.adds}
            if not isinstance(names, list) or not names:
                raise UsageError("no mark is named")
            for name in names:
                if not isinstance(name, str) or (name not in mine and not table.mask.mark(name)):
                    raise UsageError("there is no such mark")
            after = state.with_veto(names, kind == "veto")
            return after, "vetoed: it stays as it is" if kind == "veto" else "to be repaired"
        if kind in ("paint", "erase"):
            shape = self._stroke(deed)
            if shape is None:
                return state, "nothing of that lies on the picture"
            self._edits += 1
            edit = Edit(f"{kind[0]}{self._edits}", kind, shape)
            return state.with_edits([edit]), f"{'added' if kind == 'paint' else 'erased'}"
        if kind == "sensitivity":
            more, fewer = self._difference(_number(deed.get("value"), 0, 100), table, state)
            added = []
            for shape, confidence in more:
                self._edits += 1
                added.append(Edit(f"s{self._edits}", "suggestion", shape, confidence=confidence))
            if not more and not fewer:
                return state, "nothing would change"
            after = state.with_veto([mark.name for mark in fewer], True).with_edits(added)
            return after, f"{len(more)} added, {len(fewer)} vetoed"
        raise UsageError("there is no such action")

    def _stroke(self, deed: Json) -> Shape | None:
        radius, points = _number(deed.get("radius"), 0.5, LARGEST_BRUSH), deed.get("points")
        if not isinstance(points, list) or not 0 < len(points) <= MOST_POINTS:
            raise UsageError("a stroke needs points")
        try:
            way = np.array(points, np.float64)
        except (TypeError, ValueError) as error:
            raise UsageError("points are pairs of numbers") from error
        if way.ndim != 2 or way.shape[1] != 2 or not np.isfinite(way).all():
            raise UsageError("points are pairs of numbers")
        way = np.clip(way, -1e6, 1e6)
        info = self._sources.scan.info
        return stroke(self._picture.upright.stored(way), radius, info.width, info.height)

    def suggest(self, value: float) -> Json:
        """What another sensitivity would change.

        Raises:
            UsageError: not a sensitivity.
            Conflict: the finder has not looked yet.
            BackendError: the finder failed.
        """
        with self._lock:
            table, state = self._require_table(), self._history[self._at]
        more, fewer = self._difference(_number(value, 0, 100), table, state)
        marks = [
            {"name": f"+{i}", "change": "add", **table.wire.shape(shape)}
            for i, (shape, _) in enumerate(more)
        ]
        marks += [{**table.wire.found(mark, state), "change": "drop"} for mark in fewer]
        return {"value": value, "more": len(more), "fewer": len(fewer), "marks": marks}

    def _difference(
        self, value: float, table: Table, state: State
    ) -> tuple[list[tuple[Shape, float]], list[Mark]]:
        if self._search is None:
            raise Conflict("the scan has not been searched yet", hint="Wait a little.")
        return table.mask.against(self._search.marks(value), state)

    def _answer(self, before: State, dirty: Sequence[Window], said: str) -> Json:
        table = self._require_table()
        marks, removed = table.wire.changed(before, self._history[self._at])
        return {
            "version": self._version,
            "marks": marks,
            "removed": removed,
            "dirty": [table.wire.window(window) for window in dirty],
            "state": self._counts(),
            "said": said,
        }

    def save(self, deed: Json) -> Json:
        """Write decisions, mask and result; only repairs that changed are made again.

        Raises:
            Conflict: a file is not what it was, or another save is under way.
            DarkroomError: as cleaning does.
        """
        if not self._saving.acquire(blocking=False):
            raise Conflict("it is being saved already")
        try:
            with self._lock:  # no decision may come in between
                table, now = self._require_table(), self._history[self._at]
                said = save(self._sources, table.mask, now, table.repairs, self._sha256)
                self._saved = self._at
        finally:
            self._saving.release()
        with self._lock:
            return self._answer(now, [], said)


def _image(image: Bytes) -> bytes:
    """uint8 (H, W, 1 or 3) as a BMP file: it never leaves the machine, and packing takes time."""
    done, data = cv2.imencode(".bmp", image[..., ::-1] if image.shape[2] == 3 else image)
    assert done
    return data.tobytes()


def _step_back() -> None:
    """Let this thread, and those it starts, work only while nobody waits for the page."""
    if not sys.platform.startswith("linux"):
        return  # elsewhere it would hold for the whole process
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"expected a number from {low:g} to {high:g}")
    return float(value)
