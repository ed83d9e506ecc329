"""Feed damaged weights, manifests, receipts, presets, recipes and tables to the commands.

    python benchmarks/fuzz_tables.py --each 200

Two kinds of damage: the bytes of a file are changed as `fuzz_readers.py` does, and in files of keys
and values each value in turn becomes one of another type, or goes. The command that reads the
file runs in this process. It must succeed, or end with one clear error that names the file; "this
is a bug in darkroom", a traceback, an exit without a word or another file changed is a failure, and
ends the run with exit code 1.
"""

import argparse
import copy
import hashlib
import io
import json
import logging
import os
import random
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from darkroom.cli.main import main as darkroom

sys.path.insert(0, str(Path(__file__).resolve().parent))
from fuzz_readers import mutate

OTHERS = (
    None,
    True,
    -1,
    0,
    0.5,
    3,
    1e300,
    float("nan"),
    "",
    "x",
    "\x1b[31m\n",
    [],
    [1],
    [[]],
    {},
    {"a": 1},
)
RECIPE = {
    "arch": "unet",
    "network": {"widths": [8, 8, 8], "encoder": [0, 0], "decoder": [0, 0], "dilations": [1]},
    "train": {"steps": 1, "batch": 1, "crop": 64, "amp": "off", "validate_every": 1,
              "checkpoint_every": 1, "tone_limit": 1.0},
}  # fmt: skip
PRESET = {
    "title": "Of a test", "backend": "baseline", "sensitivity": 40, "polarity": "both",
    "grain": "none", "seed": 3, "ir": "off", "scratches": "off", "min_size": "2", "max_size": "40",
    "options": {"baseline": {}},
}  # fmt: skip
KEYS = frozenset({*RECIPE["network"], *RECIPE["train"], *PRESET})  # the setting is named instead
LIMIT = 60  # processor seconds of one case


class TooSlow(BaseException):
    """A case took too long; what it was told to do may be long."""


@dataclass(frozen=True)
class Subject:
    """A file that may be damaged, and the command that reads it.

    Attributes:
        path: the file.
        words: the command, which writes into `out` of the same folder only.
        load, dump: its content as keys and values and back, or None where it has none.
    """

    path: Path
    words: tuple[str, ...]
    load: Callable[[bytes], Any] | None = None
    dump: Callable[[Any], bytes] | None = None


def as_json(value: Any) -> bytes:
    """JSON, as Python writes it: NaN included."""
    return json.dumps(value).encode()


def as_toml(table: Any) -> bytes:
    """TOML of a table of tables; what TOML cannot say is left out."""
    tables = (
        {k: v for k, v in table.items() if isinstance(v, dict)} if isinstance(table, dict) else {}
    )
    plain = {k: v for k, v in table.items() if k not in tables} if isinstance(table, dict) else {}
    lines = [f"{json.dumps(k)} = {_toml(v)}" for k, v in plain.items() if v is not None]
    for name, values in tables.items():
        lines.append(f"[{json.dumps(name)}]")
        lines += [f"{json.dumps(k)} = {_toml(v)}" for k, v in values.items() if v is not None]
    return "\n".join(lines).encode()


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value if v is not None) + "]"
    if isinstance(value, float) and value != value:
        return "nan"
    return "0" if value is None else json.dumps(value)


def header_of(data: bytes) -> Any:
    """What a weights file says of itself."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["darkroom"])


def with_header(data: bytes) -> Callable[[Any], bytes]:
    """Puts another header into a weights file."""

    def put(header: Any) -> bytes:
        length = int.from_bytes(data[:8], "little")
        table = json.loads(data[8 : 8 + length])
        table["__metadata__"]["darkroom"] = json.dumps(header)
        text = json.dumps(table).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + length :]

    return put


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value within keys and values; of long lists, the first two."""
    yield above
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*above, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield from places(inner, (*above, index))


def replaced(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """A copy with another value at a place; Ellipsis takes it away, or adds an unknown key."""
    if not place:
        return {} if other is ... else other
    result = copy.deepcopy(value)
    inner = result
    for step in place[:-1]:
        inner = inner[step]
    if other is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = other
    return result


def cases(subject: Subject, number: int, rng: random.Random) -> Iterator[bytes]:
    """About `number` damaged contents, half of them by values where there are some."""
    data = subject.path.read_bytes()
    if subject.load is not None and subject.dump is not None:
        table = subject.load(data)
        wrong = [(place, other) for place in places(table) for other in (..., *OTHERS)]
        rng.shuffle(wrong)
        for place, other in wrong[: number // 2]:
            yield subject.dump(replaced(table, place, other))
        number -= min(number // 2, len(wrong))
    yield b""
    for _ in range(number - 1):
        yield mutate(data, rng)


def run(words: tuple[str, ...]) -> tuple[int, str]:
    """Exit status of a command line in this process, and all that it printed."""
    out = io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(out), warnings.catch_warnings():
            status = darkroom(words)
    except SystemExit as error:
        return -1, f"{out.getvalue()}exit {error.code}"
    return status, out.getvalue()


def judge(subject: Subject, status: int, said: str) -> str:
    """ "accepted" or "refused", or what is wrong with it."""
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    if "bug in darkroom" in said or "Traceback" in said:
        return f"WRONG: {errors[0] if errors else said[-300:]}"
    if status == 0:
        return "accepted"
    if not 1 <= status <= 5:
        return f"WRONG: exit status {status}: {said[-300:]}"
    if "\x1b" in said:
        return "WRONG: a control character reached the terminal"
    near = (subject.path.name, subject.path.parent.name, subject.path.stem)
    if not errors and not any(name in said for name in near):
        return f"WRONG: exit status {status} without a word"
    named = any(name in said for name in near) or errors[0].startswith("error: /")
    if not named and not any(key in errors[0] for key in KEYS):
        return f"WRONG: does not name the file: {errors[0]}"
    return "refused"


def world(root: Path) -> dict[str, Subject]:
    """Small valid files of every kind, and the commands that read them."""
    rng = np.random.default_rng(3)
    truth = rng.integers(90, 110, (96, 96), np.uint8)
    scan = truth.copy()
    scan[20:24, 30:36] = 220
    for part in ("train", "val"):
        for side, pixels in (("scan", scan), ("gt", truth)):
            (root / "own" / part / side).mkdir(parents=True)
            Image.fromarray(pixels).save(root / "own" / part / side / f"{part}.png")
    (root / "photos").mkdir()
    Image.fromarray(np.dstack([truth] * 3)).save(root / "photos" / "p.png")
    tifffile.imwrite(root / "scan.tif", scan.astype(np.uint16) * 200)
    out = root / "out"
    out.mkdir()
    weights = root / "w.safetensors"
    (root / "recipe.toml").write_bytes(as_toml(RECIPE))
    (root / "preset.toml").write_bytes(as_toml(PRESET))
    (root / "group.csv").write_text("photo,family\ntrain,a\nval,b\n")
    (root / "split.csv").write_text("photo,split\ntrain,train\nval,val\n")
    own, scans, truths = root / "own", root / "own/train/scan", root / "own/train/gt"
    (root / "pairs.csv").write_text(f"scan,gt\n{scans}/train.png,{truths}/train.png\n")
    outlines = root / "outlines"
    outlines.mkdir()
    dust = [{"label": "Dust", "points": [[1, 1], [5, 1], [5, 5], [1, 5]]}] * 3
    (outlines / "o.json").write_bytes(as_json(dust))
    damage = Path(__file__).resolve().parents[1] / "darkroom" / "damage" / "damage.toml"
    (root / "damage.toml").write_bytes(damage.read_bytes())
    first = (
        ("train", "--data", own, "--recipe", root / "recipe.toml", "-o", root / "trained.w"),
        ("dataset", "import", own, "-o", root / "ds"),
        ("clean", root / "scan.tif", "-b", "baseline", "-o", root / "a.tif", "--save-mask"),
    )
    for words in first:
        status, said = run(tuple(map(str, words)))
        assert status == 0, said
    shipped = Path(sys.modules["darkroom_backends.unet.trainable"].__file__ or "").parent
    weights.write_bytes((shipped / "weights.safetensors").read_bytes())
    receipt = json.loads((root / "a.tif.receipt.json").read_text())
    from darkroom.packed import pack

    empty = pack(iter([np.zeros((96, 96), np.uint8)]))
    planes = {"vetoed": empty, "erased": empty, "painted": empty}
    review = {
        "schema": 1, "source": "scan.tif", "source_sha256": receipt["files"]["source"]["sha256"],
        "width": 96, "height": 96, "darkroom": "0.2.0", **planes,
    }  # fmt: skip
    from darkroom.pipeline.decisions import Decisions

    values = {k: v for k, v in review.items() if k != "schema"}
    (out / "b.tif.review.json").write_text(Decisions(**values).as_json())
    import torch
    from safetensors.numpy import load_file

    state = {k: torch.from_numpy(v) for k, v in load_file(root / "trained.w").items()}
    torch.save(state, root / "state.pth")
    import tomllib

    toml = {"load": lambda data: tomllib.loads(data.decode()), "dump": as_toml}
    plain = {"load": json.loads, "dump": as_json}
    head = {"load": header_of, "dump": with_header(weights.read_bytes())}
    manifest = root / "ds" / "manifest.json"
    tiny = (root / "trained.w").read_bytes()
    train = ("train", "--data", own, "-o", out / "t.w", "--overwrite")
    build = ("dataset", "build", scans, truths, "-o", out / "ds", "--size", "48", "--overwrite")
    table: dict[str, tuple[Path, tuple[Any, ...], dict[str, Any]]] = {
        "weights, info": (weights, ("weights", "info", weights), head),
        "weights, used": (
            weights,
            ("clean", root / "scan.tif", "-b", "unet", "-O", f"unet:weights={weights}",
             "-o", out / "u.tif", "--overwrite", "--device", "cpu"),
            head,
        ),
        "weights, to start from": (
            root / "trained.w",
            (*train, "--recipe", root / "recipe.toml", "--init", root / "trained.w"),
            {"load": header_of, "dump": with_header(tiny)},
        ),
        "manifest, verify": (manifest, ("dataset", "verify", root / "ds"), plain),
        "manifest, inspect": (
            manifest,
            ("dataset", "inspect", root / "ds", "--html", out / "i.html", "--overwrite"),
            plain,
        ),
        "manifest, compare": (
            manifest,
            ("compare", "--dataset", root / "ds", "--jobs", "1", "-q", "-o", out / "r",
             "--overwrite"),
            plain,
        ),
        "receipt": (root / "a.tif.receipt.json", ("verify", root / "a.tif.receipt.json"), plain),
        "decisions": (
            out / "b.tif.review.json",
            ("clean", root / "scan.tif", "-b", "baseline", "-o", out / "b.tif", "--overwrite"),
            plain,
        ),
        "preset": (
            root / "preset.toml",
            ("clean", root / "scan.tif", "-p", root / "preset.toml", "--dry-run"),
            toml,
        ),
        "recipe": (root / "recipe.toml", (*train, "--recipe", root / "recipe.toml"), toml),
        "table of families": (root / "group.csv", (*build, "--group-by", root / "group.csv"), {}),
        "table of parts": (
            root / "split.csv",
            (*train, "--recipe", root / "recipe.toml", "--split", root / "split.csv"),
            {},
        ),
        "table of pairs": (
            root / "pairs.csv",
            ("dataset", "build", root / "pairs.csv", *build[4:]),
            {},
        ),
        "damage model": (
            root / "damage.toml",
            ("dataset", "synth", root / "photos", "--model", root / "damage.toml", "--dpi", "2400",
             "--size", "64", "-o", out / "syn", "--overwrite"),
            toml,
        ),
        "outlines": (
            outlines / "o.json",
            ("dataset", "fit-damage", outlines, "--residues", own, "-o", out / "m.toml",
             "--overwrite"),
            plain,
        ),
        "checkpoint": (
            root / "trained.run" / "last.ckpt",
            ("train", "--data", own, "--recipe", root / "recipe.toml", "-o", out / "t2.w",
             "--folder", root / "trained.run", "--resume"),
            {},
        ),
        "state dict": (
            root / "state.pth",
            ("weights", "convert", root / "state.pth", "--arch", "unet", "--recipe",
             root / "recipe.toml", "-o", out / "c.w", "--overwrite"),
            {},
        ),
    }  # fmt: skip
    return {n: Subject(p, tuple(map(str, w)), **how) for n, (p, w, how) in table.items()}


def sweep(
    subjects: dict[str, Subject], each: int, seed: int, tell: Callable[[str, str, bytes], None]
) -> Counter[tuple[str, str]]:
    """Run all cases; `tell` gets every failure with the damaged content."""
    counts: Counter[tuple[str, str]] = Counter()

    def too_slow(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGPROF, too_slow)
    for name, subject in subjects.items():
        whole = subject.path.read_bytes()
        status, said = run(subject.words)
        if name != "outlines" and status not in (0, 1):
            raise SystemExit(f"{name}: undamaged it ends with {status}: {said}")
        others = digests(subject)
        rng = random.Random(f"{seed} {name}")
        for data in cases(subject, each, rng):
            subject.path.write_bytes(data)
            signal.setitimer(signal.ITIMER_PROF, LIMIT)
            try:
                found = judge(subject, *run(subject.words))
            except TooSlow:
                found = "too long"
            except BaseException as error:
                found = f"WRONG: {type(error).__name__}: {error}"
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            if digests(subject) != others:
                found = "WRONG: another file has changed"
                others = digests(subject)
            counts[name, found.partition(":")[0]] += 1
            if found.startswith("WRONG"):
                tell(name, found, data)
        subject.path.write_bytes(whole)
    return counts


def digests(subject: Subject) -> dict[str, str]:
    """Of all files that a command must leave alone, but for the damaged one."""
    root = subject.path.parent
    while not (root / "scan.tif").is_file():
        root = root.parent
    files = (p for p in sorted(root.rglob("*")) if p.is_file() and p != subject.path)
    kept = (p for p in files if "out" not in p.parts and p.parent.name != "trained.run")
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


def report(counts: Counter[tuple[str, str]], say: Callable[[str], None]) -> None:
    """A table of outcomes by kind of file."""
    kinds = ("accepted", "refused", "too long", "WRONG")
    say(f"{'file':24} {' '.join(f'{kind:>9}' for kind in kinds)}")
    for name in dict.fromkeys(name for name, _ in counts):
        say(f"{name:24} {' '.join(f'{counts[name, kind]:9}' for kind in kinds)}")
    wrong = sum(number for (_, kind), number in counts.items() if kind == "WRONG")
    say(f"{sum(counts.values())} cases, {wrong} wrong")


def main() -> int:
    """Run all and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=200, help="cases of each kind of file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one kind of file")
    options = parser.parse_args()
    logging.disable()
    failures = 0

    def tell(name: str, found: str, data: bytes) -> None:
        nonlocal failures
        failures += 1
        kept = here / f"fuzz-{name.replace(' ', '-')}-{failures}"
        kept.write_bytes(data)
        print(f"{name}: {found}: {kept}", flush=True)

    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DARKROOM_HOME"] = str(Path(folder) / "home")
        subjects = world(Path(folder))
        if options.only:
            subjects = {options.only: subjects[options.only]}
        counts = sweep(subjects, options.each, options.seed, tell)
    report(counts, print)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
