"""Filling small holes from their rims."""

import numpy as np

from darkroom.protocols import Device, TileContract
from darkroom.scan import Bytes, Float, Tile
from darkroom_backends.classical.options import CvOptions, OliveiraOptions

HALO = 12  # of surroundings that any of the methods looks at
# Convolution kernel of Oliveira et al.: a weighted mean of the eight neighbours, centre left out
SIDE, CORNER = 0.176765, 0.073235
OFFSETS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
DOWN, RIGHT = np.array(OFFSETS).T
WEIGHTS = np.array([SIDE if 0 in offset else CORNER for offset in OFFSETS], np.float32)


class Biharmonic:
    """Smoothest continuation of the rim and its slope.

    Damelin and Hoang, "On surface completion and image inpainting by biharmonic functions"
    (International Journal of Mathematics and Mathematical Sciences, 2018), by scikit-image.
    """

    def __init__(self, options: None = None, device: Device | None = None):
        self.contract = TileContract(halo=HALO, channels="any", workspace=400)

    def fill(self, crop: Tile) -> Float:
        """The crop with its masked pixels filled."""
        from skimage.restoration import inpaint_biharmonic

        assert crop.mask is not None
        hole = crop.mask > 0
        filled = inpaint_biharmonic(crop.image, hole, channel_axis=2)
        return np.asarray(np.clip(filled, 0.0, 1.0), np.float32)


class Oliveira:
    """Diffusion from the rim by repeated convolution, vectorised.

    Oliveira, Bowen, McKenna and Chang, "Fast digital image inpainting" (VIIP 2001). The hole
    starts as a rough inpainting instead of its old values, and the iteration stops when it rests.
    """

    def __init__(self, options: OliveiraOptions | None = None, device: Device | None = None):
        self.options = options or OliveiraOptions()
        self.contract = TileContract(halo=HALO, channels="any")

    def fill(self, crop: Tile) -> Float:
        """The crop with its masked pixels filled."""
        assert crop.mask is not None
        start = _opencv(crop.image, crop.mask, 3.0, telea=False)
        return diffuse(start, crop.mask, self.options.iterations, self.options.tolerance)


class NavierStokes:
    """Bertalmio, Bertozzi and Sapiro, "Navier-Stokes, fluid dynamics, and image and video

    inpainting" (CVPR 2001), by OpenCV.
    """

    telea = False

    def __init__(self, options: CvOptions | None = None, device: Device | None = None):
        self.options = options or CvOptions()
        self.contract = TileContract(halo=HALO, channels="any")

    def fill(self, crop: Tile) -> Float:
        """The crop with its masked pixels filled."""
        assert crop.mask is not None
        return _opencv(crop.image, crop.mask, self.options.radius, telea=self.telea)


class Telea(NavierStokes):
    """Telea, "An image inpainting technique based on the fast marching method" (JGT 2004)."""

    telea = True


def diffuse(image: Float, mask: Bytes, iterations: int, tolerance: float) -> Float:
    """Replaces masked pixels by the weighted mean of their neighbours until they rest.

    Works on the list of masked pixels alone, so that cost follows the hole and not the crop.

    Args:
        image: float32 (H, W, C) that already holds a first guess under the mask.
        mask: uint8 (H, W), non-zero where to fill.
        iterations: most passes.
        tolerance: the largest change at which the passes end.
    """
    rows, columns = np.nonzero(mask)
    if not rows.size:
        return image
    height, width, channels = image.shape
    y = np.minimum(np.maximum(rows + DOWN[:, None], 0), height - 1)
    x = np.minimum(np.maximum(columns + RIGHT[:, None], 0), width - 1)
    around = y * width + x
    flat = image.reshape(-1, channels).copy()
    hole = rows * width + columns
    old = flat[hole]
    for _ in range(iterations):
        new = (WEIGHTS @ flat.take(around, axis=0).reshape(len(WEIGHTS), -1)).reshape(-1, channels)
        flat[hole] = new
        change = np.abs(new - old).max()
        if change < tolerance:
            break
        old = new
    return flat.reshape(image.shape)


def _opencv(image: Float, mask: Bytes, radius: float, *, telea: bool) -> Float:
    """cv2.inpaint channel by channel, through 16 bits."""
    import cv2

    method = cv2.INPAINT_TELEA if telea else cv2.INPAINT_NS
    out = image.copy()
    hole = mask > 0
    for channel in range(image.shape[2]):
        pixels = np.rint(np.clip(image[..., channel], 0, 1) * np.float32(65535)).astype(np.uint16)
        filled = cv2.inpaint(pixels, mask, radius, method)
        out[..., channel][hole] = filled[hole] * np.float32(1 / 65535)
    return out
