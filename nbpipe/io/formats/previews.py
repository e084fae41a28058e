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
    return {"rows": rows, "columns": len(names), "dtypes": {str(name): str(dtype) for name, dtype in listed}}
