"""Asset cells whose body awaits at the top level.

A magic is called like a function, so its body could not await on the kernel's running loop. Such a cell is
rewritten, before IPython looks at it, to an awaited call that does the same as the magic.
"""

from __future__ import annotations

import re

from nbpipe.core.declarations import split_cell
from nbpipe.core.names import analyze
from nbpipe.errors import ExecutionError
from nbpipe.kernel.sessions import session_of
from nbpipe.kernel.shells import current_shell, transformer
from nbpipe.kernel.tracebacks import own_errors

_MAY_AWAIT = re.compile(r"\b(await|async)\b")


def awaited_asset_cells(lines: list[str]) -> list[str]:
    """Rewrite an `%%asset` cell with top-level `await`; leave all other cells as they are."""
    if not lines or not lines[0].startswith("%%asset"):
        return lines
    source = "".join(lines)
    split = split_cell(source)
    if split.magic != "asset" or not _MAY_AWAIT.search(split.body):
        return lines
    if not analyze(split.body, transform=transformer(current_shell())).awaits:
        return lines
    return [f"await __import__('{__name__}', fromlist=['run']).run({split.line!r}, {split.body!r})\n"]


async def run(line: str, body: str) -> None:
    """Execute an asset cell on the running loop."""
    __tracebackhide__ = True
    shell = current_shell()
    session = session_of(shell)
    if session is None:
        raise ExecutionError("run %load_ext nbpipe first")
    with own_errors():
        cell = session.admit(line, body)
    if cell is not None:
        session.committed(cell, await session.cells.execute_async(cell))
