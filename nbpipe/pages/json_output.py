"""Data of commands as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec


def encoded(data: Any) -> bytes:
    """Return the JSON text of a command's data in UTF-8, indented, in the order of its fields."""
    try:
        compact = msgspec.json.encode(data, enc_hook=_plain)
    except UnicodeEncodeError:  # half a surrogate pair in a text: JSON can write it as an escape
        compact = json.dumps(msgspec.to_builtins(data, enc_hook=_plain)).encode("ascii")
    return msgspec.json.format(compact, indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):  # read-only views of dicts
        return dict(value)
    raise NotImplementedError(f"values of type {type(value).__name__} can't be written as JSON")
