"""The state store in memory: for tests, and for work that nobody wants to keep."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from nbpipe import clock
from nbpipe.core.records import Event
from nbpipe.storage.memory_assets import MemoryAssets
from nbpipe.storage.memory_runs import MemoryRuns

if TYPE_CHECKING:
    from nbpipe.core.ports import AutomationStore, BackfillStore, PartitionStore


class InMemoryStateStore(MemoryAssets, MemoryRuns):
    """A state store that lives as long as the object. See `nbpipe.core.ports.StateStore`.

    It keeps everything as a database would give it back: what JSON can't hold is text here, too.
    """

    @cached_property
    def partitions(self) -> PartitionStore:
        """See `StateStore`. Loaded when it is used."""
        from nbpipe.storage.memory_partitions import MemoryPartitions

        return MemoryPartitions(self)

    @property
    def backfills(self) -> BackfillStore:
        """See `StateStore`. Loaded when it is used; not kept, since it shares the attributes of this object."""
        from nbpipe.storage.memory_backfills import MemoryBackfills

        return MemoryBackfills(self)

    @property
    def automation(self) -> AutomationStore:
        """See `StateStore`. Loaded when it is used; not kept, see `backfills`."""
        from nbpipe.storage.memory_automation import MemoryAutomation

        return MemoryAutomation(self)

    def revision(self) -> int:
        """See `StateStore`."""
        with self._reading():
            return len(self._events)

    def wait_for_change(self, since: int, timeout: float) -> int:
        """See `StateStore`. Returns early if the store is closed meanwhile."""
        deadline = clock.monotonic() + timeout
        while True:
            seen, revision, left = self._signal.count, len(self._events), deadline - clock.monotonic()
            if revision > since or left <= 0 or self._closed:
                return revision
            self._signal.wait(seen, left)

    def events(
        self,
        *,
        env: str | None = None,
        asset: str | None = None,
        run_id: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Event]:
        """See `StateStore`."""
        with self._reading():
            found = (
                event
                for event in self._events[max(after, 0) :]
                if event.id not in self._removed_events
                and env in {None, event.env}
                and asset in {None, event.asset}
                and run_id in {None, event.run_id}
            )
            return [event for event, _ in zip(found, range(limit), strict=False)]

    def close(self) -> None:
        """See `StateStore`."""
        with self._lock:
            self._closed = True
        self._signal.notify()
