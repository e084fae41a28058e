"""Names of things: assets, partitions, runs."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable

from nbpipe.errors import DeclarationError

#: Partition key of an asset without partitions, in tables and paths.
UNPARTITIONED = ""

#: In the body of an asset with partitions: which of them it computes.
PARTITION = "partition"

#: Names that nbpipe binds in every asset body.
INJECTED = frozenset({PARTITION, "context"})

#: Names that are always there in a notebook.
AMBIENT = frozenset(dir(builtins)) | frozenset(
    {"display", "get_ipython", "In", "Out", "exit", "quit", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh"}
    | {"__name__", "__doc__", "__file__", "__builtins__", "__vsc_ipynb_file__"}
)


class AssetKey(str):
    """The name of an asset; parts joined by `/` for assets that come from other systems.

    >>> AssetKey(["dbt", "orders"])
    'dbt/orders'
    """

    __slots__ = ()

    def __new__(cls, key: str | Iterable[str]) -> AssetKey:
        """Join the parts of a key, or take it as it is."""
        return super().__new__(cls, key if isinstance(key, str) else "/".join(key))


def check_name(name: str, what: str = "asset") -> None:
    """Refuse a name that can't be a variable of ours.

    Raises:
        DeclarationError: not an identifier, a keyword, a builtin, or a name that nbpipe binds.
    """
    if not name.isidentifier():
        raise DeclarationError(f"{what} name {name!r} is not a Python name: use letters, digits and _")
    if keyword.iskeyword(name):
        raise DeclarationError(f"{what} can't be called {name!r}: it is a keyword of Python")
    if name in INJECTED:
        raise DeclarationError(f"{what} can't be called {name!r}: nbpipe binds that name in every asset cell")
    if name in AMBIENT:
        raise DeclarationError(f"{what} can't be called {name!r}: it would hide the builtin of that name")
