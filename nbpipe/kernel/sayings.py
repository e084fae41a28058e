"""What is told in the output of a cell: status lines, and warnings beside them."""

from __future__ import annotations

import sys

from nbpipe.core.records import Materialization, StoredValue
from nbpipe.pages.faces import in_notebook


def say(message: str) -> None:
    """Show a line among what the cell prints."""
    print(in_notebook(message))  # noqa: T201 - the cell's output is where a person looks


def warn(message: str) -> None:
    """Show a line that a frontend sets apart."""
    print(f"nbpipe: {in_notebook(message)}", file=sys.stderr)  # noqa: T201 - see `say`


def shape(materialization: Materialization) -> str:
    """Return the size of a stored table in words, to follow a name; empty for anything else."""
    return shape_of(materialization.stored)


def shape_of(stored: StoredValue) -> str:
    """Do what `shape` does for a value that is not committed yet."""
    metadata = stored.metadata
    if "rows" not in metadata or "columns" not in metadata:
        return ""
    columns = metadata["columns"]
    count = columns if isinstance(columns, int) else len(columns)
    return f", {metadata['rows']:,} rows x {count} columns"
