"""The folder of a data set in the making, and the parts its tiles go to."""

import shutil
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from darkroom.errors import DarkroomWarning, OutputError, UsageError
from darkroom.io.atomic import locked, temporary_name, writing
from darkroom.io.guard import Inputs, prepare
from darkroom.io.together import replace_folder
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
def new_folder(
    root: Path,
    inputs: Iterable[Path] = (),
    *,
    overwrite: bool = False,
    resumable: bool = False,
) -> Iterator[Path]:
    """Make the folders of a data set; if what is done within fails, nothing is left of them.

    The set is made in a hidden folder beside its own and gets its name when it is complete; one
    that it replaces stays until then.

    Args:
        root: the data set's folder: new, empty, or with `overwrite` that of another data set.
        inputs: all files that the run reads; none may lie in `root`.
        overwrite: replace a data set.
        resumable: make a set that replaces none in its own folder, and keep what was made when
            the work is interrupted.

    Yields:
        The folder to work in.

    Raises:
        OutputError: the folder holds an input or something else, or cannot be written.
    """
    guard_folder(root, inputs)
    replaced = root.exists() and (not root.is_dir() or any(root.iterdir()))
    if replaced:
        if not overwrite:
            raise OutputError(
                f"{root}: already exists", hint="use --overwrite to replace it, or another name"
            )
        if not ((root / NAME).is_file() or (root / PARTS).is_dir()):
            raise OutputError(f"{root}: not a data set, so it is not replaced")
    resumable = resumable and not replaced
    work = root if resumable else temporary_name(root.resolve())
    with writing(root):
        for side in SIDES:
            (work / side).mkdir(parents=True, exist_ok=True)
    with locked(work), locked(root) if replaced else nullcontext():
        try:
            yield work
            if replaced:
                replace_folder(work, root.resolve())
            elif not resumable:
                with writing(root):
                    work.replace(root)  # nothing, or an empty folder
        except BaseException as error:
            if not resumable or isinstance(error, UsageError):
                shutil.rmtree(work, ignore_errors=True)
            raise


def guard_folder(root: Path, inputs: Iterable[Path]) -> None:
    """Refuse to make a data set over what it is made of, and put right what killed runs left.

    Raises:
        OutputError: an input lies in the folder.
    """
    known = Inputs(inputs)
    known.refuse_inside(root)
    known.refuse(root)
    prepare([root.resolve()])


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
