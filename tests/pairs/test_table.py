"""Tables as spreadsheets write them."""

import warnings

import pytest

from darkroom.errors import DarkroomWarning, InputError
from darkroom.pairs.table import read_table

ROWS = [("scan", "gt"), ("a/p1.tif", "b/p1.tif"), ("a/päris.tif", "b/päris.tif")]


def write(path, rows, separator=",", encoding="utf-8", end="\r\n", quoted=False):
    cell = '"{}"'.format if quoted else str
    lines = [separator.join(cell(c) for c in row) for row in rows]
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("quoted", [False, True])
def test_what_spreadsheets_write_is_read(tmp_path, separator, encoding, quoted):
    path = write(tmp_path / "t.csv", ROWS, separator, encoding, quoted=quoted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = read_table(path, ("scan", "gt"))
    assert [(r["scan"], r["gt"]) for r in rows] == ROWS[1:]


def test_latin_1_is_read_with_a_warning(tmp_path):
    path = write(tmp_path / "t.csv", ROWS, encoding="latin-1")
    with pytest.warns(DarkroomWarning, match="Latin-1"):
        assert read_table(path, ("scan",))[1]["scan"] == "a/päris.tif"


def test_headings_in_capitals_blanks_and_empty_rows_do_no_harm(tmp_path):
    rows = [("Scan", " GT"), (" a.tif", " b.tif "), ("", "")]
    (row,) = read_table(write(tmp_path / "t.csv", rows), ("scan", "gt"))
    assert row == {"scan": "a.tif", "gt": "b.tif"}


@pytest.mark.parametrize(
    "data,says",
    [
        (b"", "empty"),
        (b"\r\n\r\n", "empty"),
        (b"scan,gt\r\n", "no row below the heading"),
        (b"scan,other\r\na,b\r\n", "no column gt"),
        (b"scan,gt\r\na,b\r\nc\r\n", "row 3 has nothing in the column gt"),
        (b"scan,gt\r\na,\r\n", "row 2 has nothing in the column gt"),
        (b"scan,gt\r\na,b\r\n\0\0\0\r\n", "row 3 holds NUL bytes"),
        (b'scan,gt\r\n"a,b\r\n', "not a table"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_row(tmp_path, data, says):
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=says) as error:
        read_table(path, ("scan", "gt"))
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv", ("scan",))
