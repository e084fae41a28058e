"""The walk over statements that hold statements: which names are bound on which paths through them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, ClassVar

from nbpipe.core.reading.mutations import root
from nbpipe.core.reading.scopes import Flow, join
from nbpipe.core.reading.statements import StatementWalker

_SWALLOWING = frozenset({"suppress", "raises"})
"""Context managers (contextlib, pytest) after which a body may be half done."""


class PathWalker(StatementWalker):
    """Walks one top-level statement of any kind."""

    def _if(self, node: Any) -> None:
        ends = []
        while True:  # a chain of elif is deep in the tree
            holds, fails = self.test(node.test)
            self.scope.flow = holds
            self.block(node.body)
            if _always(node.test):
                fails.dead = True
            ends.append(self.scope.flow)
            self.scope.flow = fails
            if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
                node = node.orelse[0]
                continue
            self.block(node.orelse)
            ends.append(self.scope.flow)
            break
        self.scope.flow = join(ends)

    def _for(self, node: Any) -> None:
        if isinstance(node, ast.AsyncFor) and not self.functions:
            self.awaits = True
        self.expression(node.iter)
        before = self.scope.flow.copy()
        self.target(node.target)
        self._loop(node, before)

    def _while(self, node: Any) -> None:
        holds, fails = self.test(node.test)
        self.scope.flow = holds
        self._loop(node, fails, endless=_always(node.test))

    def _loop(self, node: Any, never: Flow, *, endless: bool = False) -> None:
        """Walk the body of a loop and its `else`; `never` is what is known if the body is not executed at all."""
        scope = self.scope
        self.breaks.append([])
        self.continues.append([])
        self.block(node.body)
        scope.flow = join([never, scope.flow, *self.continues.pop()])
        broken = self.breaks.pop()
        for flow in broken:  # perhaps in a later round than the first
            flow.maybe |= scope.flow.maybe
        if endless:
            scope.flow = scope.flow.copy()
            scope.flow.dead = True
        self.block(node.orelse)
        scope.flow = join([scope.flow, *broken])

    def _with(self, node: Any) -> None:
        if isinstance(node, ast.AsyncWith) and not self.functions:
            self.awaits = True
        for item in node.items:
            self.expression(item.context_expr)
            if item.optional_vars is not None:
                self.target(item.optional_vars)
        scope = self.scope
        before, mark, deleted = scope.flow.copy(), len(scope.trail), len(scope.deleted)
        self.block(node.body)
        if any(_swallows(item.context_expr) for item in node.items):
            early = before.after(scope.trail[mark:], scope.deleted[deleted:])
            scope.flow = join([early, scope.flow])

    def _try(self, node: Any) -> None:
        scope = self.scope
        before, mark, deleted = scope.flow.copy(), len(scope.trail), len(scope.deleted)
        self.block(node.body)
        failed = before.after(scope.trail[mark:], scope.deleted[deleted:])
        self.block(node.orelse)
        ends = [scope.flow]
        for handler in node.handlers:
            scope.flow = failed.copy()
            self._handler(handler)
            ends.append(scope.flow)
        scope.flow = join(ends)
        if node.finalbody:
            self._finally(node.finalbody, before.after(scope.trail[mark:], scope.deleted[deleted:]))

    def _handler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.expression(node.type)
        mark = len(self.scope.trail)
        if node.name:
            self.scope.bind(node.name)
        self.block(node.body)
        if node.name:  # Python deletes it, so that the traceback is not kept
            self.scope.unbind(node.name)
            trail = self.scope.trail
            trail[mark:] = [name for name in trail[mark:] if name != node.name]

    def _finally(self, body: list[ast.stmt], entered: Flow) -> None:
        """Walk `finally`, which is executed after anything that may have happened above it."""
        scope, normal, mark = self.scope, self.scope.flow, len(self.scope.trail)
        scope.flow = entered.copy()
        self.block(body)
        final = scope.flow
        scope.flow = Flow(
            (normal.certain - (entered.certain - final.certain)) | (final.certain - entered.certain),
            normal.maybe.union(scope.trail[mark:]),
            normal.gone | final.gone,
            dead=normal.dead or final.dead,
        )

    def _match(self, node: Any) -> None:
        self.expression(node.subject)
        scope = self.scope
        ends = []
        for case in node.cases:
            missed = scope.flow.copy()
            mark = len(scope.trail)
            self._pattern(case.pattern)
            if case.guard is not None:
                self.expression(case.guard)
            missed.maybe.update(scope.trail[mark:])
            self.block(case.body)
            ends.append(scope.flow)
            missed.dead = case.guard is None and _matches_all(case.pattern)
            scope.flow = missed
        scope.flow = join([*ends, scope.flow])

    def _pattern(self, pattern: ast.pattern) -> None:
        stack: list[Any] = [pattern]
        while stack:
            node = stack.pop()
            if isinstance(node, ast.expr):
                self.expression(node)
                continue
            stack += list(ast.iter_child_nodes(node))[::-1]
            name = getattr(node, "rest", None) if isinstance(node, ast.MatchMapping) else getattr(node, "name", None)
            if name:
                self.scope.bind(name)

    handlers: ClassVar[dict[type[ast.stmt], Callable[[Any, Any], None]]] = StatementWalker.handlers | {
        ast.If: _if,
        ast.For: _for,
        ast.AsyncFor: _for,
        ast.While: _while,
        ast.With: _with,
        ast.AsyncWith: _with,
        ast.Try: _try,
        ast.TryStar: _try,
        ast.Match: _match,
    }


def _always(test: ast.expr) -> bool:
    """Tell whether a condition always holds; `__name__` is `"__main__"` wherever cells are executed."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    return (
        isinstance(test, ast.Compare)
        and root(test.left) == "__name__"
        and isinstance(test.ops[0], ast.Eq)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == "__main__"
    )


def _matches_all(pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchOr):
        return _matches_all(pattern.patterns[-1])
    return isinstance(pattern, ast.MatchAs) and (pattern.pattern is None or _matches_all(pattern.pattern))


def _swallows(context: ast.expr) -> bool:
    if not isinstance(context, ast.Call):
        return False
    function = context.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in _SWALLOWING
