"""`%job`, `%schedule` and `%sensor` in a running notebook: they count as they are saved, so executing them only checks.

What they name is looked up by `nbpipe validate`, which knows the whole project.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand

from nbpipe.kernel.sessions import session_of
from nbpipe.kernel.tracebacks import own_errors

#: The options that take names of assets.
_ASSETS = "assets"


def declaring(name: str, shell: InteractiveShell) -> Callable[[str], Any]:
    """Return the line magic of this name; in a job, where a wrong line must not stop assets, it does nothing."""

    @no_var_expand
    def magic(line: str) -> None:
        __tracebackhide__ = True
        session = session_of(shell)
        if session is not None and session.in_step:
            return
        with own_errors():
            from nbpipe.core.reading.automation_lines import parse_automation

            if parse_automation(f"%{name}", line) is None:
                from nbpipe.core.reading.automation_options import AUTOMATION_TABLES

                print(AUTOMATION_TABLES[f"%{name}"].help())  # noqa: T201 - IPython shows help like this

    magic.__name__ = name
    magic.__doc__ = f"Declare a {name}: it counts when the notebook is saved. %{name} --help tells more."
    return cast("Callable[[str], Any]", magic)


def complete_declaring(magic: str, line: str, assets: list[str]) -> tuple[str, ...]:
    """Return what the last word of the line of a declaring magic can become.

    Args:
        magic: with its mark.
        line: the text between the magic and the cursor.
        assets: known assets.
    """
    from nbpipe.core.reading.automation_options import AUTOMATION_TABLES

    table = AUTOMATION_TABLES.get(magic)
    return () if table is None else table.complete(line, {_ASSETS: assets})
