"""Fingerprints of inputs: one number that changes when what feeds a partition has other data.

For each upstream there is a column with one number for each partition of a chunk:
- fed by one partition each (`identity`, `offset(-1)`): its data version; by one in each of several families: their
  versions times odd constants, added;
- fed by windows: the data version if it is one partition, else the hash of the column that it spans;
- else: the hash of all that feeds it, once if it is the same for every partition of a family.
Columns of several upstreams are multiplied by odd constants of their names and added. All arithmetic is modulo 2**64,
on whole columns as long integers. What is missing counts as 0, so a partition that appears later is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import product

import xxhash
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import WIDTH, PartitionFacts, number_of
from nbpipe.core.partitions.links import Link, Pair, Part
from nbpipe.core.partitions.mappings import Overlapping, Same, Shifted
from nbpipe.core.partitions.sets import CHUNK, AnyGrain, Outer, Position
from nbpipe.core.partitions.subsets import Families, PartitionSubset

Source = tuple[Link, PartitionFacts]
"""A link, and the facts of its upstream."""

_BITS = WIDTH * 8
_ONE = (1 << _BITS) - 1


class Inputs:
    """Reads the fingerprints of the partitions of one asset; remembers what is the same for many."""

    def __init__(self, sources: Sequence[Source], now: datetime) -> None:
        """Read from every upstream that gives data.

        Args:
            sources: links and the facts of their upstreams, in any order.
            now: for `all` and `latest`.
        """
        self._columns = [_LinkColumns(link, facts, now) for link, facts in sorted(sources, key=lambda s: s[0].upstream)]

    def fingerprint(self, outer: Outer, ordinal: int) -> int:
        """Return the fingerprint of one partition, to be kept when it is executed; 0 without upstreams."""
        return int.from_bytes(self.column(outer, BitMap((ordinal,))), "little")

    def text(self, outer: Outer, ordinal: int) -> str:
        """Return the fingerprint of one partition as 16 hexadecimal digits."""
        return f"{self.fingerprint(outer, ordinal):016x}"

    def column(self, outer: Outer, wanted: BitMap) -> bytes:
        """Return the fingerprints from the first to the last ordinal wanted; ordinals between have any number.

        Args:
            outer: the family of the asset's partitions.
            wanted: ordinals of one chunk, at least one.
        """
        length = wanted.max() + 1 - wanted.min()
        if len(self._columns) == 1:
            return self._columns[0].read(outer, wanted)
        return added(((hash_of(one.name), one.read(outer, wanted)) for one in self._columns), length)


def link_version(link: Link, facts: PartitionFacts, outer: Outer, ordinal: int, now: datetime) -> str:
    """Return what stands for the data of one upstream where many of its partitions feed one: 16 hexadecimal digits.

    It is recorded as the data version of that input. An asset without partitions is at `((), 0)`.
    """
    return Inputs([(link, facts)], now).text(outer, ordinal)


def is_same_data(link: Link, facts: PartitionFacts, position: Position, recorded: str, now: datetime) -> bool:
    """Tell whether a recorded data version of an upstream is that of what feeds a partition now.

    Of many partitions, `link_version` is recorded; of a single one, its own data version may be.
    """
    outer, inner = position
    if link.single:
        fed = link.upstream_of(PartitionSubset(link.down, {outer: BitMap((inner,))}), now)
        today = [facts.versions(family, one, one + 1) for family, bitmap in fed.families.items() for one in bitmap]
        if today and int.from_bytes(today[0], "little") == number_of(recorded):
            return True
    return recorded == link_version(link, facts, outer, inner, now)


def added(columns: Iterable[tuple[int, bytes]], length: int) -> bytes:
    """Return the sum of columns times factors (made odd), number by number, modulo 2**64."""
    mask = int.from_bytes((b"\xff" * WIDTH + bytes(WIDTH)) * (length // 2 + 1), "little")
    even = odd = 0
    for factor, column in columns:
        number = int.from_bytes(column, "little")
        even = (even + (number & mask) * (factor | 1 & _ONE)) & mask
        odd = (odd + ((number >> _BITS) & mask) * (factor | 1 & _ONE)) & mask
    return (even | odd << _BITS).to_bytes((length // 2 + 1) * 2 * WIDTH, "little")[: length * WIDTH]


def hash_of(text: str) -> int:
    """Return the 64-bit hash of a text."""
    return xxhash.xxh3_64_intdigest(text.encode())


class _LinkColumns:
    """The columns of one upstream."""

    def __init__(self, link: Link, facts: PartitionFacts, now: datetime) -> None:
        self.name = link.upstream
        self._link, self._facts, self._now = link, facts, now
        self._inner = next((index for index, part in enumerate(link.parts) if _follows(link, part)), None)
        self._same: dict[Outer, bytes] = {}

    def read(self, outer: Outer, wanted: BitMap) -> bytes:
        low, high = wanted.min(), wanted.max() + 1
        if self._inner is None:
            if outer not in self._same:
                self._same[outer] = self._hash(outer, low)
            return self._same[outer] * (high - low)
        part = self._link.parts[self._inner]
        if self._inner == self._link.up.inner and isinstance(part, Pair):
            mapping = part.mapping
            if isinstance(mapping, Same):
                return self._shifted(outer, low, high)
            if isinstance(mapping, Shifted) and mapping.first == mapping.last and mapping.up.grain.dense:
                return self._shifted(outer, low + mapping.first, high + mapping.first)
            if isinstance(mapping, Overlapping):
                return _filled(wanted, self._windows(mapping, outer, wanted))
        return _filled(wanted, (self._hash(outer, ordinal) for ordinal in wanted))

    def _families(self, outer: Outer) -> list[Outer]:
        """Return the families of the upstream that feed a family of the asset."""
        ordinals = self._link.down.flat((outer, 0))
        fixed = self._link.fixed(self._now)
        images = []
        for index, part in enumerate(self._link.parts):
            if index != self._inner and isinstance(part, Pair):
                images.append(part.mapping.upstream(BitMap((ordinals[part.dimension],))))
            elif index != self._inner:
                images.append(fixed[index])
        return list(product(*images))

    def _shifted(self, outer: Outer, low: int, high: int) -> bytes:
        columns = [(hash_of(repr(family)), self._inside(family, low, high)) for family in self._families(outer)]
        return columns[0][1] if len(columns) == 1 else added(columns, high - low)

    def _windows(self, mapping: Overlapping, outer: Outer, wanted: BitMap) -> Iterator[bytes]:
        base = wanted.min() // CHUNK * CHUNK
        spans = window_spans(mapping.down.grain, mapping.up.grain, base // CHUNK)
        low, high = spans[wanted.min() - base][0], spans[wanted.max() - base][1]
        columns = [self._inside(family, low, high) for family in self._families(outer)] if low < high else []
        last, number = (-1, -1), bytes(WIDTH)
        for ordinal in wanted:
            span = spans[ordinal - base]
            if span != last:
                parts = [column[(span[0] - low) * WIDTH : (span[1] - low) * WIDTH] for column in columns]
                number = b"".join(parts)
                if len(number) != WIDTH:
                    number = hash_bytes(number)
                last = span
            yield number

    def _inside(self, outer: Outer, low: int, high: int) -> bytes:
        """Return the column of a family without what is no longer in the upstream's set."""
        column = self._facts.versions(outer, low, high)
        present = BitMap()
        present.add_range(low, high)
        present &= self._facts.materialized.get(outer, BitMap())
        gone = present - self._link.up.dimensions[self._link.up.inner].within(present)
        return _cleared(column, low, gone)

    def _hash(self, outer: Outer, ordinal: int) -> bytes:
        """Return the hash of all that feeds a partition."""
        above = self._link.upstream_of(PartitionSubset(self._link.down, {outer: BitMap((ordinal,))}), self._now)
        return hash_bytes(b"".join(_contents(self._facts, above.families)))


def _follows(link: Link, part: Part) -> bool:
    return isinstance(part, Pair) and part.dimension == link.down.inner


def hash_bytes(data: bytes) -> bytes:
    """Return the 64-bit hash of bytes, as a column of one number."""
    return xxhash.xxh3_64_intdigest(data).to_bytes(WIDTH, "little")


@lru_cache(maxsize=1024)
def window_spans(source: AnyGrain, target: AnyGrain, block: int) -> Mapping[int, tuple[int, int]]:
    """Return the windows `[low, high)` of `target` that each window of a chunk of `source` overlaps, by offset."""
    found: dict[int, tuple[int, int]] = {}
    base = block * CHUNK
    shared = base  # up to here, windows of `source` lie within the last window of `target` found
    span = (0, 0)
    for ordinal in source.existing(base, base + CHUNK):
        if ordinal >= shared:
            begin, end = source.start(ordinal), source.end(ordinal)
            first = target.at(begin)
            span = (first, target.at(end - 1) + 1 if begin < end else first)
            inside = span[1] - span[0] == 1
            shared = source.at(target.end(first)) if inside else ordinal
        found[ordinal - base] = span
    return found


def _filled(wanted: BitMap, numbers: Iterable[bytes]) -> bytes:
    """Join the numbers of ordinals to a column; gaps are filled with the number that follows."""
    parts, position = [], wanted.min()
    for ordinal, number in zip(wanted, numbers, strict=True):
        parts.append(number if position == ordinal else number * (ordinal + 1 - position))
        position = ordinal + 1
    return b"".join(parts)


def _cleared(column: bytes, low: int, ordinals: BitMap) -> bytes:
    """Return a column that begins at `low` with 0 for some ordinals."""
    if not ordinals:
        return column
    cleared = bytearray(column)
    for ordinal in ordinals:
        cleared[(ordinal - low) * WIDTH : (ordinal - low + 1) * WIDTH] = bytes(WIDTH)
    return bytes(cleared)


def _contents(facts: PartitionFacts, families: Families) -> Iterator[bytes]:
    for outer in sorted(families):
        present = families[outer] & facts.materialized.get(outer, BitMap())
        position = present.min() if present else None
        while position is not None:
            block = position // CHUNK
            part = BitMap()
            part.add_range(position, (block + 1) * CHUNK)
            part &= present
            low, high = part.min(), part.max() + 1
            others = BitMap()
            others.add_range(low, high)
            others &= facts.materialized[outer] - part
            yield repr((outer, block)).encode() + part.to_array().tobytes()
            yield _cleared(facts.versions(outer, low, high), low, others)
            position = present.next_set_bit((block + 1) * CHUNK) if present.max() >= (block + 1) * CHUNK else None
