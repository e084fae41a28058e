"""Types of pandas that pyarrow does not give back by itself, and how to put them back."""

from __future__ import annotations

import json
from typing import Any

from nbpipe.io.formats.documents import json_obstacle

_MANY = 10_000
"""Categories; more are too many for the description of a file."""


def plan_repairs(frame: Any) -> dict[str, Any]:
    """Return, by column position, what must be done after reading: JSON-able."""
    plans = ((str(position), _plan(dtype)) for position, dtype in enumerate(frame.dtypes))
    return {position: plan for position, plan in plans if plan is not None}


def _plan(dtype: Any) -> Any:
    name = str(dtype)
    if name == "object":
        return "object"
    if name == "datetime64[s]":
        return name
    if name == "string" and getattr(dtype, "storage", "") == "python":
        return "string[python]"
    if name == "category" and str(dtype.categories.dtype) in {"int64", "float64", "bool"}:
        categories = dtype.categories.tolist()
        if len(categories) <= _MANY and json_obstacle(categories) is None:
            return {"categories": categories, "dtype": str(dtype.categories.dtype), "ordered": bool(dtype.ordered)}
    return None


def repair(frame: Any, table: Any, plans: dict[str, Any]) -> Any:
    """Return the frame with these columns in their own types."""
    columns = list(frame.columns)
    for key, plan in plans.items():
        position = int(key)
        column = frame.iloc[:, position]
        if plan == "object":
            if str(column.dtype) == "object":
                continue
            fixed = _objects(table.column(position).to_pylist())
        elif isinstance(plan, dict):
            fixed = _categories(column, plan)
        else:
            fixed = column.astype(plan).array
        frame.isetitem(position, fixed)
    if columns != list(frame.columns):
        message = f"columns changed while they were repaired: {json.dumps(plans)}"
        raise ValueError(message)
    return frame


def _objects(values: list[Any]) -> Any:
    import numpy as np

    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _categories(column: Any, plan: dict[str, Any]) -> Any:
    import pandas as pd

    kind = pd.CategoricalDtype(pd.Index(plan["categories"], dtype=plan["dtype"]), ordered=plan["ordered"])
    return column.astype(kind).array
