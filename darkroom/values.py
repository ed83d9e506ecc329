"""Files of keys and values that anybody may have changed: read with care, and as wanted types."""

import json
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from darkroom.errors import DarkroomError, InputError

T = TypeVar("T")

LARGEST = 1 << 28  # bytes of a file that is read whole
LARGEST_STATE = 1 << 34  # bytes of the state of a network that is trained


@contextmanager
def small_file(path: Path, most: int = LARGEST) -> Iterator[None]:
    """Around code that opens a file of moderate size, which is looked at before.

    Raises:
        InputError: it is missing, no regular file (a pipe would wait for ever), too large, or
            cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise InputError(f"{path}: is {kind}", hint="Name a file.")
        if status.st_size > most:
            raise InputError(f"{path}: too large for what it should be: {status.st_size:,} bytes")
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file", hint="Check the name.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_file(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a file of moderate size; errors as of `small_file`."""
    with small_file(path, most):
        return path.read_bytes()


def read_text(path: Path) -> str:
    """A file of text in UTF-8.

    Raises:
        InputError: as `read_file`, or it is not UTF-8.
    """
    try:
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8: {error.reason}") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: as `read_text`, or it is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged or not JSON: {error}") from error


def parse_toml(text: str, what: object, error: type[DarkroomError] = InputError) -> dict[str, Any]:
    """The table of a TOML text.

    Args:
        text: the text.
        what: where it is from; begins the message.
        error: what to raise.

    Raises:
        DarkroomError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise error(f"{what}: not valid TOML: {wrong}") from wrong


def typed(
    kind: type[T], values: object, what: object, error: type[DarkroomError] = InputError
) -> T:
    """Plain values, as JSON or TOML give them, as a dataclass or another type.

    Args:
        kind: the type; its annotations are what values must fit.
        values: numbers, texts, lists and tables.
        what: where they are from, usually a path; begins the message.
        error: what to raise.

    Raises:
        DarkroomError: a value is of another type, missing, or unknown; the message says where.
    """
    known: Any = getattr(kind, "__dataclass_fields__", None)
    if known and isinstance(values, dict) and (unknown := values.keys() - known.keys()):
        raise error(f"{what}: unknown keys {', '.join(sorted(map(str, unknown)))}")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as wrong:
        raise error(f"{what}: {_plain(str(wrong))}") from wrong


def _plain(text: str) -> str:
    """ "Expected `int`, got `str` - at `$.a.b`" in words of ours."""
    said, _, place = text.partition(" - at ")
    said = said.replace("`", "").replace("Expected", "expected", 1)
    place = place.strip("`").lstrip("$.")
    return f"{place}: {said}" if place else said
