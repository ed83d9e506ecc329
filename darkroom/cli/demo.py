"""`darkroom demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli import console
from darkroom.cli import options as o

if TYPE_CHECKING:
    from darkroom.demo import Demo


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the files it makes.")
    ] = Path("darkroom-demo"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of grain and damage.")] = 0,
    backend: o.BackendName = None,
    overwrite: o.Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    quiet: o.Quiet = False,
) -> None:
    """Damage a photograph like old film, clean it, and show what that did.

    A public-domain photograph becomes a 12-megapixel 16-bit scan with grain, dust, hairs and
    scratches; it is cleaned as `darkroom clean` would, and compared with the undamaged picture.
    """
    from darkroom.demo import run_demo
    from darkroom.presets import merge

    options, _ = merge(backend=backend)
    talk = console.Console(quiet=quiet)
    with talk.bars(1):
        talk.begin(Path("demo"))
        done = run_demo(output, seed=seed, options=options, overwrite=overwrite, progress=talk)
    if as_json:
        console.record(_record(done))
    else:
        _show(done)


def _record(done: "Demo") -> dict[str, object]:
    from dataclasses import asdict

    figures = asdict(done.figures)
    ratios = {
        "damage_ratio": done.figures.damage_ratio,
        "frame_ratio": done.figures.frame_ratio,
    }
    return {**figures, **ratios, "picture": str(done.picture), "receipt": done.receipt.as_dict()}


def _show(done: "Demo") -> None:
    """A short table, and where everything lies."""
    figures, receipt = done.figures, done.receipt
    console.table(
        ("", "DOING NOTHING", "CLEANED", "RATIO"),
        [
            (
                "squared error within the damage",
                f"{figures.damage_before:.1f}",
                f"{figures.damage_after:.1f}",
                f"{figures.damage_ratio:.3f}",
            ),
            (
                "squared error of the whole frame",
                f"{figures.frame_before:.1f}",
                f"{figures.frame_after:.1f}",
                f"{figures.frame_ratio:.3f}",
            ),
            ("pixels changed outside the mask", "0", str(figures.changed_outside), ""),
        ],
    )
    console.say()
    console.table(
        ("", ""),
        [
            ("scan", f"{receipt.width} x {receipt.height}, {figures.drawn} artefacts drawn"),
            ("repaired", f"{receipt.artefacts} places, {receipt.coverage:.3%} of the picture"),
            ("backend", f"{receipt.backend} {receipt.backend_version} on {receipt.device}"),
            ("speed", f"{receipt.megapixels / receipt.seconds:.1f} MP/s, reading and writing too"),
            ("peak memory", f"{receipt.peak_memory / 2**20:.0f} MiB"),
        ],
    )
    console.say()
    files = (done.scan, done.cleaned, done.mask, done.receipt_file, done.picture)
    console.say(f"In {done.scan.parent}: {', '.join(path.name for path in files)}")
