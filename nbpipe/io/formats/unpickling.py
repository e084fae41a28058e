"""Reading pickles without touching the classes of the running notebook.

cloudpickle keeps a class of `__main__` by value and gives it an id. When it meets that id in the process where
the class lives, it rightly takes the living class, but then also sets every attribute of it again: methods get
other globals, counters go back. Here a living class is taken as it is.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

_MAKERS = ("_make_skeleton_class", "_make_skeleton_enum")
_FILLER = "_class_setstate"
_unfinished: WeakSet[type] = WeakSet()
"""Classes that were made here and have not got their attributes yet."""


def load_pickle(data: bytes | bytearray) -> Any:
    """Rebuild a value.

    Raises:
        Exception: whatever the classes of the value raise.
    """
    if b"_make_skeleton_" in data:
        return _Unpickler(io.BytesIO(data)).load()
    return pickle.loads(data)


class _Unpickler(pickle.Unpickler):
    """Takes living classes as they are."""

    def find_class(self, module: str, name: str) -> Any:
        """Put our own functions in the place of those that make classes."""
        found = super().find_class(module, name)
        if module.partition(".")[0] == "cloudpickle":
            if name in _MAKERS:
                return _making(found)
            if name == _FILLER:
                return _filling(found)
        return found


def _making(make: Callable[..., type]) -> Callable[..., type]:
    from cloudpickle import cloudpickle

    def make_or_take(*args: Any) -> type:
        alive = args[-2] in cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID  # noqa: SLF001 - there is no public way to ask
        found = make(*args)
        if not alive:
            _unfinished.add(found)
        return found

    return make_or_take


def _filling(fill: Callable[[type, Any], Any]) -> Callable[[type, Any], None]:
    def fill_if_new(cls: type, state: Any) -> None:
        if cls in _unfinished:
            fill(cls, state)
            _unfinished.discard(cls)

    return fill_if_new
