"""Standard output and standard error, however they are: closed, full, broken, diverted.

A message that cannot be written is no reason to stop the work. Results that cannot be written are
counted, so that the exit status can say so.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class _State:
    results: TextIO | None = None  # where results go while standard output is diverted
    lost = 0


_state = _State()


def open_closed() -> None:
    """Put the null device where a standard stream is closed, as daemons leave them.

    Otherwise the next file opened would get its number, and messages would be written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    _state.lost = 0
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            # Names of files need not be UTF-8, and terminals need not know every letter.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def is_terminal() -> bool:
    """Whether standard error is a terminal."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError, OSError):
        return False


def results() -> TextIO:
    """Where results go."""
    return _state.results or sys.stdout


def put_result(text: str) -> None:
    """One piece of result and a new line, written at once; what cannot be written is counted."""
    if not _put(results(), text + "\n"):
        count_lost()


def put_message(text: str, end: str = "\n") -> None:
    """A message for standard error, if it can be written."""
    _put(sys.stderr, text + end)


def lost() -> int:
    """How many pieces of result could not be written."""
    return _state.lost


def count_lost() -> None:
    """Count a piece of result that somebody else failed to write."""
    _state.lost += 1


def forget() -> None:
    """Count from nothing."""
    _state.lost = 0


def flush() -> None:
    """Write what waits; Python must not stumble over it when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            if stream is sys.stdout:
                count_lost()
            _silence(stream)


def _put(stream: Any, text: str) -> bool:
    try:
        stream.write(text)
        stream.flush()
    except UnicodeEncodeError:
        return _put(stream, text.encode("ascii", "backslashreplace").decode("ascii"))
    except (OSError, ValueError, AttributeError):
        _silence(stream)
        return False
    return True


def _silence(stream: Any) -> None:
    """Send what a broken stream still holds nowhere."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextmanager
def diverted() -> Iterator[None]:
    """Keep standard output for results alone.

    Whatever else is printed there, by Python code or through file descriptor 1, by a plugin or a
    library, goes to standard error.
    """
    stdout, saved = sys.stdout, -1
    try:
        flush()
        saved = os.dup(stdout.fileno())
        os.dup2(sys.stderr.fileno(), stdout.fileno())
        _state.results = open(saved, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    except (OSError, ValueError, AttributeError):
        _state.results = stdout
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = stdout
        if saved >= 0:
            with suppress(OSError, ValueError):
                stdout.flush()
            with suppress(OSError, ValueError):
                os.dup2(saved, stdout.fileno())
            os.close(saved)
        _state.results = None
