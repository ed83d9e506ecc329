"""Training data from one's own reviews: what a person vetoed, painted and let pass.

The scan is the damaged picture and the result of the review its ground truth; the mask is what was
repaired in the end. Vetoed marks are in neither: a network learns to leave their like alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from darkroom.dataset.build import Opened, Settings, build, open_pair
from darkroom.errors import DarkroomError, InputError
from darkroom.io import open_scan
from darkroom.io.fingerprint import fingerprint
from darkroom.io.scratch import Scratch
from darkroom.pairs.find import Pair, identities
from darkroom.pairs.manifest import Manifest
from darkroom.pipeline.decisions import ENDING, fill, load_decisions, require_source
from darkroom.pipeline.output import MaskFile
from darkroom.pipeline.receipt import Receipt, load_receipt, receipt_path, unpack_mask
from darkroom.pipeline.workers import ALONE, Crew

REVIEWED = "reviewed"


def build_from_reviews(
    folder: Path,
    root: Path,
    settings: Settings,
    *,
    overwrite: bool = False,
    advance: Callable[[str, int, int], None] = lambda photo, done, total: None,
    crew: Crew = ALONE,
) -> tuple[Manifest, list[DarkroomError]]:
    """Build a data set from scans that were reviewed and saved.

    Args:
        folder: holds the decisions, `NAME.review.json`, or folders with them.
        root: as for `darkroom.dataset.build.build`.
        settings: likewise.
        overwrite: replace a data set.
        advance: told the photograph, and the pixels done and in all.
        crew: who works.

    Returns:
        The manifest, written, and the reviews that cannot be used, each with why.

    Raises:
        InputError: no review is usable.
        OutputError: the folder holds something else or cannot be written.
    """
    results, wrong = list[Path](), list[DarkroomError]()
    receipts: dict[Path, Receipt] = {}
    for path in sorted(folder.rglob(f"*{ENDING}")):
        result = path.with_name(path.name.removesuffix(ENDING))
        try:
            receipts[result] = _checked(path, result)
        except DarkroomError as error:
            wrong.append(error)
        else:
            results.append(result)
    if not results:
        raise (
            wrong[0]
            if wrong
            else InputError(
                f"{folder}: no scan in it was reviewed",
                hint=f"`darkroom review` writes NAME{ENDING} when it saves.",
            )
        )
    pairs = [
        Pair(name, _source(receipts[result], result), result, None, name, name)
        for name, result in zip(identities(results, folder), results, strict=True)
    ]

    manifest, failed = build(
        pairs,
        root,
        replace(settings, labels=REVIEWED),
        opener=_opened,
        overwrite=overwrite,
        advance=advance,
        crew=crew,
    )
    return manifest, [*wrong, *failed]


@contextmanager
def _opened(pair: Pair, settings: Settings) -> Iterator[Opened]:
    """(scan, result of its review, mask), all open."""
    assert pair.truth is not None
    receipt = load_receipt(receipt_path(pair.truth))
    with TemporaryDirectory(prefix="darkroom-") as temporary:
        mask = Path(temporary) / "mask.png"
        _write_mask(receipt, pair.scan, mask)
        with open_pair(replace(pair, mask=mask), settings) as three:
            yield three


def _checked(path: Path, result: Path) -> Receipt:
    """The receipt of a reviewed scan, if scan, decisions and result belong together.

    Raises:
        InputError: something is missing, or has changed since.
    """
    decisions, _ = load_decisions(path)
    receipt = load_receipt(receipt_path(result))
    if receipt.packed_mask is None or not {"source", "output"} <= receipt.files.keys():
        raise InputError(f"{result}: its receipt is of an older version", hint="Save it again.")
    require_source(decisions, path, fingerprint(_source(receipt, result)).sha256)
    if fingerprint(result).sha256 != receipt.files["output"]["sha256"]:
        raise InputError(
            f"{result}: is not as darkroom wrote it", hint="Review the scan again and save."
        )
    return receipt


def _source(receipt: Receipt, result: Path) -> Path:
    return result.parent / str(receipt.files["source"]["path"])


def _write_mask(receipt: Receipt, scan: Path, target: Path) -> None:
    """The mask of a receipt as a picture."""
    with (
        open_scan(scan) as opened,
        Scratch().spool(receipt.width, receipt.height, 1, np.uint8) as spool,
    ):
        fill(spool, unpack_mask(receipt.packed_mask or {}))
        with MaskFile(target, spool, opened.info, overwrite=True) as file:
            file.write()
            file.commit()
