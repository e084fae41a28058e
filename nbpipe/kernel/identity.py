"""Which notebook does this kernel belong to?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbpipe import settings

_VSCODE = "__vsc_ipynb_file__"
"""VS Code's Jupyter extension puts the path of the notebook into this variable."""


def find_notebook(shell: InteractiveShell) -> Path | None:
    """Return the notebook's path as the frontend tells it, or None.

    The Jupyter server tells it by an environment variable, VS Code by a variable in the namespace. A session
    that is a console, or whose notebook was renamed since the kernel started, tells a path that does not exist.
    """
    candidates: list[Any] = [shell.user_ns.get(_VSCODE), settings.session_notebook()]
    for candidate in candidates:
        if isinstance(candidate, str) and candidate.endswith(".ipynb"):
            path = Path(candidate)
            if path.is_file():
                return located(path)
    return None


def located(path: Path) -> Path:
    """Return a notebook's path without links in its folder; a link that is the notebook itself stays one."""
    return path.parent.resolve() / path.name
