"""What `inspect` says of files, on the layouts that scanners write."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from layouts import LAYOUTS
from pictures import make_picture
from PIL import Image

from darkroom.cli import main as program
from darkroom.errors import InputError
from darkroom.inspect import guess_film, inspect_file, write_preview
from darkroom.inspect.preview import thumbnail
from darkroom.io import open_scan

# Roles of the pages of each layout, where there is more to say than "picture".
ROLES = {
    "VueScan raw DNG, RGB": {"0": "preview", "0.0": "picture"},
    "VueScan raw DNG, RGB and infrared": {"0": "preview", "0.0": "picture"},
    "VueScan raw DNG in lossless JPEG": {"0": "preview", "0.0": "picture"},
    "Grey 16-bit DNG": {"0": "preview", "0.0": "picture"},
    "SilverFast HDRi TIFF": {"0": "picture", "1": "preview", "2": "infrared"},
    "SilverFast HDRi DNG": {"0": "preview", "0.0": "picture", "1": "infrared"},
    "Coolscan NEF": {"0": "preview", "0.0": "picture"},
    "Flextight FFF": {"0": "further page", "1": "picture", "2": "further page"},
    "Flextight 3F": {"0": "further page", "1": "picture", "2": "further page"},
    "Camera raw, linear DNG in lossless JPEG": {"0": "preview", "0.0": "picture"},
}


def look(path):
    report, scan = inspect_file(path)
    scan.close()
    return report


def write(title, folder, size=(60, 80)):
    layout = next(one for one in LAYOUTS if one.title == title)
    return folder / layout.name, layout.write(folder / layout.name, size)


@pytest.mark.parametrize("layout", LAYOUTS, ids=[layout.title for layout in LAYOUTS])
def test_pages_roles_and_infrared_of_every_layout(tmp_path, layout) -> None:
    expected = layout.write(tmp_path / layout.name, (60, 80))
    report = look(tmp_path / layout.name)
    roles = {page.label: page.role for page in report.pages}
    if layout.title.startswith("Camera raw") and "linear" not in layout.title:
        assert roles == {"0": "preview", "0.0": "sensor data"}
    else:
        assert roles == ROLES.get(layout.title, {"0": "picture"})
    assert (report.infrared.where if report.infrared else None) == expected.where
    assert report.encoding == expected.encoding
    names = [sample for page in report.pages for sample in page.samples]
    assert ("infrared" in names) == (expected.where in ("sample", "page"))
    assert all(page.problem is None for page in report.pages)
    assert all(page.memory_bytes > 0 for page in report.pages)
    json.dumps(report.as_dict())


def test_what_is_kept_and_lost_is_what_clean_keeps_and_loses(tmp_path) -> None:
    path, expected = write("SilverFast HDRi DNG", tmp_path)
    report = look(path)
    kept = {tag.code for page in report.pages for tag in page.tags if tag.kept}
    assert set(expected.tags) <= kept
    assert {50706, 50707}.isdisjoint(kept)  # the versions of the DNG
    assert report.loses == (
        "1 preview (showing the picture before cleaning)",
        "DNGVersion (the result is a TIFF, not a DNG)",
        "DNGBackwardVersion (the result is a TIFF, not a DNG)",
    )
    assert "infrared, as a page where it was" in report.keeps
    assert report.dpi == (4000, 4000)
    names = {tag.name: tag.value for page in report.pages for tag in page.tags}
    assert names["ColorMatrix1"] == "0.8 -0.1 0 -0.2 0.9 0.1 0 0.1 0.7"
    assert names["Model"] == "LS-5000 ED"


def test_reading_costs_what_it_says(tmp_path) -> None:
    """The layouts differ in how they are read, and one strip is unpacked to disk."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4000, 6000, 3), "u2"), photometric="rgb",
                     compression="zstd", rowsperstrip=4000)  # fmt: skip
    page = look(tmp_path / "a.tif").pages[0]
    assert page.reading == "unpacked once to disk"
    assert page.disk_bytes > page.decoded_bytes == 4000 * 6000 * 6
    assert page.memory_bytes < 32 << 20
    path, _ = write("SilverFast HDR TIFF", tmp_path)
    assert look(path).pages[0].disk_bytes == 0


def negative(base, seed=0):
    """Light through a colour negative: dye densities of a picture upon an orange base."""
    exposure = make_picture((120, 160, 3), "f4", seed)
    density = np.array(base) + 1.2 * exposure
    return (10.0**-density * 65535).astype(np.uint16)


def test_an_orange_mask_is_a_colour_negative_and_slides_are_not(tmp_path) -> None:
    tags = {"photometric": "rgb", "software": "VueScan 9"}
    tifffile.imwrite(tmp_path / "negative.tif", negative((0.25, 0.65, 0.95)), **tags)
    tifffile.imwrite(tmp_path / "slide.tif", negative((0.1, 0.1, 0.1)), **tags)
    grey = np.repeat(negative((0.2,) * 3)[..., :1], 3, axis=2)
    tifffile.imwrite(tmp_path / "grey.tif", grey, **tags)
    tifffile.imwrite(tmp_path / "one.tif", grey[..., 0])
    tifffile.imwrite(tmp_path / "dark.tif", np.zeros_like(grey), **tags)
    kinds = {}
    for name in ("negative", "slide", "grey", "one", "dark"):
        with open_scan(tmp_path / f"{name}.tif") as scan:
            guess = guess_film(scan)
            kinds[name] = guess.kind
            assert len(guess.reason) > 20
    assert kinds == {
        "negative": "colour negative",
        "slide": "positive",
        "grey": "black and white",
        "one": "black and white",
        "dark": "unknown",
    }


@pytest.mark.parametrize("orientation", range(1, 9))
def test_previews_are_upright_as_pillow_turns_them(tmp_path, orientation) -> None:
    from PIL import ImageOps

    image = Image.fromarray(make_picture((30, 50, 3), "u1"))
    exif = Image.Exif()
    exif[274] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    with open_scan(tmp_path / "a.png") as scan:
        assert np.array_equal(thumbnail(scan), upright)


def test_previews_are_means_of_the_encoded_picture(tmp_path) -> None:
    pixels = make_picture((100, 70, 1), "u2")
    tifffile.imwrite(tmp_path / "a.tif", pixels[..., 0])
    with open_scan(tmp_path / "a.tif") as scan:
        small = thumbnail(scan, 10)
        write_preview(scan, tmp_path / "p.png")
    assert small.shape == (10, 7, 1)
    first = pixels[:10, :10].astype(float).mean() / 65535 * 255
    assert abs(int(small[0, 0, 0]) - first) <= 1
    assert Image.open(tmp_path / "p.png").size == (70, 100)


def test_damaged_files_are_one_clear_error(tmp_path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0" + bytes(20))
    with pytest.raises(InputError, match=r"a\.tif"):
        look(tmp_path / "a.tif")


def test_a_page_that_is_not_supported_does_not_hide_the_others(tmp_path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(make_picture((40, 30, 3), "u1"), photometric="rgb", metadata=None)
        tif.write(np.zeros((8, 8), "i4"), photometric="minisblack", metadata=None)
    report = look(tmp_path / "a.tif")
    assert [page.role for page in report.pages] == ["picture", "further page"]
    assert "32-bit signed integer" in report.pages[1].problem


# -- the command ------------------------------------------------------------------------------


def test_the_table_and_the_record(tmp_path, capsys) -> None:
    path, _ = write("VueScan raw TIFF, 4 samples", tmp_path)
    assert program.main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    for word in (
        "red, green, blue, infrared",
        "linear: raw files of VueScan",
        "4000 x 4000",
        "LZW",
    ):
        assert word in text
    assert program.main(["inspect", str(path), "--json"]) == 0
    (record,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert record["pages"][0]["samples"] == ["red", "green", "blue", "infrared"]
    assert program.main(["inspect", str(path), "-v"]) == 0
    assert "LS-5000 ED" in capsys.readouterr().out


def test_previews_and_errors_of_the_command(tmp_path, capsys) -> None:
    path, _ = write("SilverFast HDR TIFF", tmp_path)
    preview = tmp_path / "preview.png"
    before = path.read_bytes()
    assert program.main(["inspect", str(path), "--preview", str(preview)]) == 0
    assert Image.open(preview).size == (80, 60)
    assert program.main(["inspect", str(path), "--preview", str(preview)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert program.main(["inspect", str(path), "--preview", str(path), "--overwrite"]) == 1
    assert path.read_bytes() == before
    (tmp_path / "bad.tif").write_bytes(b"nothing")
    assert program.main(["inspect", str(tmp_path / "bad.tif")]) == 3
    assert program.main(["inspect", str(path), str(tmp_path / "bad.tif")]) == 1
    both = ["inspect", str(path), str(path.parent), "--preview", str(preview)]
    assert program.main(both) == 2


def test_the_command_alone_imports_no_network(tmp_path) -> None:
    path, _ = write("Grey 16-bit TIFF", tmp_path)
    code = (
        "import sys; from darkroom.cli.main import main; "
        f"assert main(['inspect', {str(path)!r}]) == 0; "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
