"""Registered partition keys, in SQL. See `nbpipe.core.ports.PartitionStore`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from nbpipe.core.partitions.chunks import PartitionFacts, chunk_from_bytes, is_used
from nbpipe.core.partitions.registries import KeyRegistry, check_key
from nbpipe.storage import asset_queries, codec, partition_queries
from nbpipe.storage import registry_queries as queries
from nbpipe.storage.database import Database, Transaction
from nbpipe.storage.sql_base import Happening, SqlPart

_SHARED = 0
"""The owner of keys that assets share."""


class SqlRegistries(SqlPart):
    """Reads and changes registries; remembers those that were read."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._read: dict[int, tuple[int, KeyRegistry]] = {}

    def keys(self, env: str, name: str, *, asset: str = "") -> KeyRegistry:
        """See `PartitionStore`. Only what is new is read."""
        with self._database.read() as transaction:
            owner = self._owner(transaction, env, asset)
            row = None if owner is None else transaction.one(queries.find_registry, env=env, owner=owner, name=name)
            if row is None:
                return KeyRegistry()
            number, size, revision = row
            seen, known = self._read.get(number, (-1, KeyRegistry()))
            if revision == seen:
                return known
            if revision < seen or size < len(known.keys):  # another database
                known = KeyRegistry()
            new = transaction.all(queries.select_keys, registry=number, first=len(known.keys))
            removed = transaction.all(queries.select_removed, registry=number)
        found = KeyRegistry((*known.keys, *(key for (key,) in new)), frozenset(key for (key,) in removed))
        self._read[number] = revision, found
        return found

    def add_keys(self, env: str, name: str, keys: Iterable[str], *, at: datetime, asset: str = "") -> tuple[str, ...]:
        """See `PartitionStore`."""
        wanted = list(dict.fromkeys(keys))
        for key in wanted:
            check_key(key)
        with self._database.write() as transaction:
            number, size = self._registry(transaction, env, name, asset)
            known = self._known(transaction, number, wanted)
            back = [key for key in wanted if known.get(key)]
            new = [key for key in wanted if key not in known]
            if not (back or new):
                return ()
            transaction.many(queries.mark_key, ({"registry": number, "text": key, "gone": 0} for key in back))
            rows = ({"registry_id": number, "ordinal": size + index, "key": key} for index, key in enumerate(new))
            transaction.many(queries.add_key, rows)
            event = self._tell(transaction, (env, name, asset), "keys_added", len(back) + len(new), at)
            transaction.run(queries.change_registry, registry=number, total=size + len(new), event=event)
        return tuple(key for key in wanted if known.get(key, 1))

    def choose_key(
        self, env: str, name: str, key: str, *, instead_of: str | None, at: datetime, asset: str
    ) -> str | None:
        """See `PartitionStore`."""
        check_key(key)
        with self._database.write() as transaction:
            number, size = self._registry(transaction, env, name, asset)
            known = [text for (text,) in transaction.all(queries.select_keys, registry=number, first=0)]
            removed = {text for (text,) in transaction.all(queries.select_removed, registry=number)}
            there = next((text for text in reversed(known) if text not in removed), None)
            if there == key or there != instead_of or (there is not None and self._is_used(transaction, env, asset)):
                return there
            gone = [] if there is None else [(there, 1)]
            marks = [*gone, *([(key, 0)] if key in removed else [])]
            transaction.many(queries.mark_key, ({"registry": number, "text": text, "gone": to} for text, to in marks))
            if key not in removed:
                transaction.many(queries.add_key, ({"registry_id": number, "ordinal": size, "key": key},))
            event = self._tell(transaction, (env, name, asset), "keys_added", 1, at)
            transaction.run(queries.change_registry, registry=number, total=size + (key not in removed), event=event)
        return key

    def remove_keys(
        self, env: str, name: str, keys: Iterable[str], *, at: datetime, asset: str = ""
    ) -> tuple[str, ...]:
        """See `PartitionStore`."""
        wanted = list(dict.fromkeys(keys))
        with self._database.write() as transaction:
            number, size = self._registry(transaction, env, name, asset)
            known = self._known(transaction, number, wanted)
            gone = tuple(key for key in wanted if known.get(key) == 0)
            if gone:
                transaction.many(queries.mark_key, ({"registry": number, "text": key, "gone": 1} for key in gone))
                event = self._tell(transaction, (env, name, asset), "keys_removed", len(gone), at)
                transaction.run(queries.change_registry, registry=number, total=size, event=event)
        return gone

    def _owner(self, transaction: Transaction, env: str, asset: str) -> int | None:
        if not asset:
            return _SHARED
        row = transaction.one(asset_queries.find_asset, env=env, name=asset)
        return None if row is None else int(row[0])

    def _registry(self, transaction: Transaction, env: str, name: str, asset: str) -> tuple[int, int]:
        """Return number and size of a registry, which may be new."""
        owner = self._asset(transaction, env, asset) if asset else _SHARED
        row = transaction.one(queries.find_registry, env=env, owner=owner, name=name)
        if row is not None:
            return int(row[0]), int(row[1])
        return transaction.number(queries.add_registry, env=env, owner=owner, name=name), 0

    def _is_used(self, transaction: Transaction, env: str, asset: str) -> bool:
        """Tell whether anything is known of an asset's partitions, or a run works on them. O(chunks)."""
        if transaction.all(partition_queries.select_marks, env=env, name=asset):
            return True
        changed = transaction.each(
            partition_queries.select_changed, asset=self._asset(transaction, env, asset), after=-1
        )
        return is_used(PartitionFacts({((), at): chunk_from_bytes(bytes(row[2])) for at, row in enumerate(changed)}))

    @staticmethod
    def _known(transaction: Transaction, number: int, keys: list[str]) -> dict[str, int]:
        """Return which of some keys are registered, and whether each is removed."""
        return dict(transaction.all(queries.select_known, registry=number, keys=codec.encode_text(keys)))

    def _tell(self, transaction: Transaction, where: tuple[str, str, str], kind: str, count: int, at: datetime) -> int:
        env, name, asset = where
        owner = self._asset(transaction, env, asset) if asset else None
        return self._note(transaction, Happening(env, kind, owner, None, None, {"set": name, "keys": count}), at)
