"""Tables as spreadsheets write them: which scan goes with which truth, and which part or family.

Comma, semicolon or tab; UTF-8 with or without a byte order mark, UTF-16 with one, or else Latin-1,
of which the reader warns.
"""

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path

from darkroom.errors import DarkroomWarning, InputError
from darkroom.values import read_file

SUFFIXES = frozenset({".csv", ".tsv", ".txt"})
SEPARATORS = ",;\t"


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table with a heading.

    Names of columns are taken in lower case, cells without the blanks around them. Rows of which
    every cell is empty are passed over.

    Args:
        path: the table.
        columns: those that must be there, with something in every row.

    Returns:
        For each row its cells by column, those of `columns` and whatever else there is.

    Raises:
        InputError: the file cannot be read, is empty, lacks a column, or a row is short, incomplete
            or holds NUL bytes; the message gives the row's number as a spreadsheet counts.
    """
    lines = _text(path).splitlines()
    if not any(line.strip() for line in lines):
        raise InputError(f"{path}: the table is empty", hint=f"columns: {', '.join(columns)}")
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise InputError(f"{path}: row {number} holds NUL bytes", hint="save the table again")
    separator = max(SEPARATORS, key=lines[0].count)
    try:
        rows = list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not a table: {error}") from error
    heading = [name.strip().lower() for name in rows[0]]
    if missing := [name for name in columns if name not in heading]:
        raise InputError(
            f"{path}: no column {' and no column '.join(missing)}",
            hint=f"the first row must name the columns {', '.join(columns)}",
        )
    found = []
    for number, row in enumerate(rows[1:], 2):
        cells = dict(zip(heading, (cell.strip() for cell in row), strict=False))
        if not any(cells.values()):
            continue
        if empty := [name for name in columns if not cells.get(name)]:
            raise InputError(f"{path}: row {number} has nothing in the column {empty[0]}")
        found.append(cells)
    if not found:
        raise InputError(f"{path}: no row below the heading")
    return found


def _text(path: Path) -> str:
    data = read_file(path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        warnings.warn(f"{path}: not in UTF-8; read as Latin-1", DarkroomWarning, stacklevel=3)
        return data.decode("latin-1")
