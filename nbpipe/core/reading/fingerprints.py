"""Hashes of code: equal for code that means the same, on every supported Python.

The hash of a syntax tree covers what the compiler would see: no positions, comments, formatting, quoting or
redundant parentheses. Docstrings count, because code can read them. Fields that are absent or empty leave no
trace, so fields that a later Python adds don't change the hash of code that has no use for them.

Hashes are written `ALGORITHM:hex`. A change of anything in this module that changes a hash raises `ALGORITHM`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

import xxhash

ALGORITHM = 1

# `ctx` follows from the place, `kind` is the `u` of u"..."; the others are for type checkers
_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})

_plans: dict[type, tuple[str, tuple[tuple[str, str, str], ...]]] = {}


def fingerprint(node: ast.AST) -> str:
    """Return the hash of a syntax tree, whatever its depth."""
    if isinstance(node, ast.Module):
        return fingerprint_sequence(fingerprint(statement) for statement in node.body)
    parts: list[str] = []
    emit = parts.append
    stack: list[Any] = [node]
    pop, writers = stack.pop, _WRITERS
    while stack:
        item = pop()
        kind = item.__class__
        if kind is str:  # a piece of the text that is already written
            emit(item)
        elif kind is ast.Name:
            emit(f"(Name {len(item.id)}:{item.id})")
        elif kind is ast.Constant:
            emit(f"(Constant {_atom(item.value)})")
        elif kind in writers:
            writers[kind](item, emit, stack)
        elif isinstance(item, ast.AST):
            _expand(item, emit, stack)
        else:
            emit(_atom(item))
    return _digest("".join(parts))


def fingerprint_sequence(fingerprints: Iterable[str]) -> str:
    """Return the hash of statements that follow each other, from their own hashes."""
    return _digest("\n".join(fingerprints))


def combine(components: Iterable[tuple[str, str]]) -> str:
    """Return one code version for `(component, hash)` pairs, in whatever order they come."""
    return _digest("".join(f"{len(name)}:{name}{len(value)}:{value}" for name, value in sorted(components)))


def text_hash(text: str) -> str:
    """Return the hash of an exact text."""
    return _digest("text:" + text)


def _digest(text: str) -> str:
    return f"{ALGORITHM}:{xxhash.xxh3_128_hexdigest(text.encode('utf-8', 'surrogatepass'))}"


def _expand(node: ast.AST, emit: Any, stack: list[Any]) -> None:
    """Write the head of a node, and lay its fields on the stack so that the first comes off first."""
    kind = node.__class__
    head, fields = _plans.get(kind) or _plan(kind)
    if not fields:  # operators
        emit(head + ")")
        return
    emit(head)
    todo: list[Any] = []
    push = todo.append
    for name, label, list_label in fields:
        value = getattr(node, name, None)
        if value is None:
            continue
        kind = value.__class__
        if kind is list:
            if value:
                push(list_label)
                # a list of names holds strings, which would be taken for written text
                todo.extend(value if value[0].__class__ is not str else [_atom(entry) for entry in value])
                push("]")
        elif kind is str:
            push(label + _atom(value))
        elif kind is not ast.JoinedStr or name != "format_spec" or _merged(value.values):  # f"{x:}" is f"{x}"
            push(label)
            push(value)
    push(")")
    todo.reverse()
    stack.extend(todo)


def _attribute(node: Any, emit: Any, stack: list[Any]) -> None:
    stack += (")", node.value)
    emit(f"(Attribute attr={len(node.attr)}:{node.attr} value=")


def _call(node: Any, emit: Any, stack: list[Any]) -> None:
    stack.append(")")
    if node.keywords:
        stack.append("]")
        stack += node.keywords[::-1]
        stack.append(" keywords=[")
    stack.append(node.func)
    if node.args:
        stack += (" func=", "]")
        stack += node.args[::-1]
        emit("(Call args=[")
    else:
        emit("(Call func=")


def _keyword(node: Any, emit: Any, stack: list[Any]) -> None:
    stack += (")", node.value)
    emit("(keyword value=" if node.arg is None else f"(keyword arg={len(node.arg)}:{node.arg} value=")


def _assign(node: Any, emit: Any, stack: list[Any]) -> None:
    stack += (")", node.value, "] value=")
    stack += node.targets[::-1]
    emit("(Assign targets=[")


def _subscript(node: Any, emit: Any, stack: list[Any]) -> None:
    stack += (")", node.value, " value=", node.slice)
    emit("(Subscript slice=")


def _expression(node: Any, emit: Any, stack: list[Any]) -> None:
    stack += (")", node.value)
    emit("(Expr value=")


def _binary(node: Any, emit: Any, stack: list[Any]) -> None:
    stack += (")", node.right, f" op=({node.op.__class__.__name__}) right=", node.left)
    emit("(BinOp left=")


def _joined(node: Any, emit: Any, stack: list[Any]) -> None:
    """Write an f-string."""
    stack.append(")")
    stack += _merged(node.values)[::-1]
    emit("(JoinedStr")


#: What is frequent is written here as `_expand` would write it, but faster; f-strings are written only here.
_WRITERS = {
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.keyword: _keyword,
    ast.Assign: _assign,
    ast.Subscript: _subscript,
    ast.Expr: _expression,
    ast.BinOp: _binary,
    ast.JoinedStr: _joined,
}


def _plan(kind: type[ast.AST]) -> tuple[str, tuple[tuple[str, str, str], ...]]:
    """Return how a kind of node is written; by sorted names, since Pythons order their fields differently."""
    names = sorted(set(kind._fields) - _IGNORED)
    plan = (f"({kind.__name__}", tuple((name, f" {name}=", f" {name}=[") for name in names))
    _plans[kind] = plan
    return plan


def _merged(values: list[ast.expr]) -> list[Any]:
    """Return the parts of an f-string with neighbouring texts joined: Pythons cut them differently."""
    merged: list[Any] = []
    text = ""
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            text += value.value
            continue
        if text:
            merged.append(f" text={_atom(text)}")
            text = ""
        merged.append(value)
    if text:
        merged.append(f" text={_atom(text)}")
    return merged


def _atom(value: object) -> str:
    """Write a constant so that no two different ones are written alike.

    Types are told apart (1, 1.0 and True are equal, but not the same code). `repr` is used only where all
    Pythons agree: its output for text depends on their Unicode tables, and long integers have a limit.
    """
    if value.__class__ is str:
        return f"{len(value)}:{value}"
    if value is None or value is True or value is False or value is Ellipsis:
        return repr(value)
    if isinstance(value, int):
        return f"int {value:x}"
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    if isinstance(value, complex):
        return f"complex {value.real!r} {value.imag!r}"
    return f"{type(value).__name__} {value!r}"
