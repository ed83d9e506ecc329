"""From scans to a page that is ready to be looked at."""

import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from darkroom.errors import DarkroomError
from darkroom.io.guard import prepare
from darkroom.io.registry import all_readers, choose_reader
from darkroom.pipeline.decisions import review_mask_path, review_path
from darkroom.pipeline.inputs import Item
from darkroom.pipeline.receipt import load_receipt, receipt_path
from darkroom.pipeline.request import Request
from darkroom.review.batch import Batch, Entry
from darkroom.review.server import Running


class Page(Running):
    """A running review.

    Args:
        batch: the scans.
        port: of this machine, 0 for any.

    Attributes:
        unsaved: once it has ended, scans with decisions that were not saved.
    """

    def __init__(self, batch: Batch, port: int) -> None:
        super().__init__(batch, port)
        self.unsaved: list[Path] = []

    def open_browser(self) -> None:
        """Show the page; where there is no browser, the address is there to be copied."""
        webbrowser.open(self.address)


def _entry(item: Item) -> Entry:
    """A scan with its result; a cleaned scan stands for the one that it was made from."""
    receipt = receipt_path(item.source)
    if item.error is None and receipt.exists():
        try:
            made = load_receipt(receipt).files["source"]["path"]
        except (DarkroomError, KeyError):
            pass  # it is reviewed as the picture that it is
        else:
            return Entry(receipt.parent / made, item.source)
    return Entry(item.source, item.target or item.source, item.error)


def outputs_of(target: Path) -> list[Path]:
    """All files that saving a review writes."""
    return [target, receipt_path(target), review_path(target), review_mask_path(target)]


@contextmanager
def serve(items: Sequence[Item], request: Request, port: int = 0) -> Iterator[Page]:
    """A page for the scans of a batch, which ends with the context.

    Args:
        items: with their targets.
        request: for scans that have no receipt, and how the machine is used.
        port: of this machine; 0 for any that is free.

    Raises:
        InputError: not one of the scans can be read.
        OutputError: the port cannot be had.
    """
    entries = [_entry(item) for item in items]
    for entry in entries:
        try:
            choose_reader(entry.source, all_readers(request.plugins))
        except DarkroomError as error:
            entry.error = entry.error or error
    sources = [entry.source for entry in entries]
    for entry in entries:
        try:
            prepare(outputs_of(entry.target), sources)
        except DarkroomError as error:
            entry.error = entry.error or error
    if entries[0].error is not None and all(entry.error is not None for entry in entries):
        raise entries[0].error
    batch = Batch(entries, request)
    try:
        page = Page(batch, port)
        yield page
        page.unsaved = batch.unsaved()
    finally:
        batch.close()
