"""One reader: any depth, one luminance, masks that come with the pair."""

import numpy as np
import pytest
import tifffile

from darkroom.codec import linear_to_srgb
from darkroom.damage.difference import CLEAN, DAMAGED, UNDECIDED
from darkroom.errors import InputError
from darkroom.io import open_scan
from darkroom.pairs.find import Pair
from darkroom.pairs.read import load_picture, read_image, read_levels
from darkroom.scan import LUMINANCE, Encoding


@pytest.fixture
def pair(tmp_path, rng):
    """Makes a pair of a type, the truth 0.2 to 0.6 of white, with a square of dust."""

    def make(dtype="uint16", channels=3, mask=False):
        white = 1.0 if dtype == "float32" else np.iinfo(dtype).max
        truth = (rng.uniform(0.2, 0.6, (40, 50, channels)) * white).astype(dtype).squeeze()
        scan = truth.copy()
        scan[10:14, 20:26] = white
        paths = [tmp_path / f"{name}.tif" for name in ("scan", "gt", "mask")]
        kind = "rgb" if channels == 3 else "minisblack"
        for path, image in zip(paths, (scan, truth), strict=False):
            tifffile.imwrite(path, image, photometric=kind)
        if mask:
            marked = np.zeros((40, 50), np.uint8)
            marked[30:33, 5:9] = 255
            tifffile.imwrite(paths[2], marked)
        return Pair("p", paths[0], paths[1], paths[2] if mask else None, "p", "f"), scan / white

    return make


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_full_depth_reaches_the_network(pair, dtype, channels):
    found, scan = pair(dtype, channels)
    picture = load_picture(found, channels=None)
    assert picture.scan.shape == scan.shape
    assert np.abs(picture.scan - scan * 255).max() < 1e-3
    assert (picture.state == DAMAGED).sum() == 24
    grey = load_picture(found, channels=1)
    expected = scan if channels == 1 else scan @ np.array(LUMINANCE)
    assert np.abs(grey.scan - expected * 255).max() < 1e-3
    assert load_picture(found, channels=3).scan.shape == (40, 50, 3)
    assert grey.family == "f"


def test_a_mask_says_what_is_damaged_and_the_difference_stays_undecided(pair):
    found, _ = pair(mask=True)
    picture = load_picture(found)
    marked = np.zeros((40, 50), bool)
    marked[30:33, 5:9] = True
    assert np.array_equal(picture.state == DAMAGED, marked)
    assert (picture.state[10:14, 20:26] == UNDECIDED).all()
    assert (picture.state == CLEAN).mean() > 0.9


def test_linear_scans_are_encoded_as_clean_does(tmp_path):
    linear = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    tifffile.imwrite(
        tmp_path / "a.tif", np.dstack([linear] * 3), photometric="rgb", software="SilverFast HDR"
    )
    with open_scan(tmp_path / "a.tif") as scan:
        assert scan.info.profile.encoding is Encoding.LINEAR
    image = read_image(tmp_path / "a.tif", channels=1)[..., 0]
    expected = linear_to_srgb((linear / 65535).astype(np.float32))
    assert np.abs(image - expected).max() < 1e-4


def test_pictures_that_do_not_go_together_are_named(pair, tmp_path):
    found, _ = pair()
    tifffile.imwrite(found.truth, np.zeros((40, 51, 3), np.uint16), photometric="rgb")
    with pytest.raises(InputError, match="differ in size"):
        load_picture(found)
    tifffile.imwrite(found.truth, np.zeros((40, 50), np.uint16))
    with pytest.raises(InputError, match="one is grey"):
        load_picture(found, channels=None)
    with pytest.raises(InputError, match="no ground truth"):
        load_picture(Pair("p", found.scan, None, None, "p", "p"))


def test_photographs_keep_the_depth_they_have(tmp_path, rng):
    import imagecodecs

    pixels = rng.integers(0, 255, (32, 32, 3), np.uint8)
    (tmp_path / "a.webp").write_bytes(imagecodecs.webp_encode(pixels, lossless=True))
    tifffile.imwrite(tmp_path / "b.tif", pixels.astype(np.uint16) * 257, photometric="rgb")
    eight, sixteen = (read_levels(tmp_path / name, 3) for name in ("a.webp", "b.tif"))
    assert eight.dtype == np.uint8 and sixteen.dtype == np.float32
    assert np.array_equal(eight, pixels) and np.abs(sixteen - pixels).max() < 1e-3
    assert read_levels(tmp_path / "a.webp", 1).shape == (32, 32)
