"""numpy arrays as `.npy`, and numpy scalars as arrays without dimensions."""

from __future__ import annotations

import io
import math
from typing import Any, Literal

from nbpipe.core.records import Preview
from nbpipe.io.digests import Digest
from nbpipe.io.formats.format import Encoded, Inexact, short

_PLAIN_KINDS = "biufcmM"
_TEXT_KINDS = "SU"
_LONGEST_HEADER = 1 << 20
"""Bytes; dtypes with more fields than fit are left to pickle."""


class ArrayFormat:
    """A `numpy.ndarray` (no subclass) of a dtype that a `.npy` header can name."""

    name = "npy"
    hashes_bytes = False

    def accepts(self, value: object) -> bool:
        """Take exactly `numpy.ndarray`."""
        return type(value).__name__ == "ndarray" and type(value).__module__ == "numpy"

    def encode(self, value: Any) -> Encoded | Inexact:
        """Hand on the array's own memory behind a header."""
        reason = _dtype_obstacle(value.dtype)
        return Inexact(reason) if reason else _encode(value, kind="numpy.ndarray")

    def decode(self, data: bytearray, type_name: str) -> Any:  # noqa: ARG002 - one type
        """Make an array of the file's memory, writable and without a copy."""
        return _decode(data)


class ScalarFormat:
    """A numpy scalar, for example the mean of a column."""

    name = "npy-scalar"
    hashes_bytes = False

    def accepts(self, value: object) -> bool:
        """Take instances of numpy's own scalar types."""
        cls = type(value)
        return (
            cls.__module__ == "numpy"
            and hasattr(value, "dtype")
            and getattr(value, "shape", None) == ()
            and (cls.__name__ != "ndarray")
        )

    def encode(self, value: Any) -> Encoded | Inexact:
        """Store it as an array without dimensions."""
        import numpy as np

        if value.dtype.kind not in _PLAIN_KINDS or np.dtype(value.dtype).type is not type(value):
            return Inexact(f"numpy files don't keep {value.dtype} scalars as they are")
        return _encode(np.asarray(value), kind="numpy.generic")

    def decode(self, data: bytearray, type_name: str) -> Any:  # noqa: ARG002 - the header says the type
        """Take the scalar out of the array."""
        return _decode(data)[()]


def _dtype_obstacle(dtype: Any) -> str | None:
    from numpy.lib import format as npy

    if dtype.hasobject:
        return "numpy files hold no Python objects"
    if _has_metadata(dtype):
        return "numpy files keep no dtype metadata"
    if dtype.kind in _PLAIN_KINDS + _TEXT_KINDS:
        return None
    if dtype.names is not None and not dtype.isalignedstruct:
        restored = npy.descr_to_dtype(npy.dtype_to_descr(dtype))
        if restored == dtype and restored.fields == dtype.fields and restored.type is dtype.type:
            return None
    return f"numpy files can't name the dtype {dtype}"


def _has_metadata(dtype: Any) -> bool:
    if dtype.metadata is not None:
        return True
    if dtype.subdtype is not None:
        return _has_metadata(dtype.subdtype[0])
    return any(_has_metadata(entry[0]) for entry in (dtype.fields or {}).values())


def _encode(array: Any, *, kind: str) -> Encoded | Inexact:
    import numpy as np
    from numpy.lib import format as npy

    fortran = bool(array.flags.f_contiguous and not array.flags.c_contiguous)
    descr = npy.dtype_to_descr(array.dtype)
    header = _header({"descr": descr, "fortran_order": fortran, "shape": array.shape})
    if header is None:
        return Inexact(f"the dtype {short(str(array.dtype), 80)} does not fit the header of a numpy file")
    rows = np.ascontiguousarray(array).reshape(array.shape)  # of a 0-d array the former makes a vector
    digest = Digest(kind)
    digest.words(str(descr), *array.shape)
    _add_content(digest, rows)
    return Encoded(
        chunks=(header, _memory(array.T if fortran else rows)),
        extension="npy",
        version=digest.hex(),
        metadata={"shape": list(array.shape), "dtype": str(array.dtype)},
        preview=lambda: Preview(kind="text", text=_preview(array)),
    )


def _header(fields: dict[str, Any]) -> bytes | None:
    from numpy.lib import format as npy

    for write in (npy.write_array_header_1_0, npy.write_array_header_2_0):
        stream = io.BytesIO()
        try:
            write(stream, fields)
        except ValueError:  # too long for the first; names beyond Latin-1 fit neither
            continue
        return stream.getvalue() if stream.tell() < _LONGEST_HEADER else None
    return None


def _memory(array: Any) -> memoryview:
    """Return the bytes of a C-contiguous array without a copy (datetimes and records export none themselves)."""
    import numpy as np

    if array.size == 0 or array.dtype.itemsize == 0:
        return memoryview(b"")
    return memoryview(array.reshape(-1).view(np.uint8))


def _add_content(digest: Digest, array: Any) -> None:
    """Hash values in row order; of records only the fields, because the bytes between them are arbitrary."""
    import numpy as np

    if array.dtype.names is None:
        digest.data(_memory(array))
        return
    for name in array.dtype.names:
        _add_content(digest, np.ascontiguousarray(array[name]))


def _decode(data: bytearray) -> Any:
    import numpy as np
    from numpy.lib import format as npy

    stream = io.BytesIO(memoryview(data)[:_LONGEST_HEADER])
    read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream, max_header_size=_LONGEST_HEADER)
    count, start = math.prod(shape), stream.tell()
    if len(data) - start != count * dtype.itemsize:
        message = f"it has {len(data) - start} bytes of data, {count * dtype.itemsize} are expected"
        raise ValueError(message)
    order: Literal["F", "C"] = "F" if fortran else "C"
    if len(data) == start:
        return np.zeros(shape, dtype, order=order)
    return np.frombuffer(data, dtype, count, start).reshape(shape, order=order)


def _preview(array: Any) -> str:
    import numpy as np

    return short(np.array2string(array, threshold=50, edgeitems=3, max_line_width=100))
