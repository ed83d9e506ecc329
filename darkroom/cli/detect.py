"""`darkroom detect`."""

import typer

from darkroom.cli import options as o
from darkroom.cli.console import Console

app = typer.Typer()


@app.command()
def detect(
    inputs: o.Inputs,
    output: o.MaskOutput = None,
    roll: o.Roll = False,
    recursive: o.Recursive = False,
    overwrite: o.Overwrite = False,
    skip_existing: o.SkipExisting = False,
    dry_run: o.DryRun = False,
    backend: o.BackendName = None,
    option: o.BackendOptions = None,
    preset: o.PresetName = None,
    sensitivity: o.Sensitivity = None,
    min_size: o.MinSize = None,
    max_size: o.MaxSize = None,
    polarity: o.PolarityName = None,
    scratches: o.ScratchesName = None,
    ir: o.Infrared = None,
    reference: o.Reference = None,
    exclude: o.ExcludeFile = None,
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
    """Find artefacts and write only their masks.

    A mask is a grey picture, 255 where `clean` would repair and 0 elsewhere. Edit it as you like
    and hand it to `darkroom clean --mask`. With --roll, one picture of where dirt stays over all
    frames is written instead, for `darkroom clean --reference`.
    """
    from darkroom.options import OutputOptions
    from darkroom.pipeline.batch import detect_batch, exit_code, map_roll
    from darkroom.pipeline.inputs import find_scans
    from darkroom.pipeline.request import Request
    from darkroom.plugins.manager import installed
    from darkroom.presets import merge

    chosen, found = merge(
        preset,
        installed().preset_packages,
        backend=backend,
        options=option,
        sensitivity=sensitivity,
        min_size=min_size,
        max_size=max_size,
        polarity=polarity,
        scratches=scratches,
        ir=ir,
        reference=reference,
    )
    console = Console(quiet=quiet, verbose=verbose, as_json=as_json)
    items = find_scans(inputs, recursive=recursive, note=console.message)
    writing = OutputOptions(
        exclude=exclude, overwrite=overwrite, skip_existing=skip_existing, dry_run=dry_run
    )
    machine = o.machine(device, tile, max_memory, jobs, max_pixels, scratch, workers, scheduler)
    request = Request(chosen, machine, writing, found)
    if roll:
        with console.bars(1):
            made, where = map_roll(items, output, request, reporter=console)
        console.map_made(made, where)
        return 0
    with console.bars(len(items)):
        outcomes = detect_batch(items, output, request, reporter=console)
    console.summary(outcomes)
    return exit_code(outcomes)
