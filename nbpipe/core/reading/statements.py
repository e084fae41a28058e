"""The walk over statements: what each of them binds, reads, changes and imports."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from nbpipe.core.reading.expressions import ExpressionWalker, all_arguments
from nbpipe.core.reading.facts import Import
from nbpipe.core.reading.mutations import changed_by_statement
from nbpipe.core.reading.scopes import ATTRIBUTE_STORE, ClassScope, ComprehensionScope, Flow, FunctionScope, TopScope


class StatementWalker(ExpressionWalker):
    """Walks statements that hold no other ones, and definitions.

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
        self.breaks: list[list[Flow]] = []
        """For each loop around: what is known at its `break`s."""
        self.continues: list[list[Flow]] = []

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Walk statements in order."""
        for statement in statements:
            handler = self.handlers.get(statement.__class__)
            if handler is not None:
                handler(self, statement)

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
        self._jump(self.continues)

    def _break(self, _node: Any) -> None:
        self._jump(self.breaks)

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
        self.breaks, self.continues = loops
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
        self.breaks, self.continues = loops
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
        loops = self.breaks, self.continues
        self.breaks, self.continues = [], []
        return loops

    def _annotation(self, node: ast.expr | None) -> None:
        """Walk an annotation if Python evaluates it; one that is a text, it never does."""
        if node is not None and self.annotations and node.__class__ is not ast.Constant:
            strings, self.strings = self.strings, {}
            self.expression(node)
            self.strings = strings

    def _note_assigned(self, target: ast.expr) -> None:
        """Note the last variable of a target."""
        if self.scope is not self.top:
            return
        while isinstance(target, (ast.Tuple, ast.List, ast.Starred)):
            if isinstance(target, ast.Starred):
                target = target.value
            elif target.elts:
                target = target.elts[-1]
            else:
                return
        if isinstance(target, ast.Name) and target.id != "_":
            self.assigned.append(target.id)

    handlers: ClassVar[dict[type[ast.stmt], Callable[[Any, Any], None]]] = {
        ast.Expr: _expr,
        ast.Assign: _assign,
        ast.AugAssign: _aug_assign,
        ast.AnnAssign: _ann_assign,
        ast.Delete: _delete,
        ast.Return: _leave,
        ast.Raise: _leave,
        ast.Continue: _continue,
        ast.Break: _break,
        ast.Assert: _assert,
        ast.Import: _import,
        ast.ImportFrom: _import_from,
        ast.Global: _global,
        ast.Nonlocal: _nonlocal,
        ast.FunctionDef: _function,
        ast.AsyncFunctionDef: _function,
        ast.ClassDef: _class,
    }
    if hasattr(ast, "TypeAlias"):  # `type A = ...`, from Python 3.12
        handlers[ast.TypeAlias] = _type_alias
