"""Previews of tables: the first rows of the first columns, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbpipe.core.records import Preview
from nbpipe.io.formats.format import one_line

ROWS, COLUMNS = 10, 20
_LISTED = 200
"""Columns whose dtype is listed in the metadata."""


def table_preview(columns: Sequence[tuple[object, object, Iterable[object]]]) -> Preview:
    """Return the preview of `(name, dtype, first values)` columns that were cut to size already."""
    cells = [[one_line(value) for value in values] for _, _, values in columns]
    return Preview(
        kind="table",
        columns=tuple(one_line(name) for name, _, _ in columns),
        dtypes=tuple(str(dtype) for _, dtype, _ in columns),
        rows=tuple(zip(*cells, strict=True)),
    )


def table_metadata(rows: int, names: Sequence[object], dtypes: Sequence[object]) -> Mapping[str, Any]:
    """Return `rows`, `columns` (numbers) and `dtypes` (by column name; of the first 200 columns)."""
    listed = zip(names[:_LISTED], dtypes[:_LISTED], strict=True)
    return {"rows": rows, "columns": len(names), "dtypes": {one_line(name): str(dtype) for name, dtype in listed}}


def pandas_metadata(value: Any) -> Mapping[str, Any]:
    """Return rows, columns and dtypes of a frame or a series."""
    if value.ndim == 1:
        return table_metadata(len(value), [value.name], [value.dtype])
    return table_metadata(len(value), list(value.columns), list(value.dtypes))


def pandas_preview(value: Any) -> Preview:
    """Return the preview of a frame or a series; an index that says something is shown first."""
    head = value.iloc[:ROWS]
    head = head.to_frame(_label(head.name)) if head.ndim == 1 else head.iloc[:, :COLUMNS]
    columns = []
    if type(head.index).__name__ != "RangeIndex" or head.index.name is not None:
        levels = [head.index.get_level_values(level) for level in range(head.index.nlevels)]
        columns = [(_label(level.name, ""), level.dtype, list(level)) for level in levels]
    columns += [(name, head.dtypes.iloc[i], list(head.iloc[:, i])) for i, name in enumerate(head.columns)]
    return table_preview(columns)


def _label(name: object, unnamed: str = "value") -> object:
    return unnamed if name is None else name
