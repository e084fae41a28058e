"""The project of the notebook that this process executes, as its kernel knows it: saved or not.

Twins that are called from cells about partitions work on it: which keys there are follows from a declaration that may
have been executed a moment ago, and from the environment of a run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from nbpipe.commands.workspace import Workspace


class _Door(NamedTuple):
    look: Callable[[], Workspace]
    thread: int


_doors: list[_Door] = []
"""At most one."""


def set_current(look: Callable[[], Workspace] | None) -> None:
    """Say how this thread finds the project of its notebook; None: there is no notebook any more."""
    _doors[:] = [] if look is None else [_Door(look, threading.get_ident())]


@contextmanager
def current_workspace() -> Iterator[Workspace]:
    """Give the project of this notebook; outside of one, or in another thread, that of the working folder."""
    door = next(iter(_doors), None)
    if door is not None and door.thread == threading.get_ident():
        yield door.look()  # the session of the notebook closes it
        return
    with Workspace.open() as workspace:
        yield workspace
