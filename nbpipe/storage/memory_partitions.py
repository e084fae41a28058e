"""What is known of partitions, in memory. See `nbpipe.core.ports.PartitionStore`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import PartitionFacts, is_used
from nbpipe.core.partitions.recipes import Recipe, recipe_of
from nbpipe.core.partitions.records import NewPartition, PartitionDetail, SkippedPartition
from nbpipe.core.partitions.registries import KeyRegistry, check_key
from nbpipe.core.partitions.sets import Position
from nbpipe.core.partitions.subsets import Families
from nbpipe.core.records import ACTIVE_RUN, Details, Materialization, Outcome, StoredValue
from nbpipe.errors import MissingValueError
from nbpipe.storage import codec
from nbpipe.storage.memory_base import KeptValue, MemoryPart, expire_value
from nbpipe.storage.memory_chunks import KeptPartitions
from nbpipe.storage.partition_chunks import KeptChunk
from nbpipe.storage.partition_groups import address_of, by_chunk, cut, label_of, of_commit, of_skip


class MemoryPartitions(MemoryPart):
    """The part of the in-memory store that is about partitions; it shares all that the store remembers."""

    def __init__(self, store: MemoryPart) -> None:
        self.__dict__ = store.__dict__

    def commit(self, values: Sequence[NewPartition]) -> tuple[Materialization, ...]:
        """See `PartitionStore`."""
        facts = [codec.decode_facts(codec.encode(codec.facts_of(new.value))) for new in values]
        made: dict[int, Materialization] = {}
        indexed = sorted(enumerate(values), key=lambda item: of_commit(item[1]))
        moments = [codec.moment(codec.stamp(new.value.created_at)) for new in values]
        if not values:
            return ()
        with self._changing():
            for (env, asset, run), found in groupby(indexed, key=lambda item: of_commit(item[1])):
                group, run_id = list(found), run or None
                event = self._note(
                    env,
                    "partitions_materialized",
                    max(moments[index] for index, _ in group),
                    asset=asset,
                    partition=label_of([new.value.partition for _, new in group]),
                    run_id=run_id,
                    data={} if len(group) == 1 else {"partitions": len(group)},
                )
                kept = self._kept(env, asset)
                for index, new in group:
                    made[index] = self._add(kept, new, facts[index], (event, moments[index]))
                keys = {new.value.partition: made[index].version for index, new in group}
                self._end(run_id, asset, keys, "success", None)
        return tuple(made[index] for index in range(len(values)))

    def skip(self, values: Sequence[SkippedPartition]) -> None:
        """See `PartitionStore`."""
        if not values:
            return
        with self._changing():
            for (env, asset, run, reason), found in groupby(sorted(values, key=of_skip), key=of_skip):
                group, run_id, reason = list(found), run or None, codec.clean(reason)  # noqa: PLW2901
                event = self._note(
                    env,
                    "partitions_skipped",
                    max(each.at for each in group),
                    asset=asset,
                    partition=label_of([each.partition for each in group]),
                    run_id=run_id,
                    data={"reason": reason, "partitions": len(group)},
                )
                kept = self._kept(env, asset)
                for place, items in by_chunk((each.position, each) for each in group):
                    for offset, one in items:
                        chunk = kept.chunks.get(place, KeptChunk())
                        recipe = kept.recipe(one.recipe)
                        kept.change(place, chunk.skip(offset, event, inputs=one.inputs, recipe=recipe))
                        if run_id is not None:
                            kept.mark(run_id, place, BitMap((offset,)), on=False)
                self._end(run_id, asset, {each.partition: 0 for each in group}, "skipped", reason)

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
        with self._changing():
            data = {"error": error, "partitions": sum(map(len, which.values()))}
            event = self._note(env, "partitions_failed", at, asset=asset, partition=label, run_id=run_id, data=data)
            kept = self._kept(env, asset)
            for place, offsets in cut(which):
                kept.change(place, kept.chunks.get(place, KeptChunk()).fail(offsets, event))
                if run_id is not None:
                    kept.mark(run_id, place, offsets, on=False)
            self._end(run_id, asset, dict.fromkeys(keys or [label]), "failed", error)

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
        with self._changing():
            run = self._runs.get(run_id)
            if run is None or run.record.status not in ACTIVE_RUN:
                return
            self._note(env, "partitions_started", at, asset=asset, partition=label, run_id=run_id)
            for place, offsets in cut(which):
                self._kept(env, asset).mark(run_id, place, offsets, on=True)
            self._end(run_id, asset, dict.fromkeys(keys or [label]), "running", None)

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
        with self._changing():
            self._note(env, "partitions_stopped", at, asset=asset, partition=label, run_id=run_id)
            for place, offsets in cut(which):
                self._kept(env, asset).mark(run_id, place, offsets, on=False)
            self._end(run_id, asset, dict.fromkeys(keys or [label]), "queued", None)

    def end_marks(self, run_id: str, error: str | None, at: datetime) -> None:
        """Forget what a run works on, since it has ended; with an error, what it still worked on has failed."""
        for (env, asset), kept in self._partitioned.items():
            marked = {place: offsets for place, offsets in kept.marks.pop(run_id, {}).items() if offsets}
            kept.facts = None
            if marked and error is not None:
                data = {"error": error}
                event = self._note(env, "partitions_failed", at, asset=asset, run_id=run_id, data=data)
                for place, offsets in marked.items():
                    kept.change(place, kept.chunks.get(place, KeptChunk()).fail(offsets, event))

    def facts(self, env: str, asset: str) -> PartitionFacts:
        """See `PartitionStore`."""
        with self._reading():
            return self._known(env, asset).read()

    def recipes(self, env: str, asset: str) -> Mapping[int, Recipe]:
        """See `PartitionStore`."""
        with self._reading():
            return self._known(env, asset).recipes

    def detail(self, env: str, asset: str, key: str, position: Position) -> PartitionDetail:
        """See `PartitionStore`."""
        place, offset = address_of(position)
        with self._reading():
            kept = self._known(env, asset)
            chunk = kept.chunks.get(place, KeptChunk())
            detail = PartitionDetail(
                partition=key,
                current=self.materialization(env, asset, key, position),
                held=offset in chunk.facts.held,
                running=tuple(sorted(run for run, marked in kept.marks.items() if offset in marked.get(place, ()))),
            )
            note = chunk.notes.get(offset)
            if not note:
                return detail
            event = self._events[note - 1]
            if offset in chunk.facts.failed:
                return msgspec.structs.replace(
                    detail, failed_at=event.at, failed_run=event.run_id, error=event.data.get("error")
                )
            return msgspec.structs.replace(detail, skipped_at=event.at, reason=event.data.get("reason"))

    def materialization(
        self, env: str, asset: str, key: str, position: Position, *, version: int | None = None
    ) -> Materialization | None:
        """See `PartitionStore`."""
        place, offset = address_of(position)
        with self._reading():
            kept = self._known(env, asset)
            if version is None:
                version = kept.chunks.get(place, KeptChunk()).current.get(offset)
            values = kept.values.get((place, offset), [])
            found = values[version - 1].record if 0 < version <= len(values) else None
            return None if found is None else msgspec.structs.replace(found, asset=asset, partition=key)

    def history(self, env: str, asset: str, key: str, position: Position, *, limit: int = 20) -> list[Materialization]:
        """See `PartitionStore`."""
        with self._reading():
            values = self._known(env, asset).values.get(address_of(position), [])
            newest = [value.record for value in reversed(values)][:limit]
        return [msgspec.structs.replace(record, asset=asset, partition=key) for record in newest]

    def committed_at(self, env: str, asset: str) -> datetime | None:
        """See `PartitionStore`."""
        with self._reading():
            commits = (e for e in reversed(self._events) if e.kind == "partitions_materialized")
            return next((event.at for event in commits if (event.env, event.asset) == (env, asset)), None)

    def rollback(
        self, env: str, asset: str, key: str, position: Position, *, version: int, at: datetime
    ) -> Materialization:
        """See `PartitionStore`."""
        place, offset = address_of(position)
        with self._changing():
            found = self.materialization(env, asset, key, position, version=version)
            if found is None:
                raise MissingValueError(f"{asset}@{key} has no version {version}")
            if found.expired:
                raise MissingValueError(f"the value of {asset}@{key} version {version} was removed; choose a newer one")
            data = {"version": version}
            event = self._note(env, "partitions_rolled_back", at, asset=asset, partition=key, data=data)
            kept = self._known(env, asset)
            values, chunk = kept.values[place, offset], kept.chunks[place]
            old = chunk.current.get(offset)
            if old:
                values[old - 1].superseded = event
            values[version - 1].superseded = None
            kept.change(place, chunk.hold(offset, version, data_version=found.stored.data_version))
        return found

    def wipe(
        self, env: str, asset: str, which: Families | None = None, *, at: datetime, label: str = ""
    ) -> tuple[StoredValue, ...]:
        """See `PartitionStore`."""
        removed: list[StoredValue] = []
        with self._changing():
            kept = self._known(env, asset)
            wanted = None if which is None else dict(cut(which))
            self._note(env, "partitions_wiped", at, asset=asset, partition=label)
            for place in sorted(place for place in kept.chunks if wanted is None or place in wanted):
                wiped = kept.chunks[place].touched() if wanted is None else wanted[place]
                kept.change(place, kept.chunks[place].wipe(wiped))
                values = (value for offset in wiped for value in kept.values.get((place, offset), []))
                removed += [expire_value(value) for value in values if not value.record.expired]
        return tuple(removed)

    def expire(self, env: str, keep: int, *, at: datetime) -> tuple[StoredValue, ...]:
        """See `PartitionStore`."""
        with self._changing():
            active = [run.created for run in self._runs.values() if run.record.status in ACTIVE_RUN]
            since = min(active, default=len(self._events) + 1)
            old = [
                value
                for (of_env, _), kept in self._partitioned.items()
                for values in kept.values.values()
                for value in values[: max(0, len(values) - keep)]
                if of_env == env and value.superseded is not None and value.superseded < since
            ]
            wanted = sorted((value for value in old if not value.record.expired), key=lambda value: value.record.id)
            removed = [expire_value(value) for value in wanted]
            if removed:
                self._note(env, "values_expired", at, data={"values": len(removed)})
            return tuple(removed)

    def keys(self, env: str, name: str, *, asset: str = "") -> KeyRegistry:
        """See `PartitionStore`."""
        with self._reading():
            return self._known(env, asset).registries.get(name, KeyRegistry())

    def add_keys(self, env: str, name: str, keys: Iterable[str], *, at: datetime, asset: str = "") -> tuple[str, ...]:
        """See `PartitionStore`."""
        wanted = dict.fromkeys(keys)
        for key in wanted:
            check_key(key)
        with self._changing():
            old = self.keys(env, name, asset=asset)
            new = tuple(key for key in wanted if key not in old)
            if new:
                self._kept(env, asset).registries[name] = old.register(wanted)
                data = {"set": name, "keys": len(new)}
                self._note(env, "keys_added", at, asset=asset or None, data=data)
        return new

    def choose_key(
        self, env: str, name: str, key: str, *, instead_of: str | None, at: datetime, asset: str
    ) -> str | None:
        """See `PartitionStore`."""
        check_key(key)
        with self._changing():
            old = self.keys(env, name, asset=asset)
            there = next((known for known in reversed(old.keys) if known in old), None)
            if there == key or there != instead_of:
                return there
            if there is not None and is_used(self.facts(env, asset)):
                return there
            gone = () if there is None else (there,)
            self._kept(env, asset).registries[name] = old.remove(gone).register((key,))
            self._note(env, "keys_added", at, asset=asset, data={"set": name, "keys": 1})
        return key

    def remove_keys(
        self, env: str, name: str, keys: Iterable[str], *, at: datetime, asset: str = ""
    ) -> tuple[str, ...]:
        """See `PartitionStore`."""
        with self._changing():
            old = self.keys(env, name, asset=asset)
            gone = tuple(key for key in dict.fromkeys(keys) if key in old)
            if gone:
                self._kept(env, asset).registries[name] = old.remove(gone)
                data = {"set": name, "keys": len(gone)}
                self._note(env, "keys_removed", at, asset=asset or None, data=data)
        return gone

    def _known(self, env: str, asset: str) -> KeptPartitions:
        return self._partitioned.get((env, asset)) or KeptPartitions()

    def _kept(self, env: str, asset: str) -> KeptPartitions:
        return self._partitioned.setdefault((env, asset), KeptPartitions())

    def _add(
        self, kept: KeptPartitions, new: NewPartition, facts: codec.Facts, when: tuple[int, datetime]
    ) -> Materialization:
        value, (place, offset) = new.value, address_of(new.position)
        chunk, values = kept.chunks.get(place, KeptChunk()), kept.values.setdefault((place, offset), [])
        record = Materialization(
            id=len(self._materializations) + 1,
            env=value.env,
            asset=value.asset,
            partition=value.partition,
            version=len(values) + 1,
            code=value.code,
            code_version=value.code_version,
            run_id=value.run_id,
            created_at=when[1],
            **{name: getattr(facts, name) for name in facts.__struct_fields__},
        )
        self._sources = {key: codec.clean(text) for key, text in value.sources.items()} | self._sources
        old = chunk.current.get(offset)
        if old:
            values[old - 1].superseded = when[0]
        values.append(KeptValue(record, Details()))
        self._materializations.append(values[-1])
        recipe = kept.recipe(recipe_of(value))
        changed = chunk.materialize(offset, data_version=value.stored.data_version, inputs=new.inputs, recipe=recipe)
        kept.change(place, changed)
        if value.run_id is not None:
            kept.mark(value.run_id, place, BitMap((offset,)), on=False)
        return record

    def _end(
        self,
        run_id: str | None,
        asset: str,
        keys: Mapping[str, int | None],
        outcome: Outcome,
        error: str | None,
    ) -> None:
        """Set outcomes, with versions, of partitions that have a place of their own in an active run."""
        run = None if run_id is None else self._runs.get(run_id)
        if run is None or run.record.status not in ACTIVE_RUN:
            return
        for index, place in enumerate(run.assets):
            if place.asset == asset and place.partition in keys:
                version = keys[place.partition]
                version = place.version if version is None else version
                run.assets[index] = msgspec.structs.replace(place, outcome=outcome, error=error, version=version)
