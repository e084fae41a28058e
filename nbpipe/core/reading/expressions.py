"""The walk over expressions: which names they use, bind and change, and which texts they hold."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from nbpipe.core.reading.mutations import changed_by_call, root
from nbpipe.core.reading.scopes import ATTRIBUTE_STORE, ComprehensionScope, Flow, FunctionScope, Scope, TopScope, join
from nbpipe.core.reading.shell import shell_call

_LONGEST_STRING = 1024
"""Longer texts name no file."""

_QUERIES = frozenset({"query", "eval"})
"""Methods of pandas whose text reads Python variables as `@name`."""

_VARIABLE = re.compile(r"(?<![\w@])@([^\W\d]\w*)")


class ExpressionWalker:
    """Walks expressions within `scope`, without recursion except into nested scopes.

    Args:
        top: where the walk starts; statements enter and leave scopes by setting `scope`.
        walrus: the code holds `:=`, so expressions may bind names on some of their paths.
    """

    def __init__(self, top: TopScope, *, walrus: bool) -> None:
        self.top = top
        self.scope: Scope = top
        self.walrus = walrus
        self.functions = 0
        """How many functions the walk is inside of."""
        self.awaits = False
        self.strings: dict[str, None] = {}
        self.runs: list[str] = []
        self._consumed: set[int] = set()
        self._special = self.special | self.branching if walrus else self.special

    def expression(self, node: Any) -> None:
        """Walk an expression in the order of its evaluation."""
        stack: list[Any] = [node]
        pop, push, special, read = stack.pop, stack.append, self._special, self.scope.read
        while stack:
            node = pop()
            kind = node.__class__
            if kind is ast.Name:
                read(node.id, node.lineno, None)
            elif kind is ast.Constant:
                self._constant(node.value)
            elif kind is ast.Attribute:
                if node.value.__class__ is ast.Name:
                    read(node.value.id, node.value.lineno, node.attr)
                else:
                    push(node.value)
            elif kind is ast.Call:
                if not self._call(node):
                    stack += node.keywords[::-1]
                    stack += node.args[::-1]
                    push(node.func)
            elif kind in special:
                special[kind](self, node)
            else:
                _push_parts(node, stack)

    def _constant(self, value: object) -> None:
        """Note a text that may name a file."""
        if isinstance(value, str) and 0 < len(value) <= _LONGEST_STRING and value.isprintable():
            self.strings[value] = None

    def test(self, node: ast.expr) -> tuple[Flow, Flow]:
        """Walk a condition, and return what is known where it holds and where it doesn't."""
        if self.walrus and isinstance(node, ast.BoolOp):
            return self._short_circuit(node)
        if self.walrus and isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            holds, fails = self.test(node.operand)
            return fails, holds
        self.expression(node)
        return self.scope.flow.copy(), self.scope.flow

    def target(self, node: ast.expr) -> None:
        """Walk what something is assigned to."""
        stack: list[Any] = [node]
        while stack:
            node = stack.pop()
            kind = node.__class__
            if kind is ast.Name:
                self.scope.bind(node.id)  # type: ignore[attr-defined]
            elif isinstance(node, (ast.Tuple, ast.List)):
                stack += node.elts[::-1]
            elif isinstance(node, ast.Starred):
                stack.append(node.value)
            elif isinstance(node, (ast.Attribute, ast.Subscript)):
                self._store(node)

    def defaults(self, arguments: ast.arguments) -> None:
        """Walk the default values of a function."""
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.expression(default)

    def enter_function(self, arguments: ast.arguments) -> FunctionScope:
        """Go into the body of a function."""
        scope = FunctionScope(self.scope, self.top)
        scope.bound.update(argument.arg for argument in all_arguments(arguments))
        self.scope = scope
        self.functions += 1
        return scope

    def leave_function(self, scope: FunctionScope) -> None:
        """Come out of the body of a function."""
        scope.close()
        self.scope = scope.parent
        self.functions -= 1

    def _short_circuit(self, node: ast.BoolOp) -> tuple[Flow, Flow]:
        """Walk `a and b and c`, or `or`: each part is evaluated only where the ones before let it through."""
        conjunction = isinstance(node.op, ast.And)
        through = self.scope.flow
        left = []
        for value in node.values:
            self.scope.flow = through
            holds, fails = self.test(value)
            through, leaves = (holds, fails) if conjunction else (fails, holds)
            left.append(leaves.copy())
            through = through.copy()
        return (through, join(left)) if conjunction else (join(left), through)

    def _call(self, call: ast.Call) -> bool:
        """Note what a call changes; return True if its parts are walked already."""
        function = call.func
        if function.__class__ is ast.Attribute and function.value.__class__ is ast.Call and self._shell(call):
            return True
        for name in changed_by_call(call):
            self.scope.change(name)
        if function.__class__ is ast.Attribute and function.attr in _QUERIES:
            self._query(call)
        for argument in call.args:
            if argument.__class__ is ast.GeneratorExp:
                self._consumed.add(id(argument))  # f(x for x in y) uses it up, so it reads its names now
        return False

    def _query(self, call: ast.Call) -> None:
        """Read the variables in the text of `frame.query("price > @limit")`; in other texts `@` may mean anything."""
        given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "expr")]
        for text in (part for node in given for part in ast.walk(node) if isinstance(part, ast.Constant)):
            if isinstance(text.value, str):
                for name in _VARIABLE.findall(text.value):
                    self.scope.read(name, text.lineno, None, certain=False)

    def _shell(self, call: ast.Call) -> bool:
        """Read the Python inside a magic or a shell command."""
        found = shell_call(call)
        if found is None:
            return False
        self.runs += found.runs
        for name in found.variables:
            self.scope.read(name, call.lineno, None, certain=False)
        for text in found.expressions:
            self._inner(text, call.lineno)
        return True

    def _inner(self, text: str, line: int) -> None:
        """Walk code that a magic evaluates: what it binds stays inside."""
        statements = parse_inner(text, line)
        outer = self.scope
        self.scope = ComprehensionScope(outer, _stored_names(statements))
        for statement in statements:
            self.expression(statement)
        self.scope = outer

    def _named(self, node: Any) -> None:
        """Walk `name := value`."""
        self.expression(node.value)
        self.scope.bind(node.target.id)

    def _branches(self, node: Any) -> None:
        """Walk `a if test else b`, `a and b`, `a or b`, whose parts may bind names and may not be evaluated."""
        if isinstance(self.scope, ComprehensionScope):  # its names are uncertain as a whole
            for part in ast.iter_child_nodes(node):
                self.expression(part)
            return
        if isinstance(node, ast.BoolOp):
            self.scope.flow = join(list(self._short_circuit(node)))
            return
        holds, fails = self.test(node.test)
        ends = []
        for flow, part in ((holds, node.body), (fails, node.orelse)):
            self.scope.flow = flow
            self.expression(part)
            ends.append(self.scope.flow)
        self.scope.flow = join(ends)

    def _joined(self, node: Any) -> None:
        """Walk an f-string: its pieces of text name no files."""
        for part in node.values:
            if part.__class__ is not ast.Constant:
                self.expression(part)

    def _await(self, node: Any) -> None:
        """Walk `await value`."""
        if not self.functions:
            self.awaits = True
        self.expression(node.value)

    def _lambda(self, node: Any) -> None:
        """Walk a lambda: its defaults now, its body when it is called."""
        self.defaults(node.args)
        scope = self.enter_function(node.args)
        self.expression(node.body)
        self.leave_function(scope)

    def _comprehension(self, node: Any) -> None:
        """Walk a comprehension: its first iterable outside, the rest in a scope of its own."""
        self.expression(node.generators[0].iter)
        outer = self.scope
        before = outer.flow.copy() if self.walrus else None
        generator = node.__class__ is ast.GeneratorExp
        later = generator and id(node) not in self._consumed
        names = _stored_names([clause.target for clause in node.generators])
        self.scope = ComprehensionScope(outer, names, later=later)
        self.functions += generator
        for position, clause in enumerate(node.generators):
            self._clause(clause, first=position == 0)
        for element in (node.key, node.value) if node.__class__ is ast.DictComp else (node.elt,):
            self.expression(element)
        self.functions -= generator
        self.scope = outer
        if before is not None:  # if there is nothing to loop over, := binds nothing
            outer.flow = join([before, outer.flow])

    def _clause(self, clause: ast.comprehension, *, first: bool) -> None:
        """Walk one `for target in iterable if ...`."""
        if clause.is_async and not self.functions:
            self.awaits = True
        if not first:
            self.expression(clause.iter)
        if not isinstance(clause.target, ast.Name):
            self.target(clause.target)
        for condition in clause.ifs:
            self.expression(condition)

    def _store(self, node: ast.Attribute | ast.Subscript) -> None:
        """Walk `x.a = ...` or `x[i] = ...`: it changes the object of `x`."""
        name = root(node)
        if name is not None:
            self.scope.change(name)
        if isinstance(node, ast.Subscript):
            self.expression(node.value)
            self.expression(node.slice)
        elif isinstance(node.value, ast.Name):
            self.scope.read(node.value.id, node.value.lineno, ATTRIBUTE_STORE)
        else:
            self.expression(node.value)

    special: ClassVar[dict[type[ast.AST], Callable[[Any, Any], None]]] = {
        ast.NamedExpr: _named,
        ast.JoinedStr: _joined,
        ast.Await: _await,
        ast.Lambda: _lambda,
        ast.ListComp: _comprehension,
        ast.SetComp: _comprehension,
        ast.DictComp: _comprehension,
        ast.GeneratorExp: _comprehension,
    }
    if hasattr(ast, "TemplateStr"):  # t-strings, from Python 3.14
        special[ast.TemplateStr] = _joined
    branching: ClassVar[dict[type[ast.AST], Callable[[Any, Any], None]]] = {ast.BoolOp: _branches, ast.IfExp: _branches}


def all_arguments(arguments: ast.arguments) -> tuple[ast.arg, ...]:
    """Return the arguments of a function, whatever their kind."""
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    return (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars)


def parse_inner(text: str, line: int) -> list[ast.stmt]:
    """Return the statements of code in a magic that stands in `line`; none if it can't be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            statements = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    for statement in statements:
        for node in ast.walk(statement):
            if hasattr(node, "lineno"):
                vars(node).update(lineno=line, end_lineno=line)
    return statements


def _stored_names(nodes: list[Any]) -> set[str]:
    return {
        part.id
        for node in nodes
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def _push_parts(node: ast.AST, stack: list[Any]) -> None:
    """Lay the parts of a node on the stack, so that the first comes off first."""
    fields = _PARTS.get(node.__class__)
    if fields is None:
        stack += list(ast.iter_child_nodes(node))[::-1]
        return
    for field in fields:
        value = getattr(node, field)
        if value.__class__ is list:
            stack += [part for part in reversed(value) if part is not None]
        elif value is not None:
            stack.append(value)


# last first, as the stack wants them
_PARTS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.BinOp: ("right", "left"),
    ast.BoolOp: ("values",),
    ast.UnaryOp: ("operand",),
    ast.Compare: ("comparators", "left"),
    ast.Subscript: ("slice", "value"),
    ast.Slice: ("step", "upper", "lower"),
    ast.Tuple: ("elts",),
    ast.List: ("elts",),
    ast.Set: ("elts",),
    ast.Dict: ("values", "keys"),
    ast.Starred: ("value",),
    ast.keyword: ("value",),
    ast.IfExp: ("orelse", "body", "test"),
    ast.FormattedValue: ("format_spec", "value"),
}
