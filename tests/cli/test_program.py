"""The program itself: speed of help by what it imports, exit codes, streams, completion."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.main import get_command

from darkroom.cli import main as cli

HEAVY = ("torch", "skimage", "rawpy", "tifffile", "cv2", "scipy", "numpy", "imagecodecs", "PIL")
SHOWN = [name for name in cli.COMMANDS if name in get_command(cli.app).commands]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in SHOWN)], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys; from darkroom.cli.main import main; code = main(sys.argv[1:]);"
        f"sys.exit(code or '\\n'.join(m for m in {HEAVY!r} if m in sys.modules) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"imported: {done.stderr}"
    assert "darkroom" in done.stdout


def test_root_help_imports_no_command():
    code = (
        "import sys; from darkroom.cli.main import main; main(['--help']);"
        "sys.exit([m for m in sys.modules if m == 'darkroom.cli.clean' or m == 'darkroom.options'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


def test_import_darkroom_costs_little():
    code = "import sys, darkroom; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ("torch", "skimage", "rawpy", "rich", "typer", "cv2", "tifffile")
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", SHOWN)
def test_every_command_loads_and_says_what_it_does(name):
    command = cli.load_command(name)
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"


def test_no_command_and_wrong_commands_are_usage_errors(darkroom):
    assert darkroom().code == 2
    wrong = darkroom("claen")
    assert wrong.code == 2 and "Did you mean 'clean'?" in wrong.err and wrong.out == ""


def test_version(darkroom):
    assert darkroom("--version").out.startswith("darkroom 0.")


def test_a_bug_is_one_line_and_a_traceback_only_when_asked(darkroom, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("three\nlines")

    monkeypatch.setattr("darkroom.presets.available", broken)
    result = darkroom("presets", "list")
    assert result.code == 1
    assert result.err.splitlines()[0] == (
        "error: this is a bug in darkroom: ZeroDivisionError: three lines"
    )
    assert "Traceback" not in result.err
    monkeypatch.setenv("DARKROOM_DEBUG", "1")
    assert "Traceback" in darkroom("presets", "list").err


def test_a_bug_in_one_file_does_not_stop_the_batch(darkroom, scan, monkeypatch):
    from darkroom.pipeline import outcome

    real = outcome.run

    def sometimes(job, *rest):
        if job.source.name == "a.tif":
            raise ZeroDivisionError("oh")
        return real(job, *rest)

    monkeypatch.setattr(outcome, "run", sometimes)
    result = darkroom(
        "clean", scan("a.tif"), scan("b.tif"), "--backend", "tophat", "--grain", "none", "--json"
    )
    assert [r["status"] for r in result.records] == ["failed", "done"], result.err
    assert (
        result.code == 1 and "bug in darkroom: ZeroDivisionError: oh" in result.records[0]["error"]
    )


def test_backends_lists_kind_state_and_options(darkroom):
    listed = darkroom("backends").out
    assert "tophat" in listed and "ringmean" in listed and "needs no_such_module" in listed
    assert "tophat:size=15" in darkroom("backends", "-v").out
    records = {r["name"]: r for r in darkroom("backends", "--json").records}
    assert records["tophat"]["defaults"] == {"size": 15}
    assert records["unbuilt"]["missing"] == ["no_such_module"]


def test_presets_are_listed_and_shown(darkroom):
    listed = darkroom("presets", "list").out
    for name in ("colour-negative", "colour-slide", "black-and-white", "camera-scan", "keen"):
        assert name in listed
    assert 'polarity = "dark"' in darkroom("presets", "show", "colour-slide").out
    assert darkroom("presets", "show", "colour-slied").code == 2


def test_plugins_check_is_content_with_good_plugins(darkroom):
    result = darkroom("plugins", "check")
    assert result.code == 0, result.out
    assert "0 problems" in result.out
    assert "fixture-good 1.0" in darkroom("plugins", "list").out


def test_broken_plugins_are_shown_and_harm_nothing(program, scan, fixtures):
    everything = sorted(folder.name for folder in fixtures.iterdir() if folder.is_dir())
    checked = program("plugins", "check", plugins=everything)
    assert checked.code == 1
    for cause in (
        "no licence found",
        "a_module_that_is_not_there",
        "taken by darkroom",
        "registry",
    ):
        assert cause in checked.out
    cleaned = program(
        *(
            "clean",
            scan(),
            "--backend",
            "tophat",
            "--grain",
            "none",
            "--max-coverage",
            "10%",
            "--json",
        ),
        plugins=everything,
    )
    assert cleaned.code == 0, cleaned.err
    assert cleaned.records[0]["artefacts"] > 0
    assert "cannot upload" in cleaned.err


def test_completion_knows_commands_backends_and_presets(program):
    def complete(words):
        env = {
            "_DARKROOM_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        return program(env=env).out.split()

    assert complete("darkroom cl") == ["clean"]
    assert "tophat" in complete("darkroom clean --backend ")
    assert "ringmean" not in complete("darkroom clean --backend ")
    assert "colour-slide" in complete("darkroom clean --preset col")
    assert "--sensitivity" in complete("darkroom clean --sens")


def test_show_completion_prints_a_script():
    # The shell is found by going up from the process, so there has to be one that stays.
    command = f"{sys.executable} -m darkroom.cli.main --show-completion bash; exit $?"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "_DARKROOM_COMPLETE" in done.stdout


def test_a_closed_pipe_is_no_complaint(program):
    command = f"{sys.executable} -m darkroom.cli.main clean --help | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr and "Broken" not in done.stderr


def test_ctrl_c_ends_with_130_and_leaves_no_output(scan, tmp_path, fixtures):
    source = scan(height=3000, width=4000, spots=40)
    settings = ("--tile", "64", "--jobs", "1", "--backend", "tophat", "--grain", "none")
    environment = os.environ | {"PYTHONPATH": str(fixtures / "good")}
    process = subprocess.Popen(
        [sys.executable, "-m", "darkroom.cli.main", "clean", source, *settings],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    # The hidden file shows that the output is being written: half done, whatever the machine.
    while not list(tmp_path.glob(".*")):
        assert process.poll() is None, "it ended before it began to write"
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scan.tif"]


def test_an_interrupt_as_an_output_is_made_leaves_nothing(darkroom, scan, tmp_path, monkeypatch):
    """The file is there, and nobody holds it yet who could throw it away."""

    def interrupted(fd):
        assert list(tmp_path.glob(".*"))
        raise KeyboardInterrupt

    monkeypatch.setattr("darkroom.io.atomic.lock", interrupted)
    result = darkroom("clean", scan(), "--backend", "tophat", "--grain", "none")
    assert result.code == 130, result.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scan.tif"]


def test_records_are_written_as_they_come(darkroom, scan):
    result = darkroom("clean", scan(), "--backend", "tophat", "--dry-run", "--json")
    assert json.loads(result.out)["backend"] == "tophat"


def test_bars_are_drawn_on_a_terminal_only(scan, fixtures, program):
    import pty

    arguments = ("clean", scan(), "--backend", "tophat", "--grain", "none", "--dry-run")
    assert "\x1b" not in program(*arguments).err
    leader, terminal = pty.openpty()
    env = {"PYTHONPATH": str(fixtures / "good"), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "darkroom.cli.main", *map(str, arguments)],
        stderr=terminal,
        stdout=subprocess.PIPE,
        env=os.environ | env,
    )
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:
        pass  # Linux says EIO when the other end has closed
    os.close(leader)
    assert process.wait(timeout=60) == 0
    assert b"\x1b[" in shown and b"scan.tif: " in shown and b"%" in shown
    assert b"artefacts" in shown


def commands(name, command):
    for part, inner in getattr(command, "commands", {}).items():
        yield from commands(f"{name} {part}", inner)
    if not hasattr(command, "commands"):
        yield name, {option for param in command.params for option in param.opts}


# `review` is left out: it writes the results again after each decision, that is what it is for.
EVERY = [
    c for name in cli.COMMANDS if name != "review" for c in commands(name, cli.load_command(name))
]


@pytest.mark.parametrize(("name", "options"), EVERY, ids=[name for name, _ in EVERY])
def test_commands_that_write_share_their_options(name, options):
    if "--output" in options:
        assert {"-o", "--overwrite", "--quiet", "-q", "--json"} <= options
    if "--overwrite" in options:
        assert {"--quiet", "-q", "--json"} <= options


def test_help_keeps_its_brackets(capsys):
    assert cli.main(["train", "--help"]) == 0
    assert "[network]" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_told_of():
    command = (
        f"{sys.executable} -m darkroom.cli.main backends --json | true; exit ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1)
    told = "stdout was closed or full before everything was printed\n"
    assert done.returncode == 0 or done.stderr == told
