"""Between a file's own samples and the [0, 1] gamma-encoded scale that backends see."""

from dataclasses import dataclass

import numpy as np

from darkroom.errors import InputError
from darkroom.scan import Encoding, Float, Pixels, ScanInfo


@dataclass(frozen=True, slots=True)
class Codec:
    """Converts the picture samples of one scan; extra samples never come here.

    Linear samples are encoded with the sRGB curve (IEC 61966-2-1), on which grain is about
    equally strong in shadows and highlights; samples of unknown encoding are taken as encoded.

    Attributes:
        info: the scan.
        white: the sample value that becomes 1.0.
    """

    info: ScanInfo
    white: float

    @classmethod
    def of(cls, info: ScanInfo, float_white: float = 1.0) -> "Codec":
        """The codec of a scan; `float_white` is the largest value of a float32 scan."""
        if info.dtype.kind == "f":
            return cls(info, max(float_white, 1.0))
        return cls(info, float(np.iinfo(info.dtype).max))

    @property
    def linear(self) -> bool:
        """Whether samples are proportional to light."""
        return self.info.profile.encoding is Encoding.LINEAR

    def encode(self, samples: Pixels) -> Float:
        """Samples (H, W, C) in the file's dtype to float32 in [0, 1].

        Raises:
            InputError: float samples that are not finite.
        """
        if samples.dtype.kind == "f" and not np.isfinite(samples).all():
            raise InputError(
                f"{self.info.path}: some pixels are not numbers (NaN or infinite)",
                hint="Replace them in the program that made the file.",
            )
        image = samples.astype(np.float32)
        image *= np.float32(1.0 / self.white)
        if self.info.dtype.kind == "f":
            np.clip(image, 0.0, 1.0, out=image)
        if self.info.photometric == "miniswhite":
            np.subtract(1.0, image, out=image)
        return linear_to_srgb(image) if self.linear else image

    def decode(self, image: Float) -> Pixels:
        """float32 in [0, 1] to samples in the file's dtype, rounded to the nearest."""
        image = np.clip(image, 0.0, 1.0)
        if self.linear:
            image = srgb_to_linear(image)
        if self.info.photometric == "miniswhite":
            image = 1.0 - image
        values = image.astype(np.float64) * self.white
        if self.info.dtype.kind != "f":
            values = np.rint(values)
        return values.astype(self.info.dtype)


def linear_to_srgb(image: Float) -> Float:
    """The sRGB transfer curve on values in [0, 1]."""
    low = image * np.float32(12.92)
    high = np.float32(1.055) * np.power(image, np.float32(1 / 2.4)) - np.float32(0.055)
    return np.where(image <= 0.0031308, low, high)


def srgb_to_linear(image: Float) -> Float:
    """The inverse of `linear_to_srgb`."""
    low = image / np.float32(12.92)
    high = np.power((image + np.float32(0.055)) / np.float32(1.055), np.float32(2.4))
    return np.where(image <= 0.04045, low, high)
