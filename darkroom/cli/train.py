"""`darkroom train`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from darkroom.cli import console
from darkroom.cli.options import Quiet, TableAsJson
from darkroom.errors import UsageError

app = typer.Typer()


@app.command()
def train(
    data: Annotated[
        Path, typer.Option(help="Data set, or folders PART/scan and PART/gt for train and val.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weights file to write.")],
    arch: Annotated[
        str | None, typer.Option(help="Network, as `darkroom plugins` names it.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="TOML file with [network] and [train].")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="Table of photographs and their parts: one pool, re-split.")
    ] = None,
    photographs: Annotated[
        Path | None, typer.Option(help="Folder of clean photographs to learn from as well.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, over the recipe. Repeatable.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of log and checkpoints. [default: OUTPUT.run]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint.")
    ] = False,
    init: Annotated[
        Path | None,
        typer.Option(
            help="Weights to start from, also of a smaller network; vgg16_bn.pth for segnet."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    licence: Annotated[str, typer.Option(help="Licence note for the weights file.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT.")] = False,
    quiet: Quiet = False,
    as_json: TableAsJson = False,
) -> int:
    """Train a network on pairs of scans and their retouched versions.

    For several devices: `torchrun --nproc-per-node=N --no-python darkroom train …`.
    """
    from darkroom.plugins.manager import installed
    from darkroom.training.config import read_recipe
    from darkroom.training.session import Session
    from darkroom.training.session import train as run_training

    if output.exists() and not (overwrite or resume):
        raise UsageError(
            f"{output} exists", hint="Use --overwrite to replace it, or --resume to go on."
        )
    session = Session(
        data=data,
        output=output,
        architecture=arch,
        recipe=read_recipe(recipe) if recipe else None,
        values=_values(set_ or []),
        split=split,
        photographs=photographs,
        folder=folder,
        resume=resume,
        start=init,
        device=device,
        licence=licence,
    )
    with console.warnings(quiet), console.training(quiet) as progress:
        header = run_training(session, installed(), progress)
    if header is not None and as_json:
        steps = header.recipe["steps_done"]
        console.record({"output": str(output), "architecture": header.architecture, "steps": steps})
    elif header is not None and not quiet:
        console.say(f"{output}: {header.architecture}, {header.recipe['steps_done']} steps")
    return 0


def _values(items: list[str]) -> dict[str, Any]:
    """KEY=VALUE as TOML would read VALUE; what TOML cannot read is text.

    Raises:
        UsageError: no "=".
    """
    import tomllib

    values: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals:
            raise UsageError(f"--set {item}: write KEY=VALUE")
        try:
            values[key.strip()] = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = text
    return values
