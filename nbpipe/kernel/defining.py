"""Execute only those statements of a view cell that assets and sensors may use: imports, functions and classes."""

from __future__ import annotations

import ast
from collections.abc import Collection

from nbpipe.kernel.shells import current_shell, transformer


def define(source: str, names: Collection[str]) -> None:
    """Execute those imports, functions and classes of a view cell that cells below may use."""
    shell = current_shell()
    code = transformer(shell)(source)
    tree = ast.parse(code)
    tree.body = [node for node in tree.body if _defines(node, frozenset(names))]
    exec(compile(tree, "<view cell>", "exec"), shell.user_global_ns)  # noqa: S102 - the notebook's own statements


def _defines(node: ast.stmt, names: frozenset[str]) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any((alias.asname or alias.name.partition(".")[0]) in names or alias.name == "*" for alias in node.names)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name in names
