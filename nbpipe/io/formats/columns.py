"""The content of Arrow columns: hashes that do not depend on how it lies in memory, and parquet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbpipe.io.digests import Buffer, Digest

#: Below this many cells nothing is done in parallel: starting threads would cost more than the work.
SMALL = 200_000


class UnhashableTypeError(TypeError):
    """A column has a type whose content we can't hash."""


def write_parquet(table: Any) -> Buffer:
    """Return an Arrow table as a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = pa.BufferOutputStream()
    # "compliant" nested types would rename the parts of lists
    pq.write_table(table, stream, compression="zstd", use_compliant_nested_type=False)
    return memoryview(stream.getvalue())


def read_parquet(data: Buffer) -> Any:
    """Return the Arrow table in a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(data)))
    return file.read(use_threads=not is_small(file.metadata.num_rows, file.metadata.num_columns))


def is_small(rows: int, columns: int) -> bool:
    """Tell whether a table of this size is handled by one thread."""
    return rows * max(columns, 1) < SMALL


def add_table(digest: Digest, table: Any) -> None:
    """Add names, types and content of all columns.

    Raises:
        UnhashableTypeError: a column has a type that we don't know.
    """
    digest.words(table.num_rows, table.num_columns)
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.words(name)
        add_column(digest, column)


def add_column(digest: Digest, column: Any) -> None:
    """Add the type, the places of nulls, and the values of a chunked array; nested types by their parts.

    Raises:
        UnhashableTypeError: see `add_table`.
    """
    digest.words(_type_word(column.type), len(column))
    _add_validity(digest, column)
    _adder(column.type)(digest, column)


def _type_word(kind: Any) -> str:
    """Name a type; of nested types only the outermost, because the parts are added by themselves."""
    import pyarrow.types as is_type

    if is_type.is_struct(kind):
        return f"struct {[field.name for field in kind]}"
    if is_type.is_fixed_size_list(kind):
        return f"list of {kind.list_size}"
    if is_type.is_map(kind):
        return f"map {kind.keys_sorted}"
    if _is_list(kind):
        return "list"
    if is_type.is_dictionary(kind):
        return f"dictionary {kind.ordered}"
    return str(kind).removeprefix("large_").removesuffix("_view")  # the same content, stored in another way


def _is_list(kind: Any) -> bool:
    return str(kind).startswith(("list<", "large_list<", "list_view<", "large_list_view<"))


def _adder(kind: Any) -> Callable[[Digest, Any], None]:
    import pyarrow.types as is_type

    for test, adder in (
        (lambda kind: isinstance(kind, _extension_class()), _add_extension),
        (is_type.is_null, lambda _digest, _column: None),
        (lambda kind: _type_word(kind) in {"string", "binary"}, _add_text),
        (is_type.is_dictionary, _add_dictionary),
        (is_type.is_struct, _add_struct),
        (lambda kind: _is_list(kind) or is_type.is_fixed_size_list(kind), _add_lists),
        (is_type.is_map, _add_maps),
        (is_type.is_boolean, _add_booleans),
        (is_type.is_primitive, _add_fixed_width),
        (is_type.is_decimal, _add_fixed_width),
        (is_type.is_fixed_size_binary, _add_fixed_width),
    ):
        if test(kind):
            return adder
    raise UnhashableTypeError(str(kind))


def _extension_class() -> type:
    import pyarrow as pa

    found: type = pa.BaseExtensionType
    return found


def _add_validity(digest: Digest, column: Any) -> None:
    nulls = column.null_count
    digest.words(nulls)
    if nulls:
        for chunk in column.chunks:
            digest.data(_memory(_null_mask(chunk)))


def _memory(array: Any) -> memoryview:
    return memoryview(array.view("u1"))


def _null_mask(chunk: Any) -> Any:
    import numpy as np

    return np.ascontiguousarray(chunk.is_null().to_numpy(zero_copy_only=False))


def _add_fixed_width(digest: Digest, column: Any) -> None:
    import numpy as np

    width = column.type.bit_width // 8
    for chunk in column.chunks:
        if not len(chunk) or not width:
            continue
        data = memoryview(chunk.buffers()[1])[chunk.offset * width : (chunk.offset + len(chunk)) * width]
        if chunk.null_count:  # what lies in the place of a null is arbitrary
            values = np.frombuffer(data, np.dtype((np.void, width))).copy()
            values.view("u1").reshape(-1, width)[_null_mask(chunk)] = 0
            data = _memory(values)
        digest.data(data)


def _add_booleans(digest: Digest, column: Any) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    for chunk in column.chunks:
        values = pc.fill_null(chunk, pa.scalar(value=False)) if chunk.null_count else chunk
        digest.data(_memory(np.ascontiguousarray(values.to_numpy(zero_copy_only=False))))


def _add_text(digest: Digest, column: Any) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    chunks = [chunk.cast(pa.large_binary()) for chunk in column.chunks if len(chunk)]
    chunks = [pc.fill_null(chunk, b"") if chunk.null_count else chunk for chunk in chunks]
    bounds = [
        np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset : chunk.offset + len(chunk) + 1] for chunk in chunks
    ]
    for bound in bounds:
        digest.data(_memory(np.diff(bound)))
    for chunk, bound in zip(chunks, bounds, strict=True):
        if chunk.buffers()[2] is not None:
            digest.data(memoryview(chunk.buffers()[2])[bound[0] : bound[-1]])


def _add_dictionary(digest: Digest, column: Any) -> None:
    import pyarrow as pa

    chunks = column.unify_dictionaries().chunks
    if not chunks:
        return
    add_column(digest, pa.chunked_array([chunks[0].dictionary]))
    add_column(digest, pa.chunked_array([chunk.indices.cast(pa.int64()) for chunk in chunks]))


def _add_lists(digest: Digest, column: Any) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    for chunk in column.chunks:
        lengths = pc.fill_null(pc.list_value_length(chunk).cast(pa.int64()), 0)
        _add_fixed_width(digest, pa.chunked_array([lengths]))
    parts = [chunk.flatten() for chunk in column.chunks]
    if parts:
        add_column(digest, pa.chunked_array(parts))


def _add_maps(digest: Digest, column: Any) -> None:
    import pyarrow as pa

    pair = pa.struct([("key", column.type.key_type), ("value", column.type.item_type)])
    add_column(digest, pa.chunked_array([chunk.cast(pa.list_(pair)) for chunk in column.chunks], pa.list_(pair)))


def _add_struct(digest: Digest, column: Any) -> None:
    import pyarrow as pa

    for position, field in enumerate(column.type):
        parts = [chunk.flatten()[position] for chunk in column.chunks]
        add_column(digest, pa.chunked_array(parts, field.type))


def _add_extension(digest: Digest, column: Any) -> None:
    import pyarrow as pa

    storage = column.type.storage_type
    add_column(digest, pa.chunked_array([chunk.storage for chunk in column.chunks], storage))
