"""How far an unsound partition reaches along a self-dependency: whole chains at once, by shifts of bitmaps."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType

from pyroaring import BitMap

from nbpipe.core.partitions.links import Link, Pair
from nbpipe.core.partitions.mappings import Same, Shifted
from nbpipe.core.partitions.subsets import Families, PartitionSubset, compact, difference, intersection, union

_NONE: Families = MappingProxyType({})


def carried(link: Link, unsound: Families, judged: Families, now: datetime) -> Families:
    """Return what an unsound earlier partition makes stale, along the whole chain of a self-dependency."""
    shift = _shift_of(link)
    reached = _NONE
    while True:
        front = union(unsound, reached)
        if shift is not None:
            found = compact({outer: _flooded(front.get(outer, BitMap()), own, shift) for outer, own in judged.items()})
        else:
            found = intersection(link.downstream_of(PartitionSubset(link.down, front), now).families, judged)
        if not difference(found, reached):
            return reached
        reached = union(reached, found)


def _shift_of(link: Link) -> Shifted | None:
    """Return the shift along the inner dimension, if that is all that the link does."""
    inner = link.parts[link.down.inner]
    if not (isinstance(inner, Pair) and isinstance(inner.mapping, Shifted) and inner.dimension == link.down.inner):
        return None
    others = [(index, part) for index, part in enumerate(link.parts) if index != link.down.inner]
    same = all(isinstance(p, Pair) and isinstance(p.mapping, Same) and p.dimension == index for index, p in others)
    return inner.mapping if same else None


def _flooded(front: BitMap, through: BitMap, shift: Shifted) -> BitMap:
    """Return what is reached; along a cron expression with holes, by the ranks of windows that exist."""
    steps = range(-shift.last, -shift.first + 1)
    if not (front and through):
        return BitMap()
    if shift.up.grain.dense:
        return _flood(front, through, steps)
    together = front | through
    existing = shift.up.grain.existing(together.min(), together.max() + 1)
    front, through = (BitMap(map(existing.rank, bitmap & existing)) for bitmap in (front, through))
    every = existing.to_array()
    return BitMap(every[rank - 1] for rank in _flood(front, through, steps))


def _flood(front: BitMap, through: BitMap, steps: range) -> BitMap:
    """Return what is reached from `front` by steps within `through`, for each length of step; doubling the steps."""
    found = BitMap()
    span = through.max() - min(front.min(), through.min()) + 1
    for step in steps:
        moving, carrier, length = front | found, through, step
        while 0 < length <= span:
            moving = moving | carrier & moving.shift(length)
            carrier = carrier & carrier.shift(length)  # not in place: it is shared
            length *= 2
        found = found | through & moving.shift(step)
    return found
