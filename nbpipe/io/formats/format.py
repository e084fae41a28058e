"""What a format is: a way to keep a family of values in a file and to get them back unchanged.

A format never keeps a value that it would change. It says so (`Inexact`), and the next format is tried; the
last one, pickle, takes whatever Python can take apart and put together again.
"""

from __future__ import annotations

import reprlib
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nbpipe.core.records import Preview
from nbpipe.io.digests import Buffer

_TEXT = 2_000
"""Characters of a text preview."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A value made ready for a file."""

    chunks: Iterable[Buffer]
    """The bytes of the file, in pieces; gone through once."""
    extension: str
    version: str | None = None
    """Data version; None: the hash of the bytes."""
    opaque: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    preview: Callable[[], Preview] = Preview
    """Makes what people see of the value: not everything that is written is shown."""
    companion: tuple[str, bytes] | None = None
    """Extension and bytes of a second file that stands beside the first, for people."""


@dataclass(frozen=True, slots=True)
class Inexact:
    """This format would change the value."""

    reason: str
    final: bool = False
    """No other format may be tried: the value means something that only this one can keep."""


class Format(Protocol):
    """A way to keep a family of values."""

    name: str
    """As in `StoredValue.format`."""
    hashes_bytes: bool
    """The data version is the hash of the file's bytes, so that reading can check it."""

    def accepts(self, value: object) -> bool:
        """Tell by its type alone whether the format is meant for a value."""

    def encode(self, value: Any) -> Encoded | Inexact:
        """Make a value ready for a file, or say why that would change it."""

    def decode(self, data: bytearray, type_name: str) -> Any:
        """Rebuild the value that `encode` was given; `data` may become part of it."""


def type_name(value: object) -> str:
    """Return the name by which people know a value's type: `int`, `pandas.DataFrame`, `shop.Order`."""
    cls = type(value)
    if cls.__module__ == "builtins":
        return cls.__qualname__
    root = cls.__module__.partition(".")[0]
    if getattr(sys.modules.get(root), cls.__qualname__, None) is cls:
        return f"{root}.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}"


def short(text: str, limit: int = _TEXT) -> str:
    """Return at most `limit` characters of a text, saying that it was cut; what is no Unicode is escaped."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


class _Repr(reprlib.Repr):
    """Show any value in a line, whatever its size."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 120
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 10


_repr = _Repr()


def _is_plain(value: object) -> bool:
    """Tell whether str() of a value is short and says all: numbers, dates and the like."""
    library = type(value).__module__.partition(".")[0]
    return library in {"datetime", "decimal", "numpy", "pandas"} and not hasattr(value, "__len__")


def one_line(value: object) -> str:
    """Return a value as short text on one line; never raises."""
    if isinstance(value, str):
        return short(value, 120)
    if type(value) is float:
        return f"{value:.6g}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nobody asked for this repr
            text = str(value) if _is_plain(value) else _repr.repr(value)
    except Exception as error:  # noqa: BLE001 - a broken __repr__ must not lose the value
        text = f"<{type(value).__name__}: its repr() raises {type(error).__name__}>"
    return short(" ".join(text.split()), 120)
