"""`darkroom weights`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from darkroom.cli import console
from darkroom.cli.options import Quiet, TableAsJson
from darkroom.errors import UsageError

app = typer.Typer(help="List and check the weights of networks.", no_args_is_help=True)


def _refuse_existing(output: Path, overwrite: bool) -> None:
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists", hint="Use --overwrite to replace it.")


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


@app.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(help="State dict written by torch.save.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weights file to write.")],
    arch: Annotated[str, typer.Option(help="Network it is for.")],
    recipe: Annotated[
        Path | None, typer.Option(help="TOML file whose [network] gives the network's shape.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence note for the weights file.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT.")] = False,
    quiet: Quiet = False,
    as_json: TableAsJson = False,
) -> None:
    """Make a weights file from one of PyTorch's; nothing in it is executed."""
    from darkroom.io.guard import prepare
    from darkroom.plugins.manager import installed
    from darkroom.training.config import Recipe, read_recipe
    from darkroom.training.convert import convert as run
    from darkroom.training.session import make_trainable

    _refuse_existing(output, overwrite)
    with console.warnings(quiet):
        prepare([output], [file, *([recipe] if recipe else [])])
    shape = read_recipe(recipe) if recipe else Recipe(None, {}, {})
    run(file, output, make_trainable(arch, shape, installed()), licence)
    if as_json:
        console.record({"output": str(output), "architecture": arch})
    elif not quiet:
        console.say(f"{output}: {arch}")


@app.command("calibrate")
def calibrate(
    file: Annotated[Path, typer.Argument(help="Weights file; its thresholds are replaced.")],
    data: Annotated[Path, typer.Option(help="Data set, or folders PART/scan and PART/gt.")],
    split: Annotated[
        Path | None, typer.Option(help="Table of photographs and their parts: one pool, re-split.")
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="Part to choose thresholds on. Repeatable. [default: val]"),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(help="Families: a table with columns photo and family, or a pattern."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Use every Nth picture of the data set.")] = 1,
    judge: Annotated[
        bool, typer.Option("--judge/--no-judge", help="Fit a judge, or choose thresholds alone.")
    ] = True,
    photographs: Annotated[
        Path | None,
        typer.Option(help="Folder of clean photographs to fit the judge on too, as the film."),
    ] = None,
    without: Annotated[
        Path | None, typer.Option(help="List of photographs to leave out, one name a line.")
    ] = None,
    folds: Annotated[
        Path | None,
        typer.Option(help="Folder for weights files fitted without a fifth of the families each."),
    ] = None,
    views: Annotated[
        int,
        typer.Option(
            min=0, help="Steps of training a network by which the judge sees each candidate."
        ),
    ] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. [default: FILE]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUTPUT; FILE itself is always written.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that look at pictures.")] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the figures.")] = False,
    quiet: Quiet = False,
    as_json: TableAsJson = False,
) -> None:
    """Choose thresholds, or fit the judge of candidates, and keep them in the file."""
    from darkroom.io.guard import prepare
    from darkroom.plugins.manager import installed
    from darkroom.training import calibrate as work
    from darkroom.training.samples import photograph_files, read_names

    target = output or file
    made = [target, *(work.fold_files(target, folds) if folds else ())]
    for path in made if not dry_run else ():
        if path is not file:
            _refuse_existing(path, overwrite)
    left_out = read_names(without) if without else []
    files = photograph_files(photographs, left_out) if photographs else []
    _, trainable = work.load_trainable(file, installed())
    with console.warnings(quiet):
        if not dry_run:
            read = [
                path for pair in work.pairs_of(data, part or ["val"], split) for path in pair.files
            ]
            tables = [path for path in (output and file, split, without) if path]
            prepare(made, [*read, *files, *tables, *([Path(group_by)] if group_by else [])])
        pictures = work.load_pictures(data, part or ["val"], split, trainable)[::every]
    kept: Mapping[str, Any] | None = None
    paths: tuple[Path, ...] = ()
    if dry_run:
        sweep = work.measure(trainable, pictures, work.FINE)
    else:
        groups = work.groups_of(pictures, group_by)
        done = work.calibrate(
            *(file, target, pictures, installed(), groups),
            judged=judge,
            photographs=files,
            folds=folds,
            steps=views,
            workers=workers,
        )
        sweep, kept, paths = done.sweep, done.header.calibration, done.folds
    if as_json:
        names = [str(path) for path in paths]
        console.record({"figures": sweep, "calibration": kept, "folds": names})
    if as_json or quiet:
        return
    names = list(next(iter(sweep.values())))
    rows = [[k, *(f"{figures[n]:.4f}" for n in names)] for k, figures in sweep.items()]
    console.table(("AT", *(n.upper() for n in names)), rows)
    for path in (target, *paths) if kept is not None else ():
        console.say(str(path))
