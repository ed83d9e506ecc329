"""The scans of one review: opened when they are looked at, closed when they are out of the way."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darkroom.errors import DarkroomError, UsageError
from darkroom.pipeline.request import Request
from darkroom.review.review import Review
from darkroom.review.sources import open_sources

MOST_OPEN = 2  # scans; those with unsaved decisions come on top


@dataclass(slots=True)
class Entry:
    """A scan of the batch.

    Attributes:
        source: its file.
        target: its result, there or not.
        error: why it cannot be reviewed, or None.
        repairs: as they were when it was last open, or None.
        vetoed: the same.
    """

    source: Path
    target: Path
    error: DarkroomError | None = None
    repairs: int | None = None
    vetoed: int = 0


class Batch:
    """The scans under review; safe to use from several threads.

    Args:
        entries: at least one.
        request: for those that have no receipt, and how the machine is used.
    """

    def __init__(self, entries: Sequence[Entry], request: Request) -> None:
        self._entries, self._request = list(entries), request
        self._open: OrderedDict[int, Review] = OrderedDict()
        self._lock = threading.Lock()

    def summary(self) -> dict[str, Any]:
        """All scans in a few words."""
        with self._lock:
            for number, review in self._open.items():
                self._note(number, review)
            unsaved = {n for n, review in self._open.items() if review.unsaved}
        return {
            "scans": [
                {
                    "id": number,
                    "name": entry.source.name,
                    "repairs": entry.repairs,
                    "vetoed": entry.vetoed,
                    "unsaved": number in unsaved,
                    "error": None if entry.error is None else str(entry.error),
                }
                for number, entry in enumerate(self._entries)
            ]
        }

    def open(self, number: int) -> Review:
        """The review of one scan.

        Raises:
            UsageError: there is no such scan.
            DarkroomError: it cannot be opened.
        """
        with self._lock:
            if not 0 <= number < len(self._entries):
                raise UsageError("there is no such scan")
            if number in self._open:
                self._open.move_to_end(number)
                return self._open[number]
            entry = self._entries[number]
            if entry.error is not None:
                raise entry.error
            review = Review(number, open_sources(entry.source, entry.target, self._request))
            self._open[number] = review
            self._make_room()
            return review

    def unsaved(self) -> list[Path]:
        """Scans whose decisions are not on the disk."""
        with self._lock:
            return [self._entries[n].source for n, r in self._open.items() if r.unsaved]

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _note(self, number: int, review: Review) -> None:
        news = review.news()
        entry = self._entries[number]
        entry.repairs, entry.vetoed = news["repairs"], news["vetoed"]

    def _make_room(self) -> None:
        """Close what was looked at longest ago and holds nothing that would be lost."""
        idle = [n for n, review in self._open.items() if not review.unsaved]
        for number in idle[: max(0, len(idle) - MOST_OPEN)]:
            review = self._open.pop(number)
            self._note(number, review)
            # Its thread may be at work for a while; nobody waits for that.
            threading.Thread(target=review.close, daemon=True).start()
