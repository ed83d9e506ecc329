"""The folder of a data set in the making, and the parts its tiles go to."""

import shutil
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from darkroom.errors import DarkroomWarning, OutputError, UsageError
from darkroom.io.atomic import writing
from darkroom.pairs.manifest import NAME, SIDES, TileRecord
from darkroom.pairs.split import split_at_random, split_families

PARTS = ".parts"


@dataclass(frozen=True, slots=True)
class Splitting:
    """How tiles are split.

    Attributes:
        by: "family", "paper" (2/3 : 1/3 of the tiles at random) or "published" (as they came).
        val: share of tiles for validation.
        test: share of tiles for testing.
        seed: another seed, another draw.
    """

    by: str = "family"
    val: float = 0.2
    test: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in ("family", "paper", "published"):
            raise UsageError(f"no split named {self.by!r}", hint="family, paper or published")


@contextmanager
def new_folder(root: Path, *, overwrite: bool = False, resumable: bool = False) -> Iterator[None]:
    """Make the folders of a data set; if what is done within fails, nothing is left of them.

    Args:
        root: the data set's folder: new, empty, or with `overwrite` that of another data set, which
            comes back if this one fails.
        overwrite: replace a data set.
        resumable: keep what was made when the work is interrupted.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    old: Path | None = None
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        if not overwrite:
            raise OutputError(
                f"{root}: already exists", hint="use --overwrite to replace it, or another name"
            )
        if not ((root / NAME).is_file() or (root / PARTS).is_dir()):
            raise OutputError(f"{root}: not a data set, so it is not replaced")
        old = root.with_name(f".{root.name}.old")
    with writing(root):
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
            root.rename(old)
        for side in SIDES:
            (root / side).mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException as error:
        if old is not None or not resumable or isinstance(error, UsageError):
            shutil.rmtree(root, ignore_errors=True)
        if old is not None:
            old.rename(root)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def remove_unlisted(root: Path, tiles: Sequence[TileRecord]) -> None:
    """Remove tiles that no record speaks of, as an interrupted run leaves them."""
    listed = {tile.name for tile in tiles}
    for side in SIDES:
        folder = root / side
        for path in [p for p in folder.rglob("*") if p.is_file()]:
            if path.relative_to(folder).as_posix() not in listed:
                path.unlink()


def assign(
    tiles: Sequence[TileRecord], families: Mapping[str, str], how: Splitting
) -> tuple[TileRecord, ...]:
    """The tiles, sorted by name, with family and split filled in.

    Warns of a part that was asked for and got nothing.
    """
    known = [replace(t, family=families[t.photo]) for t in sorted(tiles, key=lambda t: t.name)]
    if how.by == "published":
        return tuple(known)
    if how.by == "paper":
        drawn = split_at_random([t.name for t in known], seed=how.seed)
        return tuple(replace(t, split=s) for t, s in zip(known, drawn, strict=True))
    counts = Counter(t.family for t in known)
    chosen = split_families(counts, val=how.val, test=how.test, seed=how.seed)
    placed = tuple(replace(t, split=chosen[t.family]) for t in known)
    wanted = [part for part, share in (("val", how.val), ("test", how.test)) if share > 0]
    if empty := [part for part in wanted if part not in chosen.values()]:
        few = "1 family" if len(counts) == 1 else f"{len(counts)} families"
        warnings.warn(
            f"nothing is left for {' and '.join(empty)}: {few} of photographs cannot be split so",
            DarkroomWarning,
            stacklevel=2,
        )
    return placed
