"""Every layout of docs/formats.md: opened, read exactly, carried through, in bounded memory."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checks import check, documented, streams
from layouts import LAYOUTS
from pictures import copy_scan

from darkroom.errors import InputError
from darkroom.io import Scratch, open_infrared, open_scan

UNSTREAMED = ("Camera raw", "JPEG, progressive")
ids = [layout.title for layout in LAYOUTS]


@pytest.mark.parametrize("layout", LAYOUTS, ids=ids)
def test_a_layout_comes_through_whole(tmp_path, layout) -> None:
    cells = check(layout, tmp_path)
    said = documented()[layout.title]
    assert cells == replace(said, streams=None)
    assert cells.opens
    assert cells.exact
    assert cells.infrared in (True, None)
    assert cells.tags in (True, None)


@pytest.mark.parametrize("layout", LAYOUTS, ids=ids)
def test_the_encoding_and_the_place_of_infrared_are_found(tmp_path, layout) -> None:
    expected = layout.write(tmp_path / layout.name, (60, 80))
    with open_scan(tmp_path / layout.name) as scan:
        assert scan.info.profile.encoding.value == expected.encoding
        assert len(scan.info.profile.reason) > 10
        inside = scan.info.infrared
        assert (inside.where if inside else None) == (expected.where if inside else None)
        plane = open_infrared(scan.info)
        assert (plane is None) == (expected.infrared is None)
        if plane:
            plane.close()


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize("layout", LAYOUTS, ids=ids)
def test_memory_does_not_follow_the_size(tmp_path, layout) -> None:
    """Two kinds want the whole picture, and are refused where memory is too short for it."""
    found = streams(layout, tmp_path)
    assert found == documented()[layout.title].streams
    assert found != layout.title.startswith(UNSTREAMED)


def test_the_page_has_a_row_for_every_layout() -> None:
    assert list(documented()) == ids


@pytest.mark.parametrize("layout", LAYOUTS, ids=ids)
def test_names_mislead_nobody(tmp_path, layout) -> None:
    """A DNG called .tif is still a DNG: first bytes and tags decide, and pages by size."""
    path = tmp_path / layout.name
    expected = layout.write(path, (60, 80))
    if expected.pixels is None or expected.where == "file":
        pytest.skip("a camera's file is one by its tags; a file beside it goes by the name")
    other = tmp_path / "renamed.jpg"
    shutil.copy(path, other)
    with open_scan(other) as scan:
        assert np.array_equal(scan.read(scan.info.window), expected.pixels)


def test_the_cleaned_dng_says_that_it_is_linear(tmp_path) -> None:
    layout = next(one for one in LAYOUTS if one.title == "SilverFast HDRi DNG")
    layout.write(tmp_path / "a.dng", (60, 80))
    losses = copy_scan(tmp_path / "a.dng", tmp_path / "b.tif")
    assert losses == [
        "1 preview (showing the picture before cleaning)",
        "DNGVersion (the result is a TIFF, not a DNG)",
        "DNGBackwardVersion (the result is a TIFF, not a DNG)",
    ]
    with open_scan(tmp_path / "b.tif") as scan:
        assert scan.info.profile.encoding.value == "linear"


def test_what_a_developed_raw_file_loses_is_named(tmp_path) -> None:
    layout = next(one for one in LAYOUTS if one.title == "Camera raw, Bayer DNG with preview")
    layout.write(tmp_path / "a.dng", (60, 80))
    losses = copy_scan(tmp_path / "a.dng", tmp_path / "b.tif")
    assert "the sensor's own samples (LibRaw develops them)" in losses
    assert "1 preview (showing the picture before cleaning)" in losses
    (tags,) = [loss for loss in losses if loss.startswith("tags of the raw data")]
    assert "DNGVersion" in tags and "ColorMatrix1" not in tags


def test_xtrans_develops_to_the_same_samples_every_time(tmp_path) -> None:
    """LibRaw with several threads gives one of a few results."""
    layout = next(one for one in LAYOUTS if one.title == "Camera raw, X-Trans DNG")
    layout.write(tmp_path / "a.dng", (60, 80))
    found = set()
    for _ in range(8):
        with open_scan(tmp_path / "a.dng") as scan:
            found.add(scan.read(scan.info.window).tobytes())
    assert len(found) == 1


def test_infrared_that_was_called_alpha_is_written_as_unspecified(tmp_path) -> None:
    import tifffile
    from pictures import make_picture

    tifffile.imwrite(
        tmp_path / "a.tif", make_picture((20, 30, 4), "u2"), photometric="rgb",
        extrasamples=["unassalpha"], software="VueScan 9 x64 (9.8.20)",
    )  # fmt: skip
    copy_scan(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert tif.pages[0].extrasamples == (0,)


@pytest.mark.parametrize("title", ["JPEG, progressive", "Camera raw, Bayer DNG with preview"])
def test_what_cannot_be_streamed_is_refused_where_memory_is_short(tmp_path, title) -> None:
    layout = next(one for one in LAYOUTS if one.title == title)
    path = tmp_path / layout.name
    layout.write(path, (300, 400))
    with pytest.raises(InputError, match="as a whole, which takes about") as caught:
        open_scan(path, scratch=Scratch(memory=10_000))
    assert "--max-memory" in caught.value.hint
    with open_scan(path, scratch=Scratch(memory=64 << 20)) as scan:
        assert scan.read(scan.info.window).any()


def test_kodaks_raw_file_opens(shared) -> None:
    path = Path(shared) / "raw" / "kodak-dc50.kdc"
    if not path.is_file():
        pytest.skip("the sample camera raw file is not on this machine")
    with open_scan(path) as scan:
        assert scan.info.format == "raw"
        assert scan.read(scan.info.window).any()
