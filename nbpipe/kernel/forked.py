"""What a kernel does at its start when it was forked from a process that had imported modules for it.

Some modules look for a shell when they are imported; there was none then. This is an IPython extension: it is
loaded with the shell, before any cell.
"""

from __future__ import annotations

import sys

from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Tell modules that were imported before the shell was there about it."""
    widgets = sys.modules.get("ipywidgets")
    if widgets is not None:
        widgets.load_ipython_extension(shell)
