"""Which partitions were executed with other inputs than today's: kept fingerprints against those of the data now.

What was compared before is used again: only partitions that were executed since, and those fed by new data, are
compared anew. Chunks are values, so one that is the same object has not changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import WIDTH, ChunkFacts, PartitionFacts, joined
from nbpipe.core.partitions.inputs import Inputs
from nbpipe.core.partitions.links import Link, Pair
from nbpipe.core.partitions.sets import CHUNK, Outer, PartitionSet
from nbpipe.core.partitions.subsets import Families, PartitionSubset, compact, union


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The partitions of an asset whose inputs are others now, and what that follows from."""

    of: PartitionSet
    own: PartitionFacts
    links: tuple[Link, ...]
    above: tuple[PartitionFacts, ...]
    """The facts at the other end of each link."""
    fixed: tuple[Mapping[int, BitMap], ...]
    """See `Link.fixed`, of each link."""
    found: Families
    """Executed with other inputs."""


def compare(
    of: PartitionSet,
    own: PartitionFacts,
    sources: tuple[tuple[Link, PartitionFacts], ...],
    now: datetime,
    before: Compared | None = None,
) -> Compared:
    """Compare the fingerprints of all partitions of an asset.

    Args:
        of: its partitions.
        own: its facts.
        sources: its links, each with the facts of the upstream; `own` for itself.
        now: for `all` and `latest`.
        before: an earlier result, of which what still holds is used.
    """
    links, above = tuple(link for link, _ in sources), tuple(facts for _, facts in sources)
    fixed = tuple(link.fixed(now) for link in links)
    reached: Families | None = None
    if before is not None and (before.of, before.links, before.fixed) == (of, links, fixed):
        reached = _reached(before, above, now)
    reader, found = Inputs(sources, now), {}
    for outer, blocks in own.blocks.items() if links else ():
        if is_family(of, outer):
            family = _Family(of, outer, reader)
            if before is None or reached is None:
                parts = [(block, family.different(chunk, block)) for block, chunk in blocks.items()]
                found[outer] = joined(parts)
            else:
                old = before.own.blocks.get(outer, {})
                known = before.found.get(outer, BitMap())
                found[outer] = family.different_now(blocks, old, known, reached.get(outer, BitMap()))
    return Compared(of=of, own=own, links=links, above=above, fixed=fixed, found=compact(found))


def is_family(of: PartitionSet, outer: Outer) -> bool:
    """Tell whether all keys of a family but the inner one are in a set."""
    others = [part for index, part in enumerate(of.dimensions) if index != of.inner]
    return all(part.contains(ordinal) for part, ordinal in zip(others, outer, strict=True))


class _Family:
    """The partitions of one family."""

    def __init__(self, of: PartitionSet, outer: Outer, reader: Inputs) -> None:
        self._outer, self._reader = outer, reader
        self._inner = of.dimensions[of.inner]

    def different_now(
        self, blocks: Mapping[int, ChunkFacts], old: Mapping[int, ChunkFacts], known: BitMap, reached: BitMap
    ) -> BitMap:
        """Return which are different, from those `known` to be before, and those that new data has reached."""
        again = set(_blocks(reached)).intersection(blocks)
        again.update(block for block, chunk in blocks.items() if old.get(block) is not chunk)
        parts, redone = [], BitMap()
        for block in sorted(again.union(old.keys() - blocks.keys())):
            redone.add_range(block * CHUNK, (block + 1) * CHUNK)
            if block not in blocks:
                continue
            chunk, was = blocks[block], old.get(block, ChunkFacts())
            offsets = _offsets(reached, block) | _executed_since(was, chunk)
            different = self.different(chunk, block, offsets)
            parts.append((block, different | (_offsets(known, block) - offsets) & chunk.executed))
        return (known - redone) | joined(parts)

    def different(self, chunk: ChunkFacts, block: int, offsets: BitMap | None = None) -> BitMap:
        """Return the offsets whose kept fingerprint is not today's; of all, or of some."""
        asked = chunk.executed if offsets is None else chunk.executed & offsets
        wanted = self._inner.within(asked.shift(block * CHUNK) if asked else BitMap())
        if not wanted:
            return BitMap()
        expected = self._reader.column(self._outer, wanted)
        low = wanted.min() - block * CHUNK
        return _unequal(chunk.inputs.cut(low, low + len(expected) // WIDTH), expected, low) & asked


def _reached(before: Compared, above: tuple[PartitionFacts, ...], now: datetime) -> Families | None:
    """Return the partitions that new data feeds; None: perhaps any."""
    found: Families = {}
    for link, old, new in zip(before.links, before.above, above, strict=True):
        changed = _new_data(link.up, old, new)
        if not changed:
            continue
        followed = {part.dimension for part in link.parts if isinstance(part, Pair)}
        if len(followed) < len(link.down.dimensions):
            return None
        found = union(found, link.downstream_of(PartitionSubset(link.up, changed), now).families)
    return found


def _new_data(of: PartitionSet, old: PartitionFacts, new: PartitionFacts) -> Families:
    """Return where data versions may be others: what has a value, or had one, in chunks whose versions changed."""
    found: dict[Outer, list[tuple[int, BitMap]]] = {}
    for place in old.chunks.keys() | new.chunks.keys() if old is not new else ():
        was, chunk = old.chunk(place), new.chunk(place)
        if was is chunk or (was.versions == chunk.versions and was.materialized == chunk.materialized):
            continue
        touched = was.materialized ^ chunk.materialized
        low = min(was.versions.base, chunk.versions.base)
        high = max(one.versions.base + len(one.versions.data) // WIDTH for one in (was, chunk))
        touched |= _unequal(was.versions.cut(low, high), chunk.versions.cut(low, high), low)
        if is_family(of, place[0]):
            found.setdefault(place[0], []).append((place[1], touched))
    inner = of.dimensions[of.inner]
    return compact({outer: inner.within(joined(parts)) for outer, parts in found.items()})


def _executed_since(old: ChunkFacts, new: ChunkFacts) -> BitMap:
    """Return the offsets that were executed with other inputs, or forgotten, in between."""
    if old is new:
        return BitMap()
    low = min(old.inputs.base, new.inputs.base)
    high = max(one.inputs.base + len(one.inputs.data) // WIDTH for one in (old, new))
    return (old.executed ^ new.executed) | _unequal(old.inputs.cut(low, high), new.inputs.cut(low, high), low)


def _unequal(one: bytes, other: bytes, low: int) -> BitMap:
    """Return the offsets, from `low` on, where two columns differ. Equal ones are compared at once."""
    if one == other:
        return BitMap()
    pairs = zip(memoryview(one).cast("Q"), memoryview(other).cast("Q"), strict=True)
    return BitMap(low + index for index, (left, right) in enumerate(pairs) if left != right)


def _blocks(ordinals: BitMap) -> Iterator[int]:
    position = ordinals.min() if ordinals else None
    last = ordinals.max() if ordinals else -1
    while position is not None:
        block = position // CHUNK
        yield block
        position = ordinals.next_set_bit((block + 1) * CHUNK) if (block + 1) * CHUNK <= last else None


def _offsets(ordinals: BitMap, block: int) -> BitMap:
    """Return the ordinals of a block as offsets."""
    whole = BitMap()
    whole.add_range(block * CHUNK, (block + 1) * CHUNK)
    found = ordinals & whole
    return found.shift(-block * CHUNK) if found else found
