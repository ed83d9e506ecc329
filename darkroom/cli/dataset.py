"""`darkroom dataset`: make, split, check and look at training data."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli import console
from darkroom.cli.options import SchedulerAddress, TableAsJson, Workers

if TYPE_CHECKING:
    from darkroom.errors import DarkroomError
    from darkroom.pairs.manifest import Manifest

app = typer.Typer(help="Build, check and split training data.", no_args_is_help=True)


class SplitBy(StrEnum):
    """Splits by name."""

    FAMILY = "family"
    PAPER = "paper"


class ImportSplit(StrEnum):
    """Splits of an imported set by name."""

    FAMILY = "family"
    PAPER = "paper"
    PUBLISHED = "published"


class Labels(StrEnum):
    """Where masks come from, by name."""

    RETOUCHED = "retouched"
    INFRARED = "infrared"


class DamagePolarity(StrEnum):
    """Polarities of synthetic damage by name."""

    MEASURED = "measured"
    BRIGHT = "bright"
    DARK = "dark"
    BOTH = "both"


Root = Annotated[Path, typer.Argument(metavar="DS", help="A data set.", show_default=False)]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="DS", help="The data set to make.")]
Val = Annotated[float, typer.Option(help="Share of the tiles for validation.", min=0, max=1)]
Test = Annotated[float, typer.Option(help="Share of the tiles for testing.", min=0, max=1)]
Seed = Annotated[int, typer.Option(help="Another seed, another draw.")]
Size = Annotated[int, typer.Option(help="Side of a tile in pixels.")]
GroupBy = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|PATTERN",
        help="Which photographs belong together: a table with columns photo and family, or a "
        "regular expression whose first group is the family.",
    ),
]


Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a data set that is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


class Counter:
    """Says how far a run is, on a terminal only and unless the user wants quiet."""

    def __init__(self, quiet: bool) -> None:
        import sys

        self.live = sys.stderr.isatty() and not quiet

    def __call__(self, what: str, done: int, total: int) -> None:
        """So much of so much is done."""
        if self.live:
            end = "\n" if done >= total else ""
            console.progress_line(f"{what}: {100 * done // max(1, total)} %", end)


def _finish(
    manifest: "Manifest", wrong: "Sequence[DarkroomError]", quiet: bool, as_json: bool
) -> int:
    if as_json or not quiet:
        _show(manifest, as_json)
    for error in wrong:
        console.complain(error)
    return 1 if wrong else 0


def _show(manifest: "Manifest", as_json: bool) -> None:
    from darkroom.dataset.synthetic import shape_counts

    summary, leaks = manifest.summary(), manifest.leaks()
    if as_json:
        console.record(
            {
                "data_set": manifest.root,
                "splits": summary,
                "leaks": leaks,
                "shapes": shape_counts(manifest.tiles),
            }
        )
        return
    rows = [
        (
            split,
            *(str(int(s[k])) for k in ("tiles", "photographs", "families", "flagged", "artefacts")),
            f"{100 * s['damaged']:.3f} %",
            f"{s['mse']:.3f}",
            str(leaks.get(split, 0)),
        )
        for split, s in summary.items()
    ]
    headers = (
        *("SPLIT", "TILES", "PHOTOS", "FAMILIES", "FLAGGED"),
        *("ARTEFACTS", "DAMAGED", "MSE", "LEAKED"),
    )
    console.table(headers, rows)


@app.command("build")
def build_command(
    scans: Annotated[Path, typer.Argument(metavar="SCANS", help="Folder, or a CSV of pairs.")],
    truths: Annotated[
        Path | None, typer.Argument(metavar="[GT]", help="Folder of retouched scans.")
    ] = None,
    *,
    output: Output,
    labels: Annotated[
        Labels, typer.Option(help="Masks by what a retoucher changed, or by the infrared channel.")
    ] = Labels.RETOUCHED,
    from_reviews: Annotated[
        bool,
        typer.Option("--from-reviews", help="Take the scans in SCANS that were reviewed."),
    ] = False,
    size: Size = 256,
    stride: Annotated[int | None, typer.Option(help="Step of tiles; the size if unset.")] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Turn colour to grey.")] = False,
    pair_suffix: Annotated[
        str | None, typer.Option(help="Ending of retouched names; else _gt, _clean, _retouched.")
    ] = None,
    max_empty: Annotated[
        float | None, typer.Option(help="Largest share of tiles without artefacts; 0 drops all.")
    ] = None,
    group_by: GroupBy = None,
    split: Annotated[SplitBy, typer.Option(help="How to split.")] = SplitBy.FAMILY,
    val: Val = 0.2,
    test: Test = 0.2,
    seed: Seed = 0,
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Bound for decoded pixels kept, 256MiB if unset; with --labels infrared for the "
            "whole process, 2GiB if unset.",
            show_default=False,
        ),
    ] = None,
    workers: Workers = 1,
    scheduler: SchedulerAddress = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: TableAsJson = False,
) -> int:
    """Cut scans and the same scans retouched into tiles for training.

    With --labels infrared, scans with an infrared channel need no retouched ones; with
    --from-reviews, one's own vetoes and painted marks in `darkroom review` are the labels.
    """
    from darkroom.dataset.build import Settings, build
    from darkroom.errors import UsageError
    from darkroom.options import MachineOptions, parse_size
    from darkroom.pairs.find import find_pairs
    from darkroom.pipeline.workers import Crew

    crew = Crew(workers, scheduler)
    by_infrared = labels is Labels.INFRARED
    if by_infrared and (truths is not None or pair_suffix is not None):
        raise UsageError(
            "--labels infrared takes scans alone",
            hint="Leave out the retouched scans, which --labels retouched uses.",
        )
    if from_reviews and (by_infrared or truths is not None or pair_suffix is not None):
        raise UsageError(
            "--from-reviews takes reviewed scans alone",
            hint="Leave out the retouched scans and --labels.",
        )
    settings = Settings(
        size=size,
        stride=stride,
        grey=grey,
        max_empty=max_empty,
        group_by=group_by,
        split=split.value,
        val=val,
        test=test,
        seed=seed,
        cache_bytes=max(1 << 20, parse_size(max_memory or "256MiB") // (4 * workers)),
    )
    with console.warnings(quiet):
        if from_reviews:
            from darkroom.dataset.reviewed import build_from_reviews

            manifest, wrong = build_from_reviews(
                scans, output, settings, overwrite=overwrite, advance=Counter(quiet), crew=crew
            )
        elif by_infrared:
            from darkroom.dataset.infrared import build_from_infrared

            machine = MachineOptions()
            if max_memory is not None:
                machine = replace(machine, max_memory=parse_size(max_memory))
            manifest, wrong = build_from_infrared(
                scans,
                output,
                settings,
                machine,
                overwrite=overwrite,
                advance=Counter(quiet),
                crew=crew,
            )
        else:
            found = find_pairs(scans, truths, ending=pair_suffix)
            if not found.pairs:
                found.complete()
            manifest, wrong = build(
                found.pairs,
                output,
                settings,
                overwrite=overwrite,
                advance=Counter(quiet),
                crew=crew,
            )
            wrong = [*found.wrong, *wrong]
    return _finish(manifest, wrong, quiet, as_json)


@app.command("import")
def import_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The published data set.")],
    *,
    output: Output,
    group_by: GroupBy = None,
    split: Annotated[ImportSplit, typer.Option(help="How to split.")] = ImportSplit.FAMILY,
    val: Val = 0.2,
    test: Test = 0.2,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: TableAsJson = False,
) -> int:
    """Take in the published layout, split by photograph."""
    from darkroom.dataset.folder import Splitting
    from darkroom.dataset.published import import_published

    with console.warnings(quiet):
        manifest, wrong = import_published(
            folder,
            output,
            group_by=group_by,
            how=Splitting(split.value, val, test, seed),
            overwrite=overwrite,
            advance=Counter(quiet),
        )
    return _finish(manifest, wrong, quiet, as_json)


@app.command("synth")
def synth_command(
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="Clean photographs.")],
    *,
    output: Output,
    damage: Annotated[str, typer.Option(help="light, measured or heavy.")] = "measured",
    polarity: Annotated[
        DamagePolarity, typer.Option(help="Lighter or darker than the picture.")
    ] = DamagePolarity.MEASURED,
    model: Annotated[
        Path | None, typer.Option(help="A damage model made by fit-damage.", show_default=False)
    ] = None,
    dpi: Annotated[float | None, typer.Option(help="Resolution; else the file's own.")] = None,
    transplant: Annotated[
        Path | None,
        typer.Option(metavar="DS", help="Move the residues of this data set's training tiles."),
    ] = None,
    size: Size = 256,
    val: Val = 0.2,
    test: Test = 0.2,
    seed: Seed = 0,
    workers: Workers = 1,
    scheduler: SchedulerAddress = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: TableAsJson = False,
) -> int:
    """Damage clean photographs."""
    from darkroom.damage.model import DamageModel
    from darkroom.dataset.folder import Splitting
    from darkroom.dataset.synthetic import Damaging, synthesise
    from darkroom.pipeline.workers import Crew

    damaging = Damaging(
        DamageModel.load(damage, polarity=polarity.value, path=model),
        donors=transplant,
        dpi=dpi,
        size=size,
        seed=seed,
        model_file=model,
    )
    with console.warnings(quiet):
        manifest, wrong = synthesise(
            photos,
            output,
            damaging,
            Splitting(val=val, test=test, seed=seed),
            overwrite=overwrite,
            advance=Counter(quiet),
            crew=Crew(workers, scheduler),
        )
    return _finish(manifest, wrong, quiet, as_json)


@app.command("inspect")
def inspect_command(
    root: Root,
    html: Annotated[
        Path | None, typer.Option(help="Write a contact sheet to this file.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the sheet.")] = False,
    quiet: Quiet = False,
    as_json: TableAsJson = False,
) -> None:
    """Show what a data set holds, and the error of doing nothing."""
    from darkroom.dataset.inspect import contact_sheet
    from darkroom.pairs.manifest import Manifest

    manifest = Manifest.load(root)
    if as_json or not quiet:
        _show(manifest, as_json)
    if html is not None:
        with console.warnings(quiet):
            contact_sheet(manifest, html, overwrite=overwrite)


@app.command("verify")
def verify_command(root: Root, quiet: Quiet = False, as_json: TableAsJson = False) -> int:
    """Check every file of a data set against its hash, and the scans that it was made from."""
    from darkroom.pairs.manifest import Manifest, verify

    manifest = Manifest.load(root)
    wrong = list(verify(manifest))
    if as_json:
        problems = [{"file": path, "problem": what} for path, what in wrong]
        console.record({"data_set": root, "tiles": len(manifest.tiles), "problems": problems})
    else:
        for path, what in wrong:
            console.say(f"{path}: {what}")
        if not quiet:
            console.say(f"{len(manifest.tiles)} tiles, {len(wrong)} problems")
    return 3 if wrong else 0


@app.command("fit-damage")
def fit_command(
    outlines: Annotated[Path, typer.Argument(metavar="FOLDER", help="Outlines of artefacts.")],
    residues: Annotated[
        Path, typer.Option(metavar="DS", help="Data set whose training tiles give contrast.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The model.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    quiet: Quiet = False,
    as_json: TableAsJson = False,
) -> None:
    """Fit the damage model to outlines of real artefacts and to what retouchers removed."""
    from darkroom.damage.fit import fit_damage, to_toml
    from darkroom.io.atomic import write_atomic
    from darkroom.io.guard import prepare
    from darkroom.pairs.find import find_pairs
    from darkroom.pairs.read import read_tile

    found = find_pairs(residues, part="train").complete()
    inputs = [*outlines.rglob("*"), *(path for pair in found for path in pair.files)]
    with console.warnings(quiet):
        prepare([output], inputs)
    pairs = (
        (read_tile(pair.scan), read_tile(pair.truth)) for pair in found if pair.truth is not None
    )
    write_atomic(output, to_toml(fit_damage(outlines, pairs)).encode(), overwrite=overwrite)
    if as_json:
        console.record({"output": str(output)})
    elif not quiet:
        console.say(f"{output}: damage model")
