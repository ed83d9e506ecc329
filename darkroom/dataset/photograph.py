"""A scan anyone may share: a public-domain photograph made to look scanned from film.

The picture is NASA's portrait of the astronaut Eileen Collins (public domain), which scikit-image
carries in its wheel, so nothing is downloaded.
"""

import numpy as np
from numpy.typing import NDArray

from darkroom.geometry import bands

Float = NDArray[np.float32]
DPI = 4000.0
MEGAPIXELS = 12.0
GRAIN = 0.018  # standard deviation of grain in the mid-tones, gamma-encoded [0, 1]


def srgb_profile() -> bytes:
    """An sRGB ICC profile."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def photograph(megapixels: float = MEGAPIXELS, seed: int = 0, grain: float = GRAIN) -> Float:
    """A clean square "scan" of the photograph: float32 (H, W, 3) in [0, 1], sRGB-encoded.

    Args:
        megapixels: size of the result.
        seed: draws the grain.
        grain: its standard deviation in the mid-tones; 0 leaves it out.
    """
    import cv2
    from skimage import data

    side = round((megapixels * 1e6) ** 0.5)
    small: Float = np.asarray(data.astronaut(), np.float32) / 255  # type: ignore[no-untyped-call]
    image: Float = np.asarray(
        cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.float32
    )
    np.clip(image, 0, 1, out=image)
    if grain > 0:
        rng = np.random.default_rng(seed)
        # Bands bound the memory that grain takes; its correlation is shorter than their halo.
        for window in bands(side, side, 512):
            image[window.slices] = add_grain(image[window.slices], grain, rng)
    return image


def add_grain(image: Float, strength: float, rng: np.random.Generator) -> Float:
    """Film grain: blotches a few pixels wide, strongest in the mid-tones, alike in all channels.

    Grain that is mostly common to the dye layers, with a part of its own in each; correlated by a
    Gaussian of one pixel at 4000 dpi. Selwyn's law makes it follow the number of grains, hence
    sqrt(v (1 - v)).

    Args:
        image: float32 (H, W, C) in [0, 1].
        strength: standard deviation where the image is 0.5.
        rng: source of randomness.

    Returns:
        float32 (H, W, C) in [0, 1].
    """
    import cv2

    height, width, channels = image.shape
    noise = rng.standard_normal((height, width, channels), np.float32) * np.float32(0.6)
    noise += rng.standard_normal((height, width, 1), np.float32) * np.float32(0.8)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.0), np.float32).reshape(image.shape)
    noise *= strength / float(noise.std())
    swing = 2 * np.sqrt(np.clip(image * (1 - image), 0.01, None))
    grainy: Float = np.clip(image + noise * swing, 0, 1)
    return grainy


def to_uint16(image: Float) -> NDArray[np.uint16]:
    """[0, 1] to 0..65535, rounded."""
    out = np.empty(image.shape, np.uint16)
    for window in bands(image.shape[1], image.shape[0], 256):
        out[window.slices] = np.rint(np.clip(image[window.slices], 0, 1) * 65535)
    return out
