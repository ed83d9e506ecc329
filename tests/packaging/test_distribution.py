"""What is uploaded: built, checked, installed in an empty environment, and used there."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from darkroom import __version__

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "MANIFEST.in")


def run(*command, **settings):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, **settings
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the source distribution, and the wheel that is made from it."""
    if importlib.util.find_spec("build") is None:
        pytest.skip("build is not installed")
    source = tmp_path_factory.mktemp("source")
    for name in NAMES:
        shutil.copy(ROOT / name, source)
    for name in ("darkroom", "backends", "presets"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source)
    return folder


@pytest.fixture(scope="module")
def program(built, tmp_path_factory):
    """`darkroom` in a new environment that holds the wheel; dependencies come from this one."""
    (wheel,) = built.glob("*.whl")
    home = tmp_path_factory.mktemp("environment")
    home.chmod(0o755)
    run(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    if not python.exists():
        pytest.skip("environments are laid out otherwise here")
    place = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(place, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", python, "--quiet")
    run(*pip, "install", "--disable-pip-version-check", "--no-deps", "--ignore-installed", wheel)
    return home / "bin" / "darkroom"


@pytest.fixture
def scan(tmp_path):
    picture = np.full((300, 400, 3), 20000, np.uint16)
    picture += np.random.default_rng(1).integers(0, 800, picture.shape, dtype=np.uint16)
    picture[100:105, 200:206] = 64000
    tifffile.imwrite(tmp_path / "scan.tif", picture)
    return tmp_path / "scan.tif"


def test_both_are_in_order(built):
    assert importlib.util.find_spec("twine"), "twine is in the extra `dev`"
    files = sorted(built.iterdir())
    assert [f.name.split("-")[1].removesuffix(".tar.gz") for f in files] == [__version__] * 2
    run(sys.executable, "-m", "twine", "check", "--strict", *files)
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "CHANGELOG.md", "presets/black-and-white.toml"} <= held
    assert not [name for name in held if name.startswith(("tests", "docs", ".venv"))]


def test_installed_in_an_empty_environment_it_cleans(program, scan, tmp_path):
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    assert __version__ in run(program, "--version", env=env)
    assert "baseline" in run(program, "backends", env=env)
    run(program, "clean", scan, "--backend", "classical", env=env, cwd=tmp_path)
    assert (tmp_path / "scan_clean.tif").is_file()


def test_an_ordinary_user_cleans_on_a_read_only_root(program, scan, tmp_path):
    """What the Containerfile promises, without a container engine: needs root, and util-linux."""
    tools = [shutil.which(name) for name in ("unshare", "setpriv", "mount")]
    if os.name != "posix" or os.geteuid() != 0 or None in tools:
        pytest.skip("needs root, unshare, setpriv and mount")
    work = tmp_path / "work"
    work.mkdir()
    shutil.move(scan, work / "scan.tif")
    os.chown(work, 12345, 12345)
    for folder in (work, *work.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    script = f"""
        set -e
        mount --bind '{work}' /mnt
        mount --bind / / && mount -o remount,ro,bind /
        mount -t tmpfs tmpfs /dev/shm
        cd /mnt
        export HOME=/dev/shm DARKROOM_HOME=/dev/shm/darkroom DARKROOM_SCRATCH=/dev/shm
        export PYTHONDONTWRITEBYTECODE=1
        if touch /etc/written 2>/dev/null; then exit 9; fi
        setpriv --reuid 12345 --regid 12345 --clear-groups '{program}' clean scan.tif -b classical
    """
    run("unshare", "--mount", "sh", "-c", script)
    assert (work / "scan_clean.tif").stat().st_uid == 12345
