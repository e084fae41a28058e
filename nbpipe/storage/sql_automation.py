"""What is known of schedules and sensors, in SQL. See `nbpipe.core.ports.AutomationStore`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from nbpipe.core.automation.records import AutomationState, Lease, Source, Tick
from nbpipe.core.ports.automation import CursorChange, NewRun, Prunable
from nbpipe.core.records import Run, WorkerId
from nbpipe.storage import automation_queries as queries
from nbpipe.storage import automation_rows, codec, rows, run_lists
from nbpipe.storage.database import Database, Transaction
from nbpipe.storage.sql_base import Happening, SqlPart
from nbpipe.storage.sql_run_batches import SqlRunBatches

if TYPE_CHECKING:
    from nbpipe.storage.sql_retention import Examined


class SqlAutomation(SqlPart):
    """The part of the state store that is about schedules, sensors and who leads.

    Writing transactions happen one after the other (see `Database.write`), so what is read here is what is changed.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._runs = SqlRunBatches(database)
        self._examined: dict[str, Examined] = {}  # by environment

    def lead(self, env: str, worker: WorkerId, *, at: datetime, instead_of: Lease | None = None) -> Lease | None:
        """See `AutomationStore`."""
        with self._database.write() as transaction:
            row = transaction.one(queries.select_lease, of_env=env)
            if automation_rows.lease(env, row) != instead_of:
                return None
            lease = Lease(env=env, worker=worker, token=1 if row is None else row[1] + 1)
            transaction.run(queries.take_lease, env=env, identity=codec.encode_text(worker), token=lease.token)
            self._note(transaction, Happening(env, "lease_taken", data={"worker": worker.id, "token": lease.token}), at)
        return lease

    def lease(self, env: str) -> Lease | None:
        """See `AutomationStore`."""
        with self._database.read() as transaction:
            return automation_rows.lease(env, transaction.one(queries.select_lease, of_env=env))

    def renew(self, lease: Lease, *, at: datetime) -> Lease:  # noqa: ARG002 - beats are counted, not timed
        """See `AutomationStore`. It is no change that anybody waits for."""
        with self._database.write(announce=False) as transaction:
            self._check(transaction, lease)
            beats = transaction.number(queries.beat_lease, of_env=lease.env, mine=lease.token)
        return msgspec.structs.replace(lease, beats=beats)

    def resign(self, lease: Lease, *, at: datetime) -> None:
        """See `AutomationStore`."""
        with self._database.write() as transaction:
            if transaction.run(queries.leave_lease, of_env=lease.env, mine=lease.token):
                data = {"worker": lease.worker.id, "token": lease.token}
                self._note(transaction, Happening(lease.env, "lease_resigned", data=data), at)

    def states(self, env: str) -> Mapping[tuple[Source, str], AutomationState]:
        """See `AutomationStore`."""
        with self._database.read() as transaction:
            found = map(automation_rows.state, transaction.all(queries.select_states, env=env))
            return {(state.source, state.name): state for state in found}

    def switch(self, env: str, source: Source, name: str, *, on: bool | None, at: datetime) -> None:
        """See `AutomationStore`."""
        this = {"env": env, "source": source, "name": name}
        stamp = codec.stamp(at)
        with self._database.write() as transaction:
            transaction.run(queries.add_state, **this)
            position = None if on is None else int(on)
            settled = None if on is False else stamp
            transaction.run(queries.switch, **this, position=position, settled=settled, moment=stamp)
            self._tell(transaction, env, "automation_switched", source, name, at, on=on)

    def begin(self, lease: Lease, source: Source, name: str, *, times: str = "", since: datetime) -> None:
        """See `AutomationStore`."""
        this = {"env": lease.env, "source": source, "name": name}
        with self._database.write() as transaction:
            self._check(transaction, lease)
            transaction.run(queries.add_state, **this)
            transaction.run(queries.begin, **this, new_times=times, settled=codec.stamp(since))
            self._tell(transaction, lease.env, "automation_begun", source, name, since)

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
        # a skip of a sensor wakes nobody: hundreds of sensors have one every few seconds
        with self._database.write(announce=tick.source == "schedule" or tick.status != "skipped") as transaction:
            self._check(transaction, lease)
            if not self._expected(transaction, lease.env, tick, cursor):
                return None
            known = self._prolong(transaction, lease.env, tick, automation_rows.asked_keys(runs, seen), keys_until)
            kept_runs = automation_rows.unseen(runs, known)
            ids = (new.run.id for new in kept_runs)
            kept = automation_rows.kept_tick(tick, ids, automation_rows.seen_words(known))
            written = self._keep(transaction, lease.env, kept)
            if written is None:  # its time came again, because the clock was set back
                self._settle_schedule(transaction, lease.env, tick.name, tick.scheduled_at)
                return None
            self._runs.add_runs(transaction, kept_runs)
            self._keep_keys(transaction, lease.env, tick.name, kept_runs, keys_until)
            self._settle(transaction, lease.env, written, cursor)
        return written

    def missed(self, lease: Lease, ticks: Sequence[Tick]) -> None:
        """See `AutomationStore`."""
        kept = [automation_rows.kept_tick(tick) for tick in ticks]
        with self._database.write() as transaction:
            self._check(transaction, lease)
            transaction.many(queries.add_ticks, (automation_rows.tick_columns(lease.env, tick) for tick in kept))
            for name, upto in automation_rows.settled(kept).items():
                self._settle_schedule(transaction, lease.env, name, upto)
                number = sum(tick.count for tick in kept if tick.name == name)
                self._tell(transaction, lease.env, "ticks_missed", "schedule", name, kept[-1].at, ticks=number)

    def enqueue(self, lease: Lease, runs: Sequence[NewRun]) -> list[str]:
        """See `AutomationStore`."""
        with self._database.write() as transaction:
            self._check(transaction, lease)
            known = self._runs.known(transaction, [new.run.id for new in runs])
            added = [new for new in runs if new.run.id not in known]
            self._runs.add_runs(transaction, added)
        return [new.run.id for new in added]

    def ticks(self, env: str, source: Source, name: str, *, limit: int = 50, before: int | None = None) -> list[Tick]:
        """See `AutomationStore`."""
        with self._database.read() as transaction:
            found = transaction.all(queries.select_ticks, env=env, source=source, name=name, limit=limit, before=before)
        return list(map(automation_rows.tick, found))

    def set_cursor(self, env: str, name: str, cursor: str | None, *, at: datetime) -> None:
        """See `AutomationStore`."""
        with self._database.write() as transaction:
            self._set_cursor(transaction, env, name, cursor, at)
            self._tell(transaction, env, "cursor_set", "sensor", name, at)

    def seen_keys(self, env: str, name: str, keys: Collection[str], *, at: datetime) -> Mapping[str, str]:
        """See `AutomationStore`."""
        cleaned = {codec.clean(key): key for key in keys}
        given = {"env": env, "name": name, "keys": codec.encode_text(list(cleaned)), "now": codec.stamp(at)}
        with self._database.read() as transaction:
            return {cleaned[key]: run for key, run, _ in transaction.all(queries.select_keys, **given)}

    def waiting(self, env: str, *, limit: int = 1000) -> list[Run]:
        """See `AutomationStore`."""
        with self._database.read() as transaction:
            return list(map(rows.run, transaction.all(run_lists.select_waiting, env=env, limit=limit)))

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
        from nbpipe.storage.sql_retention import Examined, SqlRetention

        retention = SqlRetention(self._database, lease.env, lambda transaction: self._check(transaction, lease))
        removed, stamp = 0, codec.stamp(before)
        for kind in sorted(set(kinds) - {"events"}):
            removed += retention.prune(kind, stamp, limit, of=of)
        if "events" in kinds:
            examined = self._examined.get(lease.env, Examined())
            number, self._examined[lease.env] = retention.prune_events(stamp, limit, examined)
            removed += number
        return removed

    @staticmethod
    def _check(transaction: Transaction, lease: Lease) -> None:
        row = transaction.one(queries.select_lease, of_env=lease.env)
        automation_rows.check_lease(automation_rows.lease(lease.env, row), lease)

    def _tell(
        self, transaction: Transaction, env: str, kind: str, source: Source, name: str, at: datetime, **data: object
    ) -> None:
        self._note(transaction, Happening(env, kind, data={"source": source, "name": name, **data}), at)

    @staticmethod
    def _expected(transaction: Transaction, env: str, tick: Tick, cursor: CursorChange | None) -> bool:
        """Return whether a schedule or sensor still stands as the caller believes."""
        row = transaction.one(queries.select_state, env=env, source=tick.source, name=tick.name)
        state = AutomationState(source=tick.source, name=tick.name) if row is None else automation_rows.state(row)
        return automation_rows.expected(state, tick, cursor)

    @staticmethod
    def _prolong(
        transaction: Transaction, env: str, tick: Tick, keys: list[str], until: datetime | None
    ) -> dict[str, str]:
        """Return the run keys that were seen before, with their runs; they last longer now."""
        if not keys:
            return {}
        now = codec.stamp(tick.at)
        given = {"env": env, "name": tick.name, "keys": codec.encode_text(keys), "now": now}
        found = {key: (run, expires) for key, run, expires in transaction.all(queries.select_keys, **given)}
        stamp = None if until is None else codec.stamp(until)
        longer = automation_rows.outlived({key: expires for key, (_, expires) in found.items()}, stamp, now)
        if longer:
            listed = codec.encode_text(longer)
            transaction.run(queries.prolong_keys, of_env=env, of_name=tick.name, keys=listed, until=stamp)
        return {key: found[key][0] for key in keys if key in found}

    def _keep(self, transaction: Transaction, env: str, tick: Tick) -> Tick | None:
        """Write a tick, or count up the skip before it; None if there is one of this schedule at this time.

        One that was only missed does not count.
        """
        if tick.source == "sensor" and tick.status == "skipped":
            given = {"env": env, "source": tick.source, "name": tick.name, "limit": 1, "before": None}
            last = transaction.one(queries.select_ticks, **given)
            if last is not None and (old := automation_rows.tick(last)).status == "skipped":
                transaction.run(queries.repeat_tick, tick=old.id, moment=codec.stamp(tick.at), why=tick.reason)
                return msgspec.structs.replace(old, count=old.count + 1, at=tick.at, reason=tick.reason)
        columns = automation_rows.tick_columns(env, tick)
        row = transaction.one(queries.add_tick, **columns)
        if row is None:
            place = {f"of_{name}": columns[name] for name in ("env", "source", "name", "scheduled_at")}
            if not transaction.run(queries.drop_missed, **place):
                return None
            row = transaction.one(queries.add_tick, **columns)
        if row is None:
            return None
        number = int(row[0])
        data = {"tick": number, "runs": len(tick.runs)}
        self._tell(transaction, env, f"tick_{tick.status}", tick.source, tick.name, tick.at, **data)
        return msgspec.structs.replace(tick, id=number)

    @staticmethod
    def _keep_keys(
        transaction: Transaction, env: str, name: str, runs: Sequence[NewRun], until: datetime | None
    ) -> None:
        shared = {"env": env, "name": name, "expires_at": None if until is None else codec.stamp(until)}
        keyed = (new for new in runs if new.run_key is not None)
        transaction.many(queries.keep_key, ({**shared, "key": new.run_key, "run_id": new.run.id} for new in keyed))

    def _settle(self, transaction: Transaction, env: str, tick: Tick, cursor: CursorChange | None) -> None:
        if tick.source == "schedule":
            self._settle_schedule(transaction, env, tick.name, tick.scheduled_at)
        elif cursor is not None and cursor.new != cursor.old:
            self._set_cursor(transaction, env, tick.name, cursor.new, tick.at)

    @staticmethod
    def _settle_schedule(transaction: Transaction, env: str, name: str, upto: datetime) -> None:
        this = {"env": env, "source": "schedule", "name": name}
        transaction.run(queries.add_state, **this)
        transaction.run(queries.settle, **this, settled=codec.stamp(upto))

    @staticmethod
    def _set_cursor(transaction: Transaction, env: str, name: str, cursor: str | None, at: datetime) -> None:
        this = {"env": env, "source": "sensor", "name": name}
        transaction.run(queries.add_state, **this)
        kept = None if cursor is None else codec.clean(cursor)
        transaction.run(queries.set_cursor, **this, new_cursor=kept, moment=codec.stamp(at))
