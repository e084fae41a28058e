"""What a command shows: lines and tables with a few styles, which each face draws in its own way.

All text is data: no markup and no control characters in it mean anything.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from nbpipe.pages.text import shown

Style = Literal["", "good", "warn", "bad", "busy", "dim", "strong"]

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
    return Line(tuple(map(part, parts)), indent)


def part(value: Part | str) -> Part:
    """Return a part; plain text has no style."""
    return value if isinstance(value, Part) else Part(value)


def plain_lines(page: Page) -> Iterable[str]:
    """Yield a page as lines of plain text; nothing is cut."""
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
    cells = [list(table.columns), *([shown(part(cell).text) for cell in row] for row in table.rows)]
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
