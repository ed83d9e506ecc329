"""Looking at one candidate: may it be an artefact, is it one, and how far does it reach?"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from darkroom.geometry import Window
from darkroom.mask import Component, ComponentRules, candidate_mask, grow
from darkroom.options import CleanOptions
from darkroom.pipeline.engine import calling, checked
from darkroom.pipeline.paint import Marked
from darkroom.protocols import ComponentJudge, Detector, MaskRefiner, Restorer
from darkroom.scan import Bytes, FrameStats, Tile

# A bounding box larger than this cannot be looked at as a whole within the memory budget; nothing
# of that size is dust.
LARGEST_CROP = 16_000_000
STAYS = 1.5  # log-odds by which confidence is raised where dirt is known to stay


class Examiner:
    """Decides on candidates one by one; safe to share between threads if the backend is.

    Args:
        finder: the backend that scored the frame.
        stats: the survey.
        options: thresholds and rules.
        stays: where dirt stays in place: uint8 (H, W) of a window, or None.

    Attributes:
        low: threshold of the quantised score that every pixel of a candidate reaches, 1 to 255.
        high: the same for its strongest pixel.
        margin: pixels around a candidate that are looked at.
    """

    def __init__(
        self,
        finder: Detector | Restorer,
        stats: FrameStats,
        options: CleanOptions,
        stays: Callable[[Window], Bytes] | None = None,
    ) -> None:
        self._stays = stays
        self._stats, self._options, self._contract = stats, options, finder.contract
        with calling(options.backend, stats.frame):
            low, high = (float(limit) for limit in finder.thresholds(options.sensitivity))
        checked(options.backend, "thresholds", np.array((low, high)), (2,), stats.frame)
        limits = [int(np.clip(np.ceil(limit * 255), 1, 255)) for limit in (low, high)]
        self.low, self.high = limits[0], max(limits)
        self._rules = ComponentRules(
            options.min_size.pixels(stats.dpi) if options.min_size else 0.0,
            options.max_size.pixels(stats.dpi) if options.max_size else None,
        )
        # Asked once: a look at a protocol is slow beside a small component.
        self._judge = finder if isinstance(finder, ComponentJudge) else None
        self._refiner = finder if isinstance(finder, MaskRefiner) else None
        # A detector looks at the polarity itself; of a restorer, its fills tell.
        self._one_sided = stats.polarity != "both" and isinstance(finder, Restorer)
        margins = [part.margin for part in (self._judge, self._refiner) if part is not None]
        self.margin = max(self._contract.grow, *margins, 0)

    def admits(self, component: Component) -> bool:
        """Whether it may be one: by the rules, on the picture and not on the film border."""
        return (
            self._rules.admit(component)
            and self._stats.frame.contains(component.window)
            and component.window.area <= LARGEST_CROP
        )

    def examine(
        self, component: Component, score: Bytes, crop: Callable[[Window, Bytes], Tile]
    ) -> Marked | None:
        """What to repair of a component, or None if it is no artefact.

        Args:
            component: the candidate.
            score: uint8, the quantised score over its bounding box.
            crop: gives the tile of a window, with a mask of the window.

        Raises:
            BackendError: the backend failed.
        """
        read = component.window.grow(self.margin)
        shape = np.zeros((read.height, read.width), np.uint8)
        inner = component.window.relative_to(read).slices
        shape[inner] = candidate_mask(score, self.low, component, self._contract.relative)
        if not (self._judge or self._refiner or self._one_sided):
            return self._grown(component, read, shape)
        tile = crop(read, shape)
        if self._one_sided and not is_expected(tile, self._stats.polarity):
            return None
        name, asked = self._options.backend, self._options.sensitivity
        confidence = component.peak / 255
        if self._judge:
            with calling(name, component.window):
                confidence = float(self._judge.judge(tile, self._stats, asked))
            checked(name, "a confidence", np.array(confidence), (), component.window)
            confidence = self._raised(confidence, component, shape[inner])
            if confidence < 0.5:
                return None
        if self._refiner:
            with calling(name, component.window):
                refined = self._refiner.refine(tile, self._stats)
            checked(name, "a mask", refined, shape.shape, component.window)
            return Marked(read, refined, confidence)
        return replace(self._grown(component, read, shape), confidence=confidence)

    def _raised(self, confidence: float, component: Component, shape: Bytes) -> float:
        """The confidence that most of it is dirt, where dirt is known to stay."""
        if self._stays is None or not 0 < confidence < 1:
            return confidence
        known = self._stays(component.window)
        if 2 * np.count_nonzero(known[shape > 0]) < np.count_nonzero(shape):
            return confidence
        return raised(confidence)

    def _grown(self, component: Component, read: Window, shape: Bytes) -> Marked:
        """The component as far as the contract lets it grow."""
        near = component.window.grow(self._contract.grow)
        grown = grow(shape[near.relative_to(read).slices], self._contract.grow)
        return Marked(near, grown, component.peak / 255)


def raised(confidence: float) -> float:
    """A confidence in (0, 1) where dirt is known to stay."""
    odds = confidence / (1 - confidence) * np.exp(STAYS)
    return float(odds / (1 + odds))


def is_expected(crop: Tile, polarity: str) -> bool:
    """Whether what a restorer takes away from a component is of the polarity expected.

    Args:
        crop: with the component as its mask, and a fill.
        polarity: "bright", "dark" or "both".
    """
    assert crop.mask is not None and crop.fill is not None
    taken = (crop.image - crop.fill)[crop.mask > 0]
    return polarity in ("both", "bright" if taken.mean() > 0 else "dark")
