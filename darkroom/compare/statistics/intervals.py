"""Intervals and tests over photographs.

Patches of one photograph are alike, so the photograph is the unit that is drawn again: a cluster
bootstrap with percentile intervals (Efron and Tibshirani 1993, chapters 8 and 13).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.count import add, dense
from darkroom.compare.measure.figure import Figure, Totals, Values
from darkroom.compare.measure.figures import FIGURES, SUMS


@dataclass(frozen=True, slots=True)
class PhotographTable:
    """Totals by photograph.

    Attributes:
        names: the photographs, sorted.
        columns: sum -> float64 (P, ...), but for those too large to be drawn again.
        whole: those, over all photographs.
    """

    names: tuple[str, ...]
    columns: Mapping[str, NDArray[np.float64]]
    whole: Mapping[str, NDArray[np.float64]]

    def total(self) -> Totals:
        """Totals over all photographs."""
        sums = {key: column.sum(axis=0) for key, column in self.columns.items()}
        return Totals({**sums, **self.whole})

    def each(self) -> Totals:
        """Totals with the photographs as the leading axis."""
        return Totals(self.columns)

    def select(self, names: Sequence[str]) -> "PhotographTable":
        """The rows of some photographs, in that order."""
        row = {name: index for index, name in enumerate(self.names)}
        chosen = [row[name] for name in names]
        return PhotographTable(tuple(names), {k: v[chosen] for k, v in self.columns.items()}, {})


def photograph_table(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> PhotographTable:
    """Add up the totals of pictures by photograph.

    Args:
        rows: (photograph, totals of one picture) for each picture.
    """
    rows = list(rows)
    names = sorted({name for name, _ in rows})
    index = {name: i for i, name in enumerate(names)}
    columns: dict[str, NDArray[np.float64]] = {}
    whole: dict[str, Any] = {}
    for name, packed in rows:
        for key, value in dense(packed).items():
            if key in SUMS and SUMS[key].whole:
                add(whole, {key: np.asarray(value, np.float64)})
                continue
            if key not in columns:
                columns[key] = np.zeros((len(names), *np.shape(value)))
            columns[key][index[name]] += value
    return PhotographTable(tuple(names), columns, whole)


def draw_weights(photographs: int, replicates: int, seed: int) -> Values:
    """How often each photograph is drawn in each replicate: float64 (replicates, photographs)."""
    generator = np.random.default_rng(seed)
    even = np.full(photographs, 1 / photographs)
    return generator.multinomial(photographs, even, replicates).astype(np.float64)


def replicate_totals(table: PhotographTable, weights: Values) -> Totals:
    """Totals of each bootstrap replicate: sum -> (replicates, ...)."""
    columns = table.columns.items()
    return Totals({key: np.tensordot(weights, column, axes=1) for key, column in columns})


def intervals(
    table: PhotographTable, weights: Values, level: float = 0.95
) -> dict[str, tuple[float, float] | None]:
    """Figure -> (low, high), or None where it is undefined or there is one photograph only."""
    if len(table.names) < 2:
        return dict.fromkeys(FIGURES)
    totals = replicate_totals(table, weights)
    tail = 100 * (1 - level) / 2
    result: dict[str, tuple[float, float] | None] = dict.fromkeys(FIGURES)
    for name, figure in FIGURES.items():
        if not figure.has_interval:
            continue
        values = np.atleast_1d(figure.value(totals))
        values = values[np.isfinite(values)]
        if values.size:
            low, high = np.percentile(values, [tail, 100 - tail])
            result[name] = float(low), float(high)
    return result


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two backends on the same photographs.

    Attributes:
        first, second: the backends.
        figure: what was compared.
        difference: first minus second, over all photographs.
        interval: its 95 % bootstrap interval.
        p_bootstrap: two-sided, from the same replicates.
        p_wilcoxon: signed-rank test on the photographs' own figures.
        p_adjusted: the latter after Holm's correction for all pairs of the run.
        photographs: how many took part.
    """

    first: str
    second: str
    figure: str
    difference: float
    interval: tuple[float, float]
    p_bootstrap: float
    p_wilcoxon: float
    p_adjusted: float
    photographs: int


def paired_tests(
    tables: Mapping[str, PhotographTable], figure: Figure, replicates: int, seed: int
) -> list[PairedTest]:
    """Compare every two backends by one figure on the photographs they share.

    Pairs with fewer than two photographs in common are left out.
    """
    names = list(tables)
    tests = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            test = _paired(first, second, tables, figure, replicates, seed)
            if test is not None:
                tests.append(test)
    adjusted = holm([test.p_wilcoxon for test in tests])
    return [replace(test, p_adjusted=p) for test, p in zip(tests, adjusted, strict=True)]


def _paired(
    first: str,
    second: str,
    tables: Mapping[str, PhotographTable],
    figure: Figure,
    replicates: int,
    seed: int,
) -> PairedTest | None:
    """The test of one pair, its p not yet adjusted; None where there is nothing to compare."""
    shared = sorted(set(tables[first].names) & set(tables[second].names))
    if len(shared) < 2:
        return None
    a, b = tables[first].select(shared), tables[second].select(shared)
    weights = draw_weights(len(shared), replicates, seed)
    spread = figure.value(replicate_totals(a, weights)) - figure.value(replicate_totals(b, weights))
    spread = spread[np.isfinite(spread)]
    if not spread.size:
        return None
    low, high = np.percentile(spread, [2.5, 97.5])
    beyond = min(np.count_nonzero(spread <= 0), np.count_nonzero(spread >= 0))
    p_bootstrap = min(1.0, 2 * (beyond + 1) / (spread.size + 1))
    difference = float(figure.value(a.total()) - figure.value(b.total()))
    each = figure.value(a.each()) - figure.value(b.each())
    p = signed_rank(each)
    interval = (float(low), float(high))
    return PairedTest(
        first, second, figure.name, difference, interval, p_bootstrap, p, p, len(shared)
    )


def signed_rank(differences: Values) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, ties at zero ranked (Pratt); 1 if all are 0."""
    from scipy.stats import wilcoxon

    known = differences[np.isfinite(differences)]
    if not np.any(known):
        return 1.0
    return float(wilcoxon(known, zero_method="pratt").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return [float(p) for p in adjusted]
