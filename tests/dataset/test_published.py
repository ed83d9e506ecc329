import os
from collections import Counter
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from darkroom.cli.main import main
from darkroom.dataset.folder import Splitting
from darkroom.dataset.published import import_published
from darkroom.errors import DarkroomWarning, InputError, UsageError
from darkroom.pairs.find import find_pairs
from darkroom.pairs.manifest import Manifest
from darkroom.pairs.split import (
    PATCH,
    families,
    leaks,
    merge_families,
    split_at_random,
    split_families,
)

SHARED = Path(os.environ.get("DARKROOM_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Six photographs of 2 x 2 patches; photographs e and f share one patch of truth."""
    rng = np.random.default_rng(0)
    root = tmp_path / "published"
    for n, photo in enumerate(["a", "b9", "c", "d", "e", "f"]):
        for x in (0, 1):
            for y in (0, 1):
                gt = rng.integers(30, 200, (32, 32), np.uint8)
                if photo in "ef" and (x, y) == (0, 0):
                    gt = np.arange(1024, dtype=np.uint16).reshape(32, 32).astype(np.uint8)
                scan = gt.copy()
                scan[5:8, 5:9] = 255 - n
                split = "train" if (x + y) % 2 else "val"
                for side, image in (("scan", scan), ("gt", gt)):
                    folder = root / split / side
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / f"{photo}{x}-{y}.png").write_bytes(imagecodecs.png_encode(image))
    return root


def test_import_keeps_photographs_together_and_counts_the_leak(
    published: Path, tmp_path: Path
) -> None:
    manifest, wrong = import_published(published, tmp_path / "ds", how=Splitting(val=0.3, test=0.2))
    assert not wrong and len(manifest.tiles) == 24
    families = {t.photo: t.family for t in manifest.tiles}
    assert set(families) == {"a", "b9", "c", "d", "e", "f"} and families["e"] == families["f"]
    assert not any(manifest.leaks().values())
    was = leaks((t.family, str(t.published)) for t in manifest.tiles)
    assert was == {"val": 12}
    tile = manifest.tiles[0]
    source = published / str(tile.published) / "scan" / tile.name
    assert manifest.path(tile, "scan").read_bytes() == source.read_bytes()


def test_the_other_layout_and_missing_partners(published: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "FilmArtefac"
    for split in ("train", "val"):
        (other / "GT").mkdir(parents=True, exist_ok=True)
        (other / "train").mkdir(exist_ok=True)
        (published / split / "gt").rename(other / "GT" / split)
        (published / split / "scan").rename(other / "train" / split)
    (other / "GT/val/a0-0.png").unlink()
    found = find_pairs(other.parent)
    assert len(found.pairs) == 23 and "a0-0.png" in str(found.wrong[0])
    with pytest.raises(InputError, match="layout"):
        import_published(tmp_path / "other" / "FilmArtefac" / "GT", tmp_path / "ds")
    assert not (tmp_path / "ds").exists()


def test_paper_split_leaks(published: Path, tmp_path: Path) -> None:
    manifest, _ = import_published(published, tmp_path / "ds", how=Splitting("paper"))
    counts = Counter(t.split for t in manifest.tiles)
    assert counts == {"train": 16, "val": 8}
    assert manifest.leaks()["val"] > 0


def test_family_split_is_deterministic_and_fair() -> None:
    sizes = {f"family{n}": 10 + n for n in range(40)}
    first = split_families(sizes, val=0.2, test=0.2, seed=3)
    assert first == split_families(dict(reversed(sizes.items())), val=0.2, test=0.2, seed=3)
    assert first != split_families(sizes, val=0.2, test=0.2, seed=4)
    shares = Counter[str]()
    for family, split in first.items():
        shares[split] += sizes[family]
    total = sum(sizes.values())
    assert abs(shares["val"] / total - 0.2) < 0.06 and abs(shares["test"] / total - 0.2) < 0.06
    with pytest.raises(UsageError):
        split_families(sizes, val=0.5, test=0.5)


def test_something_is_left_to_train_on_however_few_families() -> None:
    assert split_families({"a": 5}) == {"a": "train"}
    assert sorted(split_families({"a": 50, "b": 50}).values()) == ["train", "val"]
    assert sorted(split_families({"a": 50, "b": 50}, val=0).values()) == ["test", "train"]
    for count in range(3, 9):
        assert set(split_families(dict.fromkeys("abcdefgh"[:count], 9)).values()) == {
            "train", "val", "test"
        }  # fmt: skip


def test_random_split_has_the_papers_shares() -> None:
    drawn = Counter(split_at_random([str(n) for n in range(300)]))
    assert drawn == {"train": 200, "val": 100}


def test_families_by_table_and_pattern(tmp_path: Path) -> None:
    table = tmp_path / "t.tsv"
    table.write_text("photo\tfamily\nx1\tx\nx2\tx\n")
    with pytest.warns(DarkroomWarning, match="1 of 3 photographs, 'y'"):
        told = families({"x1", "x2", "y"}, str(table))
    assert told == {"x1": "x", "x2": "x", "y": "y"}
    assert families({"x1", "x2"}, r"^([a-z])") == {"x1": "x", "x2": "x"}
    with pytest.raises(UsageError, match="fits none of the 1"):
        families({"x"}, "y(1).tsv")
    merged = merge_families({"a": "a", "b": "b", "c": "c"}, [("c", "b"), ("b", "a")])
    assert set(merged.values()) == {"a"}


def test_command_line(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ds = str(tmp_path / "ds")
    assert main(["dataset", "import", str(published), "-o", ds]) == 0
    assert "LEAKED" in capsys.readouterr().out
    assert main(["dataset", "verify", ds]) == 0
    assert main(["dataset", "inspect", ds, "--html", str(tmp_path / "s.html")]) == 0
    assert (tmp_path / "s.html").exists()
    assert main(["dataset", "import", str(published), "-o", ds]) == 1
    assert "already exists" in capsys.readouterr().err
    assert main(["dataset", "verify", str(tmp_path / "none")]) == 3
    Manifest.load(Path(ds)).path(Manifest.load(Path(ds)).tiles[0], "gt").unlink()
    assert main(["dataset", "verify", ds]) == 3


@pytest.mark.skipif(not (SHARED / "film").exists(), reason="the data set is absent")
def test_the_published_names_give_photographs_and_the_family_split_is_stable() -> None:
    found = find_pairs(SHARED / "film", group_by=str(SHARED / "film/photos.tsv")).complete()
    assert all(PATCH.fullmatch(pair.scan.stem) for pair in found)
    chosen = split_families(Counter(pair.family for pair in found))
    tiles = Counter(chosen[pair.family] for pair in found)
    assert (tiles["test"], tiles["val"], tiles["train"]) == (537, 394, 1386)
    assert not any(leaks((pair.family, chosen[pair.family]) for pair in found).values())
    assert leaks((pair.family, str(pair.split)) for pair in found)["val"] > 800
