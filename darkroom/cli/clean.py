"""`darkroom clean`."""

from dataclasses import replace
from pathlib import Path

import typer

from darkroom.cli import options as o
from darkroom.cli.console import Console
from darkroom.errors import UsageError

app = typer.Typer()


@app.command(cls=o.OptionalValue)
def clean(
    inputs: o.Inputs,
    output: o.OutputName = None,
    recursive: o.Recursive = False,
    save_mask: o.SaveMask = None,
    layers: o.Layers = False,
    compression: o.Compression = None,
    overwrite: o.Overwrite = False,
    skip_existing: o.SkipExisting = False,
    dry_run: o.DryRun = False,
    review: o.Review = False,
    backend: o.BackendName = None,
    inpainter: o.InpainterName = None,
    option: o.BackendOptions = None,
    preset: o.PresetName = None,
    sensitivity: o.Sensitivity = None,
    min_size: o.MinSize = None,
    max_size: o.MaxSize = None,
    polarity: o.PolarityName = None,
    scratches: o.ScratchesName = None,
    ir: o.Infrared = None,
    reference: o.Reference = None,
    mask: o.MaskFile = None,
    exclude: o.ExcludeFile = None,
    reviews: o.Reviews = True,
    max_coverage: o.MaxCoverage = None,
    grain: o.GrainName = None,
    seed: o.Seed = None,
    device: o.DeviceName = o.DEVICE,
    tile: o.TileSide = None,
    max_memory: o.MaxMemory = None,
    jobs: o.Jobs = None,
    max_pixels: o.MaxPixels = o.MAX_PIXELS,
    scratch: o.ScratchFolder = None,
    workers: o.Workers = 1,
    scheduler: o.SchedulerAddress = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Remove dust, hairs and scratches from scans.

    Nothing outside the artefacts changes by one bit; a receipt beside each output proves it.
    """
    from darkroom.options import OutputOptions
    from darkroom.pipeline.batch import clean_batch, exit_code
    from darkroom.pipeline.inputs import find_scans
    from darkroom.pipeline.request import Request
    from darkroom.plugins.manager import installed
    from darkroom.presets import merge

    chosen, found = merge(
        preset,
        installed().preset_packages,
        backend=backend,
        inpainter=inpainter,
        options=option,
        sensitivity=sensitivity,
        min_size=min_size,
        max_size=max_size,
        polarity=polarity,
        scratches=scratches,
        ir=ir,
        reference=reference,
        max_coverage=max_coverage,
        grain=grain,
        seed=seed,
    )
    console = Console(quiet=quiet, verbose=verbose, as_json=as_json)
    items = find_scans(inputs, recursive=recursive, note=console.message)
    output_options = OutputOptions(
        mask=mask,
        exclude=exclude,
        save_mask=save_mask is not None and (Path(save_mask) if save_mask else True),
        layers=layers,
        compression=compression,
        overwrite=overwrite,
        skip_existing=skip_existing,
        dry_run=dry_run,
        reviews=reviews,
    )
    if review and dry_run:
        raise UsageError("--review and --dry-run exclude each other")
    machine = o.machine(device, tile, max_memory, jobs, max_pixels, scratch, workers, scheduler)
    request = Request(chosen, machine, output_options, found)
    with console.bars(len(items)):
        outcomes = clean_batch(items, output, request, reporter=console)
    console.summary(outcomes)
    if review:
        from darkroom.cli.review import show

        show(
            [item for item in items if item.error is None], replace(request, output=OutputOptions())
        )
    return exit_code(outcomes)
