"""Masks in every form that editors save them in, and layered files."""

import io
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from pictures import make_info, make_picture, read_all
from PIL import Image, ImageOps
from test_other_programs import need

from darkroom.errors import InputError, UsageError
from darkroom.geometry import Window
from darkroom.io import Scratch, create_scan, open_scan
from darkroom.io.marks import open_marks
from darkroom.io.psd.layout import TIFF_PREFIX
from darkroom.io.psd.write import REPAIR_LAYER
from darkroom.orientation import stored, stored_window, upright, upright_window
from darkroom.scan import ScanInfo

HEIGHT, WIDTH = 30, 45


@pytest.fixture
def truth() -> np.ndarray:
    """Marks that no turning or mirroring leaves as they are."""
    marks = np.zeros((HEIGHT, WIDTH), np.bool_)
    marks[2:5, 3:11] = marks[20:22, 30:33] = marks[6, 40] = True
    return marks


def scan_info(orientation: int = 1, width: int = WIDTH, height: int = HEIGHT) -> ScanInfo:
    return make_info(np.zeros((height, width, 3), np.uint16), orientation=orientation)


def marks_of(path: Path, info: ScanInfo | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The marks over a scan, read whole and in pieces, and what is said of them."""
    info = info or scan_info()
    limits: dict[str, Any] = {"cache_bytes": 1 << 20, "max_pixels": 1 << 20}
    with open_marks(path, info, **limits, scratch=Scratch()) as scan:
        assert (scan.info.width, scan.info.height) == (info.width, info.height)
        whole = scan.read(scan.info.window)
        assert whole.shape == (info.height, info.width, 1)
        assert set(np.unique(whole)) <= {0, 255}
        window = Window(5, 3, info.width - 7, info.height - 4)
        assert np.array_equal(scan.read(window), whole[window.slices])
        return whole[..., 0] > 0, scan.warnings


def save_kind(path: Path, kind: str, marks: np.ndarray) -> None:
    """Marks in one of the ways that editors have."""
    grey = (marks * 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    tiffs = {
        "16 bit": (marks * 65535).astype(np.uint16),
        "8 bit in 16": grey.astype(np.uint16),
        "float": marks.astype(np.float32),
        "float to 255": grey.astype(np.float32),
    }
    pictures = {
        "1 bit": lambda: picture.convert("1"),
        "0 and 1": lambda: Image.fromarray(marks.astype(np.uint8)),
        "0 and 100": lambda: Image.fromarray((marks * 100).astype(np.uint8)),
        "palette": lambda: picture.convert("P"),
        "grey": lambda: picture,
        "red": lambda: Image.fromarray(np.dstack([grey, 0 * grey, 0 * grey])),
        "white on transparent": lambda: Image.fromarray(np.dstack([grey | 255] * 3 + [grey])),
        "black on transparent": lambda: Image.fromarray(np.dstack([0 * grey, grey])),
        "opaque": lambda: Image.fromarray(np.dstack([grey] * 3 + [grey | 255])),
    }
    if kind in tiffs:
        tifffile.imwrite(path, tiffs[kind], photometric="minisblack")
    elif kind == "white is zero":
        tifffile.imwrite(path, 255 - grey, photometric="miniswhite")
    elif kind == "two colours":
        image = Image.fromarray(marks.astype(np.uint8), "P")
        image.putpalette([0, 0, 40, 250, 20, 20])
        image.save(path)
    elif kind == "palette with a transparent colour":
        image = Image.fromarray(marks.astype(np.uint8), "P")
        image.putpalette([90, 90, 90, 90, 90, 91])
        image.save(path, transparency=0)
    elif kind == "black and white on transparent":
        around = np.zeros_like(grey)
        around[:25] = 255
        Image.fromarray(np.dstack([grey, around])).save(path)
    elif kind == "picture cut out":
        picture = make_picture((*marks.shape, 3), "u1")
        Image.fromarray(np.dstack([picture, grey])).save(path)
    else:
        pictures[kind]().save(path)


KINDS = ("1 bit", "0 and 1", "0 and 100", "palette", "grey", "red", "white on transparent")
KINDS += ("black on transparent", "opaque", "two colours", "palette with a transparent colour")
KINDS += ("black and white on transparent", "picture cut out")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_kinds(tmp_path, truth, kind, suffix) -> None:
    if suffix == ".tif" and "palette with" in kind:
        pytest.skip("a TIFF's palette has no transparent colour")
    path = tmp_path / f"mask{suffix}"
    save_kind(path, kind, truth)
    found, said = marks_of(path)
    assert np.array_equal(found, truth), said
    assert any("was read as marked" in line for line in said) == (kind in ("0 and 1", "0 and 100"))


@pytest.mark.parametrize(
    "kind", ["16 bit", "8 bit in 16", "float", "float to 255", "white is zero"]
)
def test_kinds_of_tiff(tmp_path, truth, kind) -> None:
    save_kind(tmp_path / "mask.tif", kind, truth)
    assert np.array_equal(marks_of(tmp_path / "mask.tif")[0], truth)


@pytest.mark.parametrize("suffix", [".gif", ".bmp", ".webp"])
def test_other_formats(tmp_path, truth, suffix) -> None:
    path = tmp_path / f"mask{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray((truth * 255).astype(np.uint8)).save(path, **options)
    assert np.array_equal(marks_of(path)[0], truth)


def test_jpeg(tmp_path, truth) -> None:
    Image.fromarray((truth * 255).astype(np.uint8)).save(tmp_path / "mask.jpg", quality=95)
    assert np.array_equal(marks_of(tmp_path / "mask.jpg")[0], truth)


@pytest.mark.parametrize("value", [0, 100])
def test_nothing_marked_is_said(tmp_path, value) -> None:
    grey = np.zeros((HEIGHT, WIDTH), np.uint8)
    grey[3, 3:5] = value, value // 2
    Image.fromarray(grey).save(tmp_path / "mask.png")
    found, said = marks_of(tmp_path / "mask.png")
    assert not found.any()
    assert any("no pixel of it is marked" in line for line in said)
    assert any("brightest value is 100" in line for line in said) == (value == 100)


# -- orientation and size ---------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_pillow(orientation) -> None:
    pixels = make_picture((5, 7, 3), "u1")
    image = Image.fromarray(pixels)
    image.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(upright(pixels, orientation), expected)
    assert np.array_equal(stored(expected, orientation), pixels)
    window = Window(1, 2, 3, 2)
    shown = upright_window(window, (7, 5), orientation)
    assert np.array_equal(upright(pixels[window.slices], orientation), expected[shown.slices])
    assert stored_window(shown, (7, 5), orientation) == window


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("own", ["upright", "upright, tagged", "as stored", "any"])
def test_every_orientation_of_scan_and_mask(tmp_path, truth, orientation, own) -> None:
    """The scan lies as it likes; editors save what they show, with or without a tag."""
    shown = upright((truth * 255).astype(np.uint8), orientation)
    exif = Image.Exif()
    saved = {"upright": 0, "upright, tagged": 1, "as stored": orientation, "any": 8}[own]
    if saved:
        exif[274] = saved
    image = Image.fromarray(np.ascontiguousarray(stored(shown, saved or 1)))
    image.save(tmp_path / "mask.png", exif=exif)
    found, said = marks_of(tmp_path / "mask.png", scan_info(orientation))
    assert np.array_equal(found, truth)
    assert any("turned" in line for line in said) == ((saved or 1) != orientation)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_an_editor_that_knows_no_orientation(tmp_path, truth, orientation) -> None:
    Image.fromarray((truth * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    assert np.array_equal(marks_of(tmp_path / "mask.png", scan_info(orientation))[0], truth)


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.integers(1, 8), st.integers(1, 8)
)
def test_reduced_masks_cover_what_they_mark(width, height, factor, turn, own) -> None:
    rng = np.random.default_rng(width * height)
    small = rng.random((height, width)) < 0.2
    info = scan_info(turn, width * factor, height * factor)
    exif = Image.Exif()
    exif[274] = own
    shown = upright((small * 255).astype(np.uint8), turn)
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored(shown, own))).save(data, "png", exif=exif)
    path = Path(f"/tmp/darkroom-test-mask-{width}-{height}.png")
    path.write_bytes(data.getvalue())
    try:
        limits: dict[str, Any] = {"cache_bytes": 1 << 20, "max_pixels": 1 << 20}
        with open_marks(path, info, **limits, scratch=Scratch()) as scan:
            found = scan.read(scan.info.window)[..., 0] > 0
            said = scan.warnings
    finally:
        path.unlink()
    assert np.array_equal(found, np.kron(small, np.ones((factor, factor), np.bool_)))
    assert any("scaled" in line for line in said) == (factor > 1)


def test_larger_masks_lose_no_thin_mark(tmp_path) -> None:
    large = np.zeros((4 * HEIGHT, 4 * WIDTH), np.uint8)
    large[17, 3:90] = 255
    Image.fromarray(large).save(tmp_path / "mask.png")
    found, _ = marks_of(tmp_path / "mask.png")
    assert np.argwhere(found).tolist() == [[4, x] for x in range(23)]


def test_a_damaged_mask_is_not_read_in_another_way(tmp_path, truth) -> None:
    path = tmp_path / "mask.tif"
    tifffile.imwrite(path, (truth * 255).astype(np.uint8), compression="zlib", predictor=2)
    data = path.read_bytes()
    at = data.index(struct.pack("<HH", 317, 3))
    for dtype in (11, 99):  # a predictor that is no integer, which other readers pass over
        path.write_bytes(data[: at + 2] + struct.pack("<H", dtype) + data[at + 4 :])
        with pytest.raises(InputError, match="Predictor is damaged"):
            marks_of(path)


@pytest.mark.parametrize("error", [TypeError, MemoryError, struct.error])
def test_whatever_pillow_raises_the_first_error_is_told(tmp_path, monkeypatch, error) -> None:
    (tmp_path / "mask.gif").write_bytes(b"GIF89a no more")

    def fail(*_: Any, **__: Any) -> None:
        raise error("of a library")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(InputError, match="a GIF file"):
        marks_of(tmp_path / "mask.gif")


def test_another_shape_is_refused(tmp_path) -> None:
    Image.fromarray(np.zeros((HEIGHT, HEIGHT), np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="30 x 30 pixels, the scan 45 x 30"):
        marks_of(tmp_path / "mask.png")


@pytest.mark.parametrize("start", [b"gimp xcf v011\0", b"PK\3\4mimetypeapplication/x-krita"])
def test_projects_of_editors_are_refused_with_the_way_out(tmp_path, start) -> None:
    (tmp_path / "mask.xcf").write_bytes(start + bytes(100))
    with pytest.raises(InputError) as caught:
        marks_of(tmp_path / "mask.xcf")
    assert "export" in (caught.value.hint or "").lower()


# -- layers -----------------------------------------------------------------------------------


def layered(path: Path, dtype: str, samples: int, marks: np.ndarray) -> tuple[np.ndarray, ...]:
    """A layered file as `clean` writes it; returns the scan before and after."""
    before, after = (make_picture((HEIGHT, WIDTH, samples), dtype, seed) for seed in (0, 1))
    after = np.where(marks[..., None], after, before)
    mask = (marks * 255).astype(np.uint8)
    with create_scan(path, make_info(before, resolution=(4000.0, 4000.0))) as sink:
        for y in range(0, HEIGHT, 7):
            sink.write_layers(*(part[y : y + 7] for part in (before, after, mask)))
        sink.commit()
    return before, after


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("samples", [1, 3])
def test_layered_files(tmp_path, truth, dtype, samples) -> None:
    path = tmp_path / "a.psd"
    _, after = layered(path, dtype, samples, truth)
    assert np.array_equal(read_all(path), after)
    with open_scan(path) as scan:
        assert scan.info.resolution == (4000.0, 4000.0)
        assert scan.info.metadata.left_out == ("2 layers (only the merged picture is read)",)
    assert np.array_equal(marks_of(path)[0], truth)
    # For a turned scan too the layer lies as the scan is stored.
    assert np.array_equal(marks_of(path, scan_info(3))[0], truth)


def test_pillow_finds_the_layers(tmp_path, truth) -> None:
    before, after = layered(tmp_path / "a.psd", "u1", 3, truth)
    with Image.open(tmp_path / "a.psd") as image:
        assert np.array_equal(np.asarray(image), after)
        assert [layer[0] for layer in image.layers] == ["scan", REPAIR_LAYER]
        image.seek(2)
        repairs = np.asarray(image)
        image.seek(1)  # Pillow takes the merged picture for number 1 before it was elsewhere
        assert np.array_equal(np.asarray(image), before)
    # Opacity comes first, as Photoshop has it; Pillow takes the channels of a layer by their place.
    assert np.array_equal(repairs[..., 0] > 0, truth)
    assert np.array_equal(repairs[truth][:, 1:], after[truth])


def test_what_a_layered_file_cannot_hold(tmp_path) -> None:
    with pytest.raises(UsageError, match="8 or 16 bits"):
        create_scan(tmp_path / "a.psd", make_info(np.zeros((4, 4, 3), np.float32)))
    pixels = np.zeros((4, 4, 4), np.uint8)
    info = make_info(pixels, orientation=6)
    with create_scan(tmp_path / "a.psd", info) as sink:
        assert sink.losses == [
            "1 further sample",
            "orientation 6 (layers lie as the scan is stored)",
        ]
    assert not list(tmp_path.iterdir())


def photoshop_block(marks: np.ndarray, order: str, packing: int) -> bytes:
    """A layer of 16 bits as Photoshop puts it into the tag 37724 of a TIFF."""
    rows, columns = marks.nonzero()
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    alpha = (marks[top:bottom, left:right] * 65535).astype(order + "u2")
    if packing == 3:
        plain = alpha.astype(np.int64)
        alpha = np.diff(plain, axis=1, prepend=0).astype(np.uint16).astype(order + "u2")
    data = alpha.tobytes() if packing == 0 else zlib.compress(alpha.tobytes())
    data = struct.pack(order + "H", packing) + data

    def key(text: bytes) -> bytes:
        return text if order == ">" else text[::-1]

    record = struct.pack(order + "4iHhI", top, left, bottom, right, 1, -1, len(data))
    record += key(b"8BIM") + key(b"norm") + bytes([255, 0, 0, 0])
    record += struct.pack(order + "III", 12, 0, 0) + b"\5spots"[:4]
    body = struct.pack(order + "h", 1) + record + data
    body += bytes(-len(body) % 4)
    return TIFF_PREFIX + key(b"8BIM") + key(b"Lr16") + struct.pack(order + "I", len(body)) + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packing", [0, 2, 3])
def test_layers_in_a_tiff_of_photoshop(tmp_path, truth, order, packing) -> None:
    block = photoshop_block(truth, order, packing)
    tifffile.imwrite(
        tmp_path / "mask.tif", make_picture((HEIGHT, WIDTH, 3), "u2"), photometric="rgb",
        byteorder=order, extratags=[(37724, 7, len(block), block, True)],
    )  # fmt: skip
    found, said = marks_of(tmp_path / "mask.tif")
    assert np.array_equal(found, truth)
    assert any("opacity of its layer" in line for line in said)


@pytest.mark.parametrize("name", ["darkroom mask", "darkroom repairs"])
def test_pages_of_a_tiff(tmp_path, truth, name) -> None:
    grey = (truth * 255).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "mask.tif") as tif:
        tif.write(make_picture((HEIGHT, WIDTH, 3), "u1"), photometric="rgb", metadata=None)
        tif.write(grey, extratags=[(285, 2, 0, name, True)], metadata=None)
    assert np.array_equal(marks_of(tmp_path / "mask.tif")[0], truth)


def test_damaged_layers_are_one_clear_error(tmp_path, truth) -> None:
    layered(tmp_path / "a.psd", "u1", 3, truth)
    data = (tmp_path / "a.psd").read_bytes()
    for cut in range(20, len(data), 97):
        (tmp_path / "b.psd").write_bytes(data[:cut])
        with pytest.raises(InputError):
            marks_of(tmp_path / "b.psd")
            read_all(tmp_path / "b.psd")


ERASE = """
(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "a.psd" "a.psd")))
       (layers (vector->list (cadr (gimp-image-get-layers image))))
       (layer (car layers)))
  (gimp-message (string-append "top " (car (gimp-item-get-name layer))
                " alpha " (number->string (car (gimp-drawable-has-alpha layer)))))
  (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 0 0 45 10)
  (gimp-drawable-edit-clear layer)
  (gimp-selection-none image)
  (file-psd-save RUN-NONINTERACTIVE image layer "b.psd" "b" 1 0)
  (file-png-save RUN-NONINTERACTIVE image layer "b.png" "b" 0 6 0 0 0 0 0)
  (file-tiff-save RUN-NONINTERACTIVE image layer "b.tif" "b" 1))
"""


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_gimp_erases_repairs(tmp_path, truth, dtype) -> None:
    program = need("gimp")
    _, after = layered(tmp_path / "a.psd", dtype, 3, truth)
    result = subprocess.run(
        [program, "-i", "-d", "-f", "-b", ERASE, "-b", "(gimp-quit 0)"], cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        timeout=180,
    )  # fmt: skip
    assert "top darkroom repairs alpha 1" in result.stdout + result.stderr
    left = truth.copy()
    left[:10] = False
    for name in ("b.psd", "b.png", "b.tif"):
        assert np.array_equal(marks_of(tmp_path / name)[0], left), name
    assert np.array_equal(read_all(tmp_path / "b.png")[left][:, :3], after[left])
