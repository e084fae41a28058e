"""Parameters as text: how values are written down, compared and represented in a notebook."""

from __future__ import annotations

import ast
import math
from typing import Any

from nbpipe.errors import ParameterError

_SCALARS = (str, bytes, bool, int, type(None))


def canonical(value: Any) -> str | None:
    """Return the one way to write a plain value as Python source, or None if it isn't plain.

    Plain are None, bool, int, finite float, str, bytes, and tuples, lists and dicts of those.

    >>> canonical({"b": [1, 2.0], "a": "x"})
    "{'b': [1, 2.0], 'a': 'x'}"
    """
    return repr(value) if _plain(value) else None


def canonical_source(source: str) -> str:
    """Return the canonical form of a literal's source; other source is returned as it is, stripped.

    >>> canonical_source('( "a" )')
    "'a'"
    """
    try:
        text = canonical(ast.literal_eval(source.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        text = None
    return source.strip() if text is None else text


def parse_value(text: str) -> Any:
    """Read a parameter's value as typed on a command line: a Python literal, else the text itself.

    `true`, `false` and `null` are understood as JSON writes them.

    >>> parse_value("20"), parse_value("2024-01-01"), parse_value("true"), parse_value("'20'")
    (20, '2024-01-01', True, '20')
    """
    words = {"true": True, "false": False, "null": None}
    if text in words:
        return words[text]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if _plain(value) else text


def parse_assignments(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Read `NAME=VALUE` pairs.

    Raises:
        ParameterError: a pair has no `=`, its name is not a name, or a name comes twice.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name.isidentifier():
            raise ParameterError(f"parameter {pair!r} can't be read: write NAME=VALUE, for example n=20")
        if name in values:
            raise ParameterError(f"parameter {name!r} is given twice")
        values[name] = parse_value(text)
    return values


def _plain(value: Any) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind in _SCALARS or (kind is float and math.isfinite(item)):
            continue
        if kind in (list, tuple):
            pending.extend(item)
        elif kind is dict:
            pending.extend(item.keys())
            pending.extend(item.values())
        else:
            return False
    return True
