"""Splitting tiles into train, val and test by photograph, and counting leaks."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from darkroom.errors import UsageError

Split: TypeAlias = Literal["train", "val", "test"]


def split_families(
    tiles: Mapping[str, int], *, val: float = 0.2, test: float = 0.2, seed: int = 0
) -> dict[str, Split]:
    """A split for every family of photographs.

    Families are put in the order of a hash of seed and name, so that one more family moves few
    others; the first ones go to test, the next to val, the rest to train. A family that straddles
    a limit belongs to the earlier split; where that leaves none for training, the last one trains.

    Args:
        tiles: number of tiles by family.
        val: share of the tiles for validation.
        test: share of the tiles for testing.
        seed: another seed, another order.

    Raises:
        UsageError: if the shares are not between 0 and 1 in sum.
    """
    if val < 0 or test < 0 or val + test >= 1:
        raise UsageError(f"val {val} and test {test} leave no share for training")
    total = sum(tiles.values())
    order = sorted(tiles, key=lambda f: hashlib.sha256(f"{seed}:{f}".encode()).hexdigest())
    result: dict[str, Split] = {}
    before = 0
    for family in order:
        share = before / max(1, total)
        result[family] = "test" if share < test else "val" if share < test + val else "train"
        before += tiles[family]
    if order and "train" not in result.values():
        result[order[-1]] = "train"
    return result


def split_at_random(names: Sequence[str], *, train: float = 2 / 3, seed: int = 0) -> list[Split]:
    """The paper's split: tiles at random, 2/3 for training and 1/3 for validation."""
    order = np.random.default_rng(seed).permutation(len(names))
    count = round(len(names) * train)
    result: list[Split] = ["val"] * len(names)
    for index in order[:count]:
        result[index] = "train"
    return result


def leaks(splits: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Tiles outside train whose family is also in train, by split.

    Args:
        splits: (family, split) of every tile.
    """
    where: dict[str, Counter[str]] = defaultdict(Counter)
    for family, split in splits:
        where[family][split] += 1
    found: Counter[str] = Counter()
    for counts in where.values():
        for split, count in counts.items():
            if split != "train":
                found[split] += count if counts["train"] else 0
    return dict(sorted(found.items()))


def merge_families(families: dict[str, str], same: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Families by photograph, with those of each pair of photographs in `same` made one."""
    parent = {family: family for family in families.values()}

    def root(family: str) -> str:
        while parent[family] != family:
            family = parent[family]
        return family

    for a, b in same:
        low, high = sorted((root(families[a]), root(families[b])))
        parent[high] = low
    return {photo: root(family) for photo, family in families.items()}
