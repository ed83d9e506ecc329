"""Scans of formats that must be decoded from the top: unpacked to disk once, then read at will."""

import threading
from collections.abc import Callable

from darkroom.geometry import Window
from darkroom.io.files import reading
from darkroom.io.scratch import Scratch, Spool
from darkroom.scan import BaseScan, Pixels, ReadCost, ScanInfo

BAND_MEMORY = 16 << 20  # of decoders that work by bands of rows


class SpooledScan(BaseScan):
    """A scan whose pixels are decoded to a spool at the first read; see `darkroom.scan.Scan`.

    Args:
        info: its description.
        decode: writes every pixel into the spool it is given; may raise what it likes.
        scratch: where the spool goes.
        release: called once when the scan is closed.
        memory: bytes that decoding takes.
        further_disk: bytes of temporary files besides the spool.
        warnings: what the user should know.
    """

    def __init__(
        self,
        info: ScanInfo,
        decode: Callable[[Spool], None],
        scratch: Scratch,
        release: Callable[[], None] = lambda: None,
        *,
        memory: int = BAND_MEMORY,
        further_disk: int = 0,
        warnings: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            info, ReadCost("decoded once to disk", memory, info.nbytes + further_disk), warnings
        )
        self._decode, self._scratch, self._release = decode, scratch, release
        self._lock = threading.Lock()
        self._spool: Spool | None = None

    def _read(self, window: Window) -> Pixels:
        with self._lock:
            if self._spool is None:
                self._spool = self._unpacked()
        return self._spool.read(window)

    def _unpacked(self) -> Spool:
        info = self.info
        spool = self._scratch.spool(info.width, info.height, info.samples, info.dtype)
        try:
            with reading(info.path, f"{info.format.upper()} file"):
                self._decode(spool)
        except BaseException:
            spool.close()
            raise
        return spool

    def close(self) -> None:
        """Release the file and the spool."""
        with self._lock:
            if self._spool:
                self._spool.close()
                self._spool = None
        self._release()
