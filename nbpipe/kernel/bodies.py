"""Compile and execute the body of an asset cell, so that it feels like an ordinary cell.

Line numbers, the display of a last expression, IPython syntax and top-level `await` behave as they do
without the magic; what differs is the namespace, which is the body's own.
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast

from IPython.core.interactiveshell import InteractiveShell

from nbpipe.core.reading.facts import CodeFacts
from nbpipe.core.reading.names import analyze
from nbpipe.core.reading.sources import parse
from nbpipe.kernel.shells import ends_in_semicolon, transform_tree, transformer


class Body:
    """A compiled body: its statements, and its last expression if it ends in one."""

    def __init__(self, shell: InteractiveShell, source: str, *, first_line: int, cell: str) -> None:
        """Compile `source`, which starts at the 1-based line `first_line` of the text `cell`.

        Raises:
            SyntaxError: with the line number of the cell.
        """
        self._shell = shell
        code = _transformed(shell, source, first_line)
        self.filename = shell.compile.cache(code, shell.displayhook.prompt_count, raw_code=cell)
        parsed = cast("ast.Module", shell.compile.ast_parse(code, filename=self.filename))
        tree = transform_tree(shell, parsed)
        self._last: ast.Expression | None = None
        if tree.body and isinstance(last := tree.body[-1], ast.Expr):
            self._last = ast.Expression(last.value)
            del tree.body[-1]
        self._tree = tree
        self._source = source
        self.quiet = ends_in_semicolon(code)

    @property
    def ends_in_expression(self) -> bool:
        """Tell whether the body has a last expression, whose value a notebook would show."""
        return self._last is not None

    @cached_property
    def literals(self) -> frozenset[str]:
        """The texts that stand in the body."""
        return frozenset(text for statement in self._facts.statements for text in statement.strings)

    def binds(self, name: str) -> bool:
        """Tell whether a statement of the body, outside of its functions and classes, may bind a name."""
        return name in self._facts.binds

    @cached_property
    def _facts(self) -> CodeFacts:
        return analyze(self._source, transform=transformer(self._shell))

    def run(self, module: types.ModuleType) -> Any:
        """Execute the body in a module and return the value of its last expression, or None."""
        __tracebackhide__ = True
        namespace = vars(module)
        with self.as_main(module):
            exec(self._compiled(self._tree, "exec"), namespace)  # noqa: S102 - executing cells is what we are for
            if self._last is None:
                return None
            return eval(self._compiled(self._last, "eval"), namespace)  # noqa: S307 - the cell's own last line

    async def run_async(self, module: types.ModuleType) -> Any:
        """Execute a body with top-level `await` on the running loop."""
        __tracebackhide__ = True
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        namespace = vars(module)
        with self.as_main(module):
            code = self._compiled(self._tree, "exec", flags)
            result = eval(code, namespace)  # noqa: S307 - see `run`
            if code.co_flags & inspect.CO_COROUTINE:
                await result
            if self._last is None:
                return None
            code = self._compiled(self._last, "eval", flags)
            value = eval(code, namespace)  # noqa: S307 - see `run`
            return await value if code.co_flags & inspect.CO_COROUTINE else value

    def _compiled(self, tree: ast.Module | ast.Expression, mode: str, flags: int = 0) -> types.CodeType:
        code: types.CodeType = compile(tree, self.filename, mode, self._shell.compile.flags | flags, dont_inherit=True)
        return code

    @contextmanager
    def as_main(self, module: types.ModuleType) -> Iterator[None]:
        """Let the body's module be `__main__`: for pickles and processes, and magics (`%time x = 1`, `!cmd {x}`)."""
        shell = self._shell
        before, names, main = shell.user_module, shell.user_ns, sys.modules.get("__main__")
        shell.user_module, shell.user_ns = module, vars(module)
        sys.modules["__main__"] = module
        try:
            yield
        finally:
            shell.user_module, shell.user_ns = before, names
            if main is not None:
                sys.modules["__main__"] = main


def _transformed(shell: InteractiveShell, source: str, first_line: int) -> str:
    """Return Python code whose line numbers are those of the cell."""
    blank = len(source) - len(source.lstrip("\n"))
    text = source[blank:] + ("" if source.endswith("\n") else "\n")
    padding = "\n" * (first_line - 1 + blank)
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return padding + parse(text, transformer(shell)).text
    return padding + text
