"""Options of the infrared backend, as presets may set them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InfraredOptions:
    """Of the detector.

    Attributes:
        body: deviations of the frame's own noise that every pixel of a candidate exceeds.
        peak: the same for its strongest pixel, at sensitivity 50.
        thinnest: least infrared transmission at which film shows through well enough to be
            brought back by division; 1 never divides.
    """

    body: float = 3.5
    peak: float = 7.0
    thinnest: float = 0.03
