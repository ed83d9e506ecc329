"""One restoration of one picture, or of a band of its rows, and what figures are counted on."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.compare.measure.paper import COARSE, confusion_matrix, merge
from darkroom.compare.measure.quality import grain_power, ssim_map
from darkroom.compare.measure.regions import (
    Labels,
    Regions,
    components,
    peak_per_label,
    per_label,
    regions,
    tops,
)
from darkroom.compare.pairs.levels import classes, grey_levels
from darkroom.scan import Bytes, Float, Pixels

Bool = NDArray[np.bool_]

TOUCHED = 2.0  # levels; a smaller change is not seen
FALSE_LEVEL = 8.0  # levels; the least change of a false repair
FALSE_AREA = 4  # pixels; the least area of one
VISIBLE = 25.0  # levels; the least error of an artefact that anyone sees


@dataclass
class View:
    """Planes of one restoration; what is derived from them is computed when first asked for.

    A band is given with rows above and below it (`core` says which are its own), so that whatever
    is no taller than those rows is seen whole. Pixels count where they lie; an artefact, a repair
    or another connected component counts in the band in which it begins, so that bands add up to
    what the picture as a whole would give.

    Attributes:
        scan: the picture before, (H, W, S), native samples.
        output: the picture after, likewise.
        mask: bool (H, W), what the backend chose to repair.
        truth: ground truth, (H, W, S), any sample type, or None.
        artefacts: bool (H, W), the damaged pixels; needed with `truth`.
        score: uint8 (H, W), the backend's confidence, or None.
        core: rows that this band counts.
        whites: what float samples of (scan, truth) are divided by.
        seconds: what the restoration took, to be counted in one band of each picture.
    """

    scan: Pixels
    output: Pixels
    mask: Bool
    truth: Pixels | None = None
    artefacts: Bool | None = None
    score: Bytes | None = None
    core: slice = field(default_factory=lambda: slice(None))
    whites: tuple[float, float] = (1.0, 1.0)
    seconds: float = 0.0

    def count(self, plane: Bool) -> float:
        """Pixels of the core in which a bool (H, W) plane is set."""
        return float(np.count_nonzero(plane[self.core]))

    def total(self, plane: NDArray[Any], where: Bool | None = None) -> float:
        """Sum over the core of a plane (H, W), perhaps only `where` a bool plane is set."""
        values = plane[self.core] if where is None else plane[self.core][where[self.core]]
        return float(values.sum(dtype=np.float64))

    def own(self, labels: Labels, number: int) -> Bool:
        """Which components begin in the core: bool (number,)."""
        first, last, _ = self.core.indices(labels.shape[0])
        top = tops(labels, number)
        return (top >= first) & (top < last)

    @property
    def pixels(self) -> float:
        """Pixels of the core."""
        return float(self.mask[self.core].size)

    @cached_property
    def changed(self) -> Bool:
        """Pixels whose samples differ in the file; NaN is like NaN."""
        differs: Bool = self.scan != self.output
        if self.scan.dtype.kind == "f":
            differs &= ~(np.isnan(self.scan) & np.isnan(self.output))
        return np.asarray(differs if differs.ndim == 2 else differs.any(axis=2))

    @cached_property
    def before(self) -> Float:
        """The scan in grey levels 0 to 255: float32 (H, W)."""
        return grey_levels(self.scan, self.whites[0])

    @cached_property
    def after(self) -> Float:
        """The restoration in grey levels."""
        return grey_levels(self.output, self.whites[0])

    @cached_property
    def model(self) -> Float:
        """The ground truth in grey levels."""
        assert self.truth is not None
        return grey_levels(self.truth, self.whites[1])

    @cached_property
    def error_before(self) -> Float:
        """Squared error of the scan."""
        return np.asarray(np.square(self.before - self.model), np.float32)

    @cached_property
    def error_after(self) -> Float:
        """Squared error of the restoration."""
        return np.asarray(np.square(self.after - self.model), np.float32)

    @cached_property
    def change(self) -> Float:
        """Absolute change in grey levels."""
        return np.asarray(np.abs(self.after - self.before), np.float32)

    @cached_property
    def where(self) -> Regions:
        """Artefacts and what lies around them."""
        assert self.artefacts is not None
        return regions(self.artefacts)

    @cached_property
    def away(self) -> Bool:
        """Pixels away from every artefact; without a ground truth, all."""
        return np.ones(self.mask.shape, bool) if self.artefacts is None else ~self.where.near

    @cached_property
    def counted(self) -> Bool:
        """Which artefacts this band counts: bool (artefacts,)."""
        return self.own(self.where.labels, self.where.count)

    @cached_property
    def healed(self) -> Bool:
        """Which artefacts lost half of their squared error or more: bool (artefacts,)."""
        before, after = (
            per_label(self.where.labels, self.where.count, e)
            for e in (self.error_before, self.error_after)
        )
        return after <= 0.5 * before

    @cached_property
    def visible(self) -> Bool:
        """Which artefacts anyone sees: bool (artefacts,)."""
        peak = peak_per_label(self.where.labels, self.where.count, self.error_before)
        return peak >= VISIBLE**2

    @cached_property
    def found(self) -> Bool:
        """Which artefacts have half of their damaged pixels or more in the mask."""
        labels, number = self.where.labels, self.where.count
        area = per_label(labels, number, self.where.artefacts)
        return 2 * per_label(labels, number, self.where.artefacts & self.mask) >= area

    @cached_property
    def repairs(self) -> tuple[Bool, Bool]:
        """Connected parts of the mask: which of them this band counts, and which are right."""
        number, labels = components(self.mask)
        return self.own(labels, number), per_label(labels, number, ~self.away) > 0

    @cached_property
    def false_repairs(self) -> float:
        """Connected changes of FALSE_LEVEL and FALSE_AREA or more that come near no artefact."""
        number, labels = components(self.change >= FALSE_LEVEL)
        area = per_label(labels, number, np.ones_like(self.change))
        false = (area >= FALSE_AREA) & (per_label(labels, number, ~self.away) == 0)
        return float(np.count_nonzero(false & self.own(labels, number)))

    @cached_property
    def ssim(self) -> tuple[Float, Bool]:
        """Structural similarity of the core, and which of its pixels have a whole window."""
        return ssim_map(self.model, self.after, self.core)

    @cached_property
    def grain(self) -> dict[str, tuple[float, float, float]]:
        """By octave: power in repairs, that of the truth there, that expected from around them."""
        return grain_power(self.after, self.model, self.mask, self.where, self.core)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """True level (row) against given level (column): int64 (256, 256)."""
        return confusion_matrix(classes(self.model[self.core]), classes(self.after[self.core]))

    @cached_property
    def coarse(self) -> NDArray[np.int64]:
        """The same merged to 50 classes: (50, 50)."""
        merged: NDArray[np.int64] = merge(self.confusion, COARSE)
        return merged
