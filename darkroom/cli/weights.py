"""`darkroom weights`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from darkroom.cli import console
from darkroom.cli.options import TableAsJson

app = typer.Typer(help="List and check the weights of networks.", no_args_is_help=True)


@app.callback()
def weights() -> None:
    """List and check the weights of networks."""


@app.command("info")
def info(
    file: Annotated[Path, typer.Argument(help="Weights file.")], as_json: TableAsJson = False
) -> None:
    """Check a weights file and show what it says of itself."""
    from darkroom.weights import load_weights

    header, tensors = load_weights(file)
    count = sum(array.size for array in tensors.values())
    if as_json:
        console.record(asdict(header) | {"parameters": count})
        return
    console.say(
        f"{file}: {header.architecture}, {count:,} values in {len(tensors)} tensors, intact"
    )
    for name in ("config", "metrics", "calibration", "recipe"):
        console.say(f"{name}:")
        for key, value in getattr(header, name).items():
            console.say(f"  {key}: {value}")
    console.say(f"data: {header.data or 'unknown'}")
    console.say(f"licence: {header.licence or 'none stated'}")
