"""What a page looks like without a terminal."""

from __future__ import annotations

import pytest

from nbpipe.cli.writing import write
from nbpipe.pages.page import Block, Part, Table, line
from nbpipe.pages.text import shown, size_text


@pytest.mark.parametrize(
    ("page", "written"),
    [
        ([], ""),
        (["one", "two"], "one\ntwo\n"),
        ([line("a ", Part("b", "bad"), indent=2)], "  a b\n"),
        ([Block("a\n  b", indent=1)], " a\n   b\n"),
        ([Table(("x", "yy"), [("long", Part("1", "good")), ("s", "")])], "x     yy\nlong  1\ns\n"),
        ([Table(("x", "y"), [("日本", "1"), ("e\u0301té", "2")])], "x     y\n日本  1\ne\u0301té   2\n"),
    ],
)
def test_a_page_without_a_terminal_is_plain_and_aligned(capsys, page, written):
    write(page)
    assert capsys.readouterr().out.startswith(written)


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("plain é 日本 ✓", False, "plain é 日本 ✓"),
        ("\x1b[31mred\x1b[0m", False, "\\x1b[31mred\\x1b[0m"),
        ("two\nlines", False, "two\\nlines"),
        ("two\nlines\r\tend", True, "two\nlines\\r    end"),
        ("right\u202eto left", True, "right\\u202eto left"),
        ("👩\u200d🔬", False, "👩\u200d🔬"),
        ("[bold]", False, "[bold]"),
        ("half \ud800", False, "half \\ud800"),
    ],
)
def test_text_is_shown_as_data(text, lines, expected):
    assert shown(text, lines=lines) == expected


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (20_480, "20.5 kB"),
        (999_960, "1.0 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_a_size_is_written_in_the_unit_that_fits(size, text):
    assert size_text(size) == text
