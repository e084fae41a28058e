"""Magics that are also commands of the terminal: one definition, another face."""

from __future__ import annotations

import shlex
from typing import Any, cast

from nbpipe.commands.invoke import Usage, invoke, parse
from nbpipe.errors import UsageError
from nbpipe.kernel.live import LiveSession
from nbpipe.kernel.sessions import Session

#: Commands that start work: inside a step they do nothing, so that a notebook never launches itself.
_STARTS_WORK = frozenset({"materialize"})


def run(name: str, line: str, session: Session) -> Any:
    """Carry out the command `name` with the words of `line`; show what it says in the notebook.

    Raises:
        UsageError: the line can't be read.
    """
    words = split(line)
    arguments = parse(name, words)
    if isinstance(arguments, Usage):
        print(arguments.text)  # noqa: T201 - IPython shows help like this
        return None
    if session.in_step and name in _STARTS_WORK:
        print(f"%{name} does nothing in a job: this notebook is being executed by one")  # noqa: T201 - the cell's output
        return None
    if name == "materialize":
        from nbpipe.kernel.materializing import materialize

        return materialize(cast("LiveSession", session), **arguments)
    if name == "lineage" and not (arguments["format_"] or arguments["output"]):
        from nbpipe.kernel.lineage import show_lineage

        return show_lineage(session, selection=arguments["selection"], limit=arguments["limit"])
    session.workspace.reload()
    return CommandOutput(name, invoke(name, words, session.workspace))


def split(line: str) -> list[str]:
    """Split a line into words; values with blanks are quoted.

    Raises:
        UsageError: a quote is never closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line.strip()!r} can't be read: {error}") from error
