"""What a figure is: the sums it is counted from, its value, its words, and which way is better.

A figure is a function of sums over pictures ("totals"). Totals may carry a leading axis of
bootstrap replicates, so that intervals come from the same functions. Where a figure has no meaning
(nothing to heal, nothing marked) its value is NaN, which is shown as a dash.
"""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from darkroom.compare.measure.view import View

Values: TypeAlias = NDArray[np.float64]
Style: TypeAlias = Literal["ratio", "share", "rate", "levels", "dB"]
Table: TypeAlias = Literal[
    "harm", "error", "clean", "detection", "grain", "paper", "change", "cost"
]

UNDEFINED = "–"


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """Something that adds up over the bands of a picture, over pictures and over photographs.

    Attributes:
        name: its key in totals.
        count: from a view to a number or to an array of `shape`.
        needs: what must be known: nothing, the "truth", the "score" and the truth, or the result
            on a "clean" frame, the ground truth given as the scan.
        shape: of one count.
        whole: kept only for all photographs together, being too large to be drawn again.
    """

    name: str
    count: "Callable[[View], Any]"
    needs: Literal["", "truth", "score", "clean"] = "truth"
    shape: tuple[int, ...] = ()
    whole: bool = False


class Totals(dict[str, Any]):
    """Sums by name, asked for by `Sum`; what nothing was counted for is zero."""

    def __init__(self, sums: Any = ()) -> None:
        super().__init__(sums)
        self._known: dict[Hashable, Any] = {}

    def __call__(self, wanted: Sum) -> Any:
        """The counts of one sum."""
        return self[wanted.name] if wanted.name in self else np.zeros(wanted.shape)

    def once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Something that several figures follow from, computed the first time it is asked for."""
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]


def ratio(numerator: Any, denominator: Any) -> Values:
    """The quotient; NaN where the denominator is not above zero."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    out = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """One figure.

    Attributes:
        name: as in `metrics.json` and `--fail-under`.
        label: heading of its column.
        meaning: one line for a reader who has never met it.
        better: which way is good; "" where neither is.
        table: which table of the report it stands in.
        style: how its values are written.
        sums: what it is counted from.
        formula: from totals to its value; NaN where it is undefined.
        each: it is computed for each picture and averaged over those that have it, instead of once
            from the sums of all.
    """

    name: str
    label: str
    meaning: str
    better: Literal["lower", "higher", ""]
    table: Table
    style: Style
    sums: tuple[Sum, ...]
    formula: Callable[[Totals], Values]
    each: bool = False

    def value(self, totals: Totals) -> Values:
        """The figure, in the shape of the leading axes of the totals."""
        if not self.each:
            return self.formula(totals)
        empty = np.zeros(())
        return ratio(totals.get(f"{self.name}:sum", empty), totals.get(f"{self.name}:n", empty))

    def of_picture(self, totals: Totals) -> dict[str, float]:
        """What one picture adds to the totals for an average over pictures."""
        value = float(self.formula(totals)) if self.each else math.nan
        return {f"{self.name}:sum": value, f"{self.name}:n": 1.0} if math.isfinite(value) else {}

    @property
    def has_interval(self) -> bool:
        """Whether an interval is computed."""
        return self.table != "cost" and (self.each or not any(s.whole for s in self.sums))

    def write(self, value: float | None) -> str:
        """A value as the tables show it; a dash where there is none."""
        return write_number(value, self.style)

    def rank(self, value: float | None) -> tuple[bool, float]:
        """A key that sorts the best value first, and none last."""
        return value is None, (-1 if self.better == "higher" else 1) * (value or 0.0)

    def reaches(self, value: float | None, limit: float) -> bool:
        """Whether a value is as good as a limit; none is not."""
        return value is not None and (value <= limit if self.better == "lower" else value >= limit)


def write_number(value: float | None, style: Style = "ratio") -> str:
    """A number in a style; a dash for None."""
    if value is None:
        return UNDEFINED
    if style == "share":
        percent = 100 * value
        digits = 1 if percent >= 1 or percent <= 0 else min(5, 1 - math.floor(math.log10(percent)))
        return f"{percent:.{digits}f} %"
    if style == "dB":
        return f"{value:.2f} dB"
    if style == "rate":
        return f"{value:.1f}" if value < 1000 else f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
