"""What every writer of scans does."""

from pathlib import Path
from typing import Protocol, Self

from darkroom.scan import Pixels


class ScanSink(Protocol):
    """A scan being written, row by row from the top; nothing bears its name before `commit`.

    Used as a context manager it is thrown away unless `commit` was called.

    Attributes:
        path: the final name.
        losses: what of the source's metadata the file cannot carry, one phrase each; complete
            once the sink is made.
        layout: how the pixels are stored, for a person to read.
    """

    path: Path
    losses: list[str]
    layout: str

    def write_rows(self, rows: Pixels) -> None:
        """The next rows: (n, width, samples) in the dtype of the ScanInfo the sink was made for.

        Raises:
            OutputError: if the disk is full or the like.
        """

    def finish(self) -> Path:
        """Complete the file under its temporary name, which is returned.

        Raises:
            OutputError: if rows are missing or the disk is full.
        """

    def commit(self) -> Path:
        """Finish the file if that is not done yet, and give it its name.

        Raises:
            OutputError: as `finish`, or the name was taken meanwhile.
        """

    def abort(self) -> None:
        """Throw the file away."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
