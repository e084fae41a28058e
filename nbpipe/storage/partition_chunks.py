"""A chunk as stores keep it: the facts, and where the values and the stories of its partitions are."""

from __future__ import annotations

import zlib

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import ChunkFacts, Column, chunk_from_bytes, number_of
from nbpipe.core.partitions.sets import ChunkId, Outer
from nbpipe.errors import StateError

_FORMAT = 1
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, Column, Column, Column]).decode


class KeptChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of up to 4,096 partitions with what only the store itself needs."""

    facts: ChunkFacts = ChunkFacts()
    """Without `running`: who works on what is kept by run."""
    current: Column = Column()
    """Version that is current; 0 for none."""
    last: Column = Column()
    """Newest version that there ever was; counts on after a wipe."""
    notes: Column = Column()
    """The event that tells why the partition failed or was skipped; else 0."""

    def materialize(self, offset: int, *, data_version: str, inputs: int, recipe: int) -> KeptChunk:
        """Return the chunk with one version more, which is current."""
        version = self.last.get(offset) + 1
        return msgspec.structs.replace(
            self,
            facts=self.facts.materialize(offset, version=number_of(data_version), inputs=inputs, code=recipe),
            current=self.current.put(offset, version),
            last=self.last.put(offset, version),
            notes=self.notes.fill(BitMap((offset,)), 0),
        )

    def fail(self, offsets: BitMap, event: int) -> KeptChunk:
        """Return the chunk after failed attempts that an event tells of."""
        return msgspec.structs.replace(self, facts=self.facts.fail_all(offsets), notes=self.notes.fill(offsets, event))

    def skip(self, offset: int, event: int, *, inputs: int, recipe: int) -> KeptChunk:
        """Return the chunk after an execution that had nothing to do."""
        facts = self.facts.skip(offset, inputs=inputs, code=recipe)
        return msgspec.structs.replace(self, facts=facts, notes=self.notes.put(offset, event))

    def hold(self, offset: int, version: int, *, data_version: str) -> KeptChunk:
        """Return the chunk with an older version made current again."""
        return msgspec.structs.replace(
            self,
            facts=self.facts.hold(offset, version=number_of(data_version)),
            current=self.current.put(offset, version),
            notes=self.notes.fill(BitMap((offset,)), 0),
        )

    def wipe(self, offsets: BitMap) -> KeptChunk:
        """Return the chunk as if some partitions had never been executed; their versions go on counting."""
        return msgspec.structs.replace(
            self,
            facts=self.facts.wipe_all(offsets),
            current=self.current.fill(offsets, 0),
            notes=self.notes.fill(offsets, 0),
        )

    def touched(self) -> BitMap:
        """Return the partitions that a wipe would change."""
        facts = self.facts
        return facts.materialized | facts.failed | facts.skipped | facts.held

    def places(self) -> bytes:
        """Return all but the facts in a compressed form."""
        return zlib.compress(_encode((_FORMAT, self.current, self.last, self.notes)), 1)


def kept_chunk(facts: bytes, places: bytes) -> KeptChunk:
    """Return the chunk from its two compressed parts.

    Raises:
        StateError: the data is none of ours.
    """
    try:
        number, current, last, notes = _decode(zlib.decompress(places))
    except (zlib.error, msgspec.DecodeError) as error:
        raise StateError("kept places of partitions can't be read: the data is damaged") from error
    if number != _FORMAT:
        raise StateError(f"kept places have format {number}, this version reads {_FORMAT}: update nbpipe")
    return KeptChunk(facts=chunk_from_bytes(facts), current=current, last=last, notes=notes)


def family_text(outer: Outer) -> str:
    """Return a family as the text by which it is found."""
    return ",".join(map(str, outer))


def chunk_id(family: str, block: int) -> ChunkId:
    """Return the identity of a chunk from its columns."""
    return tuple(map(int, family.split(","))) if family else (), block
