"""The documentation says what the program does, and its sample plugin works as printed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from darkroom.cli.reference import pages

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", sorted(pages()))
def test_generated_pages_are_up_to_date(name):
    assert (DOCS / name).read_text("utf-8") == pages()[name], "run `make reference`"


def test_every_link_between_pages_and_to_pictures_leads_somewhere():
    for page in (ROOT / "README.md", *DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_contents_and_the_reverse():
    listed = set(re.findall(r":\s*([\w-]+\.md)", (ROOT / "mkdocs.yml").read_text("utf-8")))
    assert listed == {page.name for page in DOCS.glob("*.md")}


def test_commands_in_the_readme_exist():
    from typer.main import get_command

    from darkroom.cli.main import app

    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"`darkroom ([a-z]+)", text))
    assert named and named <= set(get_command(app).commands)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The sample plugin, installed in a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "sample-plugin"
    import shutil

    shutil.copytree(DOCS / "sample-plugin", source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--target", target, source]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def darkroom(sample, *arguments, **env):
    command = [sys.executable, "-m", "darkroom.cli.main", *map(str, arguments)]
    env = os.environ | {"PYTHONPATH": str(sample)} | env
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_the_sample_plugin_is_in_order(sample):
    checked = darkroom(sample, "plugins", "check")
    assert checked.returncode == 0, checked.stdout
    assert "inpainter median" in darkroom(sample, "plugins", "list").stdout
    assert "median:ring=6" in darkroom(sample, "backends", "-v").stdout


def test_the_sample_plugin_cleans_a_scan_and_writes_its_diary(sample, tmp_path):
    scan, mask = np.full((40, 50), 1000, np.uint16), np.zeros((40, 50), np.uint8)
    scan[20:23, 20:23], mask[19:24, 19:24] = 60_000, 255
    tifffile.imwrite(tmp_path / "scan.tif", scan, photometric="minisblack")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    done = darkroom(
        *(sample, "clean", tmp_path / "scan.tif", "--mask", tmp_path / "mask.png"),
        *("--inpainter", "median", "--option", "median:ring=9", "--grain", "none"),
        *("--max-coverage", "5%"),
        DARKROOM_DIARY=str(tmp_path / "diary"),
    )
    assert done.returncode == 0, done.stderr
    cleaned = tifffile.imread(tmp_path / "scan_clean.tif")
    assert (cleaned == 1000).all()
    assert json.loads((tmp_path / "diary").read_text())["artefacts"] == 1


def test_the_sample_plugin_refuses_a_wrong_option(sample, tmp_path):
    tifffile.imwrite(tmp_path / "scan.tif", np.zeros((40, 50), np.uint16), photometric="minisblack")
    wrong = ("--inpainter", "median", "--option", "median:ring=900")
    done = darkroom(sample, "clean", tmp_path / "scan.tif", *wrong)
    assert done.returncode == 2 and "ring must be 1 to 64" in done.stderr
