"""Which formats are tried for a value, and which one reads a file.

A format's module is imported when a value of its library is met: that library is loaded then anyway.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator

from nbpipe.errors import UnknownNameError
from nbpipe.io.formats.format import Format

_BY_LIBRARY: dict[str, tuple[str, ...]] = {
    "builtins": ("documents:TextFormat", "documents:BytesFormat", "documents:JsonFormat"),
    "numpy": ("arrays:ArrayFormat", "arrays:ScalarFormat"),
    "pandas": ("pandas_tables:PandasFormat",),
    "polars": ("polars_tables:PolarsFormat",),
    "pyarrow": ("arrow_tables:ArrowTableFormat",),
    "pathlib": ("paths:FileFormat",),
}
_FIGURE, _PICKLE = "figures:FigureFormat", "pickles:PickleFormat"
_BY_NAME: dict[str, tuple[str, ...]] = {
    "text": ("documents:TextFormat",),
    "bytes": ("documents:BytesFormat",),
    "json": ("documents:JsonFormat",),
    "npy": ("arrays:ArrayFormat",),
    "npy-scalar": ("arrays:ScalarFormat",),
    "parquet": ("pandas_tables:PandasFormat", "polars_tables:PolarsFormat", "arrow_tables:ArrowTableFormat"),
    "file": ("paths:FileFormat",),
    "figure": (_FIGURE,),
    "pickle": (_PICKLE,),
}
FORMAT_NAMES = tuple(_BY_NAME)


def formats_for(value: object, only: str | None = None) -> Iterator[Format]:
    """Yield the formats that may keep a value, the best first; the last takes anything unless `only` one is wanted."""
    library = type(value).__module__.partition(".")[0]
    usual = (*_BY_LIBRARY.get(library, ()), _FIGURE, _PICKLE)
    candidates = usual if only is None else _BY_NAME[only]
    for name in candidates:
        found = _format(name)
        if found.accepts(value):
            yield found


def format_of(name: str, type_name: str) -> Format:
    """Return the format that reads a file of a format's name and a value's type.

    Raises:
        UnknownNameError: a later version of nbpipe wrote it.
    """
    candidates = _BY_NAME.get(name)
    if candidates is None:
        raise UnknownNameError("format", name, FORMAT_NAMES, hint="it was written by another version of nbpipe")
    library = type_name.partition(".")[0]
    fitting = [each for each in candidates if each in _BY_LIBRARY.get(library, ())]
    return _format((fitting or candidates)[0])


@functools.cache
def _format(name: str) -> Format:
    module, _, cls = name.partition(":")
    found: Format = getattr(importlib.import_module(f"nbpipe.io.formats.{module}"), cls)()
    return found
