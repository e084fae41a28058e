"""What is known of assets, in SQL. See `nbpipe.core.ports.AssetStore`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain

from nbpipe.core.records import AssetState, Details, Event, Materialization, NewMaterialization, StoredValue
from nbpipe.errors import ConflictError, MissingValueError
from nbpipe.storage import asset_queries as queries
from nbpipe.storage import codec, partition_queries, registry_queries, rows, run_queries
from nbpipe.storage.database import Transaction
from nbpipe.storage.partition_values import stored_partition
from nbpipe.storage.sql_base import Happening, SqlPart

_NEVER = 2**62


class SqlAssets(SqlPart):
    """The half of the state store that is about assets."""

    def commit(self, values: Sequence[NewMaterialization]) -> tuple[Materialization, ...]:
        """See `AssetStore`."""
        if not values:
            return ()
        with self._database.write() as transaction:
            return tuple([self._commit(transaction, value) for value in values])

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
        with self._database.write() as transaction:
            for name in assets:
                number = self._asset(transaction, env, name)
                transaction.run(
                    queries.fail, asset=number, partition=partition, at=codec.stamp(at), message=error, run=run_id
                )
                happening = Happening(env, "asset_failed", number, partition, run_id, {"error": error})
                self._note(transaction, happening, at)
            if run_id is not None:
                self._set_outcomes(
                    transaction, run_id, assets, "failed", at=at, partition=partition, error=error, silent=True
                )

    def record_unchanged(
        self, env: str, assets: Sequence[str], *, at: datetime, run_id: str, partition: str = ""
    ) -> None:
        """See `AssetStore`. The latest attempt did not fail any more, so a failure is cleared."""
        with self._database.write() as transaction:
            for name in assets:
                number = self._asset(transaction, env, name)
                current = transaction.one(queries.select_current, asset=number, partition=partition)
                transaction.run(queries.clear_failure, asset=number, part=partition)
                version = None if current is None else int(current[1])
                self._set_outcomes(
                    transaction,
                    run_id,
                    [name],
                    "unchanged",
                    at=at,
                    partition=partition,
                    version=version,
                    silent=True,
                )
                data = {"version": version}
                self._note(transaction, Happening(env, "asset_unchanged", number, partition, run_id, data), at)

    def states(self, env: str, assets: Iterable[str] | None = None) -> dict[str, AssetState]:
        """See `AssetStore`. Of named assets nothing may be known: their states are empty."""
        if assets is None:
            with self._database.read() as transaction:
                found = transaction.all(queries.select_states, env=env)
            return _by_name(env, found)
        names = sorted(set(assets))
        with self._database.read() as transaction:
            found = transaction.all(queries.select_named_states, env=env, names=codec.encode_text(names))
        known = _by_name(env, found)
        return {name: known.get(name) or AssetState(asset=name) for name in names}

    def materialization(
        self, env: str, asset: str, *, partition: str = "", version: int | None = None
    ) -> Materialization | None:
        """See `AssetStore`."""
        query = queries.select_current_materialization if version is None else queries.select_version
        chosen = {} if version is None else {"version": version}
        with self._database.read() as transaction:
            row = transaction.one(query, env=env, name=asset, partition=partition, **chosen)
        return None if row is None else rows.materialization(env, asset, row)

    def history(self, env: str, asset: str, *, partition: str = "", limit: int = 20) -> list[Materialization]:
        """See `AssetStore`."""
        with self._database.read() as transaction:
            found = transaction.all(queries.select_history, env=env, name=asset, partition=partition, limit=limit)
        return [rows.materialization(env, asset, row) for row in found]

    def details(self, materialization_id: int) -> Details:
        """See `AssetStore`. Those of an expired value are gone with it."""
        with self._database.read() as transaction:
            row = transaction.one(queries.select_details, materialization=materialization_id)
        return Details() if row is None else codec.decode_details(bytes(row[0]))

    def sources(self, hashes: Iterable[str]) -> dict[str, str]:
        """See `AssetStore`."""
        with self._database.read() as transaction:
            return dict(transaction.all(queries.select_sources, hashes=codec.encode_text(sorted(set(hashes)))))

    def materialized_after(self, env: str, assets: Iterable[str], after: int, *, limit: int = 100) -> list[Event]:
        """See `AssetStore`. Each asset is looked up by itself: a long history of one must not hide another."""
        found = []
        with self._database.read() as transaction:
            for name in sorted(set(assets)):
                chosen = {"of_env": env, "env": None, "asset": name, "after": after, "limit": limit}
                found += transaction.all(run_queries.select_values_after, **chosen)
        return [rows.event(row) for row in sorted(found)[:limit]]

    def rollback(self, env: str, asset: str, version: int, *, at: datetime, partition: str = "") -> Materialization:
        """See `AssetStore`. A failure is cleared: what a person chose is not a failed attempt."""
        with self._database.write() as transaction:
            row = transaction.one(queries.select_version, env=env, name=asset, partition=partition, version=version)
            if row is None:
                raise MissingValueError(f"{asset} has no version {version}: see `nbpipe show {asset}` for those it has")
            found = rows.materialization(env, asset, row)
            if found.expired:
                raise MissingValueError(f"the value of {asset} version {version} was removed; choose a newer version")
            number = self._asset(transaction, env, asset)
            old = transaction.one(queries.select_current, asset=number, partition=partition)
            happening = Happening(env, "asset_rolled_back", number, partition, None, {"version": version})
            event = self._note(transaction, happening, at)
            if old is not None:
                transaction.run(queries.supersede, materialization=old[0], event=event)
            transaction.run(queries.supersede, materialization=found.id, event=None)
            transaction.run(queries.set_current, asset=number, part=partition, materialization=found.id)
            transaction.run(queries.hold, asset=number, part=partition)
        return found

    def rename(self, env: str, old: str, new: str, *, at: datetime) -> None:
        """See `AssetStore`. Failed attempts under the new name are no history: they are forgotten."""
        if old == new:
            return
        with self._database.write() as transaction:
            source = self._asset(transaction, env, old)
            row = transaction.one(queries.find_asset, env=env, name=new)
            if row is not None:
                self._empty(transaction, int(row[0]), into=source, name=new)
            transaction.run(queries.rename_asset, asset=source, new=new)
            self._note(transaction, Happening(env, "asset_renamed", source, None, None, {"old": old, "new": new}), at)

    def wipe(self, env: str, asset: str, *, at: datetime, partition: str | None = None) -> tuple[StoredValue, ...]:
        """See `AssetStore`."""
        removed: list[StoredValue] = []
        with self._database.write() as transaction:
            row = transaction.one(queries.find_asset, env=env, name=asset)
            if row is None:
                return ()
            number = int(row[0])
            known = [part for (part,) in transaction.all(queries.select_partitions, asset=number)]
            for part in known if partition is None else [partition]:
                transaction.run(queries.reset_state, asset=number, part=part)
                kept = transaction.all(queries.select_kept_of_asset, asset=number, partition=part)
                removed += self._expire(transaction, kept)
            happening = Happening(env, "asset_wiped", number, partition, None, {"values": len(removed)})
            self._note(transaction, happening, at)
        return tuple(removed)

    def expire(self, env: str, keep: int, *, at: datetime) -> tuple[StoredValue, ...]:
        """See `AssetStore`. "Since" is by the order of commits, not by anybody's clock."""
        with self._database.write() as transaction:
            oldest = transaction.one(queries.oldest_active_run)
            since = _NEVER if oldest is None or oldest[0] is None else oldest[0]
            found = transaction.all(queries.select_expirable, env=env, keep=keep, since=since)
            removed = self._expire(transaction, found)
            if removed:
                self._note(transaction, Happening(env, "values_expired", data={"values": len(removed)}), at)
        return tuple(removed)

    def kept_paths(self) -> Iterable[tuple[str, str]]:
        """See `AssetStore`."""
        with self._database.read() as transaction:
            found = transaction.all(queries.select_kept)
            parts = transaction.all(partition_queries.select_kept)
        values = (rows.stored_value(facts) for (facts,) in found)
        return [(stored.io, stored.path) for stored in chain(values, map(stored_partition, parts))]

    def _commit(self, transaction: Transaction, value: NewMaterialization) -> Materialization:
        env, partition, run_id = value.env, value.partition, value.run_id
        number = self._asset(transaction, env, value.asset)
        components, facts = codec.encode_text(value.code), codec.encode_text(codec.facts_of(value))
        transaction.run(queries.add_code, code_version=value.code_version, components=components)
        if value.sources:
            texts = ({"hash": key, "text": codec.clean(text)} for key, text in value.sources.items())
            transaction.many(queries.add_source, texts)
        state = transaction.one(queries.next_version, asset=number, partition=partition)
        assert state is not None  # noqa: S101 - an upsert returns its row
        version, superseded = state
        data = {"version": version, "data_version": value.stored.data_version}
        happening = Happening(env, "asset_materialized", number, partition, run_id, data)
        event = self._note(transaction, happening, value.created_at)
        columns = {
            "asset_id": number,
            "partition": partition,
            "version": version,
            "code_version": value.code_version,
            "run_id": run_id,
            "created_at": codec.stamp(value.created_at),
            "facts": facts,
        }
        new = transaction.number(queries.add_materialization, **columns)
        details = codec.details_of(value)
        if details is not None:
            transaction.run(queries.add_details, materialization=new, content=codec.encode(details))
        if superseded is not None:
            transaction.run(queries.supersede, materialization=superseded, event=event)
        transaction.run(queries.set_current, asset=number, part=partition, materialization=new)
        if run_id is not None:
            self._set_outcomes(
                transaction,
                run_id,
                [value.asset],
                "success",
                at=value.created_at,
                partition=partition,
                version=version,
                silent=True,
            )
        row = (new, partition, version, value.code_version, components, run_id, columns["created_at"], 0, facts)
        return rows.materialization(env, value.asset, row)

    @staticmethod
    def _expire(transaction: Transaction, found: list[tuple[int, str]]) -> list[StoredValue]:
        transaction.many(queries.expire, ({"materialization": number} for number, _ in found))
        transaction.many(queries.drop_details, ({"materialization": number} for number, _ in found))
        return [rows.stored_value(facts) for _, facts in found]

    @staticmethod
    def _empty(transaction: Transaction, number: int, *, into: int, name: str) -> None:
        """Make a name free that was seen, but never materialized."""
        taken = transaction.number(queries.has_history, asset=number)
        taken = taken or transaction.number(partition_queries.has_values, asset=number)
        if taken or transaction.number(queries.shared_runs, source=number, target=into):
            raise ConflictError(
                f"{name} has a history of its own: it can't take over another one. "
                f"Choose a name that was never materialized"
            )
        transaction.run(queries.move_events, source=number, target=into)
        transaction.run(queries.move_run_assets, source=number, target=into)
        transaction.run(queries.drop_states, asset=number)
        for drop in (
            partition_queries.drop_marks_of_asset,
            partition_queries.drop_chunks,
            partition_queries.drop_recipes,
        ):
            transaction.run(drop, asset=number)
        for drop in (registry_queries.drop_keys, registry_queries.drop_registries):
            transaction.run(drop, asset=number)
        transaction.run(queries.forget_asset, asset=number)


def _by_name(env: str, found: list[tuple[object, ...]]) -> dict[str, AssetState]:
    states = (rows.asset_state(env, row) for row in found)
    return {state.asset: state for state in sorted(filter(None, states), key=lambda state: state.asset)}
