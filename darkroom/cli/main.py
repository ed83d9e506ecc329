"""The root command: a table of commands, each imported when it is used and not before."""

import importlib
import importlib.util
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from darkroom import __version__, interrupts
from darkroom.cli import console, streams
from darkroom.errors import DarkroomError

INTERRUPTED = 130


class Entry(NamedTuple):
    """A command: where it is ("module:attribute", a Typer app or a function) and what it does."""

    target: str
    summary: str


COMMANDS = {
    "clean": Entry("darkroom.cli.clean:app", "Remove dust, hairs and scratches from scans."),
    "detect": Entry("darkroom.cli.detect:app", "Find artefacts and write only their masks."),
    "review": Entry("darkroom.cli.review:app", "Look at repairs, take some back, paint more."),
    "verify": Entry("darkroom.cli.verify:verify", "Check receipts against the files they name."),
    "inspect": Entry("darkroom.cli.inspect:inspect", "Say what files hold and what is kept."),
    "demo": Entry("darkroom.cli.demo:demo", "Damage a photograph, clean it and show the result."),
    "dataset": Entry("darkroom.cli.dataset:app", "Build, check and split training data."),
    "train": Entry("darkroom.cli.train:app", "Train a network."),
    "compare": Entry("darkroom.cli.compare:app", "Measure restorations against ground truth."),
    "backends": Entry("darkroom.cli.backends:backends", "List what can find and repair artefacts."),
    "weights": Entry("darkroom.cli.weights:app", "List and check the weights of networks."),
    "presets": Entry("darkroom.cli.presets:app", "List and show presets for kinds of film."),
    "plugins": Entry("darkroom.cli.plugins:app", "List plugins and check that they work."),
}


class LazyGroup(TyperGroup):
    """A group that knows names and summaries, and imports a command only to run it.

    Listing (help, completion) asks `get_command` for every name, so that gives a stand-in;
    `resolve_command` is called for the one command that runs.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, entry in COMMANDS.items():
            if importlib.util.find_spec(entry.target.partition(":")[0]) is not None:
                self.commands[name] = TyperCommand(name, help=entry.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command to run, imported."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        if stand_in is None or name is None:
            return name, stand_in, rest
        return name, load_command(name), rest


def load_command(name: str) -> Any:
    """The command called `name`, imported and ready to run."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer()
        found.command()(function)
    command = get_command(found)
    command.name = name
    _keep_brackets(command)
    command.params = [p for p in command.params if not (p.name or "").endswith("_completion")]
    return command


def _keep_brackets(command: Any) -> None:
    """Show help as it is written: "[network]" is a table of a TOML file, not a style of text."""
    command.rich_markup_mode = "markdown"
    for part in getattr(command, "commands", {}).values():
        _keep_brackets(part)


app = typer.Typer(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})


def _version(asked: bool) -> None:
    if asked:
        console.say(f"darkroom {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Find and repair dust, hairs and scratches on film scans, and change nothing else."""
    if ctx.invoked_subcommand is None:
        console.say(ctx.get_help())
        raise typer.Exit(2)


def main(arguments: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        The exit status: 0 done, 1 some files failed or results could not be written, 2 usage,
        3 input, 4 backend, 5 safety limit, 130 interrupted, 143 terminated.
    """
    streams.forget()
    wanted = set(arguments)
    plain = "--json" not in wanted or wanted & {"-h", "--help"}
    with nullcontext() if plain else streams.diverted():
        status = _main(arguments)
    streams.flush()
    if streams.lost():
        console.warn("stdout was closed or full before everything was printed")
        return status or 1
    return status


def _main(arguments: Sequence[str]) -> int:
    try:
        result = get_command(app)(args=list(arguments), prog_name="darkroom", standalone_mode=False)
    except (BrokenPipeError, SystemExit) as error:  # of what the framework prints, such as help
        # Click makes an exit of a closed pipe.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        streams.count_lost()
        return 1
    except KeyboardInterrupt:
        result = INTERRUPTED
    except DarkroomError as error:
        console.complain(error)
        return error.exit_code
    except Exception as error:
        if interrupts.received() is None:
            return _unforeseen(error, arguments)
        result = INTERRUPTED
    if result == INTERRUPTED or interrupts.received() is not None:
        from darkroom.io.atomic import remove_unnamed

        remove_unnamed()
        console.warn("interrupted; finished files are kept, nothing half done is left")
        return 128 + (interrupts.received() or signal.SIGINT)
    return result if isinstance(result, int) else 0


def _unforeseen(error: Exception, arguments: Sequence[str]) -> int:
    """The exit status for what is neither a result nor a `DarkroomError`."""
    if hasattr(error, "format_message"):  # usage errors of the command-line framework
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "darkroom"
        console.complain(DarkroomError(error.format_message(), hint=f"See `{path} --help`."))
        return int(getattr(error, "exit_code", 2))
    if console.debugging(arguments):
        console.traceback(error)
    console.complain(console.bug(error))
    return 1


def run() -> None:
    """The entry point of the `darkroom` program."""
    streams.open_closed()
    interrupts.install()
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
