"""What is known of assets, in memory. See `nbpipe.core.ports.AssetStore`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from nbpipe.core.records import ACTIVE_RUN, AssetState, Details, Event, Materialization, NewMaterialization, StoredValue
from nbpipe.errors import ConflictError, MissingValueError
from nbpipe.storage import codec
from nbpipe.storage.memory_base import KeptPartition, KeptValue, MemoryPart, expire_value
from nbpipe.storage.outcomes import NEW_VALUES


class MemoryAssets(MemoryPart):
    """The half of the in-memory store that is about assets."""

    def commit(self, values: Sequence[NewMaterialization]) -> tuple[Materialization, ...]:
        """See `AssetStore`."""
        if not values:
            return ()
        read_back = [codec.decode_facts(codec.encode(codec.facts_of(value))) for value in values]
        moments = [codec.moment(codec.stamp(value.created_at)) for value in values]
        details = [codec.decode_details(codec.encode(codec.details_of(value) or Details())) for value in values]
        with self._changing():
            return tuple(map(self._commit, values, read_back, details, moments))

    def record_failure(
        self,
        env: str,
        assets: Sequence[str],
        error: str,
        *,
        at: datetime,
        partition: str = "",
        run_id: str | None = None,
    ) -> None:
        """See `AssetStore`."""
        error = codec.clean(error)
        with self._changing():
            for name in assets:
                self._partition(env, name, partition).fail(error, at=at, run_id=run_id)
                self._note(
                    env, "asset_failed", at, asset=name, partition=partition, run_id=run_id, data={"error": error}
                )
            if run_id is not None:
                self._set_outcomes(run_id, set(assets), "failed", at=at, partition=partition, error=error, silent=True)

    def record_unchanged(
        self, env: str, assets: Sequence[str], *, at: datetime, run_id: str, partition: str = ""
    ) -> None:
        """See `AssetStore`."""
        with self._changing():
            for name in assets:
                kept = self._partition(env, name, partition)
                kept.failed_at = kept.error = kept.failed_run = None
                version = None if kept.current is None else kept.current.record.version
                self._set_outcomes(
                    run_id, {name}, "unchanged", at=at, partition=partition, version=version, silent=True
                )
                self._note(
                    env,
                    "asset_unchanged",
                    at,
                    asset=name,
                    partition=partition,
                    run_id=run_id,
                    data={"version": version},
                )

    def states(self, env: str, assets: Iterable[str] | None = None) -> dict[str, AssetState]:
        """See `AssetStore`. Of named assets nothing may be known: their states are empty."""
        with self._reading():
            activity = {name: doing for (name, partition), doing in self._activity(env).items() if partition == ""}
            if assets is None:
                seen = {name for of_env, name in self._partitions if of_env == env} | set(activity)
            else:
                seen = set(assets)
            states = {}
            for name in sorted(seen):
                kept = self._partitions.get((env, name), {}).get("", KeptPartition())
                state = self._state(name, kept, activity.get(name, ""))
                if assets is not None or state != AssetState(asset=name):
                    states[name] = state
            return states

    def materialization(
        self, env: str, asset: str, *, partition: str = "", version: int | None = None
    ) -> Materialization | None:
        """See `AssetStore`."""
        with self._reading():
            kept = self._partitions.get((env, asset), {}).get(partition, KeptPartition())
            if version is None:
                return None if kept.current is None else kept.current.record
            return next((value.record for value in kept.values if value.record.version == version), None)

    def history(self, env: str, asset: str, *, partition: str = "", limit: int = 20) -> list[Materialization]:
        """See `AssetStore`."""
        with self._reading():
            kept = self._partitions.get((env, asset), {}).get(partition, KeptPartition())
            return [value.record for value in reversed(kept.values)][:limit]

    def details(self, materialization_id: int) -> Details:
        """See `AssetStore`. Those of an expired value are gone with it."""
        with self._reading():
            known = 0 < materialization_id <= len(self._materializations)
            return self._materializations[materialization_id - 1].details if known else Details()

    def sources(self, hashes: Iterable[str]) -> dict[str, str]:
        """See `AssetStore`."""
        with self._reading():
            return {key: self._sources[key] for key in hashes if key in self._sources}

    def materialized_after(self, env: str, assets: Iterable[str], after: int, *, limit: int = 100) -> list[Event]:
        """See `AssetStore`."""
        names = set(assets)
        with self._reading():
            found = [
                event
                for event in self._events[max(after, 0) :]
                if event.kind in NEW_VALUES
                and event.env == env
                and event.asset in names
                and event.id not in self._removed_events
            ]
            return found[:limit]

    def rollback(self, env: str, asset: str, version: int, *, at: datetime, partition: str = "") -> Materialization:
        """See `AssetStore`."""
        with self._changing():
            kept = self._partitions.get((env, asset), {}).get(partition, KeptPartition())
            value = next((value for value in kept.values if value.record.version == version), None)
            if value is None:
                raise MissingValueError(f"{asset} has no version {version}: see `nbpipe show {asset}` for those it has")
            if value.record.expired:
                raise MissingValueError(f"the value of {asset} version {version} was removed; choose a newer version")
            event = self._note(
                env, "asset_rolled_back", at, asset=asset, partition=partition, data={"version": version}
            )
            if kept.current is not None:
                kept.current.superseded = event
            value.superseded = None
            kept.current = value
            kept.clear()
            kept.held = True
            return value.record

    def rename(self, env: str, old: str, new: str, *, at: datetime) -> None:
        """See `AssetStore`."""
        if old == new:
            return
        with self._changing():
            taken = any(kept.values for kept in self._partitions.get((env, new), {}).values())
            parts = self._partitioned.get((env, new))
            taken = taken or (parts is not None and any(parts.values.values()))
            if taken or self._share_a_run(env, old, new):
                raise ConflictError(
                    f"{new} has a history of its own: it can't take over another one. "
                    f"Choose a name that was never materialized"
                )
            self._partitioned.pop((env, new), None)
            if (env, old) in self._partitioned:
                self._partitioned[env, new] = self._partitioned.pop((env, old))
            moved = self._partitions.pop((env, old), {})
            self._partitions[env, new] = moved
            for value in (value for kept in moved.values() for value in kept.values):
                value.record = msgspec.structs.replace(value.record, asset=new)
            for index, event in enumerate(self._events):
                if event.env == env and event.asset == old:
                    self._events[index] = msgspec.structs.replace(event, asset=new)
            for run in self._runs.values():
                if run.record.env == env:
                    run.assets = [
                        msgspec.structs.replace(place, asset=new) if place.asset == old else place
                        for place in run.assets
                    ]
            self._note(env, "asset_renamed", at, asset=new, data={"old": old, "new": new})

    def wipe(self, env: str, asset: str, *, at: datetime, partition: str | None = None) -> tuple[StoredValue, ...]:
        """See `AssetStore`."""
        with self._changing():
            kept = self._partitions.get((env, asset), {})
            removed: list[StoredValue] = []
            for key in list(kept) if partition is None else [key for key in kept if key == partition]:
                kept[key].clear()
                kept[key].current = None
                removed += [expire_value(value) for value in kept[key].values if not value.record.expired]
            if kept:
                self._note(env, "asset_wiped", at, asset=asset, partition=partition, data={"values": len(removed)})
            return tuple(removed)

    def expire(self, env: str, keep: int, *, at: datetime) -> tuple[StoredValue, ...]:
        """See `AssetStore`. "Since" is by the order of commits, not by anybody's clock."""
        with self._changing():
            active = [run.created for run in self._runs.values() if run.record.status in ACTIVE_RUN]
            since = min(active, default=len(self._events) + 1)
            old = [
                value
                for (of_env, _), partitions in self._partitions.items()
                for kept in partitions.values()
                for value in [value for value in reversed(kept.values) if not value.record.expired][keep:]
                if of_env == env and value.superseded is not None and value.superseded < since
            ]
            removed = [expire_value(value) for value in sorted(old, key=lambda value: value.record.id)]
            if removed:
                self._note(env, "values_expired", at, data={"values": len(removed)})
            return tuple(removed)

    def kept_paths(self) -> Iterable[tuple[str, str]]:
        """See `AssetStore`."""
        with self._reading():
            records = [value.record for value in self._materializations]
            return [(record.stored.io, record.stored.path) for record in records if not record.expired]

    def _commit(self, value: NewMaterialization, facts: codec.Facts, details: Details, at: datetime) -> Materialization:
        kept = self._partition(value.env, value.asset, value.partition)
        record = Materialization(
            id=len(self._materializations) + 1,
            env=value.env,
            asset=value.asset,
            partition=value.partition,
            version=len(kept.values) + 1,
            code=value.code,
            code_version=value.code_version,
            run_id=value.run_id,
            created_at=at,
            **{name: getattr(facts, name) for name in facts.__struct_fields__},
        )
        self._sources = {key: codec.clean(text) for key, text in value.sources.items()} | self._sources
        event = self._note(
            value.env,
            "asset_materialized",
            at,
            asset=value.asset,
            partition=value.partition,
            run_id=value.run_id,
            data={"version": record.version, "data_version": value.stored.data_version},
        )
        if kept.current is not None:
            kept.current.superseded = event
        kept.clear()
        kept.current = KeptValue(record, details)
        kept.values.append(kept.current)
        self._materializations.append(kept.current)
        if value.run_id is not None:
            self._set_outcomes(
                value.run_id,
                {value.asset},
                "success",
                at=at,
                partition=value.partition,
                version=record.version,
                silent=True,
            )
        return record

    def _share_a_run(self, env: str, old: str, new: str) -> bool:
        runs = (run for run in self._runs.values() if run.record.env == env)
        return any({old, new} <= {place.asset for place in run.assets} for run in runs)
