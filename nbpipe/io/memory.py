"""Values in this process's memory: the twin of the files for tests."""

from __future__ import annotations

from nbpipe.io.places import MemoryPlace
from nbpipe.io.values import ValueIOManager


class MemoryIOManager(ValueIOManager):
    """Keeps values as files do, encoded, so that what is loaded is never the object that was stored."""

    def __init__(self, name: str = "memory", *, env: str = "default", only: str | None = None) -> None:
        super().__init__(name, MemoryPlace(), env=env, only=only)
