"""Marks and windows as the page wants them: upright, and in few characters."""

from typing import Any

import numpy as np

from darkroom.geometry import Window
from darkroom.review.marks import Edit, LiveMask, Mark, Shape, State, outline
from darkroom.review.upright import Upright

Json = dict[str, Any]


class Wire:
    """Describes the marks of one scan.

    Args:
        mask: the marks.
        upright: how the scan is shown.
    """

    def __init__(self, mask: LiveMask, upright: Upright) -> None:
        self._mask, self._upright = mask, upright
        self._drawn: dict[str, Json] = {}

    def all(self, state: State) -> list[Json]:
        """All marks: those found, and those a person added."""
        found = [self.found(mark, state) for mark in self._mask.marks]
        return found + [self.added(edit) for edit in state.edits if edit.adds]

    def found(self, mark: Mark, state: State) -> Json:
        """A found mark."""
        if mark.name not in self._drawn:
            self._drawn[mark.name] = self.shape(self._mask.shape(mark))
        confidence = None if mark.confidence is None else round(mark.confidence, 3)
        return {
            "name": mark.name,
            "kind": "found",
            "vetoed": mark.name in state.vetoed,
            "confidence": confidence,
            **self._drawn[mark.name],
        }

    def added(self, edit: Edit) -> Json:
        """A mark that a person added."""
        if edit.name not in self._drawn:
            self._drawn[edit.name] = self.shape(edit.shape)
        return {
            "name": edit.name,
            "kind": edit.kind,
            "vetoed": edit.vetoed,
            "confidence": None if edit.confidence is None else round(edit.confidence, 3),
            **self._drawn[edit.name],
        }

    def changed(self, before: State, after: State) -> tuple[list[Json], list[str]]:
        """Marks that differ between two states, as they are now, and names of those gone."""
        marks = [
            self.found(mark, after)
            for name in before.vetoed ^ after.vetoed
            if (mark := self._mask.mark(name)) is not None
        ]
        old = {e.name: e.vetoed for e in before.edits if e.adds}
        new = {e.name: e for e in after.edits if e.adds}
        marks += [self.added(e) for n, e in new.items() if old.get(n) is not e.vetoed]
        return marks, [name for name in old if name not in new]

    def shape(self, shape: Shape) -> Json:
        """Place, size and outline of some pixels."""
        window = self._upright.shown_window(shape.window)
        lines = [np.round(self._upright.shown(line), 1).ravel().tolist() for line in outline(shape)]
        return {
            "x": window.x,
            "y": window.y,
            "w": window.width,
            "h": window.height,
            "area": shape.area,
            "outline": lines,
        }

    def window(self, window: Window) -> list[int]:
        """A stored window as [x, y, width, height] of the upright picture."""
        shown = self._upright.shown_window(window)
        return [shown.x, shown.y, shown.width, shown.height]
