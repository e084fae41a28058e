"""What a person is told to write: a command where they sit at a terminal, a magic where they sit in a notebook.

Messages are made where neither is known, and name what suits the one place or the other: each face corrects them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from nbpipe.commands.registry import MAGIC_COMMANDS
from nbpipe.pages.page import Block, Line, Page, Part, Table

Face: TypeAlias = Callable[[str], str]

_COMMAND = re.compile(rf"(?<![\w./%-])nbpipe ({'|'.join(MAGIC_COMMANDS)})(?![\w.-])")
#: Of magics, only these are named in messages; the others declare something in a cell.
_MAGIC = re.compile(r"(?<![\w%])%(materialize|backfill|force)(?!\w)")
_SAME = {"force": "materialize"}


def in_notebook(text: str) -> str:
    """Return a message with magics instead of the commands that are magics too.

    >>> in_notebook("`nbpipe backfill day --missing` computes them, nbpipe show day tells more")
    '`%backfill day --missing` computes them, nbpipe show day tells more'
    """
    return _COMMAND.sub(r"%\1", text) if "nbpipe " in text else text


def on_terminal(text: str) -> str:
    """Return a message with commands instead of magics that start work.

    >>> on_terminal("%force day makes it again, its cell begins with %%asset day")
    'nbpipe materialize day makes it again, its cell begins with %%asset day'
    """
    return _MAGIC.sub(lambda found: f"nbpipe {_SAME.get(found[1], found[1])}", text) if "%" in text else text


def faced(page: Page, face: Face) -> Page:
    """Return a page with all its texts but blocks, which hold what a person wrote, as a face shows them."""
    return [_faced(item, face) for item in page]


def _faced(item: str | Line | Block | Table, face: Face) -> str | Line | Block | Table:
    match item:
        case str():
            return face(item)
        case Line():
            return item._replace(parts=tuple(part._replace(text=face(part.text)) for part in item.parts))
        case Table():
            return item._replace(rows=[tuple(_cell(cell, face) for cell in row) for row in item.rows])
        case _:
            return item


def _cell(cell: Part | str, face: Face) -> Part | str:
    return face(cell) if isinstance(cell, str) else cell._replace(text=face(cell.text))
