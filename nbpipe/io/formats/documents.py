"""Text, bytes and JSON: values of Python's own types.

JSON is Python's dialect (RFC 8259 plus `NaN` and `Infinity`), which reads every float and integer back
exactly. What JSON has no word for (tuples, sets, keys that are no strings, subclasses) and what it would take
apart (one list in two places) is left to the next format.
"""

from __future__ import annotations

import json
from typing import Any

from nbpipe.core.records import Preview
from nbpipe.io.formats.format import Encoded, Inexact, one_line, short

_SCALARS = frozenset({type(None), bool, int, float, str})
_CONTAINERS = frozenset({list, dict})


class TextFormat:
    """A `str`, as UTF-8, with its newlines as they are."""

    name = "text"
    hashes_bytes = True

    def accepts(self, value: object) -> bool:
        """Take exactly `str`."""
        return type(value) is str

    def encode(self, value: str) -> Encoded | Inexact:
        """Encode; text with lone surrogates is no UTF-8."""
        try:
            data = value.encode()
        except UnicodeEncodeError:
            return Inexact("it has characters that UTF-8 can't hold (lone surrogates)")
        metadata = {"length": len(value), "lines": value.count("\n") + (not value.endswith("\n") and value != "")}
        return Encoded(
            chunks=(data,),
            extension="txt",
            metadata=metadata,
            preview=lambda: Preview(kind="text", text=short(value)),
        )

    def decode(self, data: bytearray, type_name: str) -> str:  # noqa: ARG002 - one type
        """Decode strictly."""
        return data.decode()


class BytesFormat:
    """A `bytes`, as it is."""

    name = "bytes"
    hashes_bytes = True

    def accepts(self, value: object) -> bool:
        """Take exactly `bytes`."""
        return type(value) is bytes

    def encode(self, value: bytes) -> Encoded:
        """Hand on the bytes."""
        return Encoded(
            chunks=(value,),
            extension="bin",
            metadata={"length": len(value)},
            preview=lambda: Preview(kind="text", text=one_line(value[:200])),
        )

    def decode(self, data: bytearray, type_name: str) -> bytes:  # noqa: ARG002 - one type
        """Hand on the bytes."""
        return bytes(data)


class JsonFormat:
    """None, bool, int, float, and lists and dicts of them and of strings."""

    name = "json"
    hashes_bytes = True

    def accepts(self, value: object) -> bool:
        """Take exactly these types; the parts are looked at when encoding."""
        return type(value) is not str and (type(value) in _SCALARS or type(value) in _CONTAINERS)

    def encode(self, value: Any) -> Encoded | Inexact:
        """Encode what reads back equal, with equal types and in equal order."""
        reason = json_obstacle(value)
        if reason is not None:
            return Inexact(reason)
        try:
            text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "), check_circular=False)
            data = text.encode()
        except (RecursionError, ValueError) as error:  # nested too deeply, surrogates, an integer of 5,000 digits
            return Inexact(f"JSON can't hold it ({error})")
        metadata = {"length": len(value)} if isinstance(value, list | dict) else {}
        return Encoded(
            chunks=(data,),
            extension="json",
            metadata=metadata,
            preview=lambda: Preview(kind="text", text=short(text)),
        )

    def decode(self, data: bytearray, type_name: str) -> Any:  # noqa: ARG002 - the text says the type
        """Decode."""
        return json.loads(data)


def json_obstacle(value: object) -> str | None:
    """Say why JSON would change a value, or return None if its structure survives.

    Strings are checked by encoding them.
    """
    if type(value) in _SCALARS:
        return None
    pending, seen = [value], {id(value)}
    while pending:
        item = pending.pop()
        if isinstance(item, dict) and not set(map(type, item)) <= {str}:
            return "JSON has no keys but strings"
        if type(item) not in _CONTAINERS:
            return f"JSON has no {type(item).__name__}"
        parts = list(item.values()) if isinstance(item, dict) else item
        if set(map(type, parts)) <= _SCALARS:  # type: ignore[call-overload] # a list by now
            continue
        for part in parts:  # type: ignore[attr-defined] # a list by now
            if type(part) in _SCALARS:
                continue
            if id(part) in seen:
                return "one list or dict stands in it twice"
            seen.add(id(part))
            pending.append(part)
    return None
