"""IPython's shell with types: the parts that IPython does not annotate."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell

from nbpipe.errors import ExecutionError


def current_shell() -> InteractiveShell:
    """Return the shell that executes cells here.

    Raises:
        ExecutionError: this is not IPython.
    """
    shell = get_ipython()
    if shell is None:
        raise ExecutionError("asset cells run in IPython only: Jupyter, VS Code, or the ipython command")
    return shell


def transformer(shell: InteractiveShell) -> Callable[[str], str]:
    """Return the function that turns IPython syntax into Python, with the shell's own extensions of it."""
    transform: Callable[[str], str] = shell.transform_cell
    return transform


def transform_tree(shell: InteractiveShell, tree: ast.Module) -> ast.Module:
    """Apply the shell's transformers of syntax trees."""
    transform: Callable[[ast.Module], ast.Module] = shell.transform_ast
    return transform(tree)


def ends_in_semicolon(code: str) -> bool:
    """Tell whether the last token is a `;`, which silences the display of a last expression."""
    test: Callable[[str], bool] = DisplayHook.semicolon_at_end_of_expression
    return test(code)


def executed_text(info: ExecutionInfo | None) -> str:
    """Return the text of the cell that is executed."""
    text: Any = None if info is None else info.raw_cell
    return text or ""


def earlier_cells(shell: InteractiveShell) -> tuple[str, ...]:
    """Return the texts of the cells that this shell has executed so far, the running one included."""
    manager = shell.history_manager
    texts: list[str] = [] if manager is None else list(manager.input_hist_raw)
    return tuple(text for text in texts if text.strip())
