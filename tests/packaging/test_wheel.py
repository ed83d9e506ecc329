"""The built wheel is what people get, so it is what is looked at here."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = {"darkroom": "darkroom", "backends/darkroom_backends": "darkroom_backends"}
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
BUILD = ("--no-deps", "--no-build-isolation")


def run(*command, **settings):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("darkroom", "backends", "presets"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    run(*PIP, "wheel", *BUILD, "-w", folder, source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder the wheel is installed in."""
    target = tmp_path_factory.mktemp("site")
    run(*PIP, "install", "--no-deps", "--target", target, wheel)
    return target


def ask(installed, code):
    """What `code` prints as JSON where only the installed wheel is darkroom."""
    env = os.environ | {"PYTHONPATH": str(installed)}
    return json.loads(run(sys.executable, "-c", code, env=env, cwd=installed))


def test_every_package_and_data_file_is_in_the_wheel(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"darkroom/_presets/{p.name}" for p in (ROOT / "presets").iterdir() if p.is_file()}
    for folder, package in SOURCES.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                wanted.add(f"{package}/{path.relative_to(ROOT / folder).as_posix()}")
    assert wanted - held == set()


def test_nothing_else_lands_in_site_packages(installed):
    top = {p.name for p in installed.iterdir() if not p.name.endswith(".dist-info")}
    assert top - {"bin", "__pycache__"} == {"darkroom", "darkroom_backends"}
    code = (
        "import json, importlib.util as u; print(json.dumps([u.find_spec(n) is None for n in {}]))"
    )
    assert ask(installed, code.format(["backends", "presets", "tests"])) == [True] * 3


def test_presets_are_found_in_the_installed_package(installed):
    code = (
        "import json, darkroom; from darkroom.presets import available;"
        "print(json.dumps([darkroom.__file__, [p.name for p in available()]]))"
    )
    where, names = ask(installed, code)
    assert Path(where).is_relative_to(installed)
    assert set(names) >= {path.stem for path in (ROOT / "presets").glob("[!t]*.toml")}


def test_entry_points_load_and_announce_what_imports(installed):
    code = (
        "import json, importlib.metadata as m; from darkroom.plugins.manager import Plugins;"
        f"(own,) = m.distributions(name='darkroom-film', path=[{str(installed)!r}]);"
        "entries = own.entry_points; plugins = Plugins(entries.select(group='darkroom.plugins'));"
        "script, = entries.select(group='console_scripts', name='darkroom');"
        "print(json.dumps([[r.error for r in plugins.records], plugins.check(), "
        "callable(script.load())]))"
    )
    errors, problems, callable_ = ask(installed, code)
    assert errors and set(errors) == {None}
    assert problems == [] and callable_


def test_the_version_is_the_same_everywhere(wheel):
    text = zipfile.ZipFile(wheel)
    (name,) = (n for n in text.namelist() if n.endswith(".dist-info/METADATA"))
    from darkroom import __version__

    assert f"\nVersion: {__version__}\n" in text.read(name).decode()


def test_the_wheel_declares_only_dependencies_that_are_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {plain(line.partition("==")[0]) for line in lines if not line.startswith("#")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    assert {plain(text.partition(">")[0]) for text in wanted} - pinned == set()


def plain(name):
    return name.replace("_", "-").lower()
