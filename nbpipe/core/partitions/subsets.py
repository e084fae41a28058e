"""Some partitions of a set: a bitmap of inner ordinals for each combination of outer ordinals (a *family*)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import product
from types import MappingProxyType

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.sets import Outer, PartitionSet, Position, TimeDimension
from nbpipe.errors import StateError

Families = Mapping[Outer, BitMap]

_FORMAT = 1
_encode, _decode = (
    msgspec.msgpack.Encoder().encode,
    msgspec.msgpack.Decoder(tuple[int, list[tuple[Outer, bytes]]]).decode,
)


class PartitionSubset(msgspec.Struct, frozen=True):
    """Some partitions of a set. Bitmaps are shared between values and never changed; empty ones are left out."""

    of: PartitionSet
    families: Families

    def __len__(self) -> int:
        return sum(len(bitmap) for bitmap in self.families.values())

    def __bool__(self) -> bool:
        return bool(self.families)

    def __contains__(self, key: str) -> bool:
        outer, inner = self.of.position(key)
        return outer in self.families and inner in self.families[outer]

    def __or__(self, other: PartitionSubset) -> PartitionSubset:
        return PartitionSubset(self.of, union(self.families, other.families))

    def __and__(self, other: PartitionSubset) -> PartitionSubset:
        return PartitionSubset(self.of, intersection(self.families, other.families))

    def __sub__(self, other: PartitionSubset) -> PartitionSubset:
        return PartitionSubset(self.of, difference(self.families, other.families))

    def __iter__(self) -> Iterator[str]:
        return map(self.of.key, self.positions())

    def positions(self) -> Iterator[Position]:
        """Yield positions in the order of keys: by the first dimension, then by the second, and so on. Lazy."""
        place = self.of.inner
        dimensions = self.of.dimensions
        outer = [part for index, part in enumerate(dimensions) if index != place]
        used = [BitMap(key[index] for key in self.families) for index in range(len(outer))]
        ordered = [tuple(part.ordered(bitmap)) for part, bitmap in zip(outer, used, strict=True)]
        tails = tuple(product(*ordered[place:]))
        for head in product(*ordered[:place]):
            found = [(head + tail, self.families[head + tail]) for tail in tails if head + tail in self.families]
            if len(found) == 1:
                ((key, bitmap),) = found
                yield from ((key, inner) for inner in dimensions[place].ordered(bitmap))
            elif found:
                together = BitMap.union(*(bitmap for _, bitmap in found))
                for inner in dimensions[place].ordered(together):
                    yield from ((key, inner) for key, bitmap in found if inner in bitmap)


def families_to_bytes(families: Families) -> bytes:
    """Return a compressed form, which does not hold the set."""
    rows = []
    for outer, bitmap in sorted(families.items()):
        packed = bitmap.copy()
        packed.run_optimize()
        rows.append((outer, packed.serialize()))
    return zlib.compress(_encode((_FORMAT, rows)), 1)


def families_from_bytes(data: bytes) -> Families:
    """Return the families that `families_to_bytes` wrote.

    Raises:
        StateError: the data is none of ours.
    """
    try:
        number, rows = _decode(zlib.decompress(data))
        families = {outer: BitMap.deserialize(bitmap) for outer, bitmap in rows}
    except (zlib.error, msgspec.DecodeError, ValueError) as error:
        raise StateError("kept partitions can't be read: the data is damaged") from error
    if number != _FORMAT:
        raise StateError(f"kept partitions have format {number}, this version reads {_FORMAT}: update nbpipe")
    return compact(families)


def nothing(of: PartitionSet) -> PartitionSubset:
    """Return no partition."""
    return PartitionSubset(of, MappingProxyType({}))


def everything(of: PartitionSet, now: datetime) -> PartitionSubset:
    """Return all partitions of a set: of time, those whose window has ended."""
    return box(of, tuple(part.members(now) for part in of.dimensions))


def box(of: PartitionSet, ordinals: tuple[BitMap, ...]) -> PartitionSubset:
    """Return all combinations of ordinals, given for each dimension; families share one bitmap."""
    inner = ordinals[of.inner]
    outer = [bitmap for index, bitmap in enumerate(ordinals) if index != of.inner]
    return PartitionSubset(of, dict.fromkeys(product(*outer), inner) if inner else {})


def single(of: PartitionSet, key: str) -> PartitionSubset:
    """Return one partition.

    Raises:
        UnknownNameError: it is no key of the set.
    """
    outer, inner = of.position(key)
    return PartitionSubset(of, {outer: BitMap((inner,))})


def families_of(positions: Iterable[Position]) -> Families:
    """Return positions as families."""
    found: dict[Outer, BitMap] = {}
    for outer, inner in positions:
        found.setdefault(outer, BitMap()).add(inner)
    return found


def compact(families: Families) -> Families:
    """Return families without the empty ones."""
    return {outer: bitmap for outer, bitmap in families.items() if bitmap}


def union(left: Families, right: Families) -> Families:
    """Return what is in either."""
    if not (left and right):
        return left or right
    return {**left, **{outer: left[outer] | bitmap if outer in left else bitmap for outer, bitmap in right.items()}}


def intersection(left: Families, right: Families) -> Families:
    """Return what is in both."""
    return compact({outer: bitmap & right[outer] for outer, bitmap in left.items() if outer in right})


def difference(left: Families, right: Families) -> Families:
    """Return what is in the first alone."""
    if not right:
        return left
    return compact({outer: bitmap - right[outer] if outer in right else bitmap for outer, bitmap in left.items()})


def last_positions(subset: PartitionSubset) -> Iterator[Position]:
    """Yield positions, those of the latest time first; where keys are listed, in the order of keys. Lazy."""
    of = subset.of
    if not isinstance(of.dimensions[of.inner], TimeDimension):
        yield from subset.positions()
        return
    every = BitMap.union(BitMap(), *subset.families.values())
    for rank in range(len(every) - 1, -1, -1):
        inner = every[rank]
        yield from ((outer, inner) for outer in sorted(subset.families) if inner in subset.families[outer])


def size(families: Families) -> int:
    """Return how many there are."""
    return sum(map(len, families.values()))


def runs(bitmap: BitMap) -> Iterator[tuple[int, int]]:
    """Yield the ranges `[low, high)` of a bitmap, ascending."""
    if not bitmap:
        return
    stop = bitmap.max() + 1
    gaps = bitmap.flip(bitmap.min(), stop + 1)  # ends with `stop`, which is in no range
    position = bitmap.min()
    while True:
        end = gaps.next_set_bit(position)
        yield position, end
        if end >= stop:
            return
        position = bitmap.next_set_bit(end)


def buckets(whole: BitMap, parts: Mapping[str, BitMap], number: int) -> tuple[tuple[int, int, Mapping[str, int]], ...]:
    """Return how many members each part has in each of at most `number` slices of a set. O(number of slices).

    Args:
        whole: the ordinals of the set; slices have equal numbers of them, but for the rounding.
        parts: bitmaps within `whole`, by name.
        number: how many slices at most, for example pixels.

    Returns:
        For each slice its first and last ordinal, and the count of each part.
    """
    total = len(whole)
    number = min(number, total)
    found = []
    for index in range(number):
        low = whole[index * total // number]
        high = whole[(index + 1) * total // number - 1]
        counts = {name: bitmap.range_cardinality(low, high + 1) for name, bitmap in parts.items()}
        found.append((low, high, MappingProxyType(counts)))
    return tuple(found)
