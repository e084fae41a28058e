"""Asset cells that a magic can't serve, rewritten before IPython looks at them.

A magic is called like a function, so a body could not await on the kernel's running loop: a cell with top-level
`await` becomes an awaited call that does the same. A body that is no Python is handed to IPython as it is, which
then shows the error as it would without the magic. An empty body, which IPython refuses, becomes a blank line.
"""

from __future__ import annotations

import ast
import re
import warnings

from IPython.core.interactiveshell import InteractiveShell

from nbpipe.core.reading.declarations import CellSplit, split_cell
from nbpipe.core.reading.names import analyze
from nbpipe.errors import ExecutionError
from nbpipe.kernel.sessions import session_of
from nbpipe.kernel.shells import current_shell, transformer
from nbpipe.kernel.tracebacks import own_errors

_MAY_AWAIT = re.compile(r"\b(await|async)\b")


def rewritten_asset_cells(lines: list[str]) -> list[str]:
    """Rewrite an `%%asset` cell that a magic can't serve; leave all other cells as they are."""
    if not lines or not lines[0].startswith("%%asset"):
        return lines
    split = split_cell("".join(lines))
    if split.magic != "asset":
        return lines
    if not split.body:
        return [lines[0].rstrip("\n") + "\n", "\n"]
    shell = current_shell()
    if _is_broken(split, shell):
        return ["\n", *lines[1:]]
    if not _MAY_AWAIT.search(split.body) or not analyze(split.body, transform=transformer(shell)).awaits:
        return lines
    return [f"await __import__('{__name__}', fromlist=['run']).run({split.line!r}, {split.body!r})\n"]


# Otherwise a terminal, which asks whether a cell is complete, would hear that it is after its first line.
rewritten_asset_cells.has_side_effects = True  # type: ignore[attr-defined]


async def run(line: str, body: str) -> None:
    """Execute an asset cell on the running loop."""
    __tracebackhide__ = True
    shell = current_shell()
    session = session_of(shell)
    if session is None:
        raise ExecutionError("run %load_ext nbpipe first")
    with own_errors():
        cell, cells = session.admit(line, body), session.cells
    if cell is not None:
        session.committed(cell, await cells.execute_async(cell))


def _is_broken(split: CellSplit, shell: InteractiveShell) -> bool:
    """Tell whether the body can't be compiled."""
    flags = shell.compile.flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        _compile(split.body, flags)
    except (SyntaxError, ValueError):
        try:
            _compile(transformer(shell)(split.body), flags)
        except (SyntaxError, ValueError):
            return True
    return False


def _compile(source: str, flags: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are shown when the body is compiled to be executed
        compile(source, "<asset>", "exec", flags, dont_inherit=True)
