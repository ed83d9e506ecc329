"""Which scan belongs to which ground truth, in every layout that any command takes.

A pair is known by its path below the folder it was found in, without the suffix: `roll2/007` is
not `roll1/007`. Two pictures that differ in their suffix alone keep it.
"""

import os
import warnings
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from darkroom.errors import DarkroomWarning, InputError, UsageError
from darkroom.io import scan_suffixes
from darkroom.pairs.folders import Layout, pictures, published
from darkroom.pairs.manifest import NAME as MANIFEST
from darkroom.pairs.manifest import SIDES, Manifest, digest
from darkroom.pairs.split import families, is_table, look_up, photographs, read_parts
from darkroom.pairs.table import read_table

ENDINGS = ("_gt", "_clean", "_retouched")


@dataclass(frozen=True, slots=True)
class Pair:
    """A scan and what is known of it.

    Attributes:
        name: its identity: the path below the root without suffix; unique in a run.
        scan: the damaged picture.
        truth: the retouched one, or None.
        mask: a file of the artefacts, 0 and 255, or None to conclude them from the pair.
        photo: the photograph it is a part of.
        family: what photographs have in common that are versions of one another.
        split: the part it belongs to (train, val or test), or None where nothing says.
        flags: why a trainer may want to leave it out.
    """

    name: str
    scan: Path
    truth: Path | None
    mask: Path | None
    photo: str
    family: str
    split: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Scan, truth and mask, as far as there are any."""
        return tuple(path for path in (self.scan, self.truth, self.mask) if path is not None)


@dataclass(frozen=True, slots=True)
class Found:
    """Pairs in order of their names, and what could not be paired.

    Attributes:
        pairs: the pairs.
        wrong: an error for each file that has no partner, or several.
    """

    pairs: tuple[Pair, ...]
    wrong: tuple[InputError, ...] = ()

    def complete(self) -> tuple[Pair, ...]:
        """The pairs, if nothing is wrong.

        Raises:
            InputError: the first thing that is.
        """
        if self.wrong:
            more = f" (and {len(self.wrong) - 1} more)" if len(self.wrong) > 1 else ""
            raise InputError(f"{self.wrong[0]}{more}", hint=self.wrong[0].hint)
        return self.pairs


def find_pairs(
    scans: Path,
    truths: Path | None = None,
    *,
    part: str | None = None,
    group_by: str | None = None,
    ending: str | None = None,
) -> Found:
    """Find pairs.

    Args:
        scans: a data set with a manifest; a folder in a published layout (`scan/` and `gt/`, and
            perhaps `mask/`, also below `train/`, `val/`, `test/`; or `train/PART` and `GT/PART`); a
            table with columns scan and gt and perhaps mask, photo, family and split; or, with
            `truths` or where no truth is known, a folder of scans or a scan.
        truths: folder of ground truths, or one; it may be the folder of the scans.
        part: only this part (train, val or test).
        group_by: which photographs are a family, see `families`; by default what a manifest or a
            table says, otherwise each photograph is one.
        ending: what names of ground truths end in; by default `ENDINGS` or nothing.

    Raises:
        InputError: nothing is there, or a table or manifest cannot be read.
        UsageError: there is no such part, or `group_by` cannot be used.
    """
    for path in filter(None, (scans, truths)):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    layouts = published(scans) if truths is None else []
    if truths is None and (scans / MANIFEST).is_file():
        found = Found(_of_manifest(scans))
    elif truths is None and scans.is_file() and is_table(scans):
        found = _of_table(scans)
    elif layouts:
        found = _grouped([_match(layout, ending) for layout in layouts])
    else:
        found = _grouped([_match(Layout("", scans, truths, None), ending)])
    if not (found.pairs or found.wrong):
        raise InputError(
            f"{scans}: no pictures here", hint=f"looked for {', '.join(sorted(scan_suffixes()))}"
        )
    if group_by is not None:
        family = families((pair.photo for pair in found.pairs), group_by)
        found = replace(
            found, pairs=tuple(replace(pair, family=family[pair.photo]) for pair in found.pairs)
        )
    return found if part is None else _only(found, part, scans)


def find_parts(
    root: Path, parts: Sequence[str], table: Path | None = None
) -> dict[str, tuple[Pair, ...]]:
    """The pairs of a data set by part, each with its truth.

    Args:
        root: as `scans` of `find_pairs`.
        parts: the parts wanted; those that are empty are left out.
        table: says by columns photo, split and perhaps family where a photograph belongs, in the
            place of what the layout or the manifest says.

    Raises:
        InputError: nothing is there, pairs are incomplete, or a photograph is not in the table.
    """
    pairs = find_pairs(root).complete()
    if lonely := [pair for pair in pairs if pair.truth is None]:
        raise InputError(
            f"{lonely[0].scan}: no ground truth for it",
            hint="a data set is made with `darkroom dataset build`, or has folders scan/ and gt/",
        )
    if table is not None:
        split, family = read_parts(table)
        pairs = tuple(
            replace(
                pair,
                split=_wanted(look_up(split, pair.photo), pair, table),
                family=look_up(family, pair.photo) or pair.photo,
            )
            for pair in pairs
        )
    if all(pair.split is None for pair in pairs):
        raise InputError(
            f"{root}: nothing says which pairs are for training and which for validation",
            hint="folders train/ and val/, a manifest, or --split TABLE",
        )
    by_part = {part: tuple(p for p in pairs if p.split == part) for part in parts}
    return {part: found for part, found in by_part.items() if found}


def _wanted(part: str | None, pair: Pair, table: Path) -> str:
    if part is None:
        raise InputError(f"{table} does not say where {pair.photo!r} belongs")
    return part


def _only(found: Found, part: str, root: Path) -> Found:
    pairs = tuple(pair for pair in found.pairs if pair.split == part)
    if not pairs:
        parts = sorted({pair.split for pair in found.pairs if pair.split is not None})
        hint = f"it has {', '.join(parts)}" if parts else "leave --split out"
        raise UsageError(f"{root} has no part {part!r}", hint=hint)
    return replace(found, pairs=pairs)


def _of_manifest(root: Path) -> tuple[Pair, ...]:
    found = []
    for tile in Manifest.load(root).tiles:
        scan, truth, mask = (root / side / tile.name for side in SIDES)
        for path in (scan, truth, mask):
            if not path.is_file():
                raise InputError(f"{path}: missing", hint=f"darkroom dataset verify {root}")
        name = PurePosixPath(tile.name).with_suffix("").as_posix()
        found.append(Pair(name, scan, truth, mask, tile.photo, tile.family, tile.split, tile.flags))
    return tuple(found)


def _of_table(table: Path) -> Found:
    rows = read_table(table, ("scan", "gt"))
    names = identities([_path(row["scan"], table) for row in rows], table.parent)
    found = []
    for row, name in zip(rows, names, strict=True):
        scan, truth = (_path(row[column], table) for column in ("scan", "gt"))
        mask = _path(row["mask"], table) if row.get("mask") else None
        photo = row.get("photo") or name
        family, split = row.get("family") or photo, row.get("split") or None
        found.append(Pair(name, scan, truth, mask, photo, family, split))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{table}: the scan {twice[0]} stands in it more than once")
    return Found(tuple(found))


def _path(cell: str, table: Path) -> Path:
    """A path as a table has it, with slashes of either kind, from the table's folder."""
    path = table.parent / cell
    return path if path.exists() or "\\" not in cell else table.parent / cell.replace("\\", "/")


def identities(paths: Sequence[Path], root: Path) -> list[str]:
    """Names of files that no two share: their paths without suffix.

    Below `root` if all lie there, otherwise below what they have in common. Files that differ in
    their suffix alone keep it.
    """
    full = [Path(os.path.normpath(path.absolute())) for path in paths]
    base = Path(os.path.normpath(root.absolute()))
    if not all(path.is_relative_to(base) for path in full):
        base = Path(os.path.commonpath([path.parent for path in full]))
    below = [path.relative_to(base) for path in full]
    stems = Counter(path.with_suffix("") for path in set(below))
    return [
        (path if stems[path.with_suffix("")] > 1 else path.with_suffix("")).as_posix()
        for path in below
    ]


def _grouped(parts: Sequence[Found]) -> Found:
    """The pairs of all parts, with their photographs: patches are told by all names together."""
    pairs = [pair for part in parts for pair in part.pairs]
    photo = photographs(pair.photo for pair in pairs)
    return Found(
        tuple(replace(p, photo=photo[p.photo], family=photo[p.photo]) for p in pairs),
        tuple(error for part in parts for error in part.wrong),
    )


def _match(layout: Layout, ending: str | None) -> Found:
    """Pairs of two folders or two files, by their paths below them."""
    scans, truths, part = layout.scans, layout.truths, layout.part
    endings = (ending,) if ending else ENDINGS
    left, right = _pictures(scans), dict[str, list[Path]]()
    if truths is not None and scans.is_file() and truths.is_file():
        right = {key: [truths] for key in left}
    elif truths is not None:
        together = scans.resolve() == truths.resolve()
        if together:
            left = {key: path for key, path in left.items() if not path.stem.endswith(endings)}
        for path in pictures(truths) if truths.is_dir() else [truths]:
            key = path.relative_to(truths).as_posix() if truths.is_dir() else path.name
            partner = _partner(key, left.keys(), endings if together else ("", *endings))
            if partner is not None or not together or path.stem.endswith(endings):
                right.setdefault(partner or key, []).append(path)
    marks = _pictures(layout.masks) if layout.masks else {}
    pairs, wrong = list[Pair](), list[InputError]()
    for key, scan in left.items():
        candidates = right.pop(key, [])
        if truths is not None and len(candidates) != 1:
            wrong.append(_unpaired(scan, candidates, truths))
            continue
        truth = candidates[0] if candidates else None
        name = f"{part}/{key}" if part else key
        pairs.append(Pair(name, scan, truth, marks.get(key), key, key, part or None))
    lonely = (path for paths in right.values() for path in paths)
    wrong += [InputError(f"{path}: no scan of this name") for path in lonely]
    return Found(tuple(pairs), tuple(wrong))


def _partner(truth: str, scans: Container[str], endings: Sequence[str]) -> str | None:
    """The identity of the scan that a ground truth goes with, by the truth's relative path."""
    path = PurePosixPath(truth)
    stem = path.with_suffix("").as_posix()
    for suffix in (path.suffix, ""):
        for end in endings:
            if stem.endswith(end) and (name := stem.removesuffix(end) + suffix) in scans:
                return name
    return None


def _unpaired(scan: Path, candidates: Sequence[Path], truths: Path) -> InputError:
    if not candidates:
        return InputError(
            f"{scan}: no ground truth of this name",
            hint=f"looked in {truths}; a name may end in {', '.join(ENDINGS)} or --pair-suffix",
        )
    names = ", ".join(path.name for path in candidates)
    return InputError(
        f"{scan}: {len(candidates)} files could be its ground truth: {names}",
        hint="say with --pair-suffix which it is, or give a table of pairs",
    )


def _pictures(path: Path) -> dict[str, Path]:
    """Pictures by their identity, sorted."""
    if path.is_file():
        return {path.stem: path}
    files = list(pictures(path))
    return dict(zip(identities(files, path), files, strict=True))


def warn_of_leaks(parts: Mapping[str, Sequence[Pair]]) -> None:
    """Warn of pictures, or else families, that stand in the training part and in another.

    Raises:
        InputError: a scan cannot be read.
    """
    train = {pair.family for pair in parts.get("train", ())}
    known = {digest(pair.scan): pair.name for pair in parts.get("train", ())}
    for part, pairs in parts.items():
        if part == "train":
            continue
        if twins := [pair.name for pair in pairs if digest(pair.scan) in known]:
            warnings.warn(
                f"{len(twins)} scans stand in train and in {part}, {twins[0]!r} for one: figures "
                "will flatter",
                DarkroomWarning,
                stacklevel=2,
            )
        elif shared := train & {pair.family for pair in pairs}:
            warnings.warn(
                f"{len(shared)} families of photographs stand in train and in {part}, "
                f"{min(shared)!r} for one: figures will be too good",
                DarkroomWarning,
                stacklevel=2,
            )
