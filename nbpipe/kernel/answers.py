"""The answer to a command as a notebook shows it: the same page as on the terminal, as HTML and as text."""

from __future__ import annotations

import html
from typing import Any

from nbpipe.loading.config import DEFAULT_ENVIRONMENT
from nbpipe.pages.catalogue import page_of
from nbpipe.pages.faces import faced, in_notebook
from nbpipe.pages.page import Block, Line, Page, Part, Style, Table, line, part, plain_lines

_COLOURS: dict[Style, str] = {
    "": "",
    "good": "color:var(--jp-success-color1,#1a7f37)",
    "warn": "color:var(--jp-warn-color1,#8a5a00)",
    "bad": "color:var(--jp-error-color1,#c11c28)",
    "busy": "color:var(--jp-info-color1,#0a5fc4)",
    "dim": "color:var(--jp-ui-font-color2,#5c6570)",
    "strong": "font-weight:600",
}


class Answer:
    """What IPython displays for the data of a command; `data` is there for whoever computes with it.

    Attributes:
        data: what the command returned.
    """

    def __init__(self, command: str, data: Any, *, env: str = DEFAULT_ENVIRONMENT) -> None:
        """Take the data of the command of this name, called in an environment."""
        self.data = data
        self._page = faced(page_of(command, data, env=env), in_notebook)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": "\n".join(plain_lines(self._page)), "text/html": _html(self._page)}


def _html(page: Page) -> str:
    return "".join(map(_item, page))


def _item(item: str | Line | Block | Table) -> str:
    match item:
        case Table():
            return _table(item)
        case Block(text, indent):
            return f'<pre style="margin:0 0 0 {indent}ch">{html.escape(text)}</pre>'
        case _:
            whole = line(item) if isinstance(item, str) else item
            return f'<div style="margin-left:{whole.indent}ch">{"".join(map(_part, whole.parts))}</div>'


def _table(table: Table) -> str:
    head = "".join(f'<th style="text-align:left">{html.escape(column)}</th>' for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{_part(part(cell))}</td>' for cell in row) + "</tr>"
        for row in table.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _part(piece: Part) -> str:
    text = html.escape(piece.text)
    style = _COLOURS[piece.style]
    return f'<span style="{style}">{text}</span>' if style else text
