"""Magics that are also commands of the terminal: one definition, another face."""

from __future__ import annotations

import shlex
from typing import Any

from nbpipe.commands.invoke import invoke
from nbpipe.errors import UsageError
from nbpipe.kernel.sessions import Session

#: Commands that start work: inside a step they do nothing, so that a notebook never launches itself.
_STARTS_WORK = frozenset({"materialize"})


def run(name: str, line: str, session: Session) -> Any:
    """Carry out the command `name` with the words of `line`; show what it says in the notebook."""
    if session.in_step and name in _STARTS_WORK:
        print(f"%{name} does nothing inside a job: this notebook is being executed by one")  # noqa: T201 - the cell's output
        return None
    return invoke(name, words(line), session)


def words(line: str) -> list[str]:
    """Split a line into words; values with blanks are quoted.

    Raises:
        UsageError: a quote is never closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line.strip()!r} can't be read: {error}") from error
