"""What is known of partitions, in SQL: what changes it. See `nbpipe.core.ports.PartitionStore`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from pyroaring import BitMap

from nbpipe.core.partitions.records import NewPartition, SkippedPartition
from nbpipe.core.partitions.sets import Position
from nbpipe.core.partitions.subsets import Families, runs
from nbpipe.core.records import ACTIVE_RUN, Materialization, Outcome, StoredValue
from nbpipe.errors import MissingValueError
from nbpipe.storage import asset_queries, codec, run_queries
from nbpipe.storage import partition_queries as queries
from nbpipe.storage import partition_values as values_of
from nbpipe.storage.database import Database, Transaction
from nbpipe.storage.partition_chunks import family_text
from nbpipe.storage.partition_groups import address_of, by_chunk, cut, label_of, of_commit, of_skip
from nbpipe.storage.sql_base import Happening
from nbpipe.storage.sql_chunks import SqlChunks, mark, unmark
from nbpipe.storage.sql_partition_facts import SqlPartitionFacts
from nbpipe.storage.sql_partition_values import SharedParts, add_value
from nbpipe.storage.sql_registries import SqlRegistries

_NEVER = 2**62
_FEW = 100
"""So many places in a run are looked up one by one: for more, PostgreSQL reads all of the run."""


class SqlPartitions(SqlPartitionFacts, SqlRegistries, SqlChunks):
    """The part of the state store that is about partitions."""

    def __init__(self, database: Database) -> None:
        SqlPartitionFacts.__init__(self, database)
        SqlRegistries.__init__(self, database)

    def commit(self, values: Sequence[NewPartition]) -> tuple[Materialization, ...]:
        """See `PartitionStore`."""
        if not values:
            return ()
        made: dict[int, Materialization] = {}
        indexed = sorted(enumerate(values), key=lambda item: of_commit(item[1]))
        with self._database.write() as transaction:
            for (env, asset, run_id), group in groupby(indexed, key=lambda item: of_commit(item[1])):
                self._commit(transaction, env, asset, run_id or None, dict(group), made)
        return tuple(made[index] for index in range(len(values)))

    def skip(self, values: Sequence[SkippedPartition]) -> None:
        """See `PartitionStore`."""
        if not values:
            return
        with self._database.write() as transaction:
            for (env, asset, run, reason), found in groupby(sorted(values, key=of_skip), key=of_skip):
                group, run_id = list(found), run or None
                number = self._asset(transaction, env, asset)
                label = label_of([each.partition for each in group])
                data = {"reason": codec.clean(reason), "partitions": len(group)}
                happening = Happening(env, "partitions_skipped", number, label, run_id, data)
                event = self._note(transaction, happening, max(each.at for each in group))
                shared = SharedParts(transaction, number, event)
                for place, each in by_chunk((each.position, each) for each in group):
                    with self._chunk(transaction, number, place, event) as chunk:
                        for offset, one in each:
                            recipe = shared.recipe(one.recipe)
                            chunk.kept = chunk.kept.skip(offset, event, inputs=one.inputs, recipe=recipe)
                        unmark(transaction, run_id, chunk.number, BitMap(offset for offset, _ in each))
                keys = [each.partition for each in group]
                self._set(transaction, run_id, number, keys, "skipped", error=codec.clean(reason), version=0)

    def fail(
        self,
        env: str,
        asset: str,
        which: Families,
        error: str,
        *,
        at: datetime,
        label: str = "",
        keys: Sequence[str] = (),
        run_id: str | None = None,
    ) -> None:
        """See `PartitionStore`."""
        error = codec.clean(error)
        with self._database.write() as transaction:
            number = self._asset(transaction, env, asset)
            data = {"error": error, "partitions": sum(map(len, which.values()))}
            event = self._note(transaction, Happening(env, "partitions_failed", number, label, run_id, data), at)
            for place, offsets in cut(which):
                with self._chunk(transaction, number, place, event) as chunk:
                    chunk.kept = chunk.kept.fail(offsets, event)
                    unmark(transaction, run_id, chunk.number, offsets)
            self._set(transaction, run_id, number, keys or [label], "failed", error=error)

    def start(
        self,
        env: str,
        asset: str,
        which: Families,
        *,
        run_id: str,
        at: datetime,
        label: str = "",
        keys: Sequence[str] = (),
    ) -> None:
        """See `PartitionStore`."""
        with self._database.write() as transaction:
            if not self._is_active(transaction, run_id):
                return
            number = self._asset(transaction, env, asset)
            event = self._note(transaction, Happening(env, "partitions_started", number, label, run_id), at)
            for place, offsets in cut(which):
                mark(transaction, run_id, self._chunk_number(transaction, number, place, event), offsets)
            self._set(transaction, run_id, number, keys or [label], "running")

    def stop(
        self,
        env: str,
        asset: str,
        which: Families,
        *,
        run_id: str,
        at: datetime,
        label: str = "",
        keys: Sequence[str] = (),
    ) -> None:
        """See `PartitionStore`."""
        with self._database.write() as transaction:
            number = self._asset(transaction, env, asset)
            event = self._note(transaction, Happening(env, "partitions_stopped", number, label, run_id), at)
            for place, offsets in cut(which):
                unmark(transaction, run_id, self._chunk_number(transaction, number, place, event), offsets)
            self._set(transaction, run_id, number, keys or [label], "queued")

    def rollback(
        self, env: str, asset: str, key: str, position: Position, *, version: int, at: datetime
    ) -> Materialization:
        """See `PartitionStore`."""
        place, offset = address_of(position)
        with self._database.write() as transaction:
            number = self._asset(transaction, env, asset)
            row = transaction.one(queries.find_chunk, asset=number, family=family_text(place[0]), block=place[1])
            at_place = {"chunk": row[0] if row else 0, "offset": offset}
            found = transaction.one(queries.select_version, **at_place, version=version)
            if found is None:
                raise MissingValueError(f"{asset}@{key} has no version {version}")
            made = values_of.materialization(env, asset, key, found)
            if made.expired:
                raise MissingValueError(f"the value of {asset}@{key} version {version} was removed; choose a newer one")
            data = {"version": version}
            event = self._note(transaction, Happening(env, "partitions_rolled_back", number, key, None, data), at)
            with self._chunk(transaction, number, place, event) as chunk:
                old = chunk.kept.current.get(offset)
                transaction.run(queries.supersede, **at_place, number=old, event=event)
                transaction.run(queries.supersede, **at_place, number=version, event=None)
                chunk.kept = chunk.kept.hold(offset, version, data_version=made.stored.data_version)
        return made

    def wipe(
        self, env: str, asset: str, which: Families | None = None, *, at: datetime, label: str = ""
    ) -> tuple[StoredValue, ...]:
        """See `PartitionStore`."""
        removed: list[StoredValue] = []
        with self._database.write() as transaction:
            row = transaction.one(asset_queries.find_asset, env=env, name=asset)
            if row is None:
                return ()
            number = int(row[0])
            wanted = None if which is None else dict(cut(which))
            known = sorted(p for p in self._places(transaction, number) if wanted is None or p in wanted)
            event = self._note(transaction, Happening(env, "partitions_wiped", number, label), at)
            for place in known:
                with self._chunk(transaction, number, place, event) as chunk:
                    wiped = chunk.kept.touched() if wanted is None else wanted[place]
                    chunk.kept = chunk.kept.wipe(wiped)
                    for low, high in runs(wiped):
                        between = {"chunk": chunk.number, "low": low, "high": high}
                        kept = transaction.all(queries.select_kept_between, **between)
                        removed += map(values_of.stored_partition, kept)
                        transaction.run(queries.expire_between, **between)
        return tuple(removed)

    def expire(self, env: str, keep: int, *, at: datetime) -> tuple[StoredValue, ...]:
        """See `PartitionStore`."""
        with self._database.write() as transaction:
            oldest = transaction.one(asset_queries.oldest_active_run)
            since = _NEVER if oldest is None or oldest[0] is None else oldest[0]
            found = transaction.all(queries.select_outdated, env=env, keep=keep, since=since)
            transaction.many(queries.expire, ({"value": number} for number, _, _ in found))
            removed = list(map(values_of.stored_partition, found))
            if removed:
                self._note(transaction, Happening(env, "values_expired", data={"values": len(removed)}), at)
        return tuple(removed)

    def _commit(
        self,
        transaction: Transaction,
        env: str,
        asset: str,
        run_id: str | None,
        group: Mapping[int, NewPartition],
        made: dict[int, Materialization],
    ) -> None:
        """Commit values of one asset that one run has made; add the records to `made`."""
        number = self._asset(transaction, env, asset)
        label = label_of([each.value.partition for each in group.values()])
        at = max(each.value.created_at for each in group.values())
        data = {} if len(group) == 1 else {"partitions": len(group)}
        event = self._note(transaction, Happening(env, "partitions_materialized", number, label, run_id, data), at)
        shared = SharedParts(transaction, number, event)
        for place, found in by_chunk((each.position, (index, each)) for index, each in group.items()):
            with self._chunk(transaction, number, place, event) as chunk:
                for offset, (index, new) in found:
                    made[index] = add_value(transaction, chunk, offset, new, shared, (event, at, run_id))
                unmark(transaction, run_id, chunk.number, BitMap(offset for offset, _ in found))
        versions: dict[int, list[str]] = {}
        for index, each in group.items():
            versions.setdefault(made[index].version, []).append(each.value.partition)
        for version, keys in sorted(versions.items()):
            self._set(transaction, run_id, number, keys, "success", version=version)

    def _is_active(self, transaction: Transaction, run_id: str | None) -> bool:
        status = None if run_id is None else self._status(transaction, run_id)
        return status is not None and status[0] in ACTIVE_RUN

    def _set(
        self,
        transaction: Transaction,
        run_id: str | None,
        number: int,
        keys: Sequence[str],
        outcome: Outcome,
        *,
        error: str | None = None,
        version: int | None = None,
    ) -> None:
        """Set one outcome of partitions that have a place of their own in an active run."""
        if not self._is_active(transaction, run_id):
            return
        common = {"run": run_id, "asset": number, "new": outcome, "message": error, "number": version}
        if len(keys) <= _FEW:
            transaction.many(run_queries.set_outcome, ({**common, "part": key} for key in keys))
        else:
            transaction.run(run_queries.set_outcomes, **common, keys=codec.encode_text(list(keys)))
