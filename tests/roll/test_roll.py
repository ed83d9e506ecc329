"""Dirt that stays in place is found and taken off; what belongs to the pictures, or is there in all

of them by right, is not.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from darkroom.cli.main import main
from darkroom.geometry import Window
from darkroom.options import CleanOptions, MachineOptions
from darkroom.pipeline.detect import RAISED
from darkroom.pipeline.memory import clean_array
from darkroom.roll.fixed import NOTHING, Places, RollMap
from darkroom.roll.gather import Gathered
from darkroom.roll.places import find_places
from darkroom.roll.plane import log_plane

HEIGHT, WIDTH, GRAIN = 240, 360, 0.012
WHOLE = Window(0, 0, WIDTH, HEIGHT)
DARK, SOFT, COLUMN = (60, 80), (150, 250), 300


def picture(seed, channels=3):
    """A soft, grainy picture with edges in it, like no other of another seed."""
    rng = np.random.default_rng(seed)
    image = np.zeros((HEIGHT, WIDTH, channels))
    for cells in (3, 6):
        field = rng.normal(size=(cells + 2, cells + 2, channels))
        image += cv2.resize(field, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).reshape(
            image.shape
        )
    image = 0.45 + 0.1 * np.sign(image) * np.abs(image) ** 0.5
    x, y = rng.integers(20, 200, 2)
    image[y : y + 30, x : x + 90] += 0.15
    return image


def grainy(image, seed):
    rng = np.random.default_rng(seed + 1000)
    return np.clip(image + rng.normal(0, GRAIN, image.shape), 0, 1)


def light():
    """The share of light that dirt leaves: an opaque speck, a soft shadow, a column."""
    share = np.ones((HEIGHT, WIDTH, 1), np.float32)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    share[np.hypot(y - DARK[0], x - DARK[1]) < 3.5] = 0.3
    share[..., 0] -= 0.14 * np.exp(-(((y - SOFT[0]) ** 2 + (x - SOFT[1]) ** 2) / 60))
    share[:, COLUMN] *= 0.9
    return share


def frames(count, dirt=None, first=0):
    for i in range(first, first + count):
        image = picture(i) if dirt is None else picture(i) * dirt
        yield grainy(image, i).astype(np.float32)


def gathered(images, **more):
    roll = Gathered(HEIGHT, WIDTH, **more)
    for image in images:
        roll.add(log_plane(lambda window, image=image: image[window.slices], WIDTH, HEIGHT))
    return roll


def map_of(images, **more):
    return RollMap.enlarged(find_places(gathered(images, **more)), 1, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def dirty():
    return map_of(frames(12, light()))


def test_what_stays_in_place_is_found(dirty):
    mask = dirty.rows(WHOLE) != NOTHING
    assert mask[DARK] and mask[SOFT] and mask[:, COLUMN].all()
    away = cv2.dilate((np.abs(light()[..., 0] - 1) > 0.004).astype(np.uint8), np.ones((9, 9))) == 0
    assert not mask[away].any()
    gain = dirty.rows(WHOLE) / NOTHING
    assert gain[SOFT] == pytest.approx(0.86, abs=0.04)
    assert gain[100, COLUMN] == pytest.approx(0.9, abs=0.02)


def test_a_roll_without_has_none():
    assert map_of(frames(12, first=50)).places == ()


def test_the_same_picture_in_all_frames_says_nothing():
    scene = picture(3) * light()
    roll = gathered(grainy(scene, i).astype(np.float32) for i in range(36))
    assert (roll.pictures, roll.seen) == (1, 36)
    assert find_places(roll) == []


def test_a_frame_given_twice_counts_once():
    images = list(frames(8))
    assert gathered([*images, images[3], images[3]]).pictures == 8


def letterbox(image, _):
    image[:20] = image[-20:] = 0.02


def border(image, _):
    image[:, :14] = image[:, -14:] = (0.75, 0.45, 0.3)


def stamp(image, number):
    glow = np.zeros((HEIGHT, WIDTH), np.uint8)
    text = f"'98 7 {number + 1}"
    cv2.putText(glow, text, (WIDTH - 130, HEIGHT - 14), cv2.FONT_HERSHEY_PLAIN, 1.2, 255, 1)
    np.maximum(image, glow[..., None] / 255 * (1.0, 0.5, 0.1), out=image)


@pytest.mark.parametrize("fixture", [letterbox, border, stamp])
def test_what_is_in_all_frames_by_right_stays(fixture):
    def drawn():
        for i in range(12):
            image = picture(i + 70)
            fixture(image, i)
            yield grainy(image, i).astype(np.float32)

    assert map_of(drawn()).places == ()


def test_a_map_is_a_picture_and_comes_back_from_it(dirty):
    rows = [(y, dirty.rows(Window(0, y, WIDTH, 60))) for y in range(0, HEIGHT, 60)]
    again = RollMap.from_picture(rows, WIDTH, HEIGHT)
    assert again.digest == dirty.digest
    beyond = Window(-30, -20, WIDTH + 70, HEIGHT + 50)
    expected = (dirty.rows(WHOLE) != NOTHING).astype(np.uint8) * 255
    seen = Places(again).mask(beyond)
    assert np.array_equal(seen[20 : 20 + HEIGHT, 30 : 30 + WIDTH], expected)
    assert seen.sum() == expected.sum()


def test_scores_are_raised_and_never_lowered():
    plain = np.arange(256)
    assert (plain <= RAISED).all() and (np.diff(RAISED.astype(int)) >= 0).all()
    assert RAISED[0] == 0 and RAISED[100] > 150


def test_thin_dirt_is_divided_out_and_nothing_else_changes(dirty):
    bare = grainy(picture(90), 90)
    image = grainy(picture(90) * light(), 90)
    scan = np.rint(image * 65535).astype(np.uint16)
    options = CleanOptions(backend="classical")
    results = [
        clean_array(scan, options, machine=MachineOptions(tile=tile), roll=dirty)
        for tile in (64, 512)
    ]
    result = results[0]
    assert np.array_equal(result.image, results[1].image)
    assert np.array_equal(result.image[result.mask == 0], scan[result.mask == 0])
    soft = (np.abs(light()[..., 0] - 1) > 0.02) & (result.mask > 0)
    soft[:100] = False  # the opaque one is left to the backend
    assert soft.sum() > 330
    error = [((x / 65535 - bare)[soft] ** 2).mean() for x in (scan, result.image)]
    assert error[1] < 0.25 * error[0]


def test_a_frame_that_does_not_show_the_dirt_is_not_touched(dirty):
    scan = np.rint(grainy(picture(91), 91) * 65535).astype(np.uint16)
    options = CleanOptions(backend="classical")
    plain = clean_array(scan, options)
    known = clean_array(scan, options, roll=dirty)
    assert np.array_equal(plain.image, known.image)


def write(folder, images):
    folder.mkdir()
    for i, image in enumerate(images):
        pixels = np.rint(image * 65535).astype(np.uint16)
        tifffile.imwrite(folder / f"frame{i:02d}.tif", pixels, photometric="rgb", metadata=None)
    return folder


def pictures(folder):
    return {path.name: path.read_bytes() for path in Path(folder).glob("*.tif")}


def run(*words):
    return main([str(word) for word in words])


def test_a_roll_a_map_and_many_workers_give_the_same(tmp_path):
    roll = write(tmp_path / "roll", frames(9, light()))
    base = ("--backend", "classical", "--quiet")
    assert run("clean", roll, "-o", tmp_path / "auto", *base) == 0
    assert run("detect", roll, "--roll", *base) == 0
    chart = tmp_path / "roll_map.tif"
    assert run("clean", roll, "-o", tmp_path / "given", "--reference", chart, *base) == 0
    assert run("clean", roll, "-o", tmp_path / "many", "--workers", 2, *base) == 0
    assert run("clean", roll, "-o", tmp_path / "off", "--reference", "off", *base) == 0
    auto = pictures(tmp_path / "auto")
    assert auto == pictures(tmp_path / "given") == pictures(tmp_path / "many")
    assert auto != pictures(tmp_path / "off")
    said = json.loads((tmp_path / "auto" / "frame00.tif.receipt.json").read_text())["reference"]
    assert said["pictures"] == said["frames"] == 9 and said["divided"] >= 1
    receipt = tmp_path / "given" / "frame00.tif.receipt.json"
    assert json.loads(receipt.read_text())["files"]["reference"]["path"] == "../roll_map.tif"
    assert run("verify", receipt) == 0
    assert run("detect", roll, "--roll", *base) == 1  # it exists


def test_a_tripods_roll_is_cleaned_as_without_a_look_at_it(tmp_path):
    scene = picture(5)
    scene[100:104, 60:64] = 0.9
    roll = write(tmp_path / "roll", (grainy(scene, i) for i in range(36)))
    base = ("--backend", "classical", "--quiet")
    assert run("clean", roll, "-o", tmp_path / "auto", *base) == 0
    assert run("clean", roll, "-o", tmp_path / "off", "--reference", "off", *base) == 0
    assert pictures(tmp_path / "auto") == pictures(tmp_path / "off")


def test_a_blank_frame_will_do(tmp_path):
    blank = [grainy(0.6 * np.ones((HEIGHT, WIDTH, 3)) * light(), 7)]
    path = next(write(tmp_path / "blank", blank).iterdir())
    assert run("detect", path, "--roll", "-o", tmp_path / "map.png", "--quiet") == 0
    from PIL import Image

    chart = np.asarray(Image.open(tmp_path / "map.png"))
    assert chart.dtype == np.uint16 and chart[DARK] < NOTHING and chart[SOFT] < NOTHING
    scan = write(tmp_path / "one", frames(1, light())) / "frame00.tif"
    base = ("--backend", "classical", "--quiet")
    for name, given in (("a", path), ("b", tmp_path / "map.png")):
        assert run("clean", scan, "-o", tmp_path / f"{name}.tif", "--reference", given, *base) == 0
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (
            ("clean", "{roll}/frame00.tif", "--reference", "{roll}/frame01.tif"),
            3,
            "neither the map",
        ),
        (("detect", "{roll}", "--roll"), 3, "too few to tell"),
        (("detect", "{roll}", "--roll", "-o", "{roll}/map.jpg"), 2, "TIFF or PNG"),
        (("detect", "{roll}", "--roll", "-o", "{roll}/frame00.tif", "--overwrite"), 1, "frame00"),
        (
            (
                "clean",
                "{roll}/frame00.tif",
                "--reference",
                "{roll}/x.tif",
                "--mask",
                "{roll}/m.png",
            ),
            2,
            "exclude each other",
        ),
        (("clean", "{roll}/frame00.tif", "--reference", "{roll}/x.tif"), 3, "x.tif"),
    ],
)
def test_what_cannot_be_is_said(tmp_path, capfd, words, status, said):
    roll = write(tmp_path / "roll", frames(2))
    before = pictures(roll)
    assert run(*(word.format(roll=roll) for word in words)) == status
    assert said in capfd.readouterr().err
    assert pictures(roll) == before
