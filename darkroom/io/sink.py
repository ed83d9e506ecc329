"""What every writer of scans does."""

from pathlib import Path
from typing import Protocol, Self

from darkroom.errors import OutputError
from darkroom.io.atomic import AtomicFile
from darkroom.scan import Pixels, ScanInfo


class ScanSink(Protocol):
    """A scan being written, row by row from the top; nothing bears its name before `commit`.

    Used as a context manager it is thrown away unless `commit` was called.

    Attributes:
        path: the final name.
        losses: what of the source's metadata the file cannot carry, one phrase each; complete
            once the sink is made.
        exact: whether the samples read back will be those written.
        layout: how the pixels are stored, for a person to read.
    """

    path: Path
    losses: list[str]
    exact: bool
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


class AtomicSink:
    """The part of a `ScanSink` that no format does otherwise: an end, and a name at the end.

    A format writes its rows, what completes the file (`_complete`), and lets go of what it holds
    besides (`_release`).

    Attributes:
        path: the final name.
        info: what is written.

    Raises:
        OutputError: as `AtomicFile`.
    """

    def __init__(self, path: Path, info: ScanInfo, *, overwrite: bool) -> None:
        self.path, self.info = path, info
        self._done, self._finished = 0, False
        self._atomic = AtomicFile(path, overwrite=overwrite)

    def _count(self, rows: Pixels) -> int:
        """Where the next rows begin, once they are found to fit.

        Raises:
            ValueError: they are of another size or type, or more than the image has.
        """
        info, first = self.info, self._done
        if rows.shape[1:] != (info.width, info.samples) or rows.dtype != info.dtype:
            raise ValueError(f"rows of {rows.shape} {rows.dtype} do not fit the image")
        if first + len(rows) > info.height:
            raise ValueError("more rows than the image has")
        self._done += len(rows)
        return first

    def _require_all(self) -> None:
        if self._done != self.info.height:
            raise OutputError(
                f"{self.path}: only {self._done} of {self.info.height} rows were written"
            )

    def _complete(self) -> None:
        raise NotImplementedError

    def _release(self) -> None:
        """Let go of threads and spools; nothing by default."""

    def finish(self) -> Path:
        """See `ScanSink`."""
        if not self._finished:
            self._complete()
            self._finished = True
        return self._atomic.finish()

    def commit(self) -> Path:
        """See `ScanSink`."""
        try:
            self.finish()
            return self._atomic.commit()
        finally:
            self.abort()

    def abort(self) -> None:
        """Throw the file away unless it was committed."""
        self._release()
        self._atomic.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()
