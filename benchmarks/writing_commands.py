"""Commands that write, on small inputs: what `kill_commands.py` runs.

Left out are `dataset fit-damage`, whose one file is written as that of `weights convert`, and
`compare`, whose workers cannot be started by a forked process.
"""

import io
import os
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from darkroom.cli.main import main as darkroom

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "review"))

RECIPE = """arch = "unet"
[network]
widths = [8, 8, 8]
encoder = [0, 0]
decoder = [0, 0]
dilations = [1]
[train]
steps = {steps}
batch = 1
crop = 64
amp = "off"
validate_every = 4
checkpoint_every = 2
tone_limit = 1.0
"""
SIDES = ("scan", "gt")


@dataclass(frozen=True)
class Command:
    """A command that writes below a folder.

    Attributes:
        name: of the command.
        run: does it, given the folder of inputs, that of outputs, and which of two versions of the
            output to make, 0 or 1; gives the exit status.
        exact: whether its files are the same bytes every time; those ending in `.json` of receipts,
            and logs, are not compared.
        stands: the file or folder that must be there once a first version was made.
        resumes: whether an unfinished data set may stand under its name, to be gone on with.
    """

    name: str
    run: Callable[[Path, Path, int], int]
    exact: bool
    stands: str
    resumes: bool = False


def cli(*words: object) -> int:
    """Exit status of a command line in this process."""
    return darkroom([str(word) for word in words])


def inputs(root: Path) -> None:
    """Scans, pairs, photographs, weights: small, and the same every time."""
    rng = np.random.default_rng(11)
    for number in range(3):
        truth = np.cumsum(rng.normal(0, 2, (160, 200, 3)), axis=1) + 120
        scan = truth.copy()
        for y, x in rng.integers(10, 150, (8, 2)):
            scan[y : y + 3, x : x + 4] = 240
        for side, pixels in zip(SIDES, (scan, truth), strict=True):
            (root / "own" / side).mkdir(parents=True, exist_ok=True)
            deep = (pixels.clip(0, 255) * 257).astype(np.uint16)
            tifffile.imwrite(root / "own" / side / f"{number}.tif", deep, photometric="rgb")
            part = "val" if number == 2 else "train"
            (root / "parts" / part / side).mkdir(parents=True, exist_ok=True)
            flat = pixels[:96, :96, 0].clip(0, 255).astype(np.uint8)
            Image.fromarray(flat).save(root / "parts" / part / side / f"{number}.png")
    (root / "photos").mkdir()
    Image.fromarray(truth.clip(0, 255).astype(np.uint8)).save(root / "photos" / "p.png")
    for steps in (4, 6):
        (root / f"recipe{steps}.toml").write_text(RECIPE.format(steps=steps))
    import torch
    from darkroom_backends.unet.model import UNetConfig
    from darkroom_backends.unet.trainable import UNetTrainable

    torch.manual_seed(1)
    tiny = UNetConfig(widths=(8, 8, 8), encoder=(0, 0), decoder=(0, 0), dilations=(1,))
    torch.save(UNetTrainable(tiny).module.state_dict(), root / "state.pth")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        train = ("train", "--data", root / "parts", "--recipe", root / "recipe4.toml", "-q")
        assert cli(*train, "-o", root / "w.safetensors") == 0
        assert cli("dataset", "import", root / "parts", "-o", root / "ds", "-q") == 0


def _clean(i: Path, o: Path, version: int) -> int:
    size = ("--max-size", "3") if version == 0 else ()
    options = ("-b", "baseline", "--save-mask", "--overwrite", "--max-coverage", "100%")
    return cli("clean", i / "own" / "scan", "-o", f"{o}/", *options, *size)


def _detect(i: Path, o: Path, version: int) -> int:
    size = ("--max-size", "3") if version == 0 else ()
    return cli("detect", i / "own" / "scan", "-o", f"{o}/", "-b", "baseline", "--overwrite", *size)


def _review(i: Path, o: Path, version: int) -> int:
    """Mark, and save, as the page does; this process serves it."""
    from asking import Client

    from darkroom.options import CleanOptions
    from darkroom.pipeline.inputs import find_scans
    from darkroom.pipeline.naming import name_outputs
    from darkroom.pipeline.request import Request
    from darkroom.review.serve import serve

    items = find_scans([i / "own" / "scan" / "0.tif"])
    name_outputs(items, f"{o}/")
    with serve(items, Request(CleanOptions(backend="baseline", ir="off"))) as page:
        settings = {"target": page.server.run, "args": ([page._socket],), "daemon": True}
        thread = threading.Thread(**settings)
        thread.start()
        client = Client(page.address)
        client.ready()
        client.act(kind="paint", points=[[30 + 20 * version, 90]], radius=4)
        saved, _ = client.ask("api/scans/0/save", {})  # another process may have saved before
        page.server.should_exit = True
        thread.join()
    return int(saved != 200)


def _train(i: Path, o: Path, version: int) -> int:
    recipe = i / f"recipe{(4, 6)[version]}.toml"
    return cli("train", "--data", i / "parts", "--recipe", recipe, "-o", o / "w.safetensors",
               "--folder", o / "run", "--overwrite", "-q")  # fmt: skip


def _calibrate(i: Path, o: Path, version: int) -> int:
    parts = ("--part", ("train", "val")[version])
    return cli("weights", "calibrate", i / "w.safetensors", "--data", i / "parts", *parts,
               "--no-judge", "-o", o / "c.safetensors", "--overwrite", "-q")  # fmt: skip


def _data_set(*words: str) -> Callable[[Path, Path, int], int]:
    def run(i: Path, o: Path, version: int) -> int:
        given = [str(i / word[1:]) if word.startswith("/") else word for word in words]
        made = ("-o", o / "ds", "--overwrite", "-q", "--seed", version)
        return cli("dataset", *given, *made)

    return run


COMMANDS = (
    Command("clean", _clean, True, "0.tif"),
    Command("detect", _detect, True, "0.tif.mask.png"),
    Command("review", _review, True, "0.tif.review.json"),
    Command(
        "inspect --preview",
        lambda i, o, v: cli("inspect", i / "own" / SIDES[v] / "0.tif", "--preview", o / "p.png",
                            "--overwrite", "-q"),
        True,
        "p.png",
    ),
    Command("dataset build", _data_set("build", "/own/scan", "/own/gt", "--size", "48"), True,
            "ds/manifest.json", resumes=True),
    Command("dataset import", _data_set("import", "/parts"), True, "ds/manifest.json"),
    Command("dataset synth",
            _data_set("synth", "/photos", "--dpi", "2400", "--size", "64"), True,
            "ds/manifest.json"),
    Command(
        "dataset inspect --html",
        lambda i, o, v: cli("dataset", "inspect", i / "ds", "--html", o / "s.html",
                            "--overwrite", "-q"),
        True,
        "s.html",
    ),
    Command("train", _train, True, "w.safetensors"),
    Command(
        "weights convert",
        lambda i, o, v: cli("weights", "convert", i / "state.pth", "--arch", "unet", "--recipe",
                            i / "recipe4.toml", "--licence", f"version {v}", "-o",
                            o / "c.safetensors", "--overwrite", "-q"),
        True,
        "c.safetensors",
    ),
    Command("weights calibrate", _calibrate, True, "c.safetensors"),
    Command(
        "demo",
        lambda i, o, v: cli("demo", "-o", o / "demo", "--seed", v, "-b", "baseline", "--overwrite",
                            "-q"),
        True,
        "demo/astronaut_clean.tif",
    ),
)  # fmt: skip


def silent() -> None:
    """Nothing printed goes anywhere; for a process of its own."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
