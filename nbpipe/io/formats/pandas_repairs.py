"""Types of pandas that pyarrow does not give back by itself, and how to put them back."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from nbpipe.io.formats.documents import json_obstacle

_MANY = 10_000
"""Categories; more are too many for the description of a file."""


def plan_repairs(frame: Any) -> dict[str, Any]:
    """Return, by column position, what must be done after reading: JSON-able."""
    plans = ((str(position), _plan(frame, position, dtype)) for position, dtype in enumerate(frame.dtypes))
    return {position: plan for position, plan in plans if plan is not None}


def _plan(frame: Any, position: int, dtype: Any) -> Any:
    name = str(dtype)
    if name == "object":
        return _object_plan(frame.iloc[:, position])
    if name == "datetime64[s]":
        return {"dtype": name}
    if name == "string" and getattr(dtype, "storage", "") == "python":
        return {"dtype": "string[python]"}
    if _is_utc(dtype):
        return {"utc": True}
    if name == "category" and str(dtype.categories.dtype) in {"int64", "float64", "bool"}:
        categories = dtype.categories.tolist()
        if len(categories) <= _MANY and json_obstacle(categories) is None:
            return {"categories": categories, "of": str(dtype.categories.dtype), "ordered": bool(dtype.ordered)}
    return None


def _object_plan(column: Any) -> dict[str, Any] | None:
    """Say which Python objects an object column is made of; None: those that pyarrow gives back anyway."""
    kinds = set(map(type, column))
    if float in kinds and type(None) not in kinds:  # missing text is NaN in an object column, more often than None
        kinds = kinds - {float} if column.isna().sum() == sum(type(each) is float for each in column) else kinds
        null = "nan"
    else:
        null = "none"
    if kinds <= {str, bytes, type(None)}:
        return {"objects": "array", "null": null}
    if any(kind.__module__.partition(".")[0] in {"numpy", "pandas"} for kind in kinds):
        return None
    return {"objects": "list", "null": null}


def repair(frame: Any, table: Any, plans: dict[str, Any]) -> Any:
    """Return the frame with these columns in their own types."""
    import pandas as pd

    for key, plan in plans.items():
        position = int(key)
        column = frame.iloc[:, position]
        if "objects" in plan:
            values = _objects(table.column(position), plan)
            fixed = pd.Series(values, index=frame.index, dtype=object, copy=False)
        elif "utc" in plan:
            fixed = column.dt.tz_convert(UTC)
        elif "categories" in plan:
            fixed = column.astype(_categories(plan))
        else:
            fixed = column.astype(plan["dtype"])
        frame.isetitem(position, fixed)
    return frame


def utc_levels(index: Any) -> list[int]:
    """Return the levels of an index that are in `datetime.UTC`, which pyarrow gives back as another name of UTC."""
    levels = index.levels if index.nlevels > 1 else [index]
    return [position for position, level in enumerate(levels) if _is_utc(level.dtype)]


def repair_index(index: Any, utc: list[int]) -> Any:
    """Return an index with these levels in `datetime.UTC`."""
    if index.nlevels == 1:
        return index.tz_convert(UTC) if utc else index
    for position in utc:
        index = index.set_levels(index.levels[position].tz_convert(UTC), level=position)
    return index


def _is_utc(dtype: Any) -> bool:
    return getattr(dtype, "tz", None) is UTC


def _objects(column: Any, plan: dict[str, Any]) -> Any:
    import numpy as np

    if plan["objects"] == "array":
        found = column.to_numpy()
        found = found if found.flags.writeable else found.copy()
    else:
        found = np.empty(len(column), dtype=object)
        found[:] = column.to_pylist()
    if plan["null"] == "nan" and column.null_count:
        found[column.is_null().to_numpy()] = np.nan
    return found


def _categories(plan: dict[str, Any]) -> Any:
    import pandas as pd

    return pd.CategoricalDtype(pd.Index(plan["categories"], dtype=plan["of"]), ordered=plan["ordered"])
