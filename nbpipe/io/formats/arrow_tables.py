"""`pyarrow.Table` as parquet."""

from __future__ import annotations

from typing import Any

from nbpipe.core.records import Preview
from nbpipe.io.digests import Digest
from nbpipe.io.formats.columns import UnhashableTypeError, add_table, read_parquet, write_parquet
from nbpipe.io.formats.format import Encoded, Inexact
from nbpipe.io.formats.previews import COLUMNS, ROWS, table_metadata, table_preview


class ArrowTableFormat:
    """A `pyarrow.Table`; how it is cut into chunks is not part of it."""

    name = "parquet"
    hashes_bytes = False

    def accepts(self, value: object) -> bool:
        """Take exactly `pyarrow.Table`."""
        return type(value).__name__ == "Table" and type(value).__module__ == "pyarrow.lib"

    def encode(self, value: Any) -> Encoded | Inexact:
        """Write, read back, and compare schema and content."""
        try:
            version = _version(value)
            data = write_parquet(value)
            restored = read_parquet(data)
            exact = restored.schema.equals(value.schema, check_metadata=True) and _version(restored) == version
        except UnhashableTypeError as error:
            return Inexact(f"its type {error} can't be compared")
        except Exception as error:  # noqa: BLE001 - whatever parquet objects to, the next format may hold
            return Inexact(f"parquet can't hold it ({error})")
        if not exact:
            return Inexact("parquet would change its types or metadata")
        return Encoded(
            chunks=(data,),
            extension="parquet",
            version=version,
            metadata=table_metadata(value.num_rows, value.column_names, value.schema.types),
            preview=lambda: _preview(value),
        )

    def decode(self, data: bytearray, type_name: str) -> Any:  # noqa: ARG002 - one type
        """Read."""
        return read_parquet(data)


def _preview(table: Any) -> Preview:
    head, types = table.slice(0, ROWS), table.schema.types
    names = table.column_names[:COLUMNS]
    return table_preview([(name, types[i], head.column(i).to_pylist()) for i, name in enumerate(names)])


def _version(table: Any) -> str:
    digest = Digest("pyarrow.Table")
    digest.words(*_words(table.schema.metadata))
    for field in table.schema:
        digest.words(str(field.nullable), *_words(field.metadata))
    add_table(digest, table)
    return digest.hex()


def _words(metadata: dict[bytes, bytes] | None) -> list[str]:
    return [str(item) for item in (metadata or {}).items()]
