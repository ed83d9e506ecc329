from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from darkroom.dataset.build import Settings, build
from darkroom.errors import UsageError
from darkroom.pairs.find import find_pairs
from darkroom.pairs.read import read_tile
from darkroom.pairs.torch import Augment, PairDataset
from darkroom.scan import luminance

Pairs = Callable[..., tuple[Path, Path]]


@pytest.fixture(params=[1, 3])
def tiles(pairs: Pairs, tmp_path: Path, request: pytest.FixtureRequest) -> PairDataset:
    found = find_pairs(*pairs(1, "uint16", request.param)).pairs
    build(found, tmp_path / "ds", Settings(size=64, val=0, test=0))
    return PairDataset(find_pairs(tmp_path / "ds").pairs)


def test_samples_are_the_files_in_unit_range_at_full_depth(tiles: PairDataset) -> None:
    sample, pair = tiles[3], tiles.pairs[3]
    stored = np.atleast_3d(read_tile(pair.scan)).astype(np.float32) / np.float32(65535)
    assert sample["scan"].shape == (stored.shape[2], 64, 64)
    assert np.abs(np.moveaxis(sample["scan"].numpy(), 0, 2) - stored).max() < 1e-6
    assert len(np.unique(sample["scan"])) > 300
    assert sample["mask"].unique().tolist() in ([0.0], [0.0, 1.0])
    grey = PairDataset(tiles.pairs, channels=1)[3]["scan"]
    assert np.abs(grey[0].numpy() - luminance(stored)).max() < 1e-6
    colour = PairDataset(tiles.pairs, channels=3)[3]["scan"]
    assert torch.equal(colour, sample["scan"].expand(3, -1, -1))
    assert len(list(tiles)) == len(tiles)
    with pytest.raises(UsageError, match="no pair"):
        PairDataset([])


def test_augmentation_is_drawn_once_for_scan_truth_and_mask(tiles: PairDataset) -> None:
    torch.manual_seed(0)
    batch = next(iter(torch.utils.data.DataLoader(tiles, batch_size=12)))
    augment = Augment()
    seen = set()
    for _ in range(6):
        out = augment(batch)
        assert out.keys() == batch.keys()
        different = (out["scan"] != out["gt"]).any(dim=1, keepdim=True)
        before = (batch["scan"] != batch["gt"]).any(dim=1)
        # Saturated tones may make a damaged pixel equal, never a clean one different.
        assert (different.flatten(1).sum(1) <= before.flatten(1).sum(1)).all()
        assert different.sum() > 0.5 * before.sum()
        assert not (different & (out["state"] == 0)).any()
        assert out["scan"].min() >= 0 and out["scan"].max() <= 1
        seen.add(float(out["gt"].mean()))
    assert len(seen) == 6


def test_turning_resamples_nothing() -> None:
    torch.manual_seed(1)
    batch = {"scan": torch.rand(16, 3, 24, 24), "gt": torch.rand(16, 3, 24, 24)}
    out = Augment(tone=0, negative=0, noise=0)(batch)
    turns = set()
    for before, after in zip(batch["scan"], out["scan"], strict=True):
        eight = [torch.rot90(p, k, (1, 2)) for p in (before, before.flip(2)) for k in range(4)]
        turns.add(next(n for n, p in enumerate(eight) if torch.equal(p, after)))
    assert len(turns) > 3
    tall = {"scan": torch.rand(4, 1, 24, 16), "gt": torch.rand(4, 1, 24, 16)}
    assert Augment()(tall)["scan"].shape == (4, 1, 24, 16)
