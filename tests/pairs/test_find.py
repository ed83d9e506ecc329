"""One finder for every layout, and identities that no two pictures share."""

import json

import numpy as np
import pytest
import tifffile

from darkroom.errors import DarkroomWarning, InputError, UsageError
from darkroom.pairs.find import find_pairs, find_parts, warn_of_leaks
from darkroom.pairs.manifest import Manifest, TileRecord


def put(*paths, value=0):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.full((8, 8), value, np.uint8))


def names(found):
    return [pair.name for pair in found.pairs]


def test_folders_in_folders_give_identities_by_path(tmp_path):
    for roll in ("roll1", "roll2"):
        put(tmp_path / "scans" / roll / "001.tif", tmp_path / "truths" / roll / "001_clean.tif")
    found = find_pairs(tmp_path / "scans", tmp_path / "truths")
    assert names(found) == ["roll1/001", "roll2/001"] and not found.wrong
    assert [pair.truth.parent.name for pair in found.pairs] == ["roll1", "roll2"]
    assert {pair.family for pair in found.pairs} == set(names(found))


def test_pictures_that_differ_in_their_suffix_keep_it(tmp_path):
    for side in ("s", "g"):
        put(tmp_path / side / "x.tif", tmp_path / side / "x.png", tmp_path / side / "y.tif")
    found = find_pairs(tmp_path / "s", tmp_path / "g")
    assert names(found) == ["x.png", "x.tif", "y"]
    assert all(pair.scan.suffix == pair.truth.suffix for pair in found.pairs)


def test_several_truths_for_one_scan_are_named_and_never_chosen(tmp_path):
    put(tmp_path / "s/x.tif", tmp_path / "g/x_gt.tif", tmp_path / "g/x_clean.tif")
    found = find_pairs(tmp_path / "s", tmp_path / "g")
    assert not found.pairs and "x_clean.tif, x_gt.tif" in str(found.wrong[0])
    with pytest.raises(InputError, match="2 files could be"):
        found.complete()
    (pair,) = find_pairs(tmp_path / "s", tmp_path / "g", ending="_gt").pairs
    assert pair.truth.name == "x_gt.tif"


def test_one_folder_may_hold_both(tmp_path):
    put(*(tmp_path / f"{n}{end}.tif" for n in "ab" for end in ("", "_retouched")))
    put(tmp_path / "c.tif", tmp_path / "d_retouched.tif")
    found = find_pairs(tmp_path, tmp_path)
    assert names(found) == ["a", "b"]
    assert ["c.tif" in str(found.wrong[0]), "d_retouched" in str(found.wrong[1])] == [True, True]


def test_files_of_other_systems_and_of_darkroom_are_passed_over(tmp_path):
    for side in ("s", "g"):
        put(tmp_path / side / "x.tif", tmp_path / side / "@eaDir" / "x.tif")
        (tmp_path / side / "._x.tif").write_bytes(b"\0\5\x16\7")
        put(tmp_path / side / "x_IR.tif", tmp_path / side / "x_clean.tif")
        (tmp_path / side / "x_clean.tif.receipt.json").write_text("{}")
        put(tmp_path / side / "ds" / "scan" / "y.tif")
        (tmp_path / side / "ds" / "manifest.json").write_text("{}")
    assert names(find_pairs(tmp_path / "s", tmp_path / "g")) == ["x"]


def test_a_table_of_pairs(tmp_path):
    put(*(tmp_path / f"{d}/{n}.tif" for d in ("r1", "r2", "g1", "g2") for n in ("1", "2")))
    table = tmp_path / "pairs.csv"
    table.write_text("scan,gt,family,split\nr1/1.tif,g1/1.tif,f,train\nr2\\1.tif,g2\\1.tif,,val\n")
    found = find_pairs(table)
    assert names(found) == ["r1/1", "r2/1"]
    assert [(p.family, p.split) for p in found.pairs] == [("f", "train"), ("r2/1", "val")]
    table.write_text("scan,gt\nr1/1.tif,g1/1.tif\nr1/1.tif,g1/2.tif\n")
    with pytest.raises(InputError, match="r1/1 stands in it more than once"):
        find_pairs(table)


def published(root):
    for part, count in (("train", 3), ("val", 2)):
        for n in range(count):
            put(*(root / part / side / f"photo{n}0-{n}.tif" for side in ("scan", "gt")), value=n)
    return root


def test_parts_come_from_layout_or_table(tmp_path):
    root = published(tmp_path)
    parts = find_parts(root, ["train", "val", "test"])
    assert {part: len(pairs) for part, pairs in parts.items()} == {"train": 3, "val": 2}
    assert {pair.family for pair in parts["train"]} == {"photo0", "photo1", "photo2"}
    with pytest.warns(DarkroomWarning, match="2 scans stand in train and in val"):
        warn_of_leaks(parts)
    table = tmp_path / "split.tsv"
    rows = ["photo0\ttest\ta", "photo1\ttrain\ta", "photo2\tval\tb"]
    table.write_text("\n".join(["photo\tsplit\tfamily", *rows]))
    parts = find_parts(root, ["train", "val"], table)
    assert {part: len(pairs) for part, pairs in parts.items()} == {"train": 2, "val": 1}
    assert parts["train"][0].family == "a"
    table.write_text("photo\tsplit\nphoto0\ttrain\n")
    with pytest.raises(InputError, match="'photo1'"):
        find_parts(root, ["train"], table)
    table.write_text("photo\tsplit\nphoto0\ttraining\n")
    with pytest.raises(InputError, match="no part is called 'training'"):
        find_parts(root, ["train"], table)
    with pytest.raises(UsageError, match="no part 'test'"):
        find_pairs(root, part="test")


def test_families_stand_in_one_part(tmp_path):
    root = published(tmp_path)
    put(root / "val/scan/photo00-0.tif", root / "val/scan/photo10-1.tif", value=77)
    with pytest.warns(DarkroomWarning, match="2 families"):
        warn_of_leaks(find_parts(root, ["train", "val"]))


def test_a_manifest_gives_masks_flags_families_and_parts(tmp_path):
    tiles = []
    for n, split in enumerate(("train", "val")):
        name = f"roll/{n}_0_0.png"
        put(*(tmp_path / side / name for side in ("scan", "gt", "mask")))
        flags = ("edited",) if n else ()
        tiles.append(
            TileRecord(name, f"roll/{n}", "f", split, (0, 0, 8, 8), {}, {}, 0.0, 0.0, 0.0, flags)
        )
    Manifest("build", {}, tuple(tiles), root=tmp_path).save()
    found = find_pairs(tmp_path)
    assert [(p.name, p.photo, p.family, p.split, p.flags) for p in found.pairs] == [
        ("roll/0_0_0", "roll/0", "f", "train", ()),
        ("roll/1_0_0", "roll/1", "f", "val", ("edited",)),
    ]
    assert all(pair.mask.is_file() for pair in found.pairs)
    (tmp_path / "gt" / "roll" / "0_0_0.png").unlink()
    with pytest.raises(InputError, match="missing"):
        find_pairs(tmp_path)


def test_a_first_version_of_the_manifest_is_read(tmp_path):
    record = {"photo": "p", "scan": "p.tif", "gt": "p.tif", "width": 1, "height": 1}
    record |= {"registration": {}, "tone": {}}
    body = {"version": 1, "kind": "build", "settings": {}, "tiles": [], "pairs": [record]}
    (tmp_path / "manifest.json").write_text(json.dumps(body))
    assert Manifest.load(tmp_path).pairs[0].sha256 == {}


def test_nothing_to_train_on_is_said(tmp_path):
    put(tmp_path / "scan" / "a.tif")
    with pytest.raises(InputError, match="no ground truth for it"):
        find_parts(tmp_path, ["train"])
    put(tmp_path / "gt" / "a.tif")
    with pytest.raises(InputError, match="nothing says which pairs"):
        find_parts(tmp_path, ["train"])
    with pytest.raises(InputError, match="no such file or folder"):
        find_pairs(tmp_path / "none")
