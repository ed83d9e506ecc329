"""Infrared planes: found where scanners put them, read exactly, carried into the result."""

import struct

import numpy as np
import pytest
import tifffile
from pictures import make_picture

from darkroom.geometry import Window
from darkroom.io import open_infrared, open_scan
from darkroom.scan import Encoding


def write_hdri(path) -> tuple[np.ndarray, np.ndarray]:
    """SilverFast HDRi: linear RGB, a reduced preview, infrared with NewSubfileType 4."""
    picture, infrared = make_picture((40, 30, 3), "u2"), make_picture((40, 30), "u2", seed=1)
    with tifffile.TiffWriter(path) as tif:
        tif.write(picture, photometric="rgb", metadata=None)
        tif.write(make_picture((10, 8, 3), "u1"), photometric="rgb", subfiletype=1, metadata=None)
        tif.write(infrared, photometric="minisblack", subfiletype=2, metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tif:  # which it refuses to write itself
        tif.pages[2].tags["NewSubfileType"].overwrite(4)
    return picture, infrared


def test_hdri_page_is_found_and_carried(tmp_path, copy) -> None:
    picture, infrared = write_hdri(tmp_path / "a.tif")
    lost = copy(tmp_path / "a.tif", tmp_path / "b.tif", compression="deflate")
    assert lost == ["1 preview (showing the picture before cleaning)"]
    for name in ("a.tif", "b.tif"):
        with open_scan(tmp_path / name) as scan:
            assert np.array_equal(scan.read(scan.info.window), picture)
            assert scan.info.infrared.where == "page"
            with open_infrared(scan.info) as plane:
                assert np.array_equal(plane.read(plane.info.window)[..., 0], infrared)
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert [page.subfiletype for page in tif.pages] == [0, 4]


def test_formats_without_pages_name_the_loss(tmp_path, copy) -> None:
    write_hdri(tmp_path / "a.tif")
    assert "infrared page" in copy(tmp_path / "a.tif", tmp_path / "b.png")


@pytest.mark.parametrize("planar", [False, True])
def test_vuescan_fourth_sample(tmp_path, copy, planar) -> None:
    pixels = make_picture((40, 30, 4), "u2")
    stored = np.moveaxis(pixels, -1, 0) if planar else pixels
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["unspecified"],
        planarconfig="separate" if planar else "contig", software="VueScan 9 x64 (9.7.50)",
    )  # fmt: skip
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    for name in ("a.tif", "b.tif"):
        with open_scan(tmp_path / name) as scan:
            assert (scan.info.channels, scan.info.extra) == (3, 1)
            assert scan.info.profile.encoding is Encoding.LINEAR
            assert scan.info.infrared.where == "sample"
            with open_infrared(scan.info) as plane:
                window = Window(3, 5, 10, 20)
                assert plane.info.samples == 1
                assert np.array_equal(plane.read(window), pixels[window.slices][..., 3:])


def test_alpha_is_not_infrared(tmp_path) -> None:
    pixels = make_picture((20, 20, 4), "u1")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    with open_scan(tmp_path / "a.tif") as scan:
        assert scan.info.infrared is None
        assert open_infrared(scan.info) is None


@pytest.mark.parametrize("name", ["scan_IR.tif", "scan-ir.tif"])
def test_sidecar(tmp_path, name) -> None:
    infrared = make_picture((20, 15), "u2", seed=2)
    tifffile.imwrite(tmp_path / "scan.tif", make_picture((40, 30, 3), "u2"), photometric="rgb")
    tifffile.imwrite(tmp_path / name, infrared)
    with open_scan(tmp_path / "scan.tif") as scan, open_infrared(scan.info) as plane:
        assert (plane.info.width, plane.info.height) == (15, 20)
        assert np.array_equal(plane.read(plane.info.window)[..., 0], infrared)
    with open_scan(tmp_path / name) as scan:
        assert open_infrared(scan.info) is None


def test_scanner_dng_with_its_picture_in_a_subifd(tmp_path) -> None:
    """VueScan raw DNG: a thumbnail first, LinearRaw with infrared as fourth sample below it."""
    pixels = make_picture((40, 30, 4), "u2")
    path = tmp_path / "a.dng"
    version = (50706, 1, 4, struct.pack("4B", 1, 4, 0, 0), True)
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            make_picture((10, 8, 3), "u1"), photometric="rgb", subfiletype=1, subifds=1,
            extratags=[version], software="VueScan 9", metadata=None,
        )  # fmt: skip
        tif.write(pixels, photometric=34892, planarconfig="contig", metadata=None, software=False)
    with open_scan(path) as scan:
        assert np.array_equal(scan.read(scan.info.window), pixels)
        assert scan.info.profile.encoding is Encoding.LINEAR
        assert scan.info.infrared.where == "sample"


def test_further_pages_are_named_as_lost(tmp_path, copy) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for seed in range(3):
            tif.write(make_picture((20, 20, 3), "u1", seed), photometric="rgb", metadata=None)
    assert copy(tmp_path / "a.tif", tmp_path / "b.tif") == ["2 further pages"]


@pytest.mark.parametrize("subfile", [0, 2])
def test_an_extra_page_of_the_same_size_is_infrared(tmp_path, copy, subfile) -> None:
    """As programs write it that do not mark it: a small copy second, grey infrared third."""
    picture, infrared = make_picture((40, 30, 3), "u2"), make_picture((40, 30), "u2", seed=1)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(picture, photometric="rgb", metadata=None)
        tif.write(make_picture((10, 8, 3), "u1"), photometric="rgb", subfiletype=1, metadata=None)
        tif.write(infrared, photometric="minisblack", subfiletype=subfile, metadata=None)
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    for name in ("a.tif", "b.tif"):
        with open_scan(tmp_path / name) as scan:
            assert scan.info.infrared.where == "page"
            with open_infrared(scan.info) as plane:
                assert np.array_equal(plane.read(plane.info.window)[..., 0], infrared)


def test_two_grey_pages_do_not_say_which_is_infrared(tmp_path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(make_picture((40, 30, 3), "u2"), photometric="rgb", metadata=None)
        for seed in (1, 2):
            tif.write(make_picture((40, 30), "u2", seed), photometric="minisblack", metadata=None)
    with open_scan(tmp_path / "a.tif") as scan:
        assert scan.info.infrared is None
