"""Options of the classical backends, as presets may set them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassicalOptions:
    """Of the detector.

    Attributes:
        body: local standard deviations that every pixel of a candidate exceeds.
        peak: the same for its strongest pixel, at sensitivity 50.
    """

    body: float = 3.5
    peak: float = 7.0


@dataclass(frozen=True, slots=True)
class OliveiraOptions:
    """Of the inpainter `oliveira`.

    Attributes:
        iterations: most passes of the diffusion kernel.
        tolerance: stop when no pixel moves by more, in [0, 1] units.
    """

    iterations: int = 200
    tolerance: float = 2e-4


@dataclass(frozen=True, slots=True)
class CvOptions:
    """Of the OpenCV inpainters.

    Attributes:
        radius: neighbourhood of each filled pixel.
    """

    radius: float = 3.0
