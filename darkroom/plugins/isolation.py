"""Running code of plugins so that whatever it does costs no more than itself."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from darkroom import interrupts
from darkroom.config import load_seconds

T = TypeVar("T")


class PluginError(Exception):
    """Something that a plugin's code raised, or that it did not finish; the cause is attached."""


@contextmanager
def isolated() -> Iterator[None]:
    """Turn whatever is raised, an exit or interrupt of its own included, into a `PluginError`.

    The working directory is what it was afterwards.
    """
    here = _folder()
    try:
        yield
    except BaseException as error:
        if interrupts.from_user(error):
            raise
        text = " ".join(str(error).split())
        raise PluginError(
            f"{type(error).__name__}: {text}" if text else type(error).__name__
        ) from (error)
    finally:
        if here is not None and _folder() != here:
            with suppress(OSError):
                os.chdir(here)


def load(work: Callable[[], T]) -> T:
    """Run code that imports or constructs, for as long as `DARKROOM_LOAD_SECONDS` allows.

    Raises:
        PluginError: it raised, or it does not finish.
    """
    done: list[Any] = []
    failed: list[PluginError] = []

    def attempt() -> None:
        try:
            with isolated():
                done.append(work())
        except PluginError as error:
            failed.append(error)

    here = _folder()
    thread = threading.Thread(target=attempt, name="plugin", daemon=True)
    thread.start()
    thread.join(load_seconds())
    if thread.is_alive():
        if here is not None:
            with suppress(OSError):
                os.chdir(here)
        raise PluginError(f"does not finish loading within {load_seconds():g} s")
    if failed:
        raise failed[0]
    value: T = done[0]
    return value


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return None
