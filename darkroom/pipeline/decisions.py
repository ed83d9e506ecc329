"""What a person decided about a scan's marks: kept beside the receipt, honoured by every later run.

Decisions are pixels, not names of marks: another sensitivity, another backend or a later version
finds the same eyelash with other edges, and it must stay all the same. So a mark that touches a
vetoed pixel is not repaired, erased pixels are taken from what is found, and painted ones added.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.errors import InputError, about
from darkroom.geometry import bands
from darkroom.io.scratch import Scratch, Spool
from darkroom.mask import REPAIR, components, pick
from darkroom.packed import unpack
from darkroom.scan import Bytes
from darkroom.values import read_file, typed

SCHEMA = 1
ENDING = ".review.json"
MASK_ENDING = ".review.png"
PLANES = ("vetoed", "erased", "painted")
ROWS = 256


def review_path(target: Path) -> Path:
    """Where the decisions about a scan lie: beside the receipt of its result."""
    return target.with_name(target.name + ENDING)


def review_mask_path(target: Path) -> Path:
    """Where a review writes the mask that follows from them."""
    return target.with_name(target.name + MASK_ENDING)


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions about one scan.

    Attributes:
        source: name of the scan's file.
        source_sha256: of that file, which alone they are about.
        width: columns as stored.
        height: rows as stored.
        vetoed: packed mask (`darkroom.packed`): marks that touch it are not repaired.
        erased: packed mask: never repaired.
        painted: packed mask: always repaired.
        darkroom: version of the program that wrote them.
    """

    source: str
    source_sha256: str
    width: int
    height: int
    vetoed: str
    erased: str
    painted: str
    darkroom: str

    def as_json(self) -> str:
        """The content of the file."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1) + "\n"

    def rows(self, plane: str) -> Iterator[tuple[int, Bytes]]:
        """Bands of one of the `PLANES`, top to bottom.

        Raises:
            InputError: it is damaged.
        """
        return unpack(getattr(self, plane), self.width, self.height)


def load_decisions(path: Path) -> tuple[Decisions, str]:
    """The decisions in a file, and the file's SHA-256.

    Raises:
        InputError: the file cannot be read, is no such file, or of a later version.
    """
    data = read_file(path)
    try:
        values: Any = json.loads(data)
        schema = values["schema"]
        if not isinstance(schema, int) or schema < 1:
            raise ValueError("unknown schema")
        if schema > SCHEMA:
            raise InputError(
                f"{path}: decisions of schema {schema}; this version reads up to {SCHEMA}",
                hint="Update darkroom.",
            )
        known = {f.name: values[f.name] for f in fields(Decisions)}
        decisions = typed(Decisions, known, path)
        with about(path):
            for plane in PLANES:
                for _ in decisions.rows(plane):
                    pass  # damaged ones are found before anything is done by the others
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: holds no decisions of a review: {error}",
            hint="Review the scan again, or move this file away.",
        ) from error
    return decisions, hashlib.sha256(data).hexdigest()


def require_source(decisions: Decisions, path: Path, sha256: str) -> None:
    """Refuse decisions about another scan.

    Args:
        decisions: what was decided.
        path: the file they came from, for the message.
        sha256: of the scan.

    Raises:
        InputError: the scan is another or has changed since.
    """
    if decisions.source_sha256 != sha256:
        raise InputError(
            f"{path}: these decisions are about another state of {decisions.source}; "
            "the scan has changed since it was reviewed",
            hint="Review it again after moving this file away, or clean with --no-reviews.",
        )


@dataclass(frozen=True, slots=True)
class Honoured:
    """What decisions did to a mask.

    Attributes:
        vetoed: marks left out.
        erased: pixels taken away.
        painted: pixels added.
    """

    vetoed: int
    erased: int
    painted: int


def honour(decisions: Decisions, mask: Spool, scratch: Scratch) -> Honoured:
    """Change a mask that was found as a person decided, in place.

    Args:
        decisions: of this scan.
        mask: uint8 spool, 0 or 255.
        scratch: for a plane on disk.

    Raises:
        InputError: the decisions are damaged.
    """
    with scratch.spool(mask.width, mask.height, 1, np.uint8) as both:
        fill(both, decisions.rows("vetoed"))
        for window in bands(mask.width, mask.height, ROWS):
            # 1 what is marked, 2 where that is vetoed: a component's peak tells.
            marked, vetoed = mask.read(window)[..., 0] > 0, both.read(window)[..., 0] > 0
            both.write(window, marked.astype(np.uint8) + (marked & vetoed))
        touched = list(components(_bands(both), mask.width, 1, 2))
    for part in touched:
        values = mask.read(part.window)[..., 0].copy()
        values[pick(values, 1, part.start)] = 0
        mask.write(part.window, values)
    changed = {"erased": 0, "painted": 0}
    planes = zip(decisions.rows("erased"), decisions.rows("painted"), strict=True)
    for window, ((_, erased), (_, painted)) in zip(
        bands(mask.width, mask.height, ROWS), planes, strict=True
    ):
        values = mask.read(window)[..., 0].copy()
        changed["erased"] += int(np.count_nonzero(values[erased > 0]))
        values[erased > 0] = 0
        changed["painted"] += int(np.count_nonzero(values[painted > 0] == 0))
        values[painted > 0] = REPAIR
        mask.write(window, values)
    return Honoured(len(touched), changed["erased"], changed["painted"])


def fill(spool: Spool, rows: Iterator[tuple[int, Bytes]]) -> None:
    """Write bands of a mask into a spool of its size."""
    for window, (_, values) in zip(bands(spool.width, spool.height, ROWS), rows, strict=True):
        spool.write(window, values)


def _bands(spool: Spool) -> Iterator[tuple[int, Bytes]]:
    for window in bands(spool.width, spool.height, ROWS):
        yield window.y, spool.read(window)[..., 0]
