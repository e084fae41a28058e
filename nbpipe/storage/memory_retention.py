"""Removes what is old from memory. See `AutomationStore.prune`."""

from __future__ import annotations

from datetime import datetime

from nbpipe.core.automation.records import Source
from nbpipe.core.records import ACTIVE_RUN
from nbpipe.storage.memory_base import MemoryPart
from nbpipe.storage.outcomes import KEPT_EVENTS


class MemoryRetention(MemoryPart):
    """Removes what is old of one environment; it shares all that the store remembers, and its caller holds the lock."""

    def __init__(self, store: MemoryPart) -> None:
        self.__dict__ = store.__dict__

    def prune(self, kind: str, env: str, before: datetime, limit: int, *, of: tuple[Source, str] | None = None) -> int:
        """Remove one kind, ticks perhaps of one source and name; return how many rows."""
        if kind == "ticks":
            return self._old_ticks(env, before, limit, of)
        remove = {
            "run_keys": self._old_keys,
            "runs": self._old_runs,
            "backfills": self._old_backfills,
            "events": self._old_events,
        }[kind]
        return remove(env, before, limit)

    def _old_ticks(self, env: str, before: datetime, limit: int, of: tuple[Source, str] | None) -> int:
        old = [
            tick
            for of_env, tick in self._ticks.values()
            if of_env == env and tick.at < before and of in (None, (tick.source, tick.name))
        ]
        for tick in sorted(old, key=lambda tick: tick.at)[:limit]:
            del self._ticks[tick.id]
        return min(len(old), limit)

    def _old_keys(self, env: str, before: datetime, limit: int) -> int:
        old = [
            (known, key)
            for (of_env, _), known in self._run_keys.items()
            for key, (_, until) in known.items()
            if of_env == env and until is not None and until < before
        ][:limit]
        for known, key in old:
            del known[key]
        return len(old)

    def _old_runs(self, env: str, before: datetime, limit: int) -> int:
        interested = {run for kept in self._backfills.values() if kept.record.ended_at is None for run in kept.runs}
        old = [
            kept.record
            for kept in self._runs.values()
            if kept.record.env == env
            and kept.record.status not in ACTIVE_RUN
            and kept.record.ended_at is not None
            and kept.record.ended_at < before
            and kept.record.id not in interested
        ][:limit]
        for run in old:
            self._removed_events.add(self._runs.pop(run.id).created)
            for backfill in self._backfills.values():
                backfill.runs.pop(run.id, None)
        return len(old)

    def _old_backfills(self, env: str, before: datetime, limit: int) -> int:
        def ended(run_id: str) -> bool:
            return run_id not in self._runs or self._runs[run_id].record.status not in ACTIVE_RUN

        old = [
            kept.record.id
            for kept in self._backfills.values()
            if kept.record.env == env
            and kept.record.ended_at is not None
            and kept.record.ended_at < before
            and all(map(ended, kept.runs))
        ][:limit]
        for backfill_id in old:
            del self._backfills[backfill_id]
        return len(old)

    def _old_events(self, env: str, before: datetime, limit: int) -> int:
        old = [
            event.id
            for event in self._events[:-1]  # the number of the newest one is the revision of the store
            if event.env == env
            and event.at < before
            and event.kind not in KEPT_EVENTS
            and event.id not in self._removed_events
        ][:limit]
        self._removed_events.update(old)
        return len(old)
