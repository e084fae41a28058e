"""Chunks in SQL: read, changed and written within one transaction; and who works on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.sets import ChunkId
from nbpipe.storage import partition_queries as queries
from nbpipe.storage.database import Transaction
from nbpipe.storage.partition_chunks import KeptChunk, chunk_id, family_text, kept_chunk
from nbpipe.storage.sql_base import Happening, SqlPart


class OpenChunk(msgspec.Struct):
    """A chunk that is being changed: put another value in `kept`."""

    number: int
    kept: KeptChunk


class SqlChunks(SqlPart):
    """What the parts share that change chunks.

    Writing transactions happen one after the other (see `Database.write`), so what is read here is what is changed.
    """

    def end_marks(self, transaction: Transaction, run_id: str, error: str | None, at: datetime) -> None:
        """Forget what a run works on, since it has ended; with an error, what it still worked on has failed."""
        events: dict[int, int] = {}
        marks = transaction.all(queries.select_marks_of_run, run=run_id) if error is not None else []
        for number, marked in marks:
            row = transaction.one(queries.select_chunk_by_number, chunk=number)
            assert row is not None  # noqa: S101 - the mark refers to it
            asset, env, _, _, facts, places = row
            if asset not in events:
                happening = Happening(env, "partitions_failed", asset, None, run_id, {"error": error})
                events[asset] = self._note(transaction, happening, at)
            kept = kept_chunk(bytes(facts), bytes(places)).fail(BitMap.deserialize(bytes(marked)), events[asset])
            self._write(transaction, number, kept, events[asset])
        transaction.run(queries.drop_marks_of_run, run=run_id)

    @contextmanager
    def _chunk(self, transaction: Transaction, asset: int, place: ChunkId, event: int) -> Iterator[OpenChunk]:
        """Open a chunk, which may be new; write it if it was changed."""
        family, block = family_text(place[0]), place[1]
        row = transaction.one(queries.select_chunk, asset=asset, family=family, block=block)
        if row is None:
            number, kept = self._chunk_number(transaction, asset, place, event), KeptChunk()
        else:
            number, kept = int(row[0]), kept_chunk(bytes(row[1]), bytes(row[2]))
        opened = OpenChunk(number, kept)
        yield opened
        if opened.kept is not kept:
            self._write(transaction, number, opened.kept, event)

    @staticmethod
    def _chunk_number(transaction: Transaction, asset: int, place: ChunkId, event: int) -> int:
        """Return the number of a chunk, which may be new; without reading it."""
        where = {"family": family_text(place[0]), "block": place[1]}
        row = transaction.one(queries.find_chunk, asset=asset, **where)
        if row is not None:
            return int(row[0])
        content = {"facts": KeptChunk().facts.to_bytes(), "places": KeptChunk().places()}
        return transaction.number(queries.add_chunk, asset_id=asset, **where, revision=event, **content)

    @staticmethod
    def _write(transaction: Transaction, number: int, kept: KeptChunk, event: int) -> None:
        content, where = kept.facts.to_bytes(), kept.places()
        transaction.run(queries.update_chunk, chunk=number, event=event, content=content, where=where)

    @staticmethod
    def _places(transaction: Transaction, asset: int) -> list[ChunkId]:
        """Return the chunks that an asset has."""
        return [chunk_id(family, block) for family, block in transaction.all(queries.select_chunks, asset=asset)]


def mark(transaction: Transaction, run_id: str, number: int, offsets: BitMap) -> None:
    """Note that a run works on partitions of a chunk."""
    row = transaction.one(queries.select_mark, chunk=number, run=run_id)
    known = BitMap() if row is None else BitMap.deserialize(bytes(row[0]))
    transaction.run(queries.set_mark, chunk=number, run=run_id, marked=(known | offsets).serialize())


def unmark(transaction: Transaction, run_id: str | None, number: int, offsets: BitMap) -> None:
    """Note that a run does not work on partitions of a chunk any more."""
    row = None if run_id is None else transaction.one(queries.select_mark, chunk=number, run=run_id)
    if row is None:
        return
    left = BitMap.deserialize(bytes(row[0])) - offsets
    if left:
        transaction.run(queries.set_mark, chunk=number, run=run_id, marked=left.serialize())
    else:
        transaction.run(queries.drop_mark, chunk=number, run=run_id)
