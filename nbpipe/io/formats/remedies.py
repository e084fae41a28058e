"""Values that can't be kept, and what to do about each: for the message a person reads."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from types import ModuleType
from typing import Any

_LAZY: tuple[tuple[str, str, str], ...] = (
    # module of the class, class, how to compute it
    ("dask", "DataFrame", ".compute()"),
    ("dask", "Series", ".compute()"),
    ("dask", "Array", ".compute()"),
    ("dask", "Bag", ".compute()"),
    ("dask", "Delayed", ".compute()"),
    ("dask", "Scalar", ".compute()"),
    ("distributed", "Future", ".result()"),
    ("pyspark", "DataFrame", ".toPandas()"),
    ("pyspark", "RDD", ".collect()"),
    ("polars", "LazyFrame", ".collect()"),
    ("ibis", "Table", ".execute()"),
    ("ibis", "Column", ".execute()"),
    ("duckdb", "DuckDBPyRelation", ".df()"),
    ("_duckdb", "DuckDBPyRelation", ".df()"),
)
_CONNECTIONS = "it belongs to this process: open it in a setup cell, and make the asset of what you read from it"


def refusal(value: object) -> str | None:
    """Say why a value must not be kept, although Python may be able to pickle it, and what to do instead."""
    if isinstance(value, ModuleType):
        return "a module is code, not a value: import it in a setup cell"
    if isinstance(value, io.IOBase):
        return "an open file belongs to this process: make the asset of its content, or of its path (pathlib.Path)"
    if isinstance(value, Generator | AsyncIterator | Coroutine):
        return "it can be gone through only once: make it a list, for example with list(...)"
    for root, name, method in _LAZY:
        if root in sys.modules and _is_a(value, root, name):
            return f"it is a plan, not yet a value: compute it first, with {method}"
    return None


def remedy(value: object) -> str:
    """Say what to do about a value that pickle could not take."""
    name = f"{type(value).__module__}.{type(value).__qualname__}".lower()
    if isinstance(value, Iterator):
        return "make it a list, for example with list(...)"
    if any(word in name for word in ("connection", "cursor", "engine", "session", "socket", "client", "lock")):
        return _CONNECTIONS
    return (
        "make the asset of plain data (a table, an array, text, a list or dict), "
        "or give the class __getstate__ and __setstate__"
    )


def _is_a(value: Any, root: str, name: str) -> bool:
    return any(cls.__name__ == name and cls.__module__.partition(".")[0] == root for cls in type(value).__mro__)
