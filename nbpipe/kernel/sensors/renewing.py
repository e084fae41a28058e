"""Begin the process of sensors anew, in its place, when the modules that it has imported are not those any more."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from nbpipe import clock
from nbpipe.execution.warm.inventory import Inventory

#: Seconds between two looks at the files of modules: there are thousands of them.
EVERY = 10.0


class Imported:
    """What this process has imported for all that it forks."""

    def __init__(self) -> None:
        """Take note of what is imported now."""
        self._inventory = Inventory()
        self._looked = clock.monotonic()
        self._outdated = False

    def extend(self) -> None:
        """Take note of what was imported since."""
        self._inventory.extend()

    @property
    def outdated(self) -> bool:
        """Something of it was replaced, or packages were installed or removed."""
        return self._outdated or (clock.monotonic() - self._looked >= EVERY and self.look())

    def look(self) -> bool:
        """Look at once; see `outdated`."""
        self._looked = clock.monotonic()
        self._outdated = self._outdated or bool(self._inventory.difference())
        return self._outdated


def begin_anew(link: int, unheard: bytes) -> NoReturn:
    """Replace this process by a new one of the same number, which goes on with what was not dealt with.

    Args:
        link: the socket to the process that asks.
        unheard: what came from there and is to be heard again.
    """
    kept = os.memfd_create("nbpipe-sensors", flags=0)
    with os.fdopen(kept, "wb", closefd=False) as file:
        file.write(unheard)
    os.lseek(kept, 0, os.SEEK_SET)
    os.set_inheritable(link, True)  # noqa: FBT003 - positional only
    words = sys.orig_argv[1 : sys.orig_argv.index("-m") + 2]
    os.execv(sys.executable, [sys.executable, *words, str(link), str(kept)])  # noqa: S606 - no shell is wanted


def unheard(arguments: list[str]) -> bytes:
    """Return what the process before this one has handed on, if there was one."""
    if not arguments:
        return b""
    with os.fdopen(int(arguments[0]), "rb") as file:
        return file.read()
