"""The errors darkroom raises for reasons a user can act on.

Every error carries one line of cause, an optional hint and the exit code of the process. The
module knows no command-line framework.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath


class DarkroomError(Exception):
    """Base of all expected failures.

    Attributes:
        exit_code: process exit status when this error ends the run.
        hint: what the user may do about it, one sentence, or None.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = None if hint is None else _sentence(hint)


@contextmanager
def about(what: object) -> Iterator[None]:
    """Name a file, or whatever else errors raised within are about, where they do not do so."""
    try:
        yield
    except DarkroomError as error:
        text, name = str(error), str(what)
        if name in text or PurePath(name).name in text:
            raise
        raise type(error)(f"{name}: {text}", hint=error.hint) from error


def _sentence(text: str) -> str:
    """A hint in the one form that hints have: a sentence; what ends in a command stays as it is."""
    first = text.partition(" ")[0]
    if first.isalpha() and first.islower() and first not in ("darkroom", "pip"):
        text = text[0].upper() + text[1:]
    ends_in_command = re.search(r"(^|: )(darkroom|pip) ", text)
    return text if ends_in_command or text.endswith((".", "?", "!", "`")) else f"{text}."


class OutputError(DarkroomError):
    """An output could not be written: no space, no permission, a name already taken."""

    exit_code = 1


class UsageError(DarkroomError):
    """The request contradicts itself or names something that does not exist."""

    exit_code = 2


class InputError(DarkroomError):
    """A file is missing, unreadable or of a kind darkroom does not support."""

    exit_code = 3


class BackendError(DarkroomError):
    """A backend, its weights or the requested device is not available, or the backend failed."""

    exit_code = 4


class SafetyError(DarkroomError):
    """The run was refused because it would change more than the user allowed."""

    exit_code = 5


class DarkroomWarning(UserWarning):
    """Something that a user had better know and that ends nothing; commands show it on stderr."""
