"""Which photographs belong together, and which part of a data set each family goes to."""

import hashlib
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from darkroom.errors import DarkroomWarning, InputError, UsageError
from darkroom.pairs.table import SUFFIXES, read_table

Split: TypeAlias = Literal["train", "val", "test"]
SPLITS = ("train", "val", "test")
PATCH = re.compile(r"(?P<photo>.+)(?P<x>\d)-(?P<y>\d+)")
"""Names of the published patches: the photograph, one digit for the column, the row."""


def photographs(names: Iterable[str]) -> dict[str, str]:
    """The photograph each picture is part of: by `PATCH` if all names are such, else itself."""
    matches = {name: PATCH.fullmatch(name) for name in names}
    patches = all(matches.values())
    return {name: match["photo"] if match and patches else name for name, match in matches.items()}


def families(photos: Iterable[str], group_by: str | None) -> dict[str, str]:
    """The family of every photograph: versions of one picture, frames of one roll.

    Args:
        photos: their names, perhaps with folders before them.
        group_by: a table with columns photo and family, or a regular expression whose first group,
            or else whole match, is the family; None makes every photograph a family. What neither
            speaks of is a family of its own.

    Raises:
        UsageError: it is neither, or says nothing of any photograph.
        InputError: the table cannot be read.
    """
    names = set(photos)
    if group_by is None:
        return {name: name for name in names}
    found: dict[str, str | None]
    if Path(group_by).is_file():
        known = {
            row["photo"]: row["family"] for row in read_table(Path(group_by), ("photo", "family"))
        }
        found = {name: look_up(known, name) for name in names}
    else:
        found = {name: _by_pattern(name, group_by) for name in names}
    missed = sorted(name for name, family in found.items() if family is None)
    if len(missed) == len(names):
        kind = "names" if Path(group_by).is_file() else "is no file, and as a pattern fits"
        raise UsageError(
            f"--group-by {group_by} {kind} none of the {len(names)} photographs",
            hint=f"they are called {', '.join(missed[:3])}{' …' if len(missed) > 3 else ''}",
        )
    if missed:
        warnings.warn(
            f"--group-by {group_by} says nothing of {len(missed)} of {len(names)} photographs, "
            f"{missed[0]!r} for one; each is a family of its own",
            DarkroomWarning,
            stacklevel=2,
        )
    return {name: family or name for name, family in found.items()}


def _by_pattern(name: str, pattern: str) -> str | None:
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise UsageError(
            f"--group-by {pattern}: no such file, and not a regular expression: {error}"
        ) from error
    if match is None:
        return None
    return match[1] if match.re.groups and match[1] is not None else match[0]


def look_up(table: Mapping[str, str], name: str) -> str | None:
    """What a table says of a photograph, which it may name with or without its folders."""
    return table.get(name, table.get(name.rpartition("/")[2]))


def read_parts(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """(part, family) by photograph, of a table with columns photo, split and perhaps family.

    Raises:
        InputError: the table cannot be read, or names a part that is none.
    """
    rows = read_table(path, ("photo", "split"))
    if wrong := sorted({row["split"] for row in rows} - set(SPLITS)):
        raise InputError(f"{path}: no part is called {wrong[0]!r}", hint="train, val or test")
    return (
        {row["photo"]: row["split"] for row in rows},
        {row["photo"]: row.get("family") or row["photo"] for row in rows},
    )


def is_table(path: Path) -> bool:
    """Whether a path looks like that of a table."""
    return path.suffix.lower() in SUFFIXES


def split_families(
    tiles: Mapping[str, int], *, val: float = 0.2, test: float = 0.2, seed: int = 0
) -> dict[str, Split]:
    """A split for every family of photographs.

    Families are put in the order of a hash of seed and name, so that one more family moves few
    others; the first ones go to test, the next to val, the rest to train. A family that straddles
    a limit belongs to the earlier split; where that leaves none for training, the last one trains,
    and where it leaves none for validation, another is taken for it.

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
    if val > 0 and "val" not in result.values() and len(order) > 1:
        # Training needs a validation part more than anybody needs a test.
        by_part = {part: [f for f in order if result[f] == part] for part in ("test", "train")}
        spare = by_part["train"][:-1] or by_part["test"]
        result[(by_part["test"][1:] or spare)[0]] = "val"
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
