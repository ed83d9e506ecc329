"""What the tests of networks that redraw pictures have in common."""

import numpy as np
from darkroom_backends.redrawing import CELL

from darkroom.options import CleanOptions, MachineOptions
from darkroom.pipeline.memory import clean_array


def picture(rng, height, width, channels=1, dtype=np.uint16):
    """Soft waves with grain, and a white speck."""
    y, x = np.mgrid[:height, :width]
    plane = 0.5 + 0.2 * np.sin(x / 40) * np.cos(y / 31)
    image = plane[..., None] + rng.normal(0, 0.01, (height, width, channels))
    image[30:34, 40:43] = 1.0
    return (image.clip(0, 1) * np.iinfo(dtype).max).astype(dtype)


def assert_same_for_any_tile(image, backend, engine):
    """Something is found, and just the same in small tiles and in large ones.

    Args:
        image: more than a cell wide and high.
        backend: its name.
        engine: makes it anew.
    """
    options = CleanOptions(backend=backend)
    done = [
        clean_array(image, options, engine=engine(), machine=MachineOptions(tile=tile))
        for tile in (64, 2 * CELL)
    ]
    assert done[0].artefacts > 0
    for name in ("image", "mask", "score"):
        assert np.array_equal(getattr(done[0], name), getattr(done[1], name)), name
