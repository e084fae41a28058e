"""Everything that has no format of its own, by cloudpickle.

Classes and functions of `__main__` are kept by value, so that another process can read them. Two things that
cloudpickle would quietly change are refused or put right: an open file becomes a string buffer, and a figure
that pyplot manages would be managed again by the pyplot of whoever reads it.
"""

from __future__ import annotations

import functools
import io
import pickle
import platform
import sys
from collections import ChainMap
from collections.abc import Mapping
from typing import Any, ClassVar

from nbpipe.core.records import Preview
from nbpipe.io.formats.format import Encoded, Inexact, one_line
from nbpipe.io.formats.previews import pandas_metadata, pandas_preview
from nbpipe.io.formats.remedies import refusal, remedy
from nbpipe.io.formats.unpickling import load_pickle

_PROTOCOL = 5
_CHECKED = 4 << 20
"""Bytes up to which a pickle is read back at once, to be sure that it can be."""
_SHOWN = 1 << 20
"""Bytes up to which a value is asked for its repr."""


class PickleFormat:
    """Whatever cloudpickle can take apart."""

    name = "pickle"
    hashes_bytes = True

    def accepts(self, value: object) -> bool:  # noqa: ARG002 - the last resort
        """Take anything."""
        return True

    def encode(self, value: Any) -> Encoded | Inexact:
        """Pickle it, and read it back if it is not big."""
        reason = refusal(value)
        if reason is not None:
            return Inexact(reason)
        try:
            data = dump(value)
        except Exception as error:  # noqa: BLE001 - a class may raise anything from its __reduce__
            return Inexact(f"{_message(error)}: {remedy(value)}")
        if len(data) <= _CHECKED:
            try:
                load_pickle(data)
            except Exception as error:  # noqa: BLE001 - a class may raise anything when it is rebuilt
                return Inexact(f"it can be written but not read back ({_message(error)}): {remedy(value)}")
        return Encoded(
            chunks=(data,),
            extension="pkl",
            opaque=True,
            metadata={"python": platform.python_version(), **_metadata(value)},
            preview=lambda: _preview(value, show=len(data) <= _SHOWN),
        )

    def decode(self, data: bytearray, type_name: str) -> Any:  # noqa: ARG002 - the pickle knows its types
        """Unpickle."""
        return load_pickle(data)


def _metadata(value: Any) -> Mapping[str, Any]:
    """Return metadata; tables and arrays that only a pickle could keep are still tables and arrays."""
    if _is_table(value):
        return pandas_metadata(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return {"shape": list(value.shape), "dtype": str(value.dtype)}
    return {"length": len(value)} if isinstance(value, list | tuple | dict | set | frozenset) else {}


def _preview(value: Any, *, show: bool) -> Preview:
    if _is_table(value):
        return pandas_preview(value)
    return Preview(kind="text", text=one_line(value)) if show else Preview()


def _is_table(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series)


def dump(value: Any) -> bytes:
    """Pickle a value."""
    stream = io.BytesIO()
    _pickler()(stream, protocol=_PROTOCOL).dump(value)
    return stream.getvalue()


@functools.cache
def _pickler() -> Any:
    import cloudpickle

    keep_file = cloudpickle.Pickler.dispatch_table[io.TextIOWrapper]

    def refuse_file(file: Any) -> Any:
        if file is sys.stdout or file is sys.stderr:
            return keep_file(file)
        message = f"it holds the open file {getattr(file, 'name', '')!r}"
        raise pickle.PicklingError(message)

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc] # untyped
        dispatch_table: ClassVar[Any] = ChainMap({io.TextIOWrapper: refuse_file}, cloudpickle.Pickler.dispatch_table)

        def reducer_override(self, obj: Any) -> Any:
            if hasattr(type(obj), "savefig") and type(obj).__module__ == "matplotlib.figure":
                return _reduce_figure(obj)
            return super().reducer_override(obj)

    return Pickler


def _reduce_figure(figure: Any) -> Any:
    """Leave out that pyplot managed the figure."""
    make, arguments, state, *rest = figure.__reduce_ex__(_PROTOCOL)
    if isinstance(state, dict):
        state = {name: part for name, part in state.items() if name != "_restore_to_pylab"}
    return (make, arguments, state, *rest)


def _message(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
