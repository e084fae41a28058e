"""Magics that are also commands of the terminal: one definition, another face."""

from __future__ import annotations

import re
from typing import Any, cast

import click

from nbpipe.commands.invoke import Usage, command, invoke, parse
from nbpipe.commands.references import whole_asset
from nbpipe.errors import UsageError
from nbpipe.kernel.answers import Answer
from nbpipe.kernel.live import LiveSession
from nbpipe.kernel.sessions import Session
from nbpipe.settings import asks_sensors

_WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")
_QUOTED = re.compile(r"""\"[^"]*\"|'[^']*'""")

#: What starts work or changes what is going on: inside a step it does nothing, so that a notebook never
#: launches itself.
_STARTS_WORK = frozenset(
    {"materialize", "runs retry", "runs cancel", "backfill", "backfill start", "backfill resume", "backfill cancel"}
)


def run(name: str, line: str, session: Session) -> Any:
    """Carry out the command `name` with the words of `line`; return what the notebook shows.

    Raises:
        UsageError: the line can't be read.
    """
    words = split(line)
    arguments = parse(name, words)
    if isinstance(arguments, Usage):
        print(arguments.text.replace("Usage: ", "Usage: %", 1))  # noqa: T201 - IPython shows help like this
        return None
    full = _full_name(name, words)
    if full in _STARTS_WORK:
        if session.in_step:
            job = "a job: this notebook is being executed by one"
            why = "a sensor: its value says what is to be run" if asks_sensors() else job
            print(f"%{full} does nothing in {why}")  # noqa: T201 - the cell's output
            return None
        if name == "backfill":
            from nbpipe.kernel.backfilling import carry_out as backfill

            return backfill(full, words, cast("LiveSession", session))
        from nbpipe.kernel.materializing import carry_out

        return carry_out(full, words, cast("LiveSession", session))
    if name == "lineage" and not (arguments["format_"] or arguments["output"]):
        from nbpipe.kernel.lineage import show_lineage

        return show_lineage(session, selection=arguments["selection"], limit=arguments["limit"])
    if full == "partitions" and words:
        from nbpipe.kernel.partition_panel import show_partitions

        return show_partitions(session, _asset(words))
    workspace = session.seen()
    return Answer(full, invoke(name, words, workspace), env=workspace.env)


def split(line: str) -> list[str]:
    """Split a line into words.

    A word that is quoted as a whole loses its quotes; quotes inside a word stay, for a selection such as
    `notebook:"my work.ipynb"` or a parameter such as `name="a b"` to read them.

    Raises:
        UsageError: a quote is never closed.
    """
    if _WORD.sub("", line).strip():
        raise UsageError(f"{line.strip()!r} can't be read: a quote is never closed")
    return [word[1:-1] if _QUOTED.fullmatch(word) else word for word in _WORD.findall(line)]


def _asset(words: list[str]) -> str:
    """Return the one asset that `%partitions` is about.

    Raises:
        UsageError: there are more words, or it is no name of an asset.
    """
    if len(words) > 1 or words[0].startswith("-"):
        raise UsageError(f"%partitions takes the name of one asset, {' '.join(words)!r} is none")
    return whole_asset(words[0], "%partitions").asset


def _full_name(name: str, words: list[str]) -> str:
    """Return the name of the command that is meant, with that of the inner one for `%runs show`."""
    found = command(name)
    inner = next((word for word in words if isinstance(found, click.Group) and word in found.commands), None)
    return name if inner is None else f"{name} {inner}"
