"""No command writes over a file that it reads: every command, every output, every spelling."""

import hashlib
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from every import READING, leaves, names_of_files
from PIL import Image

RECIPE = """arch = "unet"
[network]
widths = [8, 8, 8]
encoder = [0, 0]
decoder = [0, 0]
dilations = [1]
[train]
steps = 1
batch = 1
crop = 64
amp = "off"
"""
TOPHAT = ("--backend", "tophat")

# Of each command that writes: its arguments but for outputs; the outputs, with the files that each
# makes of a name given; and the files that must survive. "{x}" is a file of the world below.
CASES = {
    "clean": (
        "clean {scan} --mask {mask} --exclude {exclude} --preset {preset}",
        {"output": ["{out}", "{out}.receipt.json"], "save_mask": ["{out}"]},
        "scan mask exclude preset ir",
    ),
    "detect": (
        "detect {scan} --exclude {exclude} --preset {preset} --ir {ir} --reference {map}",
        {"output": ["{out}"]},
        "scan exclude preset ir map",
    ),
    "review": (
        "review {scan} --no-browser --backend tophat",
        {"output": ["{out}", "{out}.receipt.json", "{out}.review.json", "{out}.review.png"]},
        "scan",
    ),
    "inspect": ("inspect {scan}", {"preview": ["{out}"]}, "scan"),
    "dataset build": (
        "dataset build {own}/scan {own}/gt --group-by {table} --size 64",
        {"output": [None]},
        "pair table",
    ),
    "dataset import": (
        "dataset import {own} --group-by {table}",
        {"output": [None]},
        "pair table",
    ),
    "dataset synth": (
        "dataset synth {photos} --transplant {own} --model {model} --size 64",
        {"output": [None]},
        "photo pair model",
    ),
    "dataset inspect": ("dataset inspect {ds}", {"html": ["{out}"]}, "tile manifest"),
    "dataset fit-damage": (
        "dataset fit-damage {outlines} --residues {own}",
        {"output": ["{out}"]},
        "learnt outline",
    ),
    "train": (
        "train --data {own} --recipe {recipe} --split {split} --photographs {photos} "
        "--init {weights} -o {free}",
        {
            "output": ["{out}"],
            "folder": ["{out}/last.ckpt", "{out}/best.safetensors", "{out}/log.jsonl"],
        },
        "pair recipe split photo weights",
    ),
    "compare": (
        "compare {own}/scan {own}/gt --backend tophat --group-by {table} -o {free}",
        {"output": ["{out}/index.html", "{out}/metrics.json", "{out}/metrics.csv"]},
        "pair table",
    ),
    "weights convert": (
        "weights convert {state} --arch unet --recipe {recipe} -o {free}",
        {"output": ["{out}"]},
        "state recipe",
    ),
    "weights calibrate": (
        "weights calibrate {weights} --data {own} --split {split} --part train --no-judge "
        "--photographs {photos} --without {list} -o {free}",
        {"output": ["{out}"], "folds": ["{out}/free-fold1"]},
        "weights pair split photo list",
    ),
}
FOLDERS = [name for name, case in CASES.items() if case[1] == {"output": [None]}]
SINGLE = [name for name in CASES if name not in FOLDERS]
OWN = {"demo": "reads no file of the user's"}
# Options that only read, or write into what nobody keeps: temporary files, results by their hash.
NEITHER = {"scratch", "cache"}
READ = {
    *("inputs", "receipts", "preset", "option", "ir", "mask", "exclude", "group_by", "truths"),
    *("scans", "folder_read", "photos", "model", "transplant", "root", "outlines", "residues"),
    "reference",
    *("data", "recipe", "split", "photographs", "init", "file", "without", "dataset"),
}


def test_every_command_and_every_name_of_a_file_is_looked_at():
    """A new command or option must be put into the tables above."""
    found = dict(leaves())
    assert found.keys() == READING | CASES.keys() | OWN.keys()
    for name, command in found.items():
        written = set(CASES[name][1]) if name in CASES else {"output"} if name in OWN else set()
        files = names_of_files(command) - NEITHER - READ - written
        if name == "dataset import":
            files -= {"folder"}  # that of the published set; elsewhere it is written to
        assert not files, f"{name}: is {files} read or written?"
        if name in READING:
            options = {option for p in command.params for option in getattr(p, "opts", ())}
            assert not options & {"-o", "--output", "--overwrite"}, name


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Files of every kind that commands read."""
    import torch
    from darkroom_backends.unet.shape import UNetConfig
    from darkroom_backends.unet.trainable import UNetTrainable

    from darkroom.cli.main import main
    from darkroom.weights import WeightsHeader, save_weights

    root = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(1)
    truth = rng.integers(90, 110, (72, 72), np.uint8)
    damaged = truth.copy()
    damaged[20:24, 30:36] = 220
    own = root / "own"
    for part in ("train", "val"):
        for side, pixels in (("scan", damaged), ("gt", truth)):
            (own / part / side).mkdir(parents=True)
            Image.fromarray(pixels).save(own / part / side / f"{part}.png")
    for side, pixels in (("scan", damaged), ("gt", truth)):
        (own / side).mkdir()
        Image.fromarray(pixels).save(own / side / "a.png")
    tifffile.imwrite(root / "scan.tif", damaged.astype(np.uint16) * 200)
    tifffile.imwrite(root / "scan_IR.tif", damaged.astype(np.uint16) * 200)
    tifffile.imwrite(root / "map.tif", np.full(truth.shape, 32768, np.uint16))
    mask = np.where(damaged > 200, 255, 0).astype(np.uint8)
    for name in ("mask", "exclude"):
        Image.fromarray(mask).save(root / f"{name}.png")
    (root / "photos").mkdir()
    Image.fromarray(np.dstack([truth] * 3)).save(root / "photos" / "p.png")
    (root / "outlines").mkdir()
    (root / "outlines" / "o.json").write_text("{}")
    (root / "preset.toml").write_text('backend = "tophat"\n')
    (root / "recipe.toml").write_text(RECIPE)
    (root / "table.csv").write_text("photo,family\na,a\ntrain,t\nval,v\n")
    (root / "split.csv").write_text("photo,split\na,train\ntrain,train\nval,val\n")
    (root / "list.txt").write_text("nothing\n")
    tiny = UNetConfig(widths=(8, 8, 8), encoder=(0, 0), decoder=(0, 0), dilations=(1,))
    network = UNetTrainable(tiny)
    state = network.module.state_dict()
    torch.save(state, root / "state.pth")
    save_weights(
        root / "w.safetensors",
        {name: value.numpy() for name, value in state.items()},
        WeightsHeader("unet", network.config()),
    )
    shutil.copy(Path(__file__).parents[2] / "darkroom" / "damage" / "damage.toml", root)
    sources = [str(own / side) for side in ("scan", "gt")]
    assert main(["dataset", "build", *sources, "-o", str(root / "ds"), "--size", "64", "-q"]) == 0
    return root


@pytest.fixture
def world(made, tmp_path):
    """A copy of those files, for one test."""
    root = tmp_path / "world"
    shutil.copytree(made, root)
    own = root / "own"
    (tile,) = (root / "ds" / "scan").rglob("*.png")
    return SimpleNamespace(
        root=root, own=own, scan=root / "scan.tif", ir=root / "scan_IR.tif",
        map=root / "map.tif",
        mask=root / "mask.png", exclude=root / "exclude.png", preset=root / "preset.toml",
        table=root / "table.csv", split=root / "split.csv", list=root / "list.txt",
        photos=root / "photos", photo=root / "photos" / "p.png", model=root / "damage.toml",
        ds=root / "ds", tile=tile, manifest=root / "ds" / "manifest.json",
        outlines=root / "outlines", outline=root / "outlines" / "o.json",
        recipe=root / "recipe.toml", weights=root / "w.safetensors", state=root / "state.pth",
        pair=own / "scan" / "a.png", learnt=own / "train" / "scan" / "train.png",
        free=root / "free",
    )  # fmt: skip


def digests(root):
    return {
        path.relative_to(root): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def lead_to(victim, path, kind):
    """Make `path` another name of a file; False where the kind cannot be had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "symlink":
        path.symlink_to(victim)
    else:
        os.link(victim, path)
    return path


def ways(command):
    _, outputs, victims = CASES[command]
    for option, files in outputs.items():
        for file in files:
            for victim in victims.split():
                yield option, file, victim


def flags_of(command):
    """The first flag of each option."""
    parameters = dict(leaves())[command].params
    return {p.name: p.opts[0] for p in parameters if getattr(p, "opts", None)}


@pytest.mark.parametrize("kind", ["itself", "symlink", "hard link", "spelling"])
@pytest.mark.parametrize("command", SINGLE)
def test_no_output_leads_to_an_input(darkroom, world, tmp_path, command, kind):
    line, _, _ = CASES[command]
    flags = flags_of(command)
    whole = digests(world.root)
    tried = 0
    for number, (option, file, victim) in enumerate(ways(command)):
        target = getattr(world, victim)
        folder = tmp_path / f"out{number}"
        out = folder / f"x{target.suffix if file == '{out}' else '.tif'}"
        if kind == "itself" or kind == "spelling":
            if file != "{out}":
                continue
            out = target
            if kind == "spelling":
                out = target.parent / ".." / target.parent.name / "." / target.name
        else:
            lead_to(target, Path(file.format(out=out)), kind)
        words = [w.format(**vars(world)) for w in line.split()]
        if option == "output" and "-o" in words:
            words[words.index("-o") + 1] = str(out)
        elif option == "save_mask":
            words += [f"--save-mask={out}", "-o", str(folder / "result.tif")]
        else:
            words += [flags[option], str(out)]
        words += ["--overwrite"] if "overwrite" in flags else []
        result = darkroom(*words)
        said = f"{' '.join(words)}\n{result.out}{result.err}"
        assert digests(world.root) == whole, said
        assert result.code != 0, said
        assert "is an input of this run" in result.err, said
        tried += 1
    if not tried:
        pytest.skip("makes only files of names of its own")


@pytest.mark.parametrize("kind", ["itself", "symlink", "spelling"])
@pytest.mark.parametrize("command", FOLDERS)
def test_no_data_set_is_made_over_what_it_is_made_of(darkroom, world, tmp_path, command, kind):
    line, _, victims = CASES[command]
    words = [w.format(**vars(world)) for w in line.split()]
    whole = digests(world.root)
    for number, victim in enumerate(victims.split()):
        for above in getattr(world, victim).parents:
            if above == tmp_path:
                break
            out, stamp = above, above / ".parts"
            stamp.mkdir()  # looks like a data set that was not finished, which may be replaced
            if kind == "symlink":
                out = tmp_path / f"link{number}-{above.name}"
                out.symlink_to(above)
            elif kind == "spelling":
                out = above.parent / ".." / above.parent.name / above.name
            result = darkroom(*words, "-o", out, "--overwrite")
            stamp.rmdir()
            assert digests(world.root) == whole, result.err
            assert result.code != 0 and "is an input of this run" in result.err, result.err
