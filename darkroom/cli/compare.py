"""`darkroom compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli import console
from darkroom.cli.options import Quiet, SchedulerAddress
from darkroom.errors import UsageError
from darkroom.machine import default_memory
from darkroom.options import parse_size

if TYPE_CHECKING:
    from darkroom.compare.run.cell import Cell

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})


@app.command()
def compare(
    scans: Annotated[
        Path | None, typer.Argument(metavar="SCANS", help="Folder of scans, or of scan/ and gt/.")
    ] = None,
    truths: Annotated[
        Path | None, typer.Argument(metavar="GT", help="Folder of retouched scans.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", metavar="DIR", help="A data set instead.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Only this part of it: train, val or test.")
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option("--backend", "-b", metavar="NAME[:OPTION=VALUE,…]", help="Repeatable."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the report.")
    ] = Path("report"),
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Kept results; DIR/cache of the report.")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="PATTERN|FILE", help="How photographs are told from file names."),
    ] = None,
    clean_frames: Annotated[
        bool, typer.Option(help="Also give each backend the ground truths as scans.")
    ] = True,
    baseline: Annotated[
        bool, typer.Option(help="Add a row of the backend `baseline`, as a yardstick.")
    ] = True,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(metavar="FIGURE=LIMIT", help="Exit 1 if a backend is not that good."),
    ] = None,
    rank_by: Annotated[
        str, typer.Option(metavar="FIGURE", help="Figure that orders the leaderboard.")
    ] = "sse_ratio",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda[:N] or mps.")] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            *("--workers", "--jobs"),
            min=1,
            help="Processes that pictures are shared out among, and --max-memory with them.",
            show_default="one a processor",
        ),
    ] = None,
    scheduler: SchedulerAddress = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Most memory of all processes together.",
            show_default="2GiB, or less where the machine or container has less",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the report; its cache is used.")
    ] = False,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print metrics.json.")] = False,
) -> None:
    """Say what backends gain and harm, beside doing nothing, and write a report."""
    from darkroom.compare.compare import run_comparison

    if scheduler is not None and jobs is not None:
        raise UsageError("--workers and --scheduler exclude each other")
    source = dataset or scans
    if source is None or (dataset and scans):
        raise UsageError("give either SCANS or --dataset", hint="see darkroom compare --help")
    with console.warnings(quiet):
        done = run_comparison(
            source,
            truths,
            backend or [],
            output,
            split=split,
            cache=cache,
            group_by=group_by,
            clean_frames=clean_frames,
            baseline=baseline,
            limits=_limits(fail_under or []),
            rank_by=rank_by,
            device=device,
            jobs=jobs,
            scheduler=scheduler,
            memory=default_memory() if max_memory is None else parse_size(max_memory),
            seed=seed,
            overwrite=overwrite,
            progress=None if quiet else _progress,
        )
    if as_json:
        console.record(done.document)
    elif not quiet:
        console.table(done.headers, done.rows)
        console.say(f"report: {done.page}")
    for line in done.complaints:
        console.warn(line)
    if done.complaints:
        raise typer.Exit(1)


def _limits(texts: list[str]) -> dict[str, float]:
    limits = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            limits[name.strip()] = float(value)
        except ValueError as error:
            raise UsageError(
                f"--fail-under {text}: not FIGURE=LIMIT", hint="for example sse_ratio=0.9"
            ) from error
    return limits


def _progress(cell: "Cell", done: int, total: int) -> None:
    if cell.error is not None:
        console.warn(f"{cell.backend}: {cell.image}: {cell.error}")
    if done == total or done % max(1, total // 20) == 0:
        console.warn(f"{done} of {total} done, at {cell.backend}")
