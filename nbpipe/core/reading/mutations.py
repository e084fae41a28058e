"""Which calls visibly change an object that existed before.

This is what the text shows, not a proof: a method is judged by its name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

# They return nothing, so a call whose value is used is something else: `df = df.add(1)`, `np.append(a, b)`
SILENT = frozenset(
    [
        "append",
        "appendleft",
        "extend",
        "extendleft",
        "insert",
        "remove",
        "clear",
        "sort",
        "reverse",
        "rotate",
        "update",
        "add",
        "discard",
        "fill",
        "put",
        "itemset",
        "seed",
        "difference_update",
        "intersection_update",
        "symmetric_difference_update",
    ]
)
# They return a value and change their object all the same
SPEAKING = frozenset(["pop", "popitem", "popleft", "setdefault"])
FITTING = frozenset(["fit", "fit_transform", "fit_predict", "partial_fit"])
# Functions, bare or of a module, that change their first argument
BY_ARGUMENT = frozenset(
    [
        "shuffle",
        "heappush",
        "heappop",
        "heapify",
        "heapreplace",
        "heappushpop",
        "insort",
        "insort_left",
        "insort_right",
        "setattr",
        "delattr",
    ]
)
# `np.append(a, b)` or `os.remove(path)` is a function of a module, not a method
MODULES = frozenset(
    ["np", "numpy", "pd", "pandas", "pl", "polars", "os", "shutil", "plt", "random", "operator", "bisect"]
)


_PARTS = (ast.Attribute, ast.Subscript, ast.Starred)


def root(node: ast.AST) -> str | None:
    """Return `x` for `x`, `x.a`, `x[0].b[1]` and so on; None if it starts with something else than a name."""
    while isinstance(node, _PARTS):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def changed_by_statement(value: ast.expr) -> Iterator[str]:
    """Yield the names whose objects change when this expression is a whole statement."""
    todo: list[ast.expr] = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute) and function.attr in SILENT:
                name = _receiver(function)
                if name is not None:
                    yield name
        elif isinstance(node, ast.BoolOp):
            todo.extend(node.values)
        elif isinstance(node, ast.IfExp):
            todo += [node.body, node.orelse]
        elif isinstance(node, ast.ListComp | ast.SetComp):
            todo.append(node.elt)
        elif isinstance(node, ast.Await):
            todo.append(node.value)


def changed_by_call(call: ast.Call) -> Iterator[str]:
    """Yield the names whose objects a call changes wherever it stands."""
    function = call.func
    called = ""
    name: str | None
    if isinstance(function, ast.Attribute):
        called = function.attr
        if called in SPEAKING or (called in FITTING and _is_instance(function.value)):
            name = _receiver(function)
            if name is not None:
                yield name
    elif isinstance(function, ast.Name):
        called = function.id
    if called in BY_ARGUMENT and call.args:
        name = root(call.args[0])
        if name is not None:
            yield name
    for keyword in call.keywords:
        yield from _changed_by_keyword(keyword, function)


def _changed_by_keyword(keyword: ast.keyword, function: ast.expr) -> Iterator[str]:
    name = None
    if keyword.arg == "inplace" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True:
        name = root(function.value) if isinstance(function, ast.Attribute) else None
    elif keyword.arg == "out":
        name = root(keyword.value)
    if name is not None:
        yield name


def _receiver(function: ast.Attribute) -> str | None:
    """Return the name whose object a method belongs to; None for functions of well-known modules."""
    owner = function.value
    if isinstance(owner, ast.Name) and owner.id in MODULES and function.attr != "seed":
        return None
    return root(owner)


def _is_instance(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and not node.id[:1].isupper()
