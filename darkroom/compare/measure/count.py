"""Counting: from the views of a picture to its totals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.figure import Sum, Totals
from darkroom.compare.measure.figures import FIGURES, SUMS
from darkroom.compare.measure.view import View

VERSION = 4  # of what is counted; a new one lets no cached measurement through

Counts = dict[str, Any]  # numbers and int64 arrays by the name of their sum


def count(view: View, *, clean: bool = False) -> Counts:
    """Count every sum that this view has what it takes for.

    Args:
        view: a restoration of the scan; or, if `clean`, of the ground truth given as the scan.
        clean: which of the two.
    """
    known = {"clean"} if clean else {""}
    if not clean and view.truth is not None:
        known |= {"truth"} if view.score is None else {"truth", "score"}
    return {s.name: s.count(view) for s in SUMS.values() if s.needs in known}


def add(counts: Counts, more: Mapping[str, Any]) -> None:
    """Add further counts in place."""
    for name, value in more.items():
        counts[name] = counts[name] + value if name in counts else value


def picture_totals(counts: Mapping[str, Any]) -> Counts:
    """The totals of one picture: its counts, and what is averaged over pictures."""
    totals = Totals(counts)
    own = dict(counts)
    for figure in FIGURES.values():
        if all(s.name in counts for s in figure.sums):
            own |= figure.of_picture(totals)
    return own


@dataclass(frozen=True, slots=True)
class Sparse:
    """A matrix that is mostly zero, as it is kept and sent between processes.

    Attributes:
        at: flat indices of the entries.
        of: their values.
        shape: of the matrix.
    """

    at: NDArray[np.integer]
    of: NDArray[np.int64]
    shape: tuple[int, ...]

    @classmethod
    def pack(cls, matrix: NDArray[np.int64]) -> Self:
        """Keep a matrix of up to 65,536 entries."""
        flat = matrix.ravel()
        at = np.flatnonzero(flat)
        return cls(at.astype(np.uint16), flat[at], matrix.shape)

    def dense(self) -> NDArray[np.int64]:
        """The matrix itself."""
        flat = np.zeros(int(np.prod(self.shape)), np.int64)
        flat[self.at] = self.of
        return flat.reshape(self.shape)


def is_matrix(wanted: Sum) -> bool:
    """Whether the counts of a sum are kept as `Sparse`."""
    return len(wanted.shape) == 2 and min(wanted.shape) > 8


def dense(values: Mapping[str, Any]) -> Counts:
    """Totals with every matrix unpacked."""
    return {k: v.dense() if isinstance(v, Sparse) else v for k, v in values.items()}


def merged(pictures: Iterable[Mapping[str, Any]]) -> Totals:
    """The totals of several pictures together."""
    totals: Counts = {}
    for values in pictures:
        add(totals, dense(values))
    return Totals(totals)
