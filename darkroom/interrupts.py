"""Signals that ask the program to stop: all of them clean up like Ctrl-C.

SIGTERM and SIGHUP would end the process where it stands, and leave temporary files behind. Here
they raise KeyboardInterrupt in the main thread, once. What must not be cut in two is done within
`held`.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class _State:
    installed = False
    received: int | None = None
    holds = 0
    waiting = False


_state = _State()


def install() -> None:
    """Take over the signals, but for those that the caller wants ignored (`nohup`)."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    _state.installed = True


def received() -> int | None:
    """The number of the signal that asked to stop, or None."""
    return _state.received


def expected() -> None:
    """Take a Ctrl-C that came as the end that was waited for, not as an interruption."""
    if _state.received == signal.SIGINT:
        _state.received = None


def from_user(error: BaseException) -> bool:
    """Whether an exception is the user's wish to stop, and not something that a plugin raised."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    if threading.current_thread() is not threading.main_thread():
        return False  # signals reach the main thread only
    return not _state.installed or _state.received is not None


@contextmanager
def held() -> Iterator[None]:
    """Put a signal off until the end of the context."""
    _state.holds += 1
    try:
        yield
    finally:
        _state.holds -= 1
        if _state.waiting and not _state.holds:
            _state.waiting = False
            raise KeyboardInterrupt


def _stop(number: int, frame: FrameType | None) -> None:
    first = _state.received is None
    _state.received = number
    if _state.holds:
        _state.waiting = True
    elif first or number == signal.SIGINT:
        raise KeyboardInterrupt
