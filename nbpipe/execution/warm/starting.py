"""What a warm process is told at its start."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

#: A variable of the warm process, long enough for the marks of a child: other processes see the variables with
#: which a program was started (proc(5), environ), and a fork changes nothing there, except in place.
ROOM = "NBPIPE_WARM_ROOM"
ROOM_SIZE = 400


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a warm process is started."""

    folder: str
    """Where it makes its socket; it has the folder for itself."""
    owner: int
    """The connection to its first owner."""
    lock: int
    """An open file that is locked as long as this process may be found."""
    libraries: tuple[str, ...] = ()
    denied: Mapping[str, str] = MappingProxyType({})
    """Modules that don't survive a fork, and why."""

    def words(self) -> tuple[str, ...]:
        """Return the arguments of the interpreter."""
        return "-m", "nbpipe.execution.warm.process", msgspec.json.encode(self, enc_hook=dict).decode()


def room() -> dict[str, str]:
    """Return the variable that leaves room for marks."""
    return {ROOM: "." * (ROOM_SIZE - len(ROOM) - 1)}
