"""What is known of schedules and sensors, in memory. See `nbpipe.core.ports.AutomationStore`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from nbpipe.core.automation.records import AutomationState, Lease, Source, Tick
from nbpipe.core.ports.automation import CursorChange, NewRun, Prunable
from nbpipe.core.records import Run, WorkerId
from nbpipe.errors import ConflictError
from nbpipe.storage import automation_rows, codec
from nbpipe.storage.memory_base import MemoryPart
from nbpipe.storage.memory_retention import MemoryRetention
from nbpipe.storage.memory_runs import MemoryRuns


class _Runs(MemoryRuns):
    def __init__(self, store: MemoryPart) -> None:
        self.__dict__ = store.__dict__


class MemoryAutomation(MemoryPart):
    """The part of the in-memory store that is about schedules and sensors; it shares all that the store remembers."""

    def __init__(self, store: MemoryPart) -> None:
        self.__dict__ = store.__dict__

    def lead(self, env: str, worker: WorkerId, *, at: datetime, instead_of: Lease | None = None) -> Lease | None:
        """See `AutomationStore`."""
        with self._changing():
            token, known = self._leases.get(env, (0, None))
            if known != instead_of:
                return None
            lease = Lease(env=env, worker=worker, token=token + 1)
            self._leases[env] = (lease.token, lease)
            self._note(env, "lease_taken", at, data={"worker": worker.id, "token": lease.token})
            return lease

    def lease(self, env: str) -> Lease | None:
        """See `AutomationStore`."""
        with self._reading():
            return self._leases.get(env, (0, None))[1]

    def renew(self, lease: Lease, *, at: datetime) -> Lease:  # noqa: ARG002 - beats are counted, not timed
        """See `AutomationStore`."""
        with self._reading():
            known = self._check(lease)
            renewed = msgspec.structs.replace(known, beats=known.beats + 1)
            self._leases[lease.env] = (lease.token, renewed)
            return renewed

    def resign(self, lease: Lease, *, at: datetime) -> None:
        """See `AutomationStore`."""
        with self._changing():
            known = self._leases.get(lease.env, (0, None))[1]
            if known is not None and known.token == lease.token:
                self._leases[lease.env] = (lease.token, None)
                self._note(lease.env, "lease_resigned", at, data={"worker": lease.worker.id, "token": lease.token})

    def states(self, env: str) -> Mapping[tuple[Source, str], AutomationState]:
        """See `AutomationStore`."""
        with self._reading():
            return {
                (source, name): state for (of_env, source, name), state in self._automation.items() if of_env == env
            }

    def switch(self, env: str, source: Source, name: str, *, on: bool | None, at: datetime) -> None:
        """See `AutomationStore`."""
        with self._changing():
            settled = {} if on is False else {"since": _kept(at)}
            self._change(env, source, name, on=on, changed_at=_kept(at), **settled)
            self._tell(env, "automation_switched", source, name, at, on=on)

    def begin(self, lease: Lease, source: Source, name: str, *, times: str = "", since: datetime) -> None:
        """See `AutomationStore`."""
        with self._changing():
            self._check(lease)
            self._change(lease.env, source, name, times=times, since=_kept(since), changed_at=_kept(since))
            self._tell(lease.env, "automation_begun", source, name, since)

    def tick(
        self,
        lease: Lease,
        tick: Tick,
        runs: Sequence[NewRun] = (),
        *,
        cursor: CursorChange | None = None,
        seen: Collection[str] = (),
        keys_until: datetime | None = None,
    ) -> Tick | None:
        """See `AutomationStore`."""
        with self._changing():
            self._check(lease)
            env, name = lease.env, tick.name
            state = self._known_state(env, tick.source, name)
            if not automation_rows.expected(state, tick, cursor):
                return None
            if self._exists(env, tick, but_missed=True):  # its time came again, because the clock was set back
                self._settle_schedule(env, name, tick.scheduled_at)
                return None
            self._drop_missed(env, tick)
            asked = automation_rows.asked_keys(runs, seen)
            known = {key: run for key, (run, _) in self._alive(env, name, asked, tick.at).items()}
            kept_runs = automation_rows.unseen(runs, known)
            self._queue(kept_runs)
            self._prolong(env, name, asked, keys_until, tick.at)
            ids = (new.run.id for new in kept_runs)
            kept = self._keep(env, automation_rows.kept_tick(tick, ids, automation_rows.seen_words(known)))
            until = None if keys_until is None else _kept(keys_until)
            for new in kept_runs:
                if new.run_key is not None:
                    self._run_keys.setdefault((env, name), {})[new.run_key] = (new.run.id, until)
            self._settle(env, kept, cursor)
            return kept

    def missed(self, lease: Lease, ticks: Sequence[Tick]) -> None:
        """See `AutomationStore`."""
        kept = [automation_rows.kept_tick(tick) for tick in ticks]
        with self._changing():
            self._check(lease)
            for tick in kept:
                if not self._exists(lease.env, tick):
                    self._add(lease.env, tick)
            for name, upto in automation_rows.settled(kept).items():
                self._settle_schedule(lease.env, name, upto)
                number = sum(tick.count for tick in kept if tick.name == name)
                self._tell(lease.env, "ticks_missed", "schedule", name, kept[-1].at, ticks=number)

    def enqueue(self, lease: Lease, runs: Sequence[NewRun]) -> list[str]:
        """See `AutomationStore`."""
        with self._changing():
            self._check(lease)
            added = [new for new in runs if new.run.id not in self._runs]
            self._queue(added)
            return [new.run.id for new in added]

    def ticks(self, env: str, source: Source, name: str, *, limit: int = 50, before: int | None = None) -> list[Tick]:
        """See `AutomationStore`."""
        with self._reading():
            found = self._of(env, source, name)
        return [tick for tick in reversed(found) if before is None or tick.id < before][:limit]

    def set_cursor(self, env: str, name: str, cursor: str | None, *, at: datetime) -> None:
        """See `AutomationStore`."""
        with self._changing():
            self._set_cursor(env, name, cursor, at)
            self._tell(env, "cursor_set", "sensor", name, at)

    def seen_keys(self, env: str, name: str, keys: Collection[str], *, at: datetime) -> Mapping[str, str]:
        """See `AutomationStore`."""
        cleaned = {codec.clean(key): key for key in keys}
        with self._reading():
            return {cleaned[key]: run for key, (run, _) in self._alive(env, name, list(cleaned), at).items()}

    def waiting(self, env: str, *, limit: int = 1000) -> list[Run]:
        """See `AutomationStore`."""
        with self._reading():
            queued = [run for run in self._runs.values() if run.record.env == env and run.record.status == "queued"]
        ordered = sorted(queued, key=lambda run: (-run.record.priority, run.created))
        return [run.record for run in ordered][:limit]

    def prune(
        self,
        lease: Lease,
        *,
        before: datetime,
        kinds: Collection[Prunable],
        limit: int = 2_000,
        of: tuple[Source, str] | None = None,
    ) -> int:
        """See `AutomationStore`."""
        with self._reading():
            self._check(lease)
            retention = MemoryRetention(self)
            return sum(retention.prune(kind, lease.env, before, limit, of=of) for kind in sorted(set(kinds)))

    def _check(self, lease: Lease) -> Lease:
        known = self._leases.get(lease.env, (0, None))[1]
        automation_rows.check_lease(known, lease)
        assert known is not None  # noqa: S101 - it was checked
        return known

    def _known_state(self, env: str, source: Source, name: str) -> AutomationState:
        return self._automation.get((env, source, name), AutomationState(source=source, name=name))

    def _change(self, env: str, source: Source, name: str, **changes: Any) -> None:
        state = self._known_state(env, source, name)
        self._automation[env, source, name] = msgspec.structs.replace(state, **changes)

    def _tell(self, env: str, kind: str, source: Source, name: str, at: datetime, **data: object) -> None:
        self._note(env, kind, at, data={"source": source, "name": name, **data})

    def _of(self, env: str, source: Source, name: str) -> list[Tick]:
        """Return the ticks of a schedule or sensor, oldest first."""
        return [
            tick for of_env, tick in self._ticks.values() if (of_env, tick.source, tick.name) == (env, source, name)
        ]

    def _exists(self, env: str, tick: Tick, *, but_missed: bool = False) -> bool:
        """Return whether there is a tick of this schedule at this time; one that was missed may not count."""
        return any(not but_missed or other.status != "missed" for other in self._same(env, tick))

    def _drop_missed(self, env: str, tick: Tick) -> None:
        for other in self._same(env, tick):
            del self._ticks[other.id]

    def _same(self, env: str, tick: Tick) -> list[Tick]:
        """Return the tick of this schedule at this time."""
        if tick.source != "schedule":
            return []
        moment = _kept(tick.scheduled_at)
        return [other for other in self._of(env, tick.source, tick.name) if other.scheduled_at == moment]

    def _add(self, env: str, tick: Tick) -> Tick:
        self._tick_numbers += 1
        added = msgspec.structs.replace(tick, id=self._tick_numbers)
        self._ticks[added.id] = (env, added)
        return added

    def _keep(self, env: str, tick: Tick) -> Tick:
        """Add a tick, or count up the skip before it."""
        if tick.source == "sensor" and tick.status == "skipped":
            last = self._of(env, tick.source, tick.name)[-1:]
            if last and last[0].status == "skipped":
                old = last[0]
                more = msgspec.structs.replace(old, count=old.count + 1, at=tick.at, reason=tick.reason)
                self._ticks[more.id] = (env, more)
                return more
        added = self._add(env, tick)
        data = {"tick": added.id, "runs": len(tick.runs)}
        self._tell(env, f"tick_{tick.status}", tick.source, tick.name, tick.at, **data)
        return added

    def _queue(self, news: Sequence[NewRun]) -> None:
        """Do `RunStore.create_run` for each, or for none."""
        times = Counter(new.run.id for new in news)
        for number in sorted(times):
            if number in self._runs or times[number] > 1:
                raise ConflictError(f"there is a run {number} already")
        for new in news:
            _Runs(self).create_run(new.run, new.steps, new.assets, new.plan)

    def _alive(self, env: str, name: str, keys: Sequence[str], at: datetime) -> dict[str, tuple[str, datetime | None]]:
        """Return the run keys that are known and have not expired."""
        known = self._run_keys.get((env, name), {})
        found = {key: known[key] for key in keys if key in known}
        return {key: (run, until) for key, (run, until) in found.items() if until is None or until > at}

    def _prolong(self, env: str, name: str, keys: Sequence[str], until: datetime | None, at: datetime) -> None:
        found = self._alive(env, name, keys, at)
        expiry = {key: None if old is None else codec.stamp(old) for key, (_, old) in found.items()}
        stamp = None if until is None else codec.stamp(until)
        for key in automation_rows.outlived(expiry, stamp, codec.stamp(at)):
            self._run_keys[env, name][key] = (found[key][0], codec.moment_or_none(stamp))

    def _settle(self, env: str, tick: Tick, cursor: CursorChange | None) -> None:
        if tick.source == "schedule":
            self._settle_schedule(env, tick.name, tick.scheduled_at)
        elif cursor is not None and cursor.new != cursor.old:
            self._set_cursor(env, tick.name, cursor.new, tick.at)

    def _settle_schedule(self, env: str, name: str, upto: datetime) -> None:
        since = self._known_state(env, "schedule", name).since
        self._change(env, "schedule", name, since=upto if since is None else max(since, upto))

    def _set_cursor(self, env: str, name: str, cursor: str | None, at: datetime) -> None:
        kept = None if cursor is None else codec.clean(cursor)
        self._change(env, "sensor", name, cursor=kept, changed_at=_kept(at))


def _kept(at: datetime) -> datetime:
    """Return a moment as a database would give it back."""
    return codec.moment(codec.stamp(at))
