"""Public fakes: what users need to test their own pipelines without a disk, a database or a kernel."""

from __future__ import annotations

from nbpipe.io.memory import MemoryIOManager
from nbpipe.storage.memory import InMemoryStateStore

__all__ = ["InMemoryStateStore", "MemoryIOManager"]
