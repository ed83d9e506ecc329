"""Standard streams that are closed, full or broken, and plugins that print."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOPHAT = "--backend tophat --grain none"
NOISY = """
import os
print("hello from a plugin")
os.write(1, b"and from its library\\n")
from darkroom.plugins import hookimpl
@hookimpl
def darkroom_scan_cleaned(cleaned):
    print("cleaned", cleaned.source)
    os.write(1, b"from C\\n")
"""


@pytest.fixture
def shell(tmp_path, fixtures):
    """Runs a shell line with `darkroom` in it; gives the finished process."""

    def run(line, *plugins):
        paths = os.pathsep.join(map(str, (fixtures / "good", *plugins)))
        env = os.environ | {"PYTHONPATH": paths, "DARKROOM_HOME": str(tmp_path / "home")}
        command = line.replace("darkroom", f"{sys.executable} -m darkroom.cli.main", 1)
        return subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True
        )

    return run


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("darkroom clean a.tif b.tif -o out/ {} 2>/dev/full", 0),
        ("darkroom clean a.tif b.tif -o out/ {} 2>&1 | (read line; exit 0)", 0),
        ("darkroom clean a.tif b.tif -o out/ {} <&- >&- 2>&-", 0),
        ("darkroom clean a.tif b.tif -o out/ {} --json >/dev/full", 1),
    ],
)
def test_the_work_goes_on_where_messages_cannot_be_written(shell, scan, tmp_path, line, code):
    scan("a.tif"), scan("b.tif")
    assert shell(line.format(TOPHAT)).returncode == code
    made = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert made == ["a.tif", "a.tif.receipt.json", "b.tif", "b.tif.receipt.json"]


def test_records_stay_clean_when_a_plugin_prints(shell, scan, tmp_path):
    scan("a.tif")
    site = tmp_path / "site"
    info = site / "noisy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[darkroom.plugins]\nnoisy = noisy_plugin\n")
    (site / "noisy_plugin.py").write_text(NOISY)
    done = shell(f"darkroom clean a.tif -o out/ {TOPHAT} --json", site)
    assert done.returncode == 0
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["done"]
    assert "hello from a plugin" in done.stderr and "from C" in done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX only")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", 0)])
def test_a_signal_leaves_nothing_half_done(tmp_path, fixtures, scan, number):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("the tests were started with this signal ignored, and so would be darkroom")
    source = scan("big.tif", height=2500, width=3000)
    env = os.environ | {"PYTHONPATH": str(fixtures / "good")}
    command = [sys.executable, "-m", "darkroom.cli.main", "clean", source, "-o", f"{tmp_path}/out/"]
    process = subprocess.Popen(
        [*map(str, command), *TOPHAT.split(), "--tile", "64"], env=env, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not any((tmp_path / "out").glob(".*")) and time.monotonic() < deadline:
        if process.poll() is not None:
            break
        time.sleep(0.005)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert b"nothing half done is left" in err
    assert list((tmp_path / "out").iterdir()) == []
