"""A receipt that is checked finds whatever was changed since, and says what."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from darkroom.cli.main import main
from darkroom.options import CleanOptions, OutputOptions
from darkroom.packed import pack
from darkroom.pipeline.clean import clean_file
from darkroom.pipeline.receipt import receipt_path
from darkroom.pipeline.request import Request


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    image = np.clip(rng.normal(20000, 300, (200, 240, 3)), 0, 65535).astype(np.uint16)
    for x in range(20, 220, 25):
        image[90:95, x : x + 5] = 62000
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb")
    options = CleanOptions(backend="classical", max_coverage=1)
    request = Request(options, output=OutputOptions(save_mask=tmp_path / "m.png"))
    made = clean_file(tmp_path / "a.tif", tmp_path / "a_clean.tif", request)
    assert made.artefacts >= 5
    return receipt_path(tmp_path / "a_clean.tif")


def checked(capsys, *names: Path) -> tuple[int, dict]:
    code = main(["verify", "--json", *map(str, names)])
    return code, json.loads(capsys.readouterr().out.splitlines()[0])


def rewritten(receipt: Path, **changes: object) -> None:
    values = json.loads(receipt.read_text())
    receipt.write_text(json.dumps(values | changes))


def test_all_well_by_any_name(receipt, capsys):
    for name in (receipt, receipt.with_name("a_clean.tif"), receipt.parent):
        code, said = checked(capsys, name)
        assert (code, said["verified"], said["wrong"]) == (0, True, [])
        assert said["pixels_outside_mask_that_differ"] == 0
    assert main(["verify", str(receipt)]) == 0
    assert "verified" in capsys.readouterr().out


def test_it_may_be_moved_with_its_files(receipt, capsys, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in list(tmp_path.iterdir()):
        if path != moved:
            path.rename(moved / path.name)
    assert checked(capsys, moved / receipt.name)[0] == 0


def change_pixel(path: Path, y: int, x: int) -> None:
    image = tifffile.memmap(path, mode="r+")
    image[y, x, 1] += 1
    image.flush()


def test_one_bit_outside_the_mask(receipt, capsys):
    change_pixel(receipt.with_name("a_clean.tif"), 5, 7)
    code, said = checked(capsys, receipt)
    assert code == 1 and said["pixels_outside_mask_that_differ"] == 1
    assert any("SHA-256 of the result" in line for line in said["wrong"])


def test_changed_scan(receipt, capsys):
    change_pixel(receipt.with_name("a.tif"), 5, 7)
    code, said = checked(capsys, receipt)
    assert code == 1 and any("SHA-256 of the scan" in line for line in said["wrong"])


def test_mask_file_of_another_mask(receipt, capsys):
    mask = np.asarray(Image.open(receipt.with_name("m.png"))).copy()
    mask[0, 0] = 255
    Image.fromarray(mask).save(receipt.with_name("m.png"))
    code, said = checked(capsys, receipt)
    assert code == 1 and any("mask file" in line for line in said["wrong"])


def test_receipt_with_another_mask(receipt, capsys):
    values = json.loads(receipt.read_text())
    everything = np.full((200, 240), 255, np.uint8)
    packed = values["packed_mask"] | {"data": pack([everything])}
    rewritten(receipt, packed_mask=packed)
    code, said = checked(capsys, receipt)
    assert code == 3 and "digest" in said["error"]


@pytest.mark.parametrize("gone", ["a.tif", "a_clean.tif"])
def test_missing_file(receipt, capsys, gone):
    receipt.with_name(gone).unlink()
    code, said = checked(capsys, receipt)
    assert code == 3 and gone in said["error"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 99}', '{"schema": 2}'])
def test_no_receipt(receipt, capsys, text):
    receipt.write_text(text)
    code, said = checked(capsys, receipt)
    assert code == 3 and said["error"]


def test_damaged_values_are_named(receipt, capsys):
    for changes in ({"files": {"source": 3}}, {"width": "x"}, {"files": []}, {"packed_mask": 7}):
        was = receipt.read_text()
        rewritten(receipt, **changes)
        code, said = checked(capsys, receipt)
        assert code in (1, 3) and "damaged" in str(said["error"] or "damaged"), changes
        receipt.write_text(was)


def test_codes_of_several(receipt, capsys, tmp_path):
    missing = tmp_path / "none.receipt.json"
    assert main(["verify", str(receipt), str(missing)]) == 3
    assert "none.receipt.json" in capsys.readouterr().err
    change_pixel(receipt.with_name("a_clean.tif"), 5, 7)
    assert main(["verify", str(receipt), str(missing)]) == 1
