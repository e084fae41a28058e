"""Import ipycytoscape without what the widget never uses.

When it is imported it imports pandas and networkx, half a second of work, only to tell their graphs from others:
we give it none. In a kernel that does not have them yet it gets stand-ins, which import the real ones as soon as
something of them is used, so that it works for everybody else as ever. The stand-ins are seen by that one module:
no other import, of this thread or another, is touched.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import types
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from typing import Any

_MODULE = "ipycytoscape.cytoscape"
_HEAVY = frozenset({"networkx", "pandas"})


def import_ipycytoscape() -> Any:
    """Return the package `ipycytoscape`; imports it if nobody has done so."""
    if _MODULE in sys.modules:
        return importlib.import_module("ipycytoscape")
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("ipycytoscape")
    finally:
        sys.meta_path.remove(finder)


class _Later(types.ModuleType):
    """Stands for a module that is imported when something of it is used; true if anybody has imported it.

    ipycytoscape asks that before it looks whether a graph is one of the module's: where it is not, none can be.
    """

    def __bool__(self) -> bool:
        return self.__name__ in sys.modules

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def _import(name: str, *how: Any) -> Any:
    """Answer an `import` statement of the module."""
    if name in _HEAVY and name not in sys.modules:
        return _Later(name)
    return builtins.__import__(name, *how)


class _Loader(SourceFileLoader):
    """Executes a module with an `import` of its own: statements look it up among the builtins of their module."""

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds the one module; one that is not a source file is left to the other finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(fullname, path, target) if fullname == _MODULE else None
        if found is None or found.origin is None or type(found.loader) is not SourceFileLoader:
            return None
        return spec_from_file_location(fullname, found.origin, loader=_Loader(fullname, found.origin))
