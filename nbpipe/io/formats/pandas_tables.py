"""pandas frames and series as parquet.

pyarrow's own description of a frame (the `pandas` metadata of the file, which other programs read as well)
carries most of it; what it loses (frequencies, attributes, the second as a unit, object columns of strings,
categories that are no strings) stands in a description of ours and is put back. The result is compared with
the original: with all of it if the frame is small or has a type that we don't know to survive, else with its
types alone. Whatever differs goes to the next format.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from nbpipe.io.digests import Buffer, Digest
from nbpipe.io.formats.columns import UnhashableTypeError, add_table, is_small, read_parquet, write_parquet
from nbpipe.io.formats.documents import json_obstacle
from nbpipe.io.formats.format import Encoded, Inexact, type_name
from nbpipe.io.formats.pandas_identity import same_frame, same_schema
from nbpipe.io.formats.pandas_repairs import plan_repairs, repair, repair_index, utc_levels
from nbpipe.io.formats.previews import pandas_metadata, pandas_preview

_SERIES = "pandas.Series"
_DESCRIPTION = b"nbpipe"
_UNNAMED = "value"
"""Column of a series whose name is no string."""


class PandasFormat:
    """A `pandas.DataFrame` or `pandas.Series`; subclasses have more to keep than we know."""

    name = "parquet"
    hashes_bytes = False

    def accepts(self, value: object) -> bool:
        """Take exactly these types."""
        return type_name(value) in {"pandas.DataFrame", _SERIES}

    def encode(self, value: Any) -> Encoded | Inexact:
        """Write, and make sure that reading will give the same."""
        reason = _obstacle(value)
        if reason is not None:
            return Inexact(reason)
        frame = value.to_frame(_column_name(value)) if type_name(value) == _SERIES else value
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they say that something can't be kept: we compare
                data, version = _encode(value, frame)
        except UnhashableTypeError as error:
            return Inexact(f"its type {error} can't be compared")
        except _ChangedError as error:
            return Inexact(f"parquet would change {error}")
        except Exception as error:  # noqa: BLE001 - whatever parquet objects to, the next format may hold
            return Inexact(f"parquet can't hold it ({error})")
        return Encoded(
            chunks=(data,),
            extension="parquet",
            version=version,
            metadata=pandas_metadata(value),
            preview=lambda: pandas_preview(value),
        )

    def decode(self, data: bytearray, type_name: str) -> Any:
        """Read and put back what pyarrow does not know about."""
        frame, description = _restore(read_parquet(data))
        return _take_series(frame, description) if type_name == _SERIES else frame


_proven: set[str] = set()
"""Types that were seen to come back in this process."""


class _ChangedError(ValueError):
    """A part of the value would come back changed."""


def _obstacle(value: Any) -> str | None:
    if not value.flags.allows_duplicate_labels:
        return "parquet keeps no flags"
    if value.attrs and json_obstacle(value.attrs):
        return f"its attrs don't fit: {json_obstacle(value.attrs)}"
    if type_name(value) == _SERIES and json_obstacle(value.name):
        return f"its name doesn't fit: {json_obstacle(value.name)}"
    return None


def _column_name(series: Any) -> str:
    return series.name if type(series.name) is str else _UNNAMED


def _encode(value: Any, frame: Any) -> tuple[Buffer, str]:
    import pyarrow as pa

    small = is_small(*frame.shape)
    plain = frame.copy(deep=False)
    plain.attrs = {}
    table = pa.Table.from_pandas(plain, nthreads=1 if small else None)
    description = _describe(value, frame)
    table = table.replace_schema_metadata(
        {**table.schema.metadata, _DESCRIPTION: json.dumps(description, ensure_ascii=False).encode()}
    )
    data = write_parquet(table)
    types = _surviving_types(frame)
    if types is None or not types <= _proven:
        _compare(frame, data if small or types is None else write_parquet(table.slice(0, 0)), whole=types is None)
        _proven.update(types or ())
    return data, _version(value, frame, table, description)


def _compare(frame: Any, data: Buffer, *, whole: bool) -> None:
    """Read a file back, and make sure that it is the frame; or that its types are, if the values can't differ then."""
    restored, _ = _restore(read_parquet(data))
    difference = same_frame(frame, restored) if whole else same_schema(frame, restored)
    if difference is None and whole and restored.attrs != frame.attrs:
        difference = "its attrs"
    if difference is not None:
        raise _ChangedError(difference)


def _describe(value: Any, frame: Any) -> dict[str, Any]:
    """Return what is put back after reading, JSON-able."""
    found: dict[str, Any] = {"attrs": value.attrs, "freq": getattr(frame.index, "freqstr", None)}
    if type_name(value) == _SERIES:
        found["name"] = value.name
    if type(frame.columns).__name__ == "RangeIndex":
        found["range"] = [frame.columns.start, frame.columns.stop, frame.columns.step]
    found["repairs"] = plan_repairs(frame)
    found["utc"] = utc_levels(frame.index)
    return found


def _restore(table: Any) -> tuple[Any, Mapping[str, Any]]:
    """Return the frame and its description."""
    description = json.loads(table.schema.metadata[_DESCRIPTION])
    frame = table.to_pandas(use_threads=not is_small(table.num_rows, table.num_columns))
    frame = _own_categories(repair(frame, table, description["repairs"]))
    frame.index = repair_index(frame.index, description["utc"])
    if "range" in description:
        frame.columns = _range(*description["range"], name=frame.columns.name)
    if description["freq"] is not None and getattr(frame.index, "freqstr", None) != description["freq"]:
        frame.index.freq = description["freq"]
    frame.attrs = description["attrs"]
    return frame, description


def _own_categories(frame: Any) -> Any:
    """Return the frame with categories that can be assigned to: pyarrow's codes are read-only memory."""
    for position, dtype in enumerate(frame.dtypes):
        if str(dtype) == "category":
            frame.isetitem(position, frame.iloc[:, position].copy(deep=True))
    return frame


def _range(start: int, stop: int, step: int, *, name: Any) -> Any:
    import pandas as pd

    return pd.RangeIndex(start, stop, step, name=name)


def _take_series(frame: Any, description: Mapping[str, Any]) -> Any:
    series = frame.iloc[:, 0]
    series.name = description["name"]
    series.attrs = description["attrs"]
    return series


def _surviving_types(frame: Any) -> frozenset[str] | None:
    """Return the types of a frame if each is known to come back from parquet bit by bit, else None.

    That they come back with these versions of the libraries is seen once a process, on the first frame that has them.
    """
    index, labels = frame.index, set(frame.columns)
    if frame.attrs or index.nlevels > 1 or type(frame.columns).__name__ != "Index" or set(map(type, labels)) != {str}:
        return None
    if any(label.startswith("__index_level_") for label in labels) or index.name in labels:
        return None
    is_range = type(index).__name__ == "RangeIndex"
    if frame.columns.name is not None or index.name is not None or getattr(index, "freq", None) is not None:
        return None
    types = [*frame.dtypes] if is_range else [*frame.dtypes, index.dtype]
    if not all(_type_survives(dtype) for dtype in types):
        return None
    return frozenset([f"index {type(index).__name__}", f"labels {frame.columns.dtype}", *map(str, types)])


def _type_survives(dtype: Any) -> bool:
    if getattr(dtype, "kind", "O") in "biu" or str(dtype) in {"float32", "float64"}:
        return hasattr(dtype, "itemsize") and not hasattr(dtype, "na_value")  # numpy's own, not masked ones
    if str(dtype) == "str":
        return bool(dtype.storage == "pyarrow")
    return str(dtype) in {"datetime64[ms]", "datetime64[us]", "datetime64[ns]"}


def _version(value: Any, frame: Any, table: Any, description: Mapping[str, Any]) -> str:
    digest = Digest(type_name(value))
    digest.words(json.dumps(description, ensure_ascii=False, sort_keys=True))
    for axis in (frame.index, frame.columns):
        digest.words(type(axis).__name__, repr(list(axis.names)), str(axis.dtype))
    if type(frame.index).__name__ == "RangeIndex":
        digest.words(frame.index.start, frame.index.step)
    digest.words(*map(repr, frame.columns), *map(str, frame.dtypes))
    add_table(digest, table)
    return digest.hex()
