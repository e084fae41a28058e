"""Writes pages to the terminal: by rich where there is one, else plainly."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from nbpipe.pages.faces import faced, on_terminal
from nbpipe.pages.page import Block, Page, Part, Style, Table, line, part, plain_lines
from nbpipe.pages.text import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_COLOURS: dict[Style, str] = {
    "": "",
    "good": "green",
    "warn": "yellow",
    "bad": "red",
    "busy": "cyan",
    "dim": "dim",
    "strong": "bold",
}
#: Characters of what stands first in a row, so of an id, up to which it stays in one line: people copy it.
_WHOLE = 24


def write(page: Page) -> None:
    """Write a page to the standard output: by rich on a terminal, else plainly and never cut."""
    if not page:
        return
    page = faced(page, on_terminal)
    if sys.stdout.isatty():
        _write_rich(page)
    else:
        click.echo("\n".join(plain_lines(page)))


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
    for index, column in enumerate(table.columns):
        whole = index == 0 and max((len(part(row[0]).text) for row in table.rows), default=0) <= _WHOLE
        drawn.add_column(column, overflow="fold", no_wrap=whole)
    for row in table.rows:
        drawn.add_row(*(_rich_text(part(cell)) for cell in row))
    console.print(drawn)


def _rich_text(part: Part) -> Text:
    from rich.text import Text

    return Text(shown(part.text), style=_COLOURS[part.style])
