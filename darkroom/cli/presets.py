"""`darkroom presets`."""

from typing import Annotated

import typer

from darkroom.cli import console
from darkroom.cli.options import TableAsJson, complete_presets

app = typer.Typer(help="List and show presets for kinds of film.")


@app.command("list")
def list_presets(as_json: TableAsJson = False) -> None:
    """List the presets that can be named with `darkroom clean --preset`."""
    from darkroom.plugins.manager import installed
    from darkroom.presets import available

    found = available(installed().preset_packages)
    if as_json:
        for preset in found:
            console.record(
                {
                    "name": preset.name,
                    "title": preset.title,
                    "origin": preset.origin,
                    "digest": preset.digest,
                    "values": {key: str(value) for key, value in preset.values.items()},
                }
            )
        return
    console.table(("NAME", "FROM", "TITLE"), [(p.name, p.origin, p.title) for p in found])


@app.command("show")
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="A preset.", autocompletion=complete_presets),
    ],
) -> None:
    """Print a preset as it is written, to read or to start one's own from."""
    from darkroom.plugins.manager import installed
    from darkroom.presets import find

    console.say(find(name, installed().preset_packages).text.rstrip("\n"))
