"""Which partitions of an upstream feed which partitions of an asset, in both directions.

Each dimension of the upstream is either fed from one dimension of the asset (a *pair*), or stands for the same keys
whatever the partition (*fixed*). Dimensions of the asset that are in no pair don't matter to the upstream. An asset
without partitions is a set with the one key `""`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from pyroaring import BitMap

from nbpipe.core.keys import UNPARTITIONED
from nbpipe.core.partitions.mappings import DimensionMapping, gives_one
from nbpipe.core.partitions.registries import KeyRegistry
from nbpipe.core.partitions.sets import Dimension, ListedDimension, Outer, PartitionSet, TimeDimension
from nbpipe.core.partitions.subsets import Families, PartitionSubset, box, union

#: The partitions of an asset that has none: one, with an empty key.
WHOLE = PartitionSet((ListedDimension("", (UNPARTITIONED,), registry=KeyRegistry((UNPARTITIONED,))),))


class Pair(msgspec.Struct, frozen=True):
    """A dimension of the upstream that follows one of the asset."""

    dimension: int
    """Index in the asset's set."""
    mapping: DimensionMapping


class Fixed(msgspec.Struct, frozen=True):
    """A dimension of the upstream of which the same keys are meant for every partition."""

    keys: Literal["all", "latest"] | tuple[str, ...]


Part: TypeAlias = Pair | Fixed


class Link(msgspec.Struct, frozen=True):
    """The mapping between an upstream and an asset, resolved."""

    upstream: str
    up: PartitionSet
    down: PartitionSet
    parts: tuple[Part, ...]
    """One for each dimension of the upstream."""

    @property
    def single(self) -> bool:
        """Return whether a partition can only ever be fed by one: it gets a value, and never a dict of them."""
        return self.up == WHOLE or all(_is_one(part) for part in self.parts)

    @property
    def lenient(self) -> bool:
        """Return whether a partition is fed by whatever there is (`all`), so that none of it must be there.

        `all` for one dimension of several is strict: all of its partitions must be there. The other dimensions have
        named what is needed (all regions of this day), and a hole in it is a mistake to tell, not a smaller whole.
        """
        return self.up != WHOLE and all(isinstance(part, Fixed) and part.keys == "all" for part in self.parts)

    def upstream_of(self, subset: PartitionSubset, now: datetime) -> PartitionSubset:
        """Return the upstream partitions that feed some partitions of the asset.

        They are in the upstream's set, now or later; `all` and `latest` mean those complete at `now`. The cost is that
        of one mapping of bitmaps for each different family.
        """
        fixed = self.fixed(now)
        known: dict[tuple[int, int], BitMap] = {}
        found: Families = {}
        for outer, bitmap in subset.families.items():
            numbers = _by_dimension(self.down, outer, bitmap)
            images = []
            for index, part in enumerate(self.parts):
                if isinstance(part, Fixed):
                    images.append(fixed[index])
                    continue
                given, mark = numbers[part.dimension]
                if (index, mark) not in known:
                    known[index, mark] = part.mapping.upstream(given)
                images.append(known[index, mark])
            found = union(found, box(self.up, tuple(images)).families)
        return PartitionSubset(self.up, found)

    def downstream_of(self, subset: PartitionSubset, now: datetime) -> PartitionSubset:
        """Return the asset's partitions that some upstream partitions feed.

        They are in the asset's set, now or later; of dimensions that don't matter to the upstream, those at `now`.
        """
        fixed = self.fixed(now)
        pairs = {
            part.dimension: (index, part.mapping) for index, part in enumerate(self.parts) if isinstance(part, Pair)
        }
        free = [part.members(now) for part in self.down.dimensions]
        known: dict[tuple[int, int], BitMap] = {}
        found: Families = {}
        for outer, bitmap in subset.families.items():
            numbers = _by_dimension(self.up, outer, bitmap)
            if not all(numbers[index][0].intersect(members) for index, members in fixed.items()):
                continue
            images = list(free)
            for dimension, (index, mapping) in pairs.items():
                given, mark = numbers[index]
                if (index, mark) not in known:
                    known[index, mark] = mapping.downstream(given)
                images[dimension] = known[index, mark]
            found = union(found, box(self.down, tuple(images)).families)
        return PartitionSubset(self.down, found)

    def fixed(self, now: datetime) -> Mapping[int, BitMap]:
        """Return the ordinals of the upstream's dimensions that no partition changes, by index."""
        found = {}
        for index, part in enumerate(self.parts):
            if isinstance(part, Fixed):
                dimension = self.up.dimensions[index]
                if part.keys == "all":
                    found[index] = dimension.members(now)
                elif part.keys == "latest":
                    latest = dimension.latest(now)
                    found[index] = BitMap() if latest is None else BitMap((latest,))
                else:
                    found[index] = BitMap(_ordinals(dimension, part.keys))
        return found


def first_fed(link: Link) -> str | None:
    """Return the first key of a dimension of time to which the upstream gives anything, if it begins too late for some.

    None: it does not begin later than the asset, or not so much that it matters. Empty: it gives nothing to any.
    """
    for part, up in zip(link.parts, link.up.dimensions, strict=True):
        if not (isinstance(part, Pair) and isinstance(up, TimeDimension)):
            continue
        down = link.down.dimensions[part.dimension]
        if not isinstance(down, TimeDimension) or up.grain.start(up.first) <= down.grain.start(down.first):
            continue
        if not part.mapping.upstream(BitMap((down.first,))):
            reached = part.mapping.downstream(BitMap((up.first,)))
            return down.key(reached.min()) if reached else ""
    return None


def _is_one(part: Part) -> bool:
    if isinstance(part, Pair):
        return gives_one(part.mapping)
    return part.keys == "latest" or (part.keys != "all" and len(part.keys) == 1)


def _ordinals(dimension: Dimension, keys: tuple[str, ...]) -> Iterator[int]:
    """Yield the ordinals of keys; those that are not registered now are left out."""
    for key in keys:
        if not isinstance(dimension, ListedDimension) or key in dimension.registry:
            yield dimension.ordinal(key)


def _by_dimension(of: PartitionSet, outer: Outer, bitmap: BitMap) -> list[tuple[BitMap, int]]:
    """Return ordinals for each dimension, with a mark that is equal for equal ordinals (within one subset)."""
    found = [(BitMap((ordinal,)), ordinal) for ordinal in outer]
    found.insert(of.inner, (bitmap, -1 - id(bitmap)))
    return found
