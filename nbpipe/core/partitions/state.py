"""What follows from facts, definitions and the time: which partitions are missing, stale, failed, running, skipped.

All of it is algebra of bitmaps and columns; no key is made or looked at. A partition is *out of date* if it was
executed (materialized or skipped) with other code or other inputs than today's; *stale* if it is out of date or fed by
one that is missing, failed or stale. A partition that was rolled back is held: it is neither, until it is executed
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import WIDTH, ChunkFacts, PartitionFacts, joined
from nbpipe.core.partitions.inputs import Inputs
from nbpipe.core.partitions.links import WHOLE, Link, Pair
from nbpipe.core.partitions.mappings import Same, Shifted
from nbpipe.core.partitions.sets import CHUNK, Outer, PartitionSet
from nbpipe.core.partitions.subsets import (
    Families,
    PartitionSubset,
    compact,
    difference,
    everything,
    intersection,
    union,
)

PartitionStatus: TypeAlias = Literal["running", "failed", "missing", "stale", "skipped", "fresh"]
STATUSES: tuple[PartitionStatus, ...] = ("running", "failed", "missing", "stale", "skipped", "fresh")

_NONE: Families = MappingProxyType({})
_NO_FACTS = PartitionFacts({})


class AssetPartitions(msgspec.Struct, frozen=True, kw_only=True):
    """One asset as its definition and the store say."""

    asset: str
    of: PartitionSet = WHOLE
    """Its partitions; `WHOLE` for none."""
    facts: PartitionFacts = _NO_FACTS
    code: int = 0
    """Id of today's code version."""
    links: tuple[Link, ...] = ()
    """To every upstream that gives data, itself included if it reads earlier partitions of its own."""


class PartitionCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many partitions there are. Every partition is counted in one of the last six."""

    total: int
    materialized: int
    """There is a value, whatever the status."""
    running: int
    failed: int
    missing: int
    stale: int
    skipped: int
    fresh: int


class PartitionState(msgspec.Struct, frozen=True, kw_only=True):
    """Which partitions of an asset are what. Bitmaps of `status` have nothing in common, and cover `total`."""

    of: PartitionSet
    total: Families
    """Of time, windows that have ended, and those that were touched before."""
    materialized: Families
    status: Mapping[PartitionStatus, Families]
    code_changed: Families
    """Executed with other code."""
    inputs_changed: Families
    """Executed with other inputs."""
    above: Mapping[str, Families]
    """By upstream: executed, and fed by what is missing, failed or stale."""
    unsound: Families
    """Missing, failed or stale, whatever a run does: what makes downstream stale."""

    @property
    def counts(self) -> PartitionCounts:
        """Return how many there are of each."""
        numbers = {name: _size(self.status[name]) for name in STATUSES}
        return PartitionCounts(total=_size(self.total), materialized=_size(self.materialized), **numbers)

    def subset(self, *statuses: PartitionStatus) -> PartitionSubset:
        """Return the partitions that have one of some statuses."""
        found = _NONE
        for name in statuses:
            found = union(found, self.status[name])
        return PartitionSubset(self.of, found)

    def out_of_date(self) -> PartitionSubset:
        """Return the partitions that were executed with other code or inputs."""
        return PartitionSubset(self.of, union(self.code_changed, self.inputs_changed))

    def status_of(self, key: str) -> PartitionStatus | None:
        """Return the status of a partition; None if its window has not ended.

        Raises:
            UnknownNameError: it is no key of the set.
        """
        outer, inner = self.of.position(key)
        return next((name for name in STATUSES if inner in self.status[name].get(outer, ())), None)

    def reasons(self, key: str) -> tuple[str, ...]:
        """Return why a partition is stale, one line each.

        Raises:
            UnknownNameError: it is no key of the set.
        """
        outer, inner = self.of.position(key)
        told = [
            ("code changed", self.code_changed),
            ("upstream data changed", self.inputs_changed),
            *((f"upstream {name} is missing, failed or stale", found) for name, found in self.above.items()),
        ]
        return tuple(text for text, found in told if inner in found.get(outer, ()))


def assess_partitions(assets: Iterable[AssetPartitions], now: datetime) -> dict[str, PartitionState]:
    """Assess assets, each after all of its upstreams; return their states by name.

    An upstream that is not among `assets` counts as sound, with no data.
    """
    found: dict[str, PartitionState] = {}
    facts: dict[str, PartitionFacts] = {}
    for asset in assets:
        facts[asset.asset] = asset.facts
        found[asset.asset] = _assess(asset, found, facts, now)
    return found


def _assess(
    asset: AssetPartitions,
    states: Mapping[str, PartitionState],
    facts: Mapping[str, PartitionFacts],
    now: datetime,
) -> PartitionState:
    touched = asset.facts.families(lambda chunk: chunk.executed | chunk.failed | chunk.running)
    total = union(everything(asset.of, now).families, _within(asset.of, touched))
    executed = intersection(asset.facts.executed, total)
    exempt = asset.facts.families(lambda chunk: chunk.held)
    judged = difference(executed, exempt)
    code = intersection(_code_changed(asset), judged)
    inputs = intersection(_inputs_changed(asset, facts, now), judged)
    failed = difference(intersection(asset.facts.families(lambda chunk: chunk.failed), total), exempt)
    above = {
        link.upstream: intersection(
            link.downstream_of(PartitionSubset(link.up, states[link.upstream].unsound), now).families, judged
        )
        for link in asset.links
        if link.upstream in states
    }
    missing = difference(total, executed)
    unsound = union(union(missing, failed), union(code, inputs))
    for reached in above.values():
        unsound = union(unsound, reached)
    for link in asset.links:
        if link.upstream == asset.asset:
            reached = carried(link, unsound, judged, now)
            above[link.upstream] = reached
            unsound = union(unsound, reached)
    return PartitionState(
        of=asset.of,
        total=total,
        materialized=intersection(asset.facts.materialized, total),
        status=_statuses(asset.facts, total, failed, missing, unsound),
        code_changed=code,
        inputs_changed=inputs,
        above=MappingProxyType({name: reached for name, reached in above.items() if reached}),
        unsound=unsound,
    )


def _statuses(
    facts: PartitionFacts, total: Families, failed: Families, missing: Families, unsound: Families
) -> Mapping[PartitionStatus, Families]:
    """Give each partition its first status in the order of `STATUSES`."""
    wanted: dict[PartitionStatus, Families] = {
        "running": facts.families(lambda chunk: chunk.running),
        "failed": failed,
        "missing": missing,
        "stale": unsound,
        "skipped": facts.families(lambda chunk: chunk.skipped),
        "fresh": total,
    }
    left = total
    found: dict[PartitionStatus, Families] = {}
    for name in STATUSES:
        found[name] = intersection(wanted[name], left)
        left = difference(left, found[name])
    return MappingProxyType(found)


def _code_changed(asset: AssetPartitions) -> Families:
    return asset.facts.families(
        lambda chunk: BitMap.union(BitMap(), *(bitmap for code, bitmap in chunk.codes if code != asset.code))
    )


def _inputs_changed(asset: AssetPartitions, facts: Mapping[str, PartitionFacts], now: datetime) -> Families:
    if not asset.links:
        return _NONE
    reader = Inputs([(link, facts.get(link.upstream, _NO_FACTS)) for link in asset.links], now)
    inner = asset.of.dimensions[asset.of.inner]
    found: dict[Outer, BitMap] = {}
    for outer, blocks in asset.facts.blocks.items():
        if not _is_family(asset.of, outer):
            continue
        parts = []
        for block, chunk in blocks.items():
            wanted = inner.within(chunk.executed.shift(block * CHUNK) if chunk.executed else BitMap())
            if wanted:
                parts.append((block, _different(chunk, block, wanted, reader.column(outer, wanted))))
        found[outer] = joined(parts)
    return compact(found)


def _different(chunk: ChunkFacts, block: int, wanted: BitMap, expected: bytes) -> BitMap:
    """Return the offsets whose kept fingerprint is not the expected one. Equal columns are compared at once."""
    low = wanted.min() - block * CHUNK
    kept = chunk.inputs.cut(low, low + len(expected) // WIDTH)
    if kept == expected:
        return BitMap()
    pairs = zip(memoryview(kept).cast("Q"), memoryview(expected).cast("Q"), strict=True)
    return BitMap(low + index for index, (one, other) in enumerate(pairs) if one != other) & chunk.executed


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


def _within(of: PartitionSet, families: Families) -> Families:
    inner = of.dimensions[of.inner]
    return compact({outer: inner.within(bitmap) for outer, bitmap in families.items() if _is_family(of, outer)})


def _is_family(of: PartitionSet, outer: Outer) -> bool:
    others = [part for index, part in enumerate(of.dimensions) if index != of.inner]
    return all(part.contains(ordinal) for part, ordinal in zip(others, outer, strict=True))


def _size(families: Families) -> int:
    return sum(map(len, families.values()))
