"""polars frames and series as parquet, written by polars itself."""

from __future__ import annotations

import io
import json
from typing import Any

from nbpipe.core.records import Preview
from nbpipe.io.digests import Digest
from nbpipe.io.formats.columns import UnhashableTypeError, add_table
from nbpipe.io.formats.format import Encoded, Inexact, type_name
from nbpipe.io.formats.previews import COLUMNS, ROWS, table_metadata, table_preview

_SERIES = "polars.Series"


class PolarsFormat:
    """A `polars.DataFrame` or `polars.Series`; sort flags and chunks are not part of it."""

    name = "parquet"
    hashes_bytes = False

    def accepts(self, value: object) -> bool:
        """Take exactly these types."""
        return type_name(value) in {"polars.DataFrame", _SERIES}

    def encode(self, value: Any) -> Encoded | Inexact:
        """Write, read back, and compare schema and content."""
        is_series = type_name(value) == _SERIES
        frame = value.to_frame() if is_series else value
        try:
            version = _version(frame, type_name(value))
            stream = io.BytesIO()
            frame.write_parquet(stream, compression="zstd")
            restored = _read(stream.getbuffer())
            exact = restored.schema == frame.schema and _version(restored, type_name(value)) == version
        except UnhashableTypeError as error:
            return Inexact(f"its type {error} can't be compared")
        except Exception as error:  # noqa: BLE001 - whatever parquet objects to, the next format may hold
            return Inexact(f"parquet can't hold it ({error})")
        except BaseException as error:  # a panic of polars is no Exception
            if type(error).__name__ != "PanicException":
                raise
            return Inexact(f"polars can't write it ({error})")
        if not exact:
            return Inexact("parquet would change its types")
        return Encoded(
            chunks=(stream.getbuffer(),),
            extension="parquet",
            version=version,
            metadata=table_metadata(frame.height, frame.columns, frame.dtypes),
            preview=lambda: _preview(frame),
        )

    def decode(self, data: bytearray, type_name: str) -> Any:
        """Read."""
        frame = _read(data)
        return frame.to_series(0) if type_name == _SERIES else frame


def _preview(frame: Any) -> Preview:
    head, types = frame.head(ROWS), frame.dtypes
    names = frame.columns[:COLUMNS]
    return table_preview([(name, types[i], head.to_series(i).to_list()) for i, name in enumerate(names)])


def _read(data: Any) -> Any:
    import polars as pl

    return pl.read_parquet(io.BytesIO(data), hive_partitioning=False)


def _version(frame: Any, kind: str) -> str:
    digest = Digest(kind)
    digest.words(json.dumps([str(dtype) for dtype in frame.dtypes]))
    add_table(digest, frame.to_arrow())
    return digest.hex()
