"""What is known of partitions, in SQL: what reads it. See `nbpipe.core.ports.PartitionStore`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import ChunkFacts, PartitionFacts, chunk_from_bytes
from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.records import PartitionDetail
from nbpipe.core.partitions.sets import ChunkId, Position
from nbpipe.core.records import Materialization
from nbpipe.storage import codec, recipe_rows
from nbpipe.storage import partition_queries as queries
from nbpipe.storage import partition_values as values_of
from nbpipe.storage.database import Database, Row, Transaction
from nbpipe.storage.partition_chunks import KeptChunk, chunk_id, family_text, kept_chunk
from nbpipe.storage.partition_groups import address_of
from nbpipe.storage.sql_base import SqlPart


class _Seen(msgspec.Struct, frozen=True):
    """What was read of an asset."""

    asset: int
    revision: int
    facts: PartitionFacts
    """As they are kept."""
    marks: list[Row]
    shown: PartitionFacts
    """With what runs work on."""


class _Known(msgspec.Struct, frozen=True):
    """The recipes that were read of an asset."""

    which: Row
    """See `partition_queries.newest_recipe`."""
    recipes: Mapping[int, Recipe]


_UNKNOWN = _Known((), MappingProxyType({}))
_UNSEEN = _Seen(-1, -1, PartitionFacts({}), [], PartitionFacts({}))


class SqlPartitionFacts(SqlPart):
    """Reads facts and values of partitions; remembers the facts and recipes of each asset."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._known_recipes: dict[tuple[str, str], _Known] = {}

    def facts(self, env: str, asset: str) -> PartitionFacts:
        """See `PartitionStore`."""
        seen = self._seen.get((env, asset), _UNSEEN)
        with self._database.read() as transaction:
            row = transaction.one(queries.newest_change, env=env, name=asset)
            if row is None:
                return _UNSEEN.facts
            marks = transaction.all(queries.select_marks, env=env, name=asset)
            if tuple(row) == (seen.asset, seen.revision) and marks == seen.marks:
                return seen.shown
            if row[0] != seen.asset or row[1] < seen.revision:  # another database, or another asset of that name
                seen = _UNSEEN
            changed = transaction.each(queries.select_changed, asset=row[0], after=seen.revision)
            read = {chunk_id(family, block): chunk_from_bytes(bytes(content)) for family, block, content in changed}
        facts = PartitionFacts({**seen.facts.chunks, **read}) if read else seen.facts
        self._seen[env, asset] = seen = _Seen(row[0], row[1], facts, marks, _with_marks(facts, marks))
        return seen.shown

    def recipes(self, env: str, asset: str) -> Mapping[int, Recipe]:
        """See `PartitionStore`."""
        known = self._known_recipes.get((env, asset), _UNKNOWN)
        with self._database.read() as transaction:
            row = transaction.one(queries.newest_recipe, env=env, name=asset)
            if row is None:
                return _UNKNOWN.recipes
            if tuple(row) == known.which:
                return known.recipes
            found = transaction.all(queries.select_recipes, asset=row[0])
        recipes = MappingProxyType(dict(map(recipe_rows.recipe, found)))
        self._known_recipes[env, asset] = _Known(tuple(row), recipes)
        return recipes

    def detail(self, env: str, asset: str, key: str, position: Position) -> PartitionDetail:
        """See `PartitionStore`."""
        with self._database.read() as transaction:
            number, kept, offset = _find(transaction, env, asset, position)
            version = kept.current.get(offset)
            current = _version(transaction, (env, asset, key), number, offset, version) if version else None
            note = kept.notes.get(offset)
            told = transaction.one(queries.select_event, event=note) if note else None
            marks = transaction.all(queries.select_marks_of_chunk, chunk=number)
        running = tuple(run for run, marked in marks if offset in BitMap.deserialize(bytes(marked)))
        detail = PartitionDetail(partition=key, current=current, held=offset in kept.facts.held, running=running)
        if told is None:
            return detail
        at, run_id, data = codec.moment(told[0]), told[1], codec.decode_mapping(told[2])
        if offset in kept.facts.failed:
            return msgspec.structs.replace(detail, failed_at=at, failed_run=run_id, error=data.get("error"))
        return msgspec.structs.replace(detail, skipped_at=at, reason=data.get("reason"))

    def committed_at(self, env: str, asset: str) -> datetime | None:
        """See `PartitionStore`."""
        with self._database.read() as transaction:
            row = transaction.one(queries.newest_commit, env=env, name=asset)
        return None if row is None else codec.moment(row[0])

    def materialization(
        self, env: str, asset: str, key: str, position: Position, *, version: int | None = None
    ) -> Materialization | None:
        """See `PartitionStore`."""
        with self._database.read() as transaction:
            number, kept, offset = _find(transaction, env, asset, position)
            version = kept.current.get(offset) if version is None else version
            return _version(transaction, (env, asset, key), number, offset, version) if version else None

    def history(self, env: str, asset: str, key: str, position: Position, *, limit: int = 20) -> list[Materialization]:
        """See `PartitionStore`."""
        with self._database.read() as transaction:
            number, _, offset = _find(transaction, env, asset, position)
            found = transaction.all(queries.select_history, chunk=number, offset=offset, limit=limit)
        return [values_of.materialization(env, asset, key, row) for row in found]


def _find(transaction: Transaction, env: str, asset: str, position: Position) -> tuple[int, KeptChunk, int]:
    """Return number and content of the chunk that holds a partition, and the partition's offset."""
    (outer, block), offset = address_of(position)
    row = transaction.one(queries.select_named_chunk, env=env, name=asset, family=family_text(outer), block=block)
    if row is None:
        return 0, KeptChunk(), offset
    return int(row[0]), kept_chunk(bytes(row[1]), bytes(row[2])), offset


def _version(
    transaction: Transaction, name: tuple[str, str, str], number: int, offset: int, version: int
) -> Materialization | None:
    row = transaction.one(queries.select_version, chunk=number, offset=offset, version=version)
    return None if row is None else values_of.materialization(*name, row)


def _with_marks(facts: PartitionFacts, marks: list[Row]) -> PartitionFacts:
    """Return facts with what runs work on."""
    if not marks:
        return facts
    running: dict[ChunkId, BitMap] = {}
    for family, block, _, marked in marks:
        place = chunk_id(family, block)
        running[place] = running.get(place, BitMap()) | BitMap.deserialize(bytes(marked))
    shown: dict[ChunkId, ChunkFacts] = {
        place: msgspec.structs.replace(facts.chunk(place), running=found) for place, found in running.items()
    }
    return PartitionFacts({**facts.chunks, **shown})
