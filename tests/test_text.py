"""What files say is printed without doing anything to the terminal."""

import pytest

from darkroom.cli import console
from darkroom.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("scan é 写真 🎞.tif", "scan é 写真 🎞.tif"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\x9b31mb", r"a\x9b31mb"),
        ("two\nlines\r", r"two\nlines\r"),
        ("abc\u202egnp.exe", r"abc\u202egnp.exe"),
        ("bytes \udcff\udc80", r"bytes \xff\x80"),
        ("lone \ud800", r"lone \ud800"),
    ],
)
def test_printable(text, shown) -> None:
    assert printable(text) == shown
    shown.encode("utf-8")


def test_line_ends_stay_where_they_are_meant() -> None:
    assert printable("a\nb\tc\x07", keep="\n\t") == "a\nb\tc\\x07"


def test_nothing_that_is_printed_holds_an_escape(capsys) -> None:
    from rich.table import Table
    from rich.text import Text

    evil = "x\x1b]0;title\x07\udcfe"
    console.say(evil)
    console.warn(evil)
    console.progress_line(evil, end="")
    console.complain(console.DarkroomError(evil, hint=evil))
    console.table(("name",), [[evil]])
    drawn = Table(evil)
    drawn.add_row(evil)
    console.show(drawn, evil, Text(evil))
    told = console.Console()
    told.message(f"{evil}\nfailed: all")
    out, err = capsys.readouterr()
    assert out.count("\\x1b]0;title") == 6
    assert "\x1b" not in out
    assert "\x1b" not in err.replace("\x1b[K", "", 1)
    assert "\\nfailed: all" in err
