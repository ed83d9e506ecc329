"""Atomic outputs, spools, and what the operating system may refuse."""

import errno
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import make_info, make_picture, write_scan

from darkroom.errors import InputError, OutputError
from darkroom.geometry import Window
from darkroom.io import Scratch, atomic
from darkroom.io.atomic import AtomicFile, write_atomic
from darkroom.io.files import PositionedFile


def test_a_file_appears_whole_or_not_at_all(tmp_path) -> None:
    target = tmp_path / "a.bin"
    with AtomicFile(target) as file:
        file.file.write(b"half")
        assert not target.exists()
        file.commit()
    assert target.read_bytes() == b"half"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_after_an_interruption(tmp_path, error) -> None:
    with pytest.raises(error), AtomicFile(tmp_path / "a.bin") as file:
        file.file.write(b"half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"a\.bin: already exists") as caught:
        AtomicFile(target)
    assert "--overwrite" in caught.value.hint
    assert target.read_bytes() == b"mine"
    write_atomic(target, b"yours", overwrite=True)
    assert target.read_bytes() == b"yours"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path) -> None:
    target = tmp_path / "a.bin"
    with AtomicFile(target) as file:
        file.file.write(b"late")
        target.write_bytes(b"early")
        with pytest.raises(OutputError, match="already exists"):
            file.commit()
    assert target.read_bytes() == b"early"
    assert len(list(tmp_path.iterdir())) == 1


def test_of_two_writers_one_wins(tmp_path) -> None:
    target, outcomes = tmp_path / "a.bin", []

    def attempt(content: bytes) -> None:
        try:
            write_atomic(target, content)
            outcomes.append(content)
        except OutputError:
            outcomes.append(None)

    threads = [threading.Thread(target=attempt, args=(bytes([i]) * 50_000,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [content for content in outcomes if content]
    assert len(winners) == 1
    assert target.read_bytes() == winners[0]
    assert len(list(tmp_path.iterdir())) == 1


def test_file_systems_without_links(tmp_path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(atomic.os, "link", refuse)
    write_atomic(tmp_path / "a.bin", b"x")
    assert (tmp_path / "a.bin").read_bytes() == b"x"
    with pytest.raises(OutputError, match="already exists"):
        write_atomic(tmp_path / "a.bin", b"y")


def test_overwriting_keeps_the_permissions(tmp_path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"x")
    target.chmod(0o640)
    write_atomic(target, b"y", overwrite=True)
    assert target.stat().st_mode & 0o777 == 0o640


def test_killed_writers_leave_no_final_name(tmp_path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from darkroom.io.atomic import AtomicFile\n"
        "f = AtomicFile(Path(sys.argv[1])); f.file.write(b'half'); f.file.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    target = tmp_path / "a.bin"
    done = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert done.returncode == -9
    assert not target.exists()
    assert all(path.name.startswith(".a.bin.") for path in tmp_path.iterdir())


def test_folder_problems_are_named(tmp_path) -> None:
    with pytest.raises(OutputError, match="folder does not exist"):
        AtomicFile(tmp_path / "no" / "a.bin")
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        AtomicFile(tmp_path / "b")
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "b").chmod(0o500)
    with pytest.raises(OutputError, match="no permission"):
        AtomicFile(tmp_path / "b" / "a.bin")


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_full_disk_is_survived(small_disk, name) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 65536, (1000, 1000, 1)).astype("u2")
    with pytest.raises(OutputError, match=f"{name}: no space left"):
        write_scan(small_disk / name, make_info(pixels), pixels, 100)
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_under_a_spool(small_disk) -> None:
    with (
        Scratch(small_disk).spool(1000, 1000, 1, "u2") as spool,
        pytest.raises(OutputError, match="no space left"),
    ):
        spool.write(Window(0, 0, 1000, 1000), np.ones((1000, 1000, 1), "u2"))


@given(
    st.integers(1, 30), st.integers(1, 30), st.integers(1, 4), st.sampled_from(["u1", "u2", "f4"]),
    st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=6),
)  # fmt: skip
def test_spools_behave_like_arrays(width, height, samples, dtype, parts) -> None:
    expected = np.zeros((height, width, samples), dtype)
    with Scratch().spool(width, height, samples, dtype) as spool:
        for seed, (a, b, c, d) in enumerate(parts):
            x, y = int(a * (width - 1)), int(b * (height - 1))
            window = Window(x, y, int(c * (width - x)), int(d * (height - y)))
            pixels = (
                make_picture((window.height, window.width, samples), "u1", seed)
                if window.area
                else np.zeros((window.height, window.width, samples))
            )
            spool.write(window, pixels.astype(dtype))
            expected[window.slices] = pixels
            assert np.array_equal(spool.read(window), expected[window.slices])
        assert np.array_equal(spool.read(Window(0, 0, width, height)), expected)


@pytest.mark.parametrize("helpful", [True, False])
def test_spools_as_mapped_memory(tmp_path, monkeypatch, helpful) -> None:
    """With and without a system that can reserve space for a file."""
    if not helpful:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    pixels = np.arange(60, dtype="u2").reshape(5, 6, 2)
    with Scratch(tmp_path).spool(6, 5, 2, "u2") as spool:
        with spool.mapped(written=False) as memory:
            memory[...] = pixels
            del memory
        assert np.array_equal(spool.read(Window(0, 0, 6, 5)), pixels)
        with spool.mapped(written=True) as memory:
            assert np.array_equal(memory, pixels)
            del memory


def test_spools_have_no_name(tmp_path) -> None:
    with Scratch(tmp_path).spool(10, 10, 1, "u1") as spool:
        spool.write(Window(0, 0, 10, 10), np.ones((10, 10, 1), "u1"))
        names = list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []
    if sys.platform != "win32":
        assert names == []


def test_positioned_reads(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    with PositionedFile(tmp_path / "a") as file:
        assert file.read(3, 4) == b"3456"
        assert file.head(100) == b"0123456789"
        with pytest.raises(InputError, match="truncated"):
            file.read(8, 3)
        (tmp_path / "a").write_bytes(b"01")
        with pytest.raises(InputError, match="became shorter"):
            file.read(3, 4)
