"""Every command of the program, found from its app, so that none can be forgotten."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from darkroom.cli.main import COMMANDS, load_command

# Commands that write no file of the user's, whatever options they get.
READING = frozenset(
    {
        "verify",
        "backends",
        "weights info",
        "presets list",
        "presets show",
        "plugins list",
        "plugins check",
        "dataset verify",
    }
)


def leaves() -> Iterator[tuple[str, Any]]:
    """(name, command) of everything that can be run: "clean", "dataset build", …"""
    for name in COMMANDS:
        yield from _below(name, load_command(name))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield name, command
        return
    for child, below in children.items():
        yield from _below(f"{name} {child}", below)


def names_of_files(command: Any) -> set[str]:
    """Options and arguments of a command that may name a file: by type, or known to do so."""
    known = {"inputs", "receipts", "output", "preset", "option", "group_by", "ir", "save_mask"}
    known.add("reference")
    known |= {"reference"}
    found = set()
    for parameter in command.params:
        kind = parameter.bare_type()
        if kind is Path or Path in get_args(kind) or parameter.name in known:
            found.add(parameter.name)
    return found
