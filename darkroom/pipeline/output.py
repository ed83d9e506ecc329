"""The files a run writes: the cleaned scan with its layers, and the mask."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from darkroom.config import scratch_folder
from darkroom.errors import OutputError, UsageError
from darkroom.geometry import Window, bands
from darkroom.io import create_scan
from darkroom.io.scratch import Scratch, Spool
from darkroom.metadata import Metadata, Storage
from darkroom.protocols import WriterSpec
from darkroom.scan import Bytes, ColorProfile, Pixels, ScanInfo

LAYER_ROWS = 256
TIFF_SUFFIXES, PHOTOSHOP_SUFFIXES = (".tif", ".tiff"), (".psd", ".psb")


def refuse_existing(path: Path) -> None:
    """Refuse a name that is taken.

    Raises:
        OutputError: something bears the name already.
    """
    if os.path.lexists(path):
        raise OutputError(
            f"{path}: already exists", hint="Use --overwrite to replace it or --skip-existing."
        )


def mask_info(info: ScanInfo, path: Path) -> ScanInfo:
    """The description of an 8-bit grey picture the size of a scan, and of nothing else of it."""
    return replace(
        info,
        path=path,
        channels=1,
        extra=0,
        extra_kinds=(),
        dtype=np.dtype(np.uint8),
        photometric="minisblack",
        profile=ColorProfile(),
        metadata=Metadata(),
        infrared=None,
        storage=Storage(),
    )


class MaskFile:
    """A mask on its way to a file; nothing bears its name before `commit`.

    Args:
        path: the file, PNG or TIFF by suffix.
        mask: the spooled mask.
        info: the scan.
        overwrite: replace an existing file.
    """

    def __init__(self, path: Path, mask: Spool, info: ScanInfo, *, overwrite: bool) -> None:
        self.target, self.overwrite = path, overwrite
        self._mask = mask
        compression = "deflate" if path.suffix.lower() in TIFF_SUFFIXES else None
        self._sink = create_scan(
            path, mask_info(info, path), compression=compression, overwrite=overwrite
        )

    def write(self) -> None:
        """Write all rows."""
        for rows in _spooled(self._mask):
            self._sink.write_rows(rows)

    def finish(self) -> Path:
        """Complete the file under its hidden name, which is returned."""
        return self._sink.finish()

    def commit(self) -> Path:
        """Give the file its name."""
        return self._sink.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.abort()


class ResultFile:
    """The cleaned scan on its way to a file, with its layers if they are asked for.

    Args:
        path: the file; its suffix says the format.
        info: the source.
        compression: of a TIFF, or None for the source's.
        overwrite: replace an existing file.
        writers: what to choose from by the suffix.
        layers: append the mask and the difference as pages of a TIFF, or make a Photoshop file of
            the scan and its repairs; the latter has layers in any case.
        scratch: folder for temporary files.

    Raises:
        UsageError: layers in a format that has no pages.
    """

    def __init__(
        self,
        path: Path,
        info: ScanInfo,
        *,
        compression: str | None,
        overwrite: bool,
        writers: Sequence[WriterSpec],
        layers: bool,
        scratch: Path | None,
    ) -> None:
        self.target, self.overwrite = path, overwrite
        self._info = info
        self._row = 0
        self._finished: Path | None = None
        self._stack = ExitStack()
        options: dict[str, Any] = {}
        self._mask = self._difference = None
        suffix = path.suffix.lower()
        if layers and suffix not in (*TIFF_SUFFIXES, *PHOTOSHOP_SUFFIXES):
            raise UsageError(
                f"{path}: only TIFF and Photoshop files can hold layers",
                hint="Name it .tif or .psd.",
            )
        if suffix in PHOTOSHOP_SUFFIXES:
            options["scratch"] = Scratch(scratch_folder(scratch))
        elif layers:
            # Bytes of the further pages, so that BigTIFF is chosen in time.
            options["more_bytes"] = info.nbytes + info.width * info.height
            spools = Scratch(scratch_folder(scratch))
            for name, samples, dtype in (
                ("_mask", 1, np.dtype(np.uint8)),
                ("_difference", info.channels, info.dtype),
            ):
                spool = spools.spool(info.width, info.height, samples, dtype)
                setattr(self, name, self._stack.enter_context(spool))
        self._sink = create_scan(
            path,
            info,
            compression=compression,
            overwrite=overwrite,
            writers=writers,
            **options,
        )
        self._stack.callback(self._sink.abort)

    def write(self, before: Pixels, after: Pixels, mask: Bytes) -> None:
        """The next rows: the source's samples, the repaired ones, and their mask."""
        if hasattr(self._sink, "write_layers"):
            self._sink.write_layers(before, after, mask)
            return
        self._sink.write_rows(after)
        window = Window(0, self._row, self._info.width, len(after))
        self._row += len(after)
        if self._mask is not None and self._difference is not None and mask.any():
            self._mask.write(window, mask)
            old, new = (rows[..., : self._info.channels] for rows in (before, after))
            self._difference.write(window, np.where(new > old, new - old, old - new))

    @property
    def exact(self) -> bool:
        """Whether the format keeps every sample."""
        return self._sink.exact

    @property
    def losses(self) -> list[str]:
        """What of the source's metadata the file cannot carry."""
        return self._sink.losses

    def finish(self) -> Path:
        """Append the layers; returns the complete file under its hidden name."""
        if self._finished is None:
            self._finished = self._finish()
        return self._finished

    def _finish(self) -> Path:
        if self._mask is not None and self._difference is not None:
            grey = mask_info(self._info, self._info.path)
            colour = replace(
                grey,
                channels=self._info.channels,
                dtype=self._info.dtype,
                photometric="rgb" if self._info.channels == 3 else "minisblack",
            )
            add_page = self._sink.add_page
            add_page(grey, _spooled(self._mask), description="darkroom mask")
            add_page(colour, _spooled(self._difference), description="darkroom difference")
        return self._sink.finish()

    def commit(self) -> Path:
        """Give the file its name.

        Raises:
            OutputError: the name was taken meanwhile.
        """
        return self._sink.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _spooled(spool: Spool) -> Iterator[Pixels]:
    for window in bands(spool.width, spool.height, LAYER_ROWS):
        yield spool.read(window)
