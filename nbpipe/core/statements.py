"""The walk over statements: what each of them binds, reads, changes and imports, on which paths."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from nbpipe.core.expressions import ExpressionWalker, all_arguments
from nbpipe.core.facts import Import
from nbpipe.core.mutations import changed_by_statement, root
from nbpipe.core.scopes import ATTRIBUTE_STORE, ClassScope, ComprehensionScope, Flow, FunctionScope, TopScope, join

_SWALLOWING = frozenset({"suppress", "raises"})
"""Context managers (contextlib, pytest) after which a body may be half done."""


class StatementWalker(ExpressionWalker):
    """Walks one top-level statement.

    Args:
        top: an empty scope.
        walrus: the code holds `:=`.
        annotations: annotations are evaluated (no `from __future__ import annotations`).
    """

    def __init__(self, top: TopScope, *, walrus: bool, annotations: bool) -> None:
        super().__init__(top, walrus=walrus)
        self.annotations = annotations
        self.imports: list[Import] = []
        self.assigned: list[str] = []
        """Variables assigned at the top level, in the order of the text."""
        self._breaks: list[list[Flow]] = []
        """For each loop around: what is known at its `break`s."""
        self._continues: list[list[Flow]] = []

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Walk statements in order."""
        for statement in statements:
            handler = _HANDLERS.get(statement.__class__)
            if handler is not None:
                handler(self, statement)

    # --- plain statements ---

    def _expr(self, node: Any) -> None:
        value = node.value
        if value.__class__ is ast.Constant:
            return  # a docstring, or a text that stands alone
        for name in changed_by_statement(value):
            self.scope.change(name)
        self.expression(value)

    def _assign(self, node: Any) -> None:
        self.expression(node.value)
        for target in node.targets:
            self.target(target)
            self._note_assigned(target)

    def _aug_assign(self, node: Any) -> None:
        target = node.target
        if not isinstance(target, ast.Name):
            self.expression(target)
            self.expression(node.value)
            self.target(target)
            return
        self.scope.read(target.id, target.lineno, None)
        self.expression(node.value)
        self.scope.change(target.id)
        self.scope.bind(target.id)
        self._note_assigned(target)

    def _ann_assign(self, node: Any) -> None:
        if not isinstance(self.scope, FunctionScope):
            self._annotation(node.annotation)
        if node.value is not None:
            self.expression(node.value)
            self.target(node.target)
            self._note_assigned(node.target)
        elif isinstance(node.target, ast.Name):
            if isinstance(self.scope, FunctionScope):
                self.scope.bind(node.target.id)
        else:
            self.expression(node.target)

    def _delete(self, node: Any) -> None:
        stack = list(reversed(node.targets))
        while stack:
            target = stack.pop()
            if isinstance(target, ast.Name):
                self.scope.read(target.id, target.lineno, ATTRIBUTE_STORE)
                self.scope.unbind(target.id)
            elif isinstance(target, ast.Tuple | ast.List):
                stack += target.elts[::-1]
            else:
                self.target(target)

    def _leave(self, node: Any) -> None:
        """Walk `return` and `raise`: no path leads further."""
        for part in ast.iter_child_nodes(node):
            self.expression(part)
        self.scope.flow.dead = True

    def _continue(self, _node: Any) -> None:
        self._jump(self._continues)

    def _break(self, _node: Any) -> None:
        self._jump(self._breaks)

    def _jump(self, loops: list[list[Flow]]) -> None:
        if loops:
            loops[-1].append(self.scope.flow.copy())
        self.scope.flow.dead = True

    def _assert(self, node: Any) -> None:
        self.expression(node.test)
        if node.msg is not None:
            self.expression(node.msg)

    def _import(self, node: Any) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self._bind_import(Import(alias.name, None, name, node.lineno))

    def _import_from(self, node: Any) -> None:
        module = "." * (node.level or 0) + (node.module or "")
        for alias in node.names:
            name = alias.asname or alias.name
            self._bind_import(Import(module, alias.name, name, node.lineno))

    def _bind_import(self, found: Import) -> None:
        self.imports.append(found)
        if found.name != "*":
            if isinstance(self.scope, FunctionScope | TopScope):
                self.scope.imported.add(found.name)
            self.scope.bind(found.name)

    def _global(self, node: Any) -> None:
        if isinstance(self.scope, FunctionScope | ClassScope):
            self.scope.globals.update(node.names)

    def _nonlocal(self, node: Any) -> None:
        if isinstance(self.scope, FunctionScope):
            self.scope.nonlocals.update(node.names)

    def _type_alias(self, node: Any) -> None:
        outer = self._enter_type_parameters(node.type_params)
        scope = FunctionScope(self.scope, self.top)  # the value is evaluated when it is asked for
        inner, self.scope = self.scope, scope
        self.expression(node.value)
        scope.close()
        self.scope = inner
        self.scope = outer
        self.target(node.name)

    # --- definitions ---

    def _function(self, node: Any) -> None:
        for decorator in node.decorator_list:
            self.expression(decorator)
        self.defaults(node.args)
        outer = self._enter_type_parameters(getattr(node, "type_params", ()))
        for argument in all_arguments(node.args):
            self._annotation(argument.annotation)
        self._annotation(node.returns)
        loops = self._leave_loops()
        scope = self.enter_function(node.args)
        self.block(node.body)
        self.leave_function(scope)
        self._breaks, self._continues = loops
        self.scope = outer
        self.scope.bind(node.name)

    def _class(self, node: Any) -> None:
        for decorator in node.decorator_list:
            self.expression(decorator)
        outer = self._enter_type_parameters(getattr(node, "type_params", ()))
        for base in (*node.bases, *node.keywords):
            self.expression(base)
        scope = ClassScope(self.scope, self.top)
        inner, self.scope = self.scope, scope
        loops = self._leave_loops()
        self.block(node.body)
        self._breaks, self._continues = loops
        self.scope = inner
        self.scope = outer
        self.scope.bind(node.name)

    def _enter_type_parameters(self, parameters: Sequence[Any]) -> Any:
        """Go into the scope of `[T: bound]`, and return the scope to come back to."""
        outer = self.scope
        if parameters:
            self.scope = ComprehensionScope(outer, {each.name for each in parameters}, sees_class=True)
        for each in parameters:
            scope = FunctionScope(self.scope, self.top)  # bounds and defaults are evaluated when asked for
            inner, self.scope = self.scope, scope
            for part in ast.iter_child_nodes(each):
                self.expression(part)
            scope.close()
            self.scope = inner
        return outer

    def _leave_loops(self) -> tuple[list[list[Flow]], list[list[Flow]]]:
        """Go where no `break` of the loops around counts, and return them to come back to."""
        loops = self._breaks, self._continues
        self._breaks, self._continues = [], []
        return loops

    def _annotation(self, node: ast.expr | None) -> None:
        """Walk an annotation if Python evaluates it; one that is a text, it never does."""
        if node is not None and self.annotations and node.__class__ is not ast.Constant:
            strings, self.strings = self.strings, {}
            self.expression(node)
            self.strings = strings

    # --- statements that hold statements ---

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
        self._breaks.append([])
        self._continues.append([])
        self.block(node.body)
        scope.flow = join([never, scope.flow, *self._continues.pop()])
        if endless:
            scope.flow = scope.flow.copy()
            scope.flow.dead = True
        broken = self._breaks.pop()
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

    def _note_assigned(self, target: ast.expr) -> None:
        """Note the last variable of a target."""
        if self.scope is not self.top:
            return
        while isinstance(target, ast.Tuple | ast.List | ast.Starred):
            if isinstance(target, ast.Starred):
                target = target.value
            elif target.elts:
                target = target.elts[-1]
            else:
                return
        if isinstance(target, ast.Name) and target.id != "_":
            self.assigned.append(target.id)


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


_HANDLERS: dict[type[ast.stmt], Callable[[StatementWalker, Any], None]] = {
    ast.Expr: StatementWalker._expr,
    ast.Assign: StatementWalker._assign,
    ast.AugAssign: StatementWalker._aug_assign,
    ast.AnnAssign: StatementWalker._ann_assign,
    ast.Delete: StatementWalker._delete,
    ast.Return: StatementWalker._leave,
    ast.Raise: StatementWalker._leave,
    ast.Continue: StatementWalker._continue,
    ast.Break: StatementWalker._break,
    ast.Assert: StatementWalker._assert,
    ast.Import: StatementWalker._import,
    ast.ImportFrom: StatementWalker._import_from,
    ast.Global: StatementWalker._global,
    ast.Nonlocal: StatementWalker._nonlocal,
    ast.FunctionDef: StatementWalker._function,
    ast.AsyncFunctionDef: StatementWalker._function,
    ast.ClassDef: StatementWalker._class,
    ast.If: StatementWalker._if,
    ast.For: StatementWalker._for,
    ast.AsyncFor: StatementWalker._for,
    ast.While: StatementWalker._while,
    ast.With: StatementWalker._with,
    ast.AsyncWith: StatementWalker._with,
    ast.Try: StatementWalker._try,
    ast.TryStar: StatementWalker._try,
    ast.Match: StatementWalker._match,
}
if hasattr(ast, "TypeAlias"):  # `type A = ...`, from Python 3.12
    _HANDLERS[ast.TypeAlias] = StatementWalker._type_alias
