"""Which ordinals of one dimension feed which of another, on bitmaps, in both directions.

None of it goes key by key, but for keys that are translated one by one (`static`, and lists with ordinals of their own)
and for offsets within cron expressions with holes. `within` a set is said by the dimension: results are ordinals that
exist, now or later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import TypeAlias

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.grains import Daily, Hourly, Monthly, Weekly, aligned
from nbpipe.core.partitions.sets import CHUNK, AnyGrain, ListedDimension, TimeDimension


class Same(msgspec.Struct, frozen=True):
    """Equal ordinals: time of one calendar, or keys with one registry."""

    up: TimeDimension | ListedDimension
    down: TimeDimension | ListedDimension

    def upstream(self, down: BitMap) -> BitMap:
        """Return what feeds."""
        return self.up.within(down)

    def downstream(self, up: BitMap) -> BitMap:
        """Return what is fed."""
        return self.down.within(up)


class Shifted(msgspec.Struct, frozen=True):
    """From `first` to `last` windows later, of one grain."""

    up: TimeDimension
    down: TimeDimension
    first: int
    last: int

    def upstream(self, down: BitMap) -> BitMap:
        """Return what feeds."""
        return self.up.within(_moved(self.up.grain, down, self.first, self.last))

    def downstream(self, up: BitMap) -> BitMap:
        """Return what is fed."""
        return self.down.within(_moved(self.up.grain, up, -self.last, -self.first))


class Overlapping(msgspec.Struct, frozen=True):
    """Windows that overlap, of any two grains and zones."""

    up: TimeDimension
    down: TimeDimension

    def upstream(self, down: BitMap) -> BitMap:
        """Return what feeds."""
        return self.up.within(overlapping(self.down.grain, self.up.grain, down))

    def downstream(self, up: BitMap) -> BitMap:
        """Return what is fed."""
        return self.down.within(overlapping(self.up.grain, self.down.grain, up))


class Translated(msgspec.Struct, frozen=True, dict=True):
    """Pairs of upstream key and downstream key; keys that a dimension does not have (yet) are left out."""

    up: ListedDimension
    down: ListedDimension
    pairs: tuple[tuple[str, str], ...]

    @cached_property
    def _tables(self) -> tuple[Mapping[int, BitMap], Mapping[int, BitMap]]:
        above: dict[int, BitMap] = {}
        below: dict[int, BitMap] = {}
        for up_key, down_key in self.pairs:
            up, down = self.up.registry.ordinals.get(up_key), self.down.registry.ordinals.get(down_key)
            if up is not None and down is not None:
                above.setdefault(down, BitMap()).add(up)
                below.setdefault(up, BitMap()).add(down)
        return above, below

    def upstream(self, down: BitMap) -> BitMap:
        """Return what feeds."""
        return self.up.within(_translated(self._tables[0], down))

    def downstream(self, up: BitMap) -> BitMap:
        """Return what is fed."""
        return self.down.within(_translated(self._tables[1], up))


DimensionMapping: TypeAlias = Same | Shifted | Overlapping | Translated


_FEW = 256
"""Up to so many ranges of windows are mapped at once."""

_WITHIN = ((Hourly, Daily), (Hourly, Weekly), (Hourly, Monthly), (Daily, Weekly), (Daily, Monthly))
"""Windows of the first lie within one window of the second, in one time zone.

But for a few hours of the 20th century: where clocks went back at midnight by half an hour, 90 minutes are of two days.
"""


def gives_one(mapping: DimensionMapping) -> bool:
    """Return whether an ordinal can only ever be fed by one, or none."""
    if isinstance(mapping, Shifted):
        return mapping.first == mapping.last
    if isinstance(mapping, Overlapping):
        down, up = mapping.down.grain, mapping.up.grain
        return down == up or (down.zone == up.zone and (type(down), type(up)) in _WITHIN)
    if isinstance(mapping, Translated):
        return len({key for _, key in mapping.pairs}) == len(mapping.pairs)
    return True


def overlapping(source: AnyGrain, target: AnyGrain, ordinals: BitMap) -> BitMap:
    """Return the windows of `target` that overlap windows of `source`.

    Steps are as many as ranges of `ordinals`, or as windows found, whichever is less; between hours, as many as days.
    """
    found = BitMap()
    if isinstance(source, Hourly) and isinstance(target, Hourly) and ordinals:
        found = ordinals & aligned(source, target, ordinals.min(), ordinals.max() + 1)
        ordinals = ordinals - found  # not in place: it is shared
    if not ordinals:
        return found
    if len(ordinals) > _FEW and len(ordinals - ordinals.shift(1)) > _FEW:  # many ranges: most of them as before
        parts = [_part_overlapping(source, target, part) for part in _parts(ordinals)]
        return BitMap.union(found, *parts)
    return found | _overlapping(source, target, ordinals)


def _parts(ordinals: BitMap) -> Iterator[bytes]:
    """Yield ordinals in parts of equal width, serialized."""
    position, last = ordinals.min(), ordinals.max()
    while True:
        stop = (position // CHUNK + 1) * CHUNK
        part = BitMap()
        part.add_range(position, stop)
        yield (ordinals & part).serialize()
        if last < stop:
            return
        position = ordinals.next_set_bit(stop)


@lru_cache(maxsize=2048)
def _part_overlapping(source: AnyGrain, target: AnyGrain, part: bytes) -> BitMap:
    """Remember the images of parts: when one partition of a million changes, those of all others stay."""
    return _overlapping(source, target, BitMap.deserialize(part))


def _overlapping(source: AnyGrain, target: AnyGrain, ordinals: BitMap) -> BitMap:
    found = BitMap()
    stop = ordinals.max() + 1
    gaps = ordinals.flip(ordinals.min(), stop + 1)
    position = ordinals.min()
    while True:
        end = gaps.next_set_bit(position)
        begin, until = source.start(position), source.end(end - 1)
        last = target.at(until - 1)
        if begin < until:
            found.add_range(target.at(begin), last + 1)
            # windows of `source` that end within the last one found add nothing
            end = max(end, source.at(target.end(last)))
        if end >= stop:
            return found
        position = ordinals.next_set_bit(end)


def _moved(grain: AnyGrain, ordinals: BitMap, first: int, last: int) -> BitMap:
    if not ordinals:
        return ordinals
    if grain.dense:
        return _spread(_shift(ordinals, first), last - first)
    return BitMap(_stepped(grain, ordinals, first, last))


def _shift(ordinals: BitMap, by: int) -> BitMap:
    return ordinals.shift(by) if by else ordinals


def _spread(ordinals: BitMap, width: int) -> BitMap:
    """Return every ordinal from each to `width` later: shifts by powers of two."""
    done = 0
    while done < width:
        step = min(done + 1, width - done)
        ordinals = ordinals | ordinals.shift(step)  # not in place: it is shared
        done += step
    return ordinals


def _stepped(grain: AnyGrain, ordinals: BitMap, first: int, last: int) -> Iterable[int]:
    """Return windows by rank among those that exist: at least `first` and at most `last` after some of `ordinals`."""
    reach = max(abs(first), abs(last)) + 1
    low, high = ordinals.min(), ordinals.max()
    for _ in range(reach):
        low, high = grain.at(grain.start(low) - 1), grain.at(grain.end(high))
    existing = grain.existing(low, high + 1)
    places = BitMap(map(existing.rank, ordinals))  # of the first: 1
    moved = _spread(_shift(places, first), last - first)
    every = existing.to_array()
    return (every[place - 1] for place in moved if 0 < place <= len(every))


def _translated(table: Mapping[int, BitMap], ordinals: BitMap) -> BitMap:
    return BitMap.union(BitMap(), *(table[ordinal] for ordinal in ordinals if ordinal in table))
