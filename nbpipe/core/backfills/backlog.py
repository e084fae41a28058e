"""Which partitions of a backfill can run now, and which never will; kept up to date while runs end.

Everything is bitmaps. When partitions end, only those below them are looked at, so that a step costs the size of what
ended and a few operations on whole bitmaps, however many partitions wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from types import MappingProxyType

import msgspec

from nbpipe.core.backfills.blocks import Block
from nbpipe.core.backfills.edges import Edge
from nbpipe.core.backfills.records import Portion
from nbpipe.core.partitions.carrying import carried
from nbpipe.core.partitions.fitting import link as fitted
from nbpipe.core.partitions.links import Link
from nbpipe.core.partitions.sets import PartitionSet
from nbpipe.core.partitions.subsets import Families, PartitionSubset, difference, families_of, intersection, union

_NONE: Families = MappingProxyType({})


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One run to start: partitions of the assets of one block."""

    block: int
    partitions: Mapping[str, Families]
    """By asset, in topological order; those with none are left out."""


class Backlog:
    """What is left of a backfill."""

    def __init__(
        self,
        blocks: Sequence[Block],
        edges: Mapping[str, Sequence[Edge]],
        portions: Mapping[str, Portion],
        *,
        sets: Mapping[str, PartitionSet] = MappingProxyType({}),
        there: Mapping[str, Families],
        now: datetime,
    ) -> None:
        """Begin with what has become of the partitions so far.

        Args:
            blocks: in an order in which one after the other works.
            edges: what each asset waits for, of the other assets and itself.
            portions: by asset.
            sets: partitions of those assets whose keys are numbered otherwise than those of their block.
            there: what has a value whatever the backfill does, by asset.
            now: when the backfill was made: what `all` and `latest` mean.
        """
        self._blocks = blocks
        self._there, self._now = there, now
        self._block_of = {key: index for index, block in enumerate(blocks) for key in block.assets}
        self._numbering = {
            key: fitted(key, of, blocks[self._block_of[key]].of)
            for key, of in sets.items()
            if of != blocks[self._block_of[key]].of
        }
        self._pending: dict[str, Families] = {}
        self._running: dict[str, Families] = {}
        self._good: dict[str, Families] = {}
        self._lost: dict[str, Families] = {}
        self._above = {key: tuple(edges.get(key, ())) for key in self._block_of}
        self._below: dict[str, list[Edge]] = {key: [] for key in self._block_of}
        self._blocked: dict[tuple[str, str], Families] = {}
        self._free: dict[int, Families] = {}
        for key in self._block_of:
            self._admit(key, portions[key])
            for edge in self._above[key]:
                self._below[edge.upstream].append(edge)
        self._block()
        for key in self._block_of:
            self._ended(key, _NONE, _bad(portions[key]))

    @property
    def over(self) -> bool:
        """Return whether nothing runs and nothing is left to run."""
        return not (self.left or self.busy)

    @property
    def left(self) -> bool:
        """Return whether something has not been started."""
        return any(self._pending.values())

    @property
    def busy(self) -> bool:
        """Return whether something runs."""
        return any(self._running.values())

    def take(self, room: int) -> list[Request]:
        """Return runs to start now, at most `room`, and take them for running.

        Blocks that come later are preferred: what was begun is finished first. A block that takes several partitions
        at once waits until there are so many, or until nothing above it runs any more.
        """
        found: list[Request] = []
        for index in reversed(range(len(self._blocks))):
            while len(found) < room:
                request = self._next(index)
                if request is None:
                    break
                self._start(request)
                found.append(request)
        return found

    def adopt(self, partitions: Mapping[str, Families]) -> Request:
        """Take partitions of one block for running that somebody else has begun."""
        request = Request(block=self._block_of[next(iter(partitions))], partitions=partitions)
        self._start(request)
        return request

    def end(self, request: Request, became: Mapping[str, Portion]) -> None:
        """Take note of the end of a run; what is neither done, skipped, failed nor lost is to run again."""
        self._touch(request.block)
        ended = []
        for key, families in request.partitions.items():
            portion = became.get(key)
            good = intersection(_good(portion), families) if portion else _NONE
            bad = intersection(_bad(portion), families) if portion else _NONE
            again = difference(families, union(good, bad))
            self._running[key] = difference(self._running[key], families)
            self._pending[key] = union(self._pending[key], again)
            self._good[key] = union(self._good[key], good)
            ended.append((key, good, bad))
        for key, good, bad in ended:
            self._ended(key, good, bad)

    def newly_lost(self) -> Mapping[str, Families]:
        """Return what no run will reach because something upstream failed, since this was last asked."""
        found, self._lost = self._lost, {}
        return found

    def _admit(self, key: str, portion: Portion) -> None:
        self._good[key] = _good(portion)
        self._pending[key] = difference(difference(portion.requested, self._good[key]), _bad(portion))
        self._running[key] = _NONE

    def _block(self) -> None:
        crossing = [edge for edges in self._above.values() for edge in edges if self._crosses(edge)]
        for edge in crossing:
            held = self._fed(edge.waits, self._waiting(edge.upstream), self._pending[edge.asset])
            self._blocked[edge.asset, edge.upstream] = held
        for edge in crossing:
            free = difference(self._pending[edge.asset], self._blocked[edge.asset, edge.upstream])
            if free and not self._has_some(edge, free):
                self._ended(edge.asset, _NONE, self._lose(edge.asset, free))

    def _crosses(self, edge: Edge) -> bool:
        """Return whether an edge is between two blocks: within one, a run cares for the order."""
        return self._block_of[edge.upstream] != self._block_of[edge.asset]

    def _waiting(self, key: str) -> Families:
        return union(self._pending[key], self._running[key])

    def _fed(self, link: Link, above: Families, among: Families) -> Families:
        if not (above and among):
            return _NONE
        return intersection(link.downstream_of(PartitionSubset(link.up, above), self._now).families, among)

    def _ended(self, key: str, good: Families, bad: Families) -> None:
        """Let what ended free or lose what is below it, down to the last asset."""
        pending = [(key, good, bad)]
        while pending:
            key, good, bad = pending.pop()
            for edge in self._below[key]:
                below = edge.asset
                lost = self._losses(edge, bad)
                if lost:
                    pending.append((below, _NONE, self._lose(below, lost)))
                if self._crosses(edge):
                    lost = self._release(edge, union(good, bad))
                    if lost:
                        pending.append((below, _NONE, self._lose(below, lost)))

    def _losses(self, edge: Edge, bad: Families) -> Families:
        if edge.loses is None or not bad:
            return _NONE
        if edge.own:
            return carried(edge.loses, bad, self._pending[edge.asset], self._now)
        return self._fed(edge.loses, bad, self._pending[edge.asset])

    def _lose(self, key: str, families: Families) -> Families:
        self._touch(self._block_of[key])
        self._pending[key] = difference(self._pending[key], families)
        self._lost[key] = union(self._lost.get(key, _NONE), families)
        for edge in self._above[key]:
            if self._crosses(edge):
                self._blocked[key, edge.upstream] = difference(self._blocked[key, edge.upstream], families)
        return families

    def _release(self, edge: Edge, ended: Families) -> Families:
        """Free what has nothing left above it to wait for; return what is lost all the same."""
        place = (edge.asset, edge.upstream)
        affected = self._fed(edge.waits, ended, self._blocked[place])
        if not affected:
            return _NONE
        down = PartitionSubset(edge.waits.down, affected)
        waiting = intersection(self._waiting(edge.upstream), edge.waits.upstream_of(down, self._now).families)
        freed = difference(affected, self._fed(edge.waits, waiting, affected))
        if not freed:
            return _NONE
        self._blocked[place] = difference(self._blocked[place], freed)
        self._touch(self._block_of[edge.asset])
        return _NONE if self._has_some(edge, freed) else freed

    def _has_some(self, edge: Edge, freed: Families) -> bool:
        if not edge.needs_some:
            return True
        above = edge.waits.upstream_of(PartitionSubset(edge.waits.down, freed), self._now).families
        there = union(self._there.get(edge.upstream, _NONE), self._good[edge.upstream])
        return bool(intersection(above, there))

    def _touch(self, block: int) -> None:
        self._free.pop(block, None)

    def _next(self, index: int) -> Request | None:
        block = self._blocks[index]
        free = self._ready(index)
        if not free:
            return None
        subset = PartitionSubset(block.of, free)
        if block.size is None or len(subset) < block.size:
            if any(self._blocked.get((key, edge.upstream)) for key in block.assets for edge in self._above[key]):
                return None
        elif len(subset) > block.size:
            free = families_of(islice(subset.positions(), block.size))
        parts = {key: intersection(self._pending[key], self._own(key, free)) for key in block.assets}
        return Request(block=index, partitions={key: found for key, found in parts.items() if found})

    def _ready(self, index: int) -> Families:
        """Return the partitions of a block that can run now."""
        if index not in self._free:
            keys = self._blocks[index].assets
            free: Families = _NONE
            for key in keys:
                free = union(free, self._shared(key, self._pending[key]))
            for key in keys:
                free = difference(free, self._shared(key, self._running[key]))
                for edge in self._above[key]:
                    free = difference(free, self._shared(key, self._blocked.get((key, edge.upstream), _NONE)))
            self._free[index] = self._in_turn(keys, free)
        return self._free[index]

    def _in_turn(self, keys: Sequence[str], free: Families) -> Families:
        """Leave out what follows, in an asset that reads its own earlier partitions, on what can't run now."""
        own = [edge for key in keys for edge in self._above[key] if edge.own]
        changed = bool(own)
        while changed:
            changed = False
            for edge in own:
                key, mine = edge.asset, self._own(edge.asset, free)
                stuck = difference(self._waiting(key), mine)
                late = carried(edge.waits, stuck, intersection(self._pending[key], mine), self._now) if stuck else _NONE
                if late:
                    changed, free = True, difference(free, self._shared(key, late))
        return free

    def _shared(self, key: str, families: Families) -> Families:
        """Return an asset's partitions by the numbers of its block."""
        link = self._numbering.get(key)
        return families if link is None else link.downstream_of(PartitionSubset(link.up, families), self._now).families

    def _own(self, key: str, families: Families) -> Families:
        """Return an asset's partitions, given by the numbers of its block."""
        link = self._numbering.get(key)
        return families if link is None else link.upstream_of(PartitionSubset(link.down, families), self._now).families

    def _start(self, request: Request) -> None:
        self._touch(request.block)
        for key, families in request.partitions.items():
            self._pending[key] = difference(self._pending[key], families)
            self._running[key] = union(self._running[key], families)


def _good(portion: Portion) -> Families:
    return union(portion.done, portion.skipped)


def _bad(portion: Portion) -> Families:
    return union(portion.failed, portion.lost)
