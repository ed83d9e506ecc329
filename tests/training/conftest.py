"""Pictures with known damage, and a network small enough to train in a second."""

import numpy as np
import pytest
from darkroom_backends.unet.shape import UNetConfig
from darkroom_backends.unet.trainable import UNetTrainable

from darkroom.pairs.find import find_parts
from darkroom.pairs.read import load_picture
from darkroom.training.config import TrainConfig

TINY = UNetConfig(widths=(8, 8, 8), encoder=(0, 0), decoder=(0, 0), dilations=(1,))


def write_pair(root, name, rng, *, size=96, specks=4):
    """A pair of PNG files: soft shapes with grain, and the same with bright specks on it."""
    from PIL import Image

    y, x = np.mgrid[:size, :size]
    truth = (
        110
        + 40 * np.sin(x / 9 + rng.uniform(0, 6)) * np.cos(y / 13)
        + rng.normal(0, 2, (size, size))
    )
    scan = truth.copy()
    for _ in range(specks):
        cy, cx = rng.integers(8, size - 8, 2)
        scan[np.hypot(y - cy, x - cx) < rng.uniform(1.5, 3.5)] += 70
    for side, pixels in (("scan", scan), ("gt", truth)):
        folder = root / side
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8)).save(folder / f"{name}.png")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(5)
    for part, count in (("train", 4), ("val", 2)):
        for number in range(count):
            write_pair(root / part, f"{part}{number}-0", rng)
    return root


@pytest.fixture(scope="session")
def pictures(dataset):
    return [load_picture(pair) for pair in find_parts(dataset, ["train"])["train"]]


@pytest.fixture(scope="session")
def held_out(dataset):
    return [load_picture(pair) for pair in find_parts(dataset, ["val"])["val"]]


@pytest.fixture
def tiny():
    """Makes tiny trainables with always the same weights."""
    import torch

    def make():
        torch.manual_seed(3)
        return UNetTrainable(TINY)

    return make


@pytest.fixture
def quick():
    return TrainConfig(
        steps=20, batch=2, crop=64, warmup=5, validate_every=20, checkpoint_every=10, amp="off",
        rate=3e-3, tone_limit=1.0,
    )  # fmt: skip
