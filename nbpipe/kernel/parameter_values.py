"""The values of a notebook's parameters that are in effect in its kernel, as text that can be compared."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nbpipe.core.parameters import canonical, canonical_source

_LONGEST = 200


class ParameterValues:
    """Reads parameters from the notebook's namespace.

    A default that is no literal (`date.today()`) can't be compared by its value, which differs each time: its
    source stands for it, as long as the notebook still holds the very value that the parameters cell gave.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        """Read from `names`, the namespace of the shell."""
        self._names = names
        self._given: dict[str, Any] = {}

    def note_defaults(self, names: Iterable[str]) -> None:
        """Remember what the parameters cell, which has just run, bound to these names."""
        self._given = {name: self._names[name] for name in names if name in self._names}

    def effective(self, names: Collection[str], defaults: Mapping[str, str]) -> dict[str, str]:
        """Return the value of each parameter as source text: what the notebook holds, else its default.

        Args:
            names: of the parameters.
            defaults: source of each default.
        """
        return {name: self._effective(name, canonical_source(defaults.get(name, ""))) for name in names}

    def _effective(self, name: str, default: str) -> str:
        if name not in self._names:
            return default
        value = self._names[name]
        text = canonical(value)
        if default and not _is_literal(default):
            given = self._given.get(name, value)
            if given is value or (text is not None and text == canonical(given)):
                return default
        return _described(value) if text is None else text


def _described(value: Any) -> str:
    """Return a text that equal values share, for one that no literal can express."""
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    text = repr(value)
    return kind if " at 0x" in text else f"{kind}: {text[:_LONGEST]}"


def _is_literal(source: str) -> bool:
    try:
        ast.literal_eval(source)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True
