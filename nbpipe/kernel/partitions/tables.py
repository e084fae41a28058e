"""Partitions of an upstream as one table, for `--concat`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbpipe.errors import DefinitionError
from nbpipe.io.formats.format import type_name


def one_table(upstream: str, found: Mapping[str, Any], column: str) -> Any:
    """Return tables below each other, with the key of each in a column of its own.

    Args:
        upstream: their asset, for messages.
        found: a pandas.DataFrame by key.
        column: name of the new column, which comes last.

    Raises:
        DefinitionError: a value is no table, or has a column of that name.
    """
    import pandas as pd

    parts = []
    for key, table in found.items():
        if not isinstance(table, pd.DataFrame):
            raise DefinitionError(
                f"--concat {upstream} makes one table of many, but {upstream}@{key} is {type_name(table)}: "
                "leave --concat out to get a dict from key to value"
            )
        if column in table.columns:
            raise DefinitionError(
                f"{upstream}@{key} has a column {column!r} already: write --concat {upstream}=NAME for another name"
            )
        parts.append(table.assign(**{column: key}))
    if not parts:
        return pd.DataFrame({column: pd.Series(dtype="str")})
    counted = all(isinstance(part.index, pd.RangeIndex) for part in parts)
    return pd.concat(parts, ignore_index=counted)
