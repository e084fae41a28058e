"""Which values may be handed on within a process instead of being read again, and how.

What a person holds must never be the object that an asset's body receives, unless nobody can change it.
Tables of pandas are shared as copies: since pandas 3 a copy takes no memory until one side is written to.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import sys
import uuid
from typing import Any

from nbpipe.io.formats.format import type_name

_IMMUTABLE: frozenset[type] = frozenset({
    type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis),
    dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone,
    decimal.Decimal, fractions.Fraction, uuid.UUID,
})  # fmt: skip
_LONGEST = 10_000
"""Parts of a tuple that are looked at; a longer one is read again."""


def is_shareable(value: object) -> bool:
    """Tell whether a value is immutable, or a pandas object without object columns."""
    kind = type_name(value)
    if kind in {"pandas.DataFrame", "pandas.Series"}:
        return _is_plain_table(value)
    return kind == "pyarrow.Table" or _is_immutable(value)


def share(value: Any) -> Any:
    """Return what may be handed on in place of a shareable value: itself, or a copy that no later change reaches."""
    if type_name(value) not in {"pandas.DataFrame", "pandas.Series"}:
        return value
    return value.copy(deep=not _copies_on_write(value))


def _is_immutable(value: object) -> bool:
    pending, seen = [value], 0
    while pending:
        item = pending.pop()
        seen += 1
        if seen > _LONGEST:
            return False
        if isinstance(item, tuple | frozenset) and type(item) in (tuple, frozenset):
            pending.extend(item)
        elif type(item) not in _IMMUTABLE and not _is_numpy_scalar(item):
            return False
    return True


def _is_numpy_scalar(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return (
        numpy is not None
        and isinstance(value, numpy.generic)
        and type(value).__module__ == "numpy"
        and value.dtype.kind not in "OV"
    )


def _is_plain_table(table: Any) -> bool:
    dtypes = [table.dtype] if table.ndim == 1 else list(table.dtypes)
    if any(_holds_objects(dtype) for dtype in dtypes) or not _is_immutable(_flat(table.attrs)):
        return False
    axes = [table.index] if table.ndim == 1 else [table.index, table.columns]
    levels = [level for axis in axes for level in (axis.levels if axis.nlevels > 1 else [axis])]
    return all(not _holds_objects(level.dtype) or level.inferred_type in {"string", "empty"} for level in levels)


def _flat(attrs: dict[Any, Any]) -> tuple[Any, ...]:
    return (*attrs.keys(), *attrs.values())


def _holds_objects(dtype: Any) -> bool:
    name = str(dtype)
    if name == "category":
        categories = dtype.categories
        return (
            name != str(categories.dtype)
            and str(categories.dtype) == "object"
            and (categories.inferred_type not in {"string", "empty"})
        )
    return name == "object" or name.startswith("Sparse[object")


def _copies_on_write(table: Any) -> bool:
    """Tell whether a shallow copy is safe: columns of extension types can be written to behind pandas' back."""
    import pandas as pd

    if int(pd.__version__.partition(".")[0]) < 3:
        return False
    dtypes = [table.dtype] if table.ndim == 1 else list(table.dtypes)
    return all(type(dtype).__module__.startswith("numpy") or str(dtype) == "str" for dtype in dtypes)
