"""Checking a receipt against the files it is about: is all that it says still so?"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from darkroom.errors import DarkroomError, InputError
from darkroom.geometry import Window, bands
from darkroom.io import open_scan
from darkroom.io.beside import RECEIPT_ENDING
from darkroom.io.fingerprint import fingerprint
from darkroom.mask import marked_pixels
from darkroom.pipeline.receipt import (
    Receipt,
    UntouchedDigest,
    load_receipt,
    receipt_path,
    unpack_mask,
)
from darkroom.scan import Bytes, Scan

DIFFERS = 1  # exit status where something is not as the receipt says
PARTS = {
    "source": "the scan",
    "output": "the result",
    "mask": "the mask file",
    "given_mask": "the mask that was given",
    "exclude": "the mask of what to leave alone",
    "infrared": "the infrared file",
    "reference": "the map of where dirt stays",
}
NEEDED = ("source", "output")  # without these there is nothing to compare


@dataclass(slots=True)
class Verdict:
    """What came of checking one receipt.

    Attributes:
        receipt: its file.
        checked: what is as the receipt says, for people.
        wrong: what is not.
        outside: pixels outside the mask that differ, or None where that could not be compared.
        error: why it could not be checked at all, or None.
    """

    receipt: Path
    checked: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    outside: int | None = None
    error: DarkroomError | None = None

    @property
    def exit_code(self) -> int:
        """0 all is so, 1 something is not, or that of the error."""
        if self.error is not None:
            return self.error.exit_code
        return DIFFERS if self.wrong else 0

    def as_dict(self) -> dict[str, Any]:
        """One record for scripts."""
        return {
            "receipt": str(self.receipt),
            "verified": self.exit_code == 0,
            "checked": self.checked,
            "wrong": self.wrong,
            "pixels_outside_mask_that_differ": self.outside,
            "error": None if self.error is None else str(self.error),
            "exit_code": self.exit_code,
        }

    def expect(self, what: str, said: object, found: object) -> None:
        """Note whether a figure is what the receipt says."""
        if said == found:
            self.checked.append(what)
        else:
            self.wrong.append(f"{what}: the receipt says {said}, found {found}")


def find_receipts(given: Sequence[str | Path]) -> list[Path]:
    """The receipts that files and folders stand for: a folder for all in it, a result for its own.

    What is missing is left in, so that it is reported in its turn.
    """
    found: dict[Path, None] = {}
    for name in given:
        path = Path(name)
        if path.is_dir():
            inside = sorted(path.glob(f"*{RECEIPT_ENDING}"))
            found |= dict.fromkeys(inside or [path])
        elif path.name.endswith(".json") or not receipt_path(path).exists():
            found[path] = None
        else:
            found[receipt_path(path)] = None
    return list(found)


def verify(path: Path) -> Verdict:
    """Check one receipt: digests of its files, the mask, and that nothing outside it differs.

    Nothing is raised for what a person should read about; see `Verdict`.
    """
    verdict = Verdict(path)
    try:
        if path.is_dir():
            raise InputError(
                f"{path}: no receipts in this folder", hint=f"They end in {RECEIPT_ENDING}."
            )
        receipt = load_receipt(path)
        if receipt.packed_mask is None or not receipt.files:
            raise InputError(
                f"{path}: a receipt of an older version, without digests of files and mask",
                hint="Clean the scan again to have one that can be checked.",
            )
        files = {part: path.parent / entry["path"] for part, entry in receipt.files.items()}
        missing = [files[part] for part in NEEDED if part in files and not files[part].exists()]
        if missing:
            raise InputError(f"{missing[0]}: is missing, though {path.name} is about it")
        _digests(receipt, files, verdict)
        _mask(receipt, verdict)
        with ExitStack() as stack:
            opened: dict[str, Scan] = {
                part: stack.enter_context(open_scan(files[part]))
                for part in ("source", "output", "mask")
                if part in files and files[part].exists()
            }
            _compare(receipt, opened, verdict)
    except DarkroomError as error:
        verdict.error = error if path.name in str(error) else _named(error, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        verdict.error = InputError(f"{path}: the receipt is damaged: {error!r}")
    return verdict


def _named(error: DarkroomError, path: Path) -> DarkroomError:
    return type(error)(f"{path}: {error}", hint=error.hint)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 if all is well, the code of all that failed if they failed alike, else 1."""
    codes = {verdict.exit_code for verdict in verdicts} - {0}
    return codes.pop() if len(codes) == 1 else min(1, len(codes))


def _digests(receipt: Receipt, files: dict[str, Path], verdict: Verdict) -> None:
    """Every file is, byte for byte, what it was."""
    for part, path in files.items():
        name = PARTS.get(part, part)
        if not os.path.lexists(path):
            verdict.wrong.append(f"{name}: {path} is missing")
            continue
        verdict.expect(
            f"SHA-256 of {name}, {path.name}",
            receipt.files[part]["sha256"],
            fingerprint(path).sha256,
        )


def _mask(receipt: Receipt, verdict: Verdict) -> None:
    """The mask in the receipt is whole, and as large as the receipt says."""
    marked = sum(int(np.count_nonzero(rows)) for _, rows in unpack_mask(receipt.packed_mask or {}))
    verdict.expect("pixels under the mask", receipt.masked_pixels, marked)


def _compare(receipt: Receipt, opened: dict[str, Scan], verdict: Verdict) -> None:
    """Source and result differ under the mask only, and the mask file is the receipt's."""
    source, result, mask = (opened.get(part) for part in ("source", "output", "mask"))
    if source is None:
        return
    size = (receipt.width, receipt.height)
    for name, scan in (("the scan", source), ("the result", result), ("the mask file", mask)):
        if scan is not None and (scan.info.width, scan.info.height) != size:
            found = f"{scan.info.width} x {scan.info.height}"
            verdict.wrong.append(
                f"size of {name}: the receipt says {size[0]} x {size[1]}, found {found}"
            )
            return
    exact = receipt.untouched_after is not None
    if result is not None and exact and result.info.samples != source.info.samples:
        verdict.wrong.append("samples a pixel: the result has others than the scan")
        return
    channels = source.info.channels
    before, after = UntouchedDigest(channels), UntouchedDigest(channels)
    outside = changed = strayed = 0
    for window, rows in _bands(receipt):
        old, marked = source.read(window), marked_pixels(rows)
        before.update(old, marked)
        if mask is not None:
            strayed += int(np.count_nonzero((mask.read(window)[..., 0] > 0) != (rows > 0)))
        if result is None or not exact:
            continue
        new = result.read(window)
        after.update(new, marked)
        differs = (old != new).reshape(rows.size, -1)
        changed += int(differs[:, :channels].any(axis=1).sum())
        differs[marked, :channels] = False  # there alone, and there only the picture, may differ
        outside += int(differs.any(axis=1).sum())
    verdict.expect(
        "digest of the scan outside the mask", receipt.untouched_before, before.hexdigest()
    )
    if mask is not None:
        verdict.expect("the mask file is the mask of the receipt", 0, strayed)
    if result is not None and exact:
        verdict.outside = outside
        verdict.expect(
            "digest of the result outside the mask", receipt.untouched_after, after.hexdigest()
        )
        verdict.expect("pixels outside the mask that differ", 0, outside)
        verdict.expect("pixels that differ", receipt.changed_pixels, changed)


def _bands(receipt: Receipt) -> Iterator[tuple[Window, Bytes]]:
    windows = bands(receipt.width, receipt.height, 256)
    for window, (_, rows) in zip(windows, unpack_mask(receipt.packed_mask or {}), strict=True):
        yield window, np.ascontiguousarray(rows)
