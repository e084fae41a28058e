"""What is kept of the partitions of an asset: chunks of 4,096 ordinals, each of bitmaps and columns.

A chunk is a value: events make changed copies. Per partition with a value there are 8 bytes of data version and 8 of
input fingerprint; recipes are one bitmap for each number in the chunk, so that a change of the code is found without
looking at any partition. Columns hold little-endian unsigned numbers, from the first offset used to the last, with 0
between.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import msgspec
import xxhash
from pyroaring import BitMap

from nbpipe.core.partitions.sets import CHUNK, ChunkId, Outer
from nbpipe.core.partitions.subsets import Families, compact, runs
from nbpipe.errors import StateError

WIDTH = 8
"""Bytes of a number in a column."""

_FORMAT = 1
_SAMPLE = 512


class Column(msgspec.Struct, frozen=True, array_like=True):
    """One 64-bit number for each offset of a chunk; 0 where there is none."""

    base: int = 0
    """Offset of the first number."""
    data: bytes = b""

    def get(self, offset: int) -> int:
        """Return the number of an offset."""
        return int.from_bytes(self.cut(offset, offset + 1), "little")

    def cut(self, low: int, high: int) -> bytes:
        """Return the bytes of the offsets [low, high)."""
        begin, end = (low - self.base) * WIDTH, (high - self.base) * WIDTH
        before = min(max(0, -begin), end - begin)
        found = self.data[max(0, begin) : max(0, end)]
        return bytes(before) + found + bytes(end - begin - before - len(found))

    def put(self, offset: int, number: int) -> Column:
        """Return a column with another number."""
        last = self.base + len(self.data) // WIDTH
        low, high = (min(self.base, offset), max(last, offset + 1)) if self.data else (offset, offset + 1)
        data = bytearray(self.cut(low, high))
        place = (offset - low) * WIDTH
        data[place : place + WIDTH] = number.to_bytes(WIDTH, "little")
        return Column(low, bytes(data))

    def fill(self, offsets: BitMap, number: int) -> Column:
        """Return a column with one number at many offsets."""
        last = self.base + len(self.data) // WIDTH
        if not number:  # nothing needs to be longer to hold no number
            offsets = offsets & BitMap(range(self.base, last))
        if not offsets:
            return self
        first, stop = offsets.min(), offsets.max() + 1
        low, high = (min(self.base, first), max(last, stop)) if self.data else (first, stop)
        data, one = bytearray(self.cut(low, high)), number.to_bytes(WIDTH, "little")
        for begin, end in runs(offsets):
            data[(begin - low) * WIDTH : (end - low) * WIDTH] = one * (end - begin)
        return Column(low, bytes(data))


class ChunkFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of up to 4,096 partitions, by offset. Bitmaps are never changed."""

    materialized: BitMap = BitMap()
    """There is a value."""
    failed: BitMap = BitMap()
    """The latest attempt failed."""
    skipped: BitMap = BitMap()
    """The latest execution said that there is nothing to do."""
    running: BitMap = BitMap()
    """A run works on it."""
    held: BitMap = BitMap()
    """Rolled back: fresh until forced."""
    versions: Column = Column()
    """Data version of the value, see `number_of`."""
    inputs: Column = Column()
    """Fingerprint of the inputs of the latest execution that did not fail."""
    codes: tuple[tuple[int, BitMap], ...] = ()
    """Number of the recipe of that execution, sorted; every executed partition is in one bitmap."""

    @property
    def executed(self) -> BitMap:
        """Return what has a value or was skipped: what can be stale."""
        return self.materialized | self.skipped

    def start(self, offset: int) -> ChunkFacts:
        """Return the facts with a run that works on a partition."""
        return _with(self, offset, "running")

    def stop(self, offset: int) -> ChunkFacts:
        """Return the facts without a run that works on a partition, which left nothing."""
        return _with(self, offset, "", "running")

    def materialize(self, offset: int, *, version: int, inputs: int, code: int) -> ChunkFacts:
        """Return the facts with a new value."""
        return msgspec.structs.replace(
            _with(self, offset, "materialized", "failed", "skipped", "running", "held"),
            versions=self.versions.put(offset, version),
            inputs=self.inputs.put(offset, inputs),
            codes=_coded(self.codes, offset, code),
        )

    def skip(self, offset: int, *, inputs: int, code: int) -> ChunkFacts:
        """Return the facts with an execution that had nothing to do; an older value stays."""
        return msgspec.structs.replace(
            _with(self, offset, "skipped", "failed", "running", "held"),
            inputs=self.inputs.put(offset, inputs),
            codes=_coded(self.codes, offset, code),
        )

    def fail(self, offset: int) -> ChunkFacts:
        """Return the facts with a failed attempt; an older value stays."""
        return _with(self, offset, "failed", "running")

    def hold(self, offset: int, *, version: int) -> ChunkFacts:
        """Return the facts with an older value made current again."""
        held = _with(self, offset, "held", "failed", "skipped", "running")
        return msgspec.structs.replace(held, versions=self.versions.put(offset, version))

    def wipe(self, offset: int) -> ChunkFacts:
        """Return the facts as if the partition had never been executed; a run that works on it stays."""
        return msgspec.structs.replace(
            _with(self, offset, "", "materialized", "failed", "skipped", "held"),
            versions=self.versions.put(offset, 0),
            inputs=self.inputs.put(offset, 0),
            codes=_coded(self.codes, offset, None),
        )

    def fail_all(self, offsets: BitMap) -> ChunkFacts:
        """Do `fail` for many partitions at once."""
        return msgspec.structs.replace(self, failed=self.failed | offsets, running=self.running - offsets)

    def wipe_all(self, offsets: BitMap) -> ChunkFacts:
        """Do `wipe` for many partitions at once."""
        codes = ((code, bitmap - offsets) for code, bitmap in self.codes)
        return msgspec.structs.replace(
            self,
            **{name: getattr(self, name) - offsets for name in ("materialized", "failed", "skipped", "held")},
            versions=self.versions.fill(offsets, 0),
            inputs=self.inputs.fill(offsets, 0),
            codes=tuple((code, bitmap) for code, bitmap in codes if bitmap),
        )

    def to_bytes(self) -> bytes:
        """Return a compressed form."""
        marks = [_packed(getattr(self, name)) for name in _MARKS]
        codes = [(code, _packed(bitmap)) for code, bitmap in self.codes]
        level = 0 if _is_noise(self.versions) and _is_noise(self.inputs) else 1
        return zlib.compress(_encode((_FORMAT, marks, self.versions, self.inputs, codes)), level)


_MARKS = ("materialized", "failed", "skipped", "running", "held")
_Form = tuple[int, list[bytes], Column, Column, list[tuple[int, bytes]]]
_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(_Form).decode


def chunk_from_bytes(data: bytes) -> ChunkFacts:
    """Return the facts that `ChunkFacts.to_bytes` wrote.

    Raises:
        StateError: the data is none of ours.
    """
    try:
        number, marks, versions, inputs, codes = _decode(zlib.decompress(data))
        bitmaps = dict(zip(_MARKS, map(BitMap.deserialize, marks), strict=True))
        coded = tuple((code, BitMap.deserialize(bitmap)) for code, bitmap in codes)
    except (zlib.error, msgspec.DecodeError, ValueError) as error:
        raise StateError("kept partition facts can't be read: the data is damaged") from error
    if number != _FORMAT:
        raise StateError(f"kept partition facts have format {number}, this version reads {_FORMAT}: update nbpipe")
    return ChunkFacts(**bitmaps, versions=versions, inputs=inputs, codes=coded)


def number_of(version: str) -> int:
    """Return the 64-bit number that stands for a data version; never 0."""
    return xxhash.xxh3_64_intdigest(version.encode()) or 1


class PartitionFacts(msgspec.Struct, frozen=True, dict=True):
    """All chunks of an asset."""

    chunks: Mapping[ChunkId, ChunkFacts]

    @cached_property
    def blocks(self) -> Mapping[Outer, Mapping[int, ChunkFacts]]:
        """Return the chunks by family, sorted by block."""
        found: dict[Outer, dict[int, ChunkFacts]] = {}
        for (outer, block), chunk in sorted(self.chunks.items(), key=lambda item: item[0]):
            found.setdefault(outer, {})[block] = chunk
        return found

    @cached_property
    def materialized(self) -> Families:
        """Return what has a value."""
        return self.families(lambda chunk: chunk.materialized)

    @cached_property
    def executed(self) -> Families:
        """Return what has a value or was skipped."""
        return self.families(lambda chunk: chunk.executed)

    @cached_property
    def recipes(self) -> frozenset[int]:
        """Return the numbers of the recipes by which partitions were made."""
        return frozenset(number for chunk in self.chunks.values() for number, _ in chunk.codes)

    def families(self, pick: Callable[[ChunkFacts], BitMap]) -> Families:
        """Return ordinals from the offsets that `pick` finds in each chunk."""
        return compact(
            {
                outer: joined((block, pick(chunk)) for block, chunk in found.items())
                for outer, found in self.blocks.items()
            }
        )

    def chunk(self, chunk_id: ChunkId) -> ChunkFacts:
        """Return a chunk; one without facts if there is none."""
        return self.chunks.get(chunk_id) or ChunkFacts()

    def with_chunk(self, chunk_id: ChunkId, chunk: ChunkFacts) -> PartitionFacts:
        """Return the facts with another chunk. O(number of chunks)."""
        return PartitionFacts({**self.chunks, chunk_id: chunk})

    def versions(self, outer: Outer, low: int, high: int) -> bytes:
        """Return the column of data versions of the ordinals [low, high) of a family."""
        blocks = self.blocks.get(outer, {})
        parts = []
        for block in range(low // CHUNK, (high - 1) // CHUNK + 1):
            begin, end = max(low - block * CHUNK, 0), min(high - block * CHUNK, CHUNK)
            chunk = blocks.get(block)
            parts.append(chunk.versions.cut(begin, end) if chunk else bytes((end - begin) * WIDTH))
        return b"".join(parts)


def is_used(facts: PartitionFacts) -> bool:
    """Tell whether anything is known of any partition, so that positions must go on to mean what they mean."""
    return any(one.executed | one.failed | one.running | one.held for one in facts.chunks.values())


def whole_facts(data_version: str | None) -> PartitionFacts:
    """Return the facts of an asset without partitions, as links to it read them; None: it has no value."""
    if data_version is None:
        return PartitionFacts({})
    return PartitionFacts({((), 0): ChunkFacts().materialize(0, version=number_of(data_version), inputs=0, code=0)})


def joined(offsets: Iterable[tuple[int, BitMap]]) -> BitMap:
    """Return ordinals from the offsets in each block."""
    return BitMap.union(BitMap(), *(bitmap.shift(block * CHUNK) for block, bitmap in offsets if bitmap))


def _with(chunk: ChunkFacts, offset: int, name: str, *without: str) -> ChunkFacts:
    one = BitMap((offset,))
    changes = {other: getattr(chunk, other) - one for other in without}
    if name:
        changes[name] = getattr(chunk, name) | one
    return msgspec.structs.replace(chunk, **changes)


def _coded(codes: tuple[tuple[int, BitMap], ...], offset: int, code: int | None) -> tuple[tuple[int, BitMap], ...]:
    one = BitMap((offset,))
    found = {number: bitmap - one for number, bitmap in codes}
    if code is not None:
        found[code] = found.get(code, BitMap()) | one
    return tuple(sorted(((number, bitmap) for number, bitmap in found.items() if bitmap), key=lambda item: item[0]))


def _is_noise(column: Column) -> bool:
    """Tell by a sample whether a column is not worth the millisecond that compressing it takes: most hold hashes."""
    middle = len(column.data) // 2
    sample = column.data[middle : middle + _SAMPLE]
    return len(sample) == _SAMPLE and len(zlib.compress(sample, 1)) > _SAMPLE * 0.95


def _packed(bitmap: BitMap) -> bytes:
    packed = bitmap.copy()
    packed.run_optimize()
    return packed.serialize()
