from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from darkroom.dataset.build import Settings, build, find_pairs
from darkroom.errors import UsageError
from darkroom.pairs.tiles import read_tile
from darkroom.pairs.torch import Augment, PairedTiles


@pytest.fixture
def tiles(pairs: Callable[..., tuple[Path, Path]], tmp_path: Path) -> PairedTiles:
    manifest, _ = build(find_pairs(*pairs(1))[0], tmp_path / "ds", Settings(size=64, val=0, test=0))
    return PairedTiles(manifest)


def test_samples_are_the_files_in_unit_range(tiles: PairedTiles) -> None:
    sample = tiles[3]
    stored = read_tile(tiles.manifest.path(tiles.tiles[3], "scan"))
    assert torch.equal(
        sample["scan"][0], torch.from_numpy(stored.astype(np.float32) / np.float32(65535))
    )
    assert sample["mask"].unique().tolist() in ([0.0], [0.0, 1.0])
    with pytest.raises(UsageError, match="no tile"):
        PairedTiles(tiles.manifest, "test")


def test_augmentation_keeps_clean_pixels_equal_and_moves_all_alike(tiles: PairedTiles) -> None:
    torch.manual_seed(0)
    loader = torch.utils.data.DataLoader(tiles, batch_size=12)
    batch = next(iter(loader))
    augment = Augment()
    seen = set()
    for _ in range(6):
        out = augment(batch)
        different = (out["scan"] != out["gt"]).any(dim=1, keepdim=True)
        before = (batch["scan"] != batch["gt"]).any(dim=1)
        after = different.flatten(1).sum(1)
        # Saturated tones may make a damaged pixel equal, never a clean one different.
        assert (after <= before.flatten(1).sum(1)).all()
        assert not (different & (out["mask"] == 0)).any()
        assert out["scan"].min() >= 0 and out["scan"].max() <= 1
        seen.add(float(out["gt"].mean()))
    assert len(seen) == 6
