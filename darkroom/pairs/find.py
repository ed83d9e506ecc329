"""Which scan belongs to which ground truth, and to which photograph."""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from darkroom.errors import InputError, UsageError
from darkroom.io import scan_suffixes
from darkroom.pairs.manifest import NAME as MANIFEST
from darkroom.pairs.manifest import SIDES, Manifest

SUFFIXES = frozenset(scan_suffixes())
PATCH = re.compile(r"(?P<photograph>.+)\d-\d+")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Pair:
    """A scan and what is known of it.

    Attributes:
        name: what the report calls it; unique in a run.
        scan: the damaged picture.
        truth: the retouched one, or None.
        mask: a file of the artefacts, 0 and 255, or None to conclude them from the pair.
        photograph: what it is a part of; intervals are drawn over these.
    """

    name: str
    scan: Path
    truth: Path | None
    mask: Path | None
    photograph: str


def find_pairs(
    scans: Path,
    truths: Path | None = None,
    *,
    split: str | None = None,
    group_by: str | None = None,
) -> list[Pair]:
    """Find what to compare.

    Args:
        scans: a file, a folder of scans, or a folder in the published layout: `scan/` and `gt/`
            (and `mask/`), or those below `train/`, `val/` or `test/`.
        truths: a file or a folder of ground truths with the same stems; None where `scans` has
            the published layout, or where no ground truth is known.
        split: only this part of a layout that has parts.
        group_by: how photographs are told from names; see `photograph_names`.

    Raises:
        InputError: nothing is there, or scans and truths do not match.
        UsageError: `split` does not fit, or `group_by` cannot be used.
    """
    if not scans.exists():
        raise InputError(f"{scans}: there is no such file or folder")
    parts = _layout(scans, split) if truths is None else []
    if split and not parts:
        raise UsageError(f"{scans} has no part {split!r}", hint="leave --split out")
    if not parts:
        parts = [("", scans, truths, None)]
    found: list[tuple[str, Path, Path | None, Path | None]] = []
    for prefix, folder, other, masks in parts:
        found += [(prefix + n, a, b, c) for n, a, b, c in _match(folder, other, masks)]
    if not found:
        raise InputError(
            f"{scans}: no pictures here", hint=f"looked for {', '.join(sorted(SUFFIXES))}"
        )
    names = [name for name, *_ in found]
    photographs = photograph_names(names, group_by)
    return [Pair(n, scan, truth, mask, photographs[n]) for n, scan, truth, mask in found]


def dataset_pairs(
    root: Path, *, split: str | None = None, group_by: str | None = None
) -> list[Pair]:
    """The pairs of a data set.

    Args:
        root: a data set with a manifest, or a folder in the published layout.
        split: only this part.
        group_by: as for `photograph_names`; by default a manifest says which tiles belong to one
            family of photographs.

    Raises:
        InputError: there is no data set, or a file of its manifest is missing.
        UsageError: it has no such part.
    """
    if not (root / MANIFEST).is_file():
        if root.is_dir() and not _layout(root, None):
            raise InputError(
                f"{root}: no data set here",
                hint=f"a data set has {MANIFEST}, or folders scan/ and gt/",
            )
        return find_pairs(root, split=split, group_by=group_by)
    manifest = Manifest.load(root)
    tiles = manifest.of(split) if split else manifest.tiles
    if not tiles:
        parts = sorted({tile.split for tile in manifest.tiles})
        raise UsageError(f"{root} has no part {split!r}", hint=f"it has {', '.join(parts)}")
    families = {Path(tile.name).stem: tile.family for tile in tiles}
    if group_by is not None:
        families = photograph_names(families, group_by)
    pairs = []
    for tile in tiles:
        name = Path(tile.name).stem
        scan, truth, mask = (manifest.path(tile, side) for side in SIDES)
        for path in (scan, truth, mask):
            if not path.is_file():
                raise InputError(f"{path}: missing", hint=f"darkroom dataset verify {root}")
        pairs.append(Pair(name, scan, truth, mask, families[name]))
    return pairs


def photograph_names(names: Iterable[str], group_by: str | None) -> dict[str, str]:
    """Which photograph each picture is part of.

    Args:
        names: stems of the pictures, perhaps with "val/" and the like before them.
        group_by: a regular expression whose first group (or whole match) is the photograph; or a
            tab-separated file with columns `photo` and `family`, where family names what versions
            of one photograph have in common; or None: names that all look like the published
            patches (<photo><x>-<y>) are grouped so, otherwise each picture stands for itself.

    Raises:
        UsageError: the expression is malformed or fits some name not at all.
        InputError: the file cannot be read.
    """
    stems = {name: name.rpartition("/")[2] for name in names}
    if group_by is not None and not Path(group_by).is_file():
        return {name: _by_pattern(stem, group_by) for name, stem in stems.items()}
    matches = {name: PATCH.fullmatch(stem) for name, stem in stems.items()}
    patches = all(matches.values())
    photographs = {
        name: match["photograph"] if match and patches else stems[name]
        for name, match in matches.items()
    }
    if group_by is None:
        return photographs
    families = _families(Path(group_by))
    return {name: families.get(photo, photo) for name, photo in photographs.items()}


def _layout(root: Path, split: str | None) -> list[tuple[str, Path, Path | None, Path | None]]:
    """(prefix of names, scans, truths, masks) of each part of the published layout."""
    if not root.is_dir():
        return []
    if (root / "scan").is_dir() and split is None:
        return [("", root / "scan", _folder(root / "gt"), _folder(root / "mask"))]
    wanted = [split] if split else [part for part in SPLITS if (root / part / "scan").is_dir()]
    return [
        (
            f"{part}/",
            root / part / "scan",
            _folder(root / part / "gt"),
            _folder(root / part / "mask"),
        )
        for part in wanted
        if (root / part / "scan").is_dir()
    ]  # fmt: skip


def _folder(path: Path) -> Path | None:
    return path if path.is_dir() else None


def _match(
    scans: Path, truths: Path | None, masks: Path | None
) -> list[tuple[str, Path, Path | None, Path | None]]:
    """(stem, scan, truth, mask) of each pair.

    Raises:
        InputError: a scan lacks its truth, or a truth its scan.
    """
    left = _pictures(scans)
    if truths is None:
        return [(stem, path, None, None) for stem, path in left.items()]
    if not truths.exists():
        raise InputError(f"{truths}: there is no such file or folder")
    right = _pictures(truths)
    if scans.is_file() and truths.is_file():
        right = dict(zip(left, right.values(), strict=True))
    lonely = sorted(left.keys() ^ right.keys())
    if lonely:
        where = scans if lonely[0] in left else truths
        shown = ", ".join(lonely[:5]) + (f" and {len(lonely) - 5} more" if len(lonely) > 5 else "")
        raise InputError(
            f"{len(lonely)} names in only one of {scans} and {truths}: {shown}",
            hint=f"the first is only in {where}; scans and ground truths pair by stem",
        )
    marks = _pictures(masks) if masks else {}
    return [(stem, left[stem], right[stem], marks.get(stem)) for stem in left]


def _pictures(path: Path) -> dict[str, Path]:
    """Stem -> picture, sorted.

    Raises:
        InputError: two pictures of one stem.
    """
    if path.is_file():
        return {path.stem: path}
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            continue
        if file.stem in found:
            raise InputError(f"{file} and {found[file.stem].name} have the same stem")
        found[file.stem] = file
    return found


def _by_pattern(stem: str, pattern: str) -> str:
    try:
        match = re.search(pattern, stem)
    except re.error as error:
        raise UsageError(
            f"--group-by {pattern}: neither a file nor a regular expression: {error}"
        ) from error
    if match is None:
        raise UsageError(f"--group-by {pattern} does not fit {stem!r}")
    return match[1] if match.re.groups and match[1] is not None else match[0]


def _families(path: Path) -> Mapping[str, str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: {error}") from error
    if not rows or not {"photo", "family"} <= rows[0].keys():
        raise InputError(f"{path}: needs tab-separated columns photo and family")
    return {row["photo"]: row["family"] for row in rows}
