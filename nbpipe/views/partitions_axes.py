"""The axes along which partitions are drawn: the keys of one dimension, in their order, cut into pieces."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.sets import Dimension, ListedDimension
from nbpipe.core.partitions.subsets import buckets
from nbpipe.core.partitions.texts import quote

Window = tuple[int, int]
"""First and last place of an axis that are shown, both included."""


class Span(msgspec.Struct, frozen=True):
    """Some keys of a dimension that follow on each other. All text is data, never markup."""

    first: str
    last: str
    keys: int
    """How many they are."""
    low: int
    """Place of the first."""
    high: int

    @property
    def label(self) -> str:
        """Return the key, or the first and the last."""
        return self.first if self.keys == 1 else f"{self.first} … {self.last}"

    @property
    def text(self) -> str:
        """Return the text that stands for these keys in a range of partitions."""
        return quote(self.first) if self.keys == 1 else f"{quote(self.first)}..{quote(self.last)}"


class Axis(msgspec.Struct, frozen=True, dict=True):
    """Ordinals of a dimension by *place*: numbers in the order of keys.

    The place is the ordinal; but for keys that are listed in the declaration, whose order there counts.
    """

    dimension: Dimension
    ordinals: BitMap
    """Those that are drawn, at most."""

    @cached_property
    def _order(self) -> tuple[int, ...] | None:
        part = self.dimension
        if isinstance(part, ListedDimension) and not part.source:
            return tuple(part.ordered(self.ordinals))
        return None

    @cached_property
    def places(self) -> BitMap:
        """Return the places of all ordinals."""
        return self.ordinals if self._order is None else BitMap(range(len(self._order)))

    @property
    def whole(self) -> Window:
        """Return the first and the last place; of nothing, a window that is empty."""
        return (self.places.min(), self.places.max()) if self.places else (0, -1)

    def to_places(self, ordinals: BitMap) -> BitMap:
        """Return the places of some ordinals."""
        if self._order is None:
            return ordinals
        return BitMap(place for place, ordinal in enumerate(self._order) if ordinal in ordinals)

    def within(self, window: Window) -> BitMap:
        """Return the ordinals in a window."""
        low, high = window
        if self._order is not None:
            return BitMap(self._order[max(low, 0) : high + 1])
        found = BitMap()
        if low <= high:
            found.add_range(max(low, 0), high + 1)
        return found & self.ordinals

    def key(self, place: int) -> str:
        """Return the key at a place."""
        return self.dimension.key(place if self._order is None else self._order[place])

    def spans(self, window: Window, number: int) -> tuple[Span, ...]:
        """Cut the keys in a window into at most `number` pieces of about as many keys."""
        found = self.to_places(self.within(window))
        cuts = buckets(found, {}, number)
        return tuple(
            Span(self.key(low), self.key(high), found.range_cardinality(low, high + 1), low, high)
            for low, high, _ in cuts
        )

    def page(self, number: int, size: int) -> tuple[Span, ...]:
        """Return one page of keys, counted from 0."""
        found = self.places[number * size : (number + 1) * size]
        return tuple(Span(self.key(place), self.key(place), 1, place, place) for place in found)


def pages_of(keys: int, size: int) -> int:
    """Return how many pages there are, at least one."""
    return max(1, -(-keys // size))


def joined(bitmaps: Iterable[BitMap]) -> BitMap:
    """Return what is in any of some bitmaps; families of a set often share one."""
    different = {id(each): each for each in bitmaps}
    return BitMap.union(BitMap(), *different.values())
