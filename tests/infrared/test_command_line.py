"""`--ir` through real files, as scanners write them, and labels for training."""

import json

import numpy as np
import pytest
import tifffile
from rgbi import write_sidecar, write_vuescan

from darkroom.cli.main import main
from darkroom.options import CleanOptions


@pytest.fixture
def darkroom(monkeypatch, capfd, tmp_path):
    """Runs a command line; gives its exit code, stdout and stderr."""
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))

    def run(*arguments):
        return (main([str(a) for a in arguments]), *capfd.readouterr())

    return run


def write_hdri(path, made):
    """As SilverFast writes HDRi: linear picture, preview, infrared with `NewSubfileType` 4."""
    resolution = {"resolution": (2400, 2400), "resolutionunit": 2, "metadata": None}
    with tifffile.TiffWriter(path) as tif:
        picture, infrared = made.damaged[..., :3], made.damaged[..., 3]
        tif.write(picture, photometric="rgb", software="SilverFast 9.2.0 r1", **resolution)
        preview = (picture[::10, ::10] >> 8).astype(np.uint8)
        tif.write(preview, photometric="rgb", subfiletype=1, metadata=None)
        tif.write(infrared, photometric="minisblack", subfiletype=2, metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tif:  # which it refuses to write itself
        tif.pages[2].tags["NewSubfileType"].overwrite(4)


def receipt_of(path):
    return json.loads(path.with_name(f"{path.name}.receipt.json").read_text())


def test_a_vuescan_file_is_cleaned_by_its_fourth_sample(frame, darkroom, tmp_path):
    made = frame()
    source, target = tmp_path / "a.tif", tmp_path / "out.tif"
    write_vuescan(source, made)
    code, _, err = darkroom("clean", source, "-o", target, "--max-coverage", "0.2", "--save-mask")
    assert code == 0
    assert "artefacts by infrared" in err
    told = receipt_of(target)
    assert told["backend"] == "infrared"
    assert told["infrared"]["used"]
    assert "sample 4" in told["infrared"]["where"]
    after = tifffile.imread(target)
    marked = tifffile.imread(source)[..., :3] != after[..., :3]
    assert marked.any()
    assert np.array_equal(after[..., 3], made.damaged[..., 3])
    # Without infrared another backend decides, and the channel is carried all the same.
    plain = tmp_path / "plain.tif"
    code, _, err = darkroom("clean", source, "-o", plain, "--ir", "off")
    assert code == 0
    assert "by infrared" not in err
    assert receipt_of(plain)["backend"] == CleanOptions().backend
    assert np.array_equal(tifffile.imread(plain)[..., 3], made.damaged[..., 3])


def test_every_place_of_the_plane_gives_the_same_result(frame, darkroom, tmp_path):
    made = frame()
    sample, page, beside = (tmp_path / name for name in ("sample.tif", "page.tif", "named.tif"))
    write_vuescan(sample, made)
    write_hdri(page, made)
    write_vuescan(beside, made)
    plane = tmp_path / "plane.tif"
    tifffile.imwrite(plane, made.damaged[..., 3], photometric="minisblack", metadata=None)
    results = []
    for source, extra in ((sample, ()), (page, ()), (beside, ("--ir", plane))):
        target = source.with_name(f"{source.stem}-out.tif")
        code, _, err = darkroom("clean", source, "-o", target, "--max-coverage", "0.2", *extra)
        assert code == 0, err
        assert receipt_of(target)["infrared"]["used"]
        results.append(tifffile.imread(target, key=0)[..., :3])
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
    with tifffile.TiffFile(tmp_path / "page-out.tif") as tif:
        assert np.array_equal(tif.pages[1].asarray(), made.damaged[..., 3])


def test_a_sidecar_of_half_the_size_is_found_and_detects(frame, darkroom, tmp_path):
    made = frame("inverted")
    folder = tmp_path / "scans"
    folder.mkdir()
    beside = write_sidecar(folder / "b.tif", made)
    small = made.damaged[..., 3].reshape(180, 2, 255, 2).mean(axis=(1, 3)).astype(np.uint16)
    tifffile.imwrite(beside, small, photometric="minisblack", metadata=None)
    before = beside.read_bytes()
    mask = tmp_path / "mask.png"
    code, out, err = darkroom("detect", folder, "-o", mask, "--json")
    assert code == 0, err
    (told,) = [json.loads(line) for line in out.splitlines()]  # one scan, not two
    assert told["infrared"]["used"]
    assert told["artefacts"] > 5
    assert beside.read_bytes() == before


def test_infrared_that_mirrors_the_picture_is_skipped_and_said(frame, darkroom, tmp_path):
    source, target = tmp_path / "k.tif", tmp_path / "out.tif"
    write_vuescan(source, frame("kodachrome"))
    code, _, err = darkroom("clean", source, "-o", target, "--max-coverage", "1")
    assert code == 0
    assert "mirrors the picture" in err
    told = receipt_of(target)
    assert told["backend"] == CleanOptions().backend
    assert told["infrared"]["used"] is False
    assert "Kodachrome" in told["infrared"]["refusal"]
    # Asked for by name, it is an error, and nothing is written.
    code, _, err = darkroom("clean", source, "-o", tmp_path / "no.tif", "--backend", "infrared")
    assert code == 3
    assert "mirrors the picture" in err
    assert not (tmp_path / "no.tif").exists()


def test_requests_that_contradict_themselves(frame, darkroom, tmp_path):
    made = frame()
    source = tmp_path / "a.tif"
    write_vuescan(source, made)
    out = ("-o", tmp_path / "out.tif")
    assert darkroom("clean", source, *out, "--backend", "infrared", "--ir", "off")[0] == 2
    assert darkroom("clean", source, *out, "--ir", source)[0] == 3
    assert darkroom("clean", source, *out, "--ir", tmp_path / "missing.tif")[0] == 3
    plain = tmp_path / "plain.tif"
    tifffile.imwrite(plain, made.damaged[..., :3], photometric="rgb", metadata=None)
    code, _, err = darkroom("clean", plain, *out, "--backend", "infrared")
    assert code == 3
    assert "no infrared channel" in err
    assert not (tmp_path / "out.tif").exists()


def test_infrared_labels_become_a_data_set(frame, darkroom, tmp_path):
    folder, root = tmp_path / "scans", tmp_path / "ds"
    folder.mkdir()
    write_vuescan(folder / "one.tif", frame())
    write_hdri(folder / "two.tif", frame(photo="astronaut", seed=5))
    write_vuescan(folder / "silver.tif", frame("silver"))
    build = ("dataset", "build", folder, "-o", root, "--labels", "infrared", "--size", "128")
    code, _, err = darkroom(*build, "--val", "0.5", "--test", "0", "--json")
    assert code == 1  # of three, one has no usable infrared
    assert "silver.tif" in err
    assert "mirrors the picture" in err
    manifest = json.loads((root / "manifest.json").read_text())
    assert manifest["settings"]["labels"] == "infrared"
    assert {tile["photo"] for tile in manifest["tiles"]} == {"one", "two"}
    assert darkroom("dataset", "verify", root)[0] == 0
    labelled = 0
    for tile in manifest["tiles"]:
        scan, truth, mask = (read(root / side / tile["name"]) for side in ("scan", "gt", "mask"))
        assert scan.dtype == np.uint16
        assert np.array_equal(scan[mask == 0], truth[mask == 0])
        labelled += int((mask > 0).sum())
    assert labelled > 500
    assert not (root / ".parts").exists()


def read(path):
    import imagecodecs

    return imagecodecs.png_decode(path.read_bytes())


def test_infrared_labels_take_scans_alone(frame, darkroom, tmp_path):
    code, _, err = darkroom(
        *("dataset", "build", tmp_path, tmp_path, "-o", tmp_path / "ds", "--labels", "infrared")
    )
    assert code == 2
    assert "scans alone" in err
