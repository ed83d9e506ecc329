"""`darkroom review`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli import console
from darkroom.cli import options as o

if TYPE_CHECKING:
    from darkroom.pipeline.inputs import Item
    from darkroom.pipeline.request import Request

Port = Annotated[
    int,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        help="Port of this machine to listen on; 0 takes any that is free.",
        rich_help_panel="Page",
    ),
]
Browser = Annotated[
    bool,
    typer.Option(help="Open the page in the browser.", rich_help_panel="Page"),
]

app = typer.Typer()


@app.command()
def review(
    inputs: o.Inputs,
    output: o.OutputName = None,
    recursive: o.Recursive = False,
    port: Port = 0,
    browser: Browser = True,
    backend: o.BackendName = None,
    inpainter: o.InpainterName = None,
    option: o.BackendOptions = None,
    preset: o.PresetName = None,
    sensitivity: o.Sensitivity = None,
    min_size: o.MinSize = None,
    max_size: o.MaxSize = None,
    polarity: o.PolarityName = None,
    ir: o.Infrared = None,
    grain: o.GrainName = None,
    seed: o.Seed = None,
    device: o.DeviceName = o.DEVICE,
    max_memory: o.MaxMemory = None,
    jobs: o.Jobs = None,
    max_pixels: o.MaxPixels = o.MAX_PIXELS,
    scratch: o.ScratchFolder = None,
) -> int:
    """Look at repairs in the browser, veto or restore them, and paint more.

    The page is served by this machine to itself. A scan that was cleaned is shown with its result,
    and what its receipt says of options holds; one that was not is searched first. Saving writes
    the decisions beside the receipt, and the result that follows from them.
    """
    from darkroom.pipeline.inputs import find_scans
    from darkroom.pipeline.naming import name_outputs
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
        ir=ir,
        grain=grain,
        seed=seed,
    )
    machine = o.machine(device, None, max_memory, jobs, max_pixels, scratch)
    request = Request(chosen, machine, preset=found)
    items = find_scans(inputs, recursive=recursive, note=console.warn)
    request.check(len(items))
    name_outputs(items, output)
    return show(items, request, port=port, browser=browser)


def show(
    items: "Sequence[Item]", request: "Request", *, port: int = 0, browser: bool = True
) -> int:
    """Serve the page for some scans until Ctrl-C; 1 if decisions were left unsaved."""
    from darkroom.review.serve import serve

    with serve(items, request, port) as page:
        console.say(page.address)
        console.warn("Ctrl-C ends the review.")
        if browser:
            page.open_browser()
        page.run()
    for path in page.unsaved:
        console.warn(f"{path}: decisions were not saved")
    return 1 if page.unsaved else 0
