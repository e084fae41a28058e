"""What a command shows: lines and tables with a few styles, written plainly or by rich.

All text is data: neither rich's markup nor control characters in it mean anything.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import click

from nbpipe.cli.text import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Style = Literal["", "good", "warn", "bad", "busy", "dim", "strong"]

_COLOURS: dict[Style, str] = {
    "": "",
    "good": "green",
    "warn": "yellow",
    "bad": "red",
    "busy": "cyan",
    "dim": "dim",
    "strong": "bold",
}
_GAP = "  "


class Part(NamedTuple):
    """A piece of text in one style."""

    text: str
    style: Style = ""


class Line(NamedTuple):
    """Pieces of text beside each other."""

    parts: tuple[Part, ...]
    indent: int = 0
    """Columns."""


class Block(NamedTuple):
    """Text of several lines, kept as it is."""

    text: str
    indent: int = 0


class Table(NamedTuple):
    """Rows below headings."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Part | str, ...]]


Page = Sequence[str | Line | Block | Table]


def line(*parts: Part | str, indent: int = 0) -> Line:
    """Make a line of parts and plain texts."""
    return Line(tuple(map(_part, parts)), indent)


def write(page: Page) -> None:
    """Write a page to the standard output: by rich on a terminal, else plainly and never cut."""
    if not page:
        return
    if sys.stdout.isatty():
        _write_rich(page)
    else:
        click.echo("\n".join(_plain_lines(page)))


def _part(value: Part | str) -> Part:
    return value if isinstance(value, Part) else Part(value)


def _plain_lines(page: Page) -> Iterable[str]:
    for item in page:
        match item:
            case str():
                yield shown(item)
            case Line(parts, indent):
                yield " " * indent + "".join(shown(part.text) for part in parts)
            case Block(text, indent):
                yield from (" " * indent + each for each in shown(text, lines=True).split("\n"))
            case Table():
                yield from _plain_table(item)


def _plain_table(table: Table) -> Iterable[str]:
    cells = [list(table.columns), *([shown(_part(cell).text) for cell in row] for row in table.rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        yield _GAP.join(padded).rstrip()


def _width(text: str) -> int:
    """Return how many columns a terminal takes for a text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _write_rich(page: Page) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    for item in page:
        if isinstance(item, Table):
            _write_rich_table(console, item)
        elif isinstance(item, Block):
            for each in shown(item.text, lines=True).split("\n"):
                console.print(" " * item.indent + each, no_wrap=True, overflow="ignore", crop=False)
        else:
            whole = line(item) if isinstance(item, str) else item
            console.print(" " * whole.indent, *map(_rich_text, whole.parts), sep="", soft_wrap=True)


def _write_rich_table(console: Console, table: Table) -> None:
    from rich.table import Table as RichTable

    drawn = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        drawn.add_column(column, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_rich_text(_part(cell)) for cell in row))
    console.print(drawn)


def _rich_text(part: Part) -> Text:
    from rich.text import Text

    return Text(shown(part.text), style=_COLOURS[part.style])
