"""Sets of partitions: dimensions, their keys and ordinals, and where a partition's facts are kept.

A *position* is `(outer, inner)`: the ordinals of all dimensions but one, in their order, and that of the inner one.
The inner dimension is the last one of time, else the last dynamic one, else the last. The choice follows from the kinds
of dimensions alone, so no set changes it by growing. A chunk holds 4,096 inner ordinals of one combination of outer
ordinals; with a single dimension, `outer` is empty. Ordinals are absolute (see `grains`) or registered (see
`registries`), so a longer set, an earlier start and more keys leave every chunk where it is.

    address(key) = (outer, inner // 4096), inner % 4096
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.grains import Daily, Hourly, Monthly, Weekly
from nbpipe.core.partitions.registries import KeyRegistry
from nbpipe.core.partitions.texts import cut, quote, read_word
from nbpipe.core.partitions.zones import instant_of, moment_of
from nbpipe.errors import DeclarationError, UnknownNameError, nearest

if TYPE_CHECKING:
    from nbpipe.core.partitions.crons import Cron

CHUNK = 4096

AnyGrain: TypeAlias = "Hourly | Daily | Weekly | Monthly | Cron"
Outer: TypeAlias = tuple[int, ...]
Position: TypeAlias = tuple[Outer, int]
ChunkId: TypeAlias = tuple[Outer, int]

_MANY = 1000
_KEY = "partition key"


class TimeDimension(msgspec.Struct, frozen=True):
    """Windows of a grain, from a first one to a last one or without end."""

    name: str
    grain: AnyGrain
    first: int
    """Ordinal of the first window."""
    last: int | None = None
    """Ordinal of the last window, which belongs to the set."""

    def __str__(self) -> str:
        end = f"..{self.grain.key(self.last)}" if self.last is not None else ""
        zone = f"@{self.grain.zone}" if self.grain.zone != "UTC" else ""
        return f"{self.grain.name}:{self.grain.key(self.first)}{end}{zone}"

    def ordinal(self, key: str) -> int:
        """Return the ordinal of a key.

        Raises:
            UnknownNameError: it is none of this set; says how it would be right.
        """
        try:
            ordinal = self.grain.read(key)
        except ValueError as error:
            raise UnknownNameError("partition", key, hint=str(error)) from error
        if ordinal < self.first:
            raise UnknownNameError("partition", key, hint=f"the first one is {self.grain.key(self.first)}")
        if self.last is not None and ordinal > self.last:
            raise UnknownNameError("partition", key, hint=f"the last one is {self.grain.key(self.last)}")
        return ordinal

    def key(self, ordinal: int) -> str:
        """Return the key of an ordinal."""
        return self.grain.key(ordinal)

    def contains(self, ordinal: int) -> bool:
        """Return whether there is a partition of that ordinal, now or later."""
        inside = self.first <= ordinal and (self.last is None or ordinal <= self.last)
        return inside and (self.grain.dense or bool(self.grain.existing(ordinal, ordinal + 1)))

    def members(self, now: datetime) -> BitMap:
        """Return the ordinals of all windows that have ended."""
        stop = self.grain.at(instant_of(now))
        return self.grain.existing(self.first, stop if self.last is None else min(stop, self.last + 1))

    def within(self, ordinals: BitMap) -> BitMap:
        """Return those of some ordinals that are in the set, now or later."""
        if not ordinals:
            return ordinals
        high = ordinals.max() if self.last is None else min(ordinals.max(), self.last)
        return ordinals & self.grain.existing(max(self.first, ordinals.min()), high + 1)

    def between(self, first: str, last: str) -> BitMap:
        """Return the ordinals from key to key, both included; empty if reversed."""
        return self.grain.existing(self.ordinal(first), self.ordinal(last) + 1)

    def ordered(self, ordinals: BitMap) -> Iterator[int]:
        """Yield ordinals in the order of their keys."""
        return iter(ordinals)

    def latest(self, now: datetime) -> int | None:
        """Return the ordinal of the last window that has ended. O(1), but for the holes of a cron expression."""
        current = self.grain.at(instant_of(now))
        if self.last is not None and self.last < current:
            return self.last
        if current <= self.first:
            return None
        return current - 1 if self.grain.dense else self.grain.at(self.grain.start(current) - 1)

    def count(self, now: datetime) -> int:
        """Return how many windows have ended."""
        stop = self.grain.at(instant_of(now))
        stop = stop if self.last is None else min(stop, self.last + 1)
        return max(0, stop - self.first) if self.grain.dense else len(self.members(now))


class ListedDimension(msgspec.Struct, frozen=True, dict=True):
    """Keys that are listed: `static` in the declaration, `dynamic` by registration."""

    name: str
    keys: tuple[str, ...] = ()
    """Of a static dimension: its keys in their order."""
    source: str = ""
    """Of a dynamic dimension: the name of the registered keys."""
    registry: KeyRegistry = KeyRegistry()
    """Ordinals of the keys."""

    def __str__(self) -> str:
        return f"dynamic:{quote(self.source)}" if self.source else "static:" + ",".join(map(quote, self.keys))

    @cached_property
    def _places(self) -> Mapping[int, int]:
        return {self.registry.ordinals[key]: place for place, key in enumerate(self.keys)}

    @cached_property
    def _members(self) -> BitMap:
        return self.registry.present if self.source else BitMap(self._places)

    def ordinal(self, key: str) -> int:
        """Return the ordinal of a key.

        Raises:
            UnknownNameError: it is none of this set; names the nearest.
        """
        ordinal = self.registry.ordinals.get(key)
        if ordinal is None or ordinal not in self._members:
            if self.source and not self._members:
                hint = f"{self.source!r} has no keys yet: add some with nbpipe partitions add {quote(self.source)} KEY"
                raise UnknownNameError("partition", key, hint=hint)
            known = [self.registry.keys[ordinal] for ordinal in self._members[:_MANY]]
            hint = "" if nearest(key, known) else "keys are " + ", ".join(map(quote, known[:5]))
            raise UnknownNameError("partition", key, known, hint=hint)
        return ordinal

    def key(self, ordinal: int) -> str:
        """Return the key of an ordinal."""
        return self.registry.keys[ordinal]

    def contains(self, ordinal: int) -> bool:
        """Return whether there is a partition of that ordinal."""
        return ordinal in self._members

    def members(self, now: datetime) -> BitMap:  # noqa: ARG002 - a dimension like that of time
        """Return the ordinals of all keys."""
        return self._members

    def within(self, ordinals: BitMap) -> BitMap:
        """Return those of some ordinals that are in the set."""
        return ordinals & self._members

    def between(self, first: str, last: str) -> BitMap:
        """Return the ordinals from key to key in their order, both included; empty if reversed."""
        low, high = self.ordinal(first), self.ordinal(last)
        if self.source:
            found = BitMap()
            found.add_range(low, max(low, high + 1))
            return found & self._members
        return BitMap(self.registry.ordinals[key] for key in self.keys[self._places[low] : self._places[high] + 1])

    def ordered(self, ordinals: BitMap) -> Iterator[int]:
        """Yield ordinals in the order of their keys: as declared, or as registered."""
        if self.source:
            return iter(ordinals)
        return (ordinal for ordinal in self._places if ordinal in ordinals)

    def latest(self, now: datetime) -> int | None:  # noqa: ARG002
        """Return the ordinal of the last key."""
        if not self._members:
            return None
        return self._members.max() if self.source else next(reversed(self._places))

    def count(self, now: datetime) -> int:  # noqa: ARG002
        """Return how many keys there are."""
        return len(self._members)


Dimension: TypeAlias = TimeDimension | ListedDimension


class PartitionSet(msgspec.Struct, frozen=True, dict=True):
    """All partitions of an asset: every combination of one key of each dimension."""

    dimensions: tuple[Dimension, ...]

    def __str__(self) -> str:
        return " x ".join(f"{part.name}={part}" if part.name else str(part) for part in self.dimensions)

    @cached_property
    def inner(self) -> int:
        """Return the index of the inner dimension."""
        order = [(isinstance(part, TimeDimension), bool(getattr(part, "source", ""))) for part in self.dimensions]
        return max(range(len(order)), key=lambda index: (*order[index], index))

    def index(self, name: str) -> int:
        """Return the index of a dimension by its name.

        Raises:
            UnknownNameError: there is none; names the nearest.
        """
        names = [part.name for part in self.dimensions]
        if name not in names:
            raise UnknownNameError("dimension", name, names, hint="dimensions are " + ", ".join(filter(None, names)))
        return names.index(name)

    def with_registries(self, registries: Mapping[str, KeyRegistry]) -> PartitionSet:
        """Return the set with the ordinals that were given to listed keys.

        Args:
            registries: by `registry_name` of each listed dimension. Static keys that are not registered there
                follow its own; so a set can be used before its new keys are registered.
        """
        parts = []
        for part in self.dimensions:
            known = registries.get(registry_name(part))
            if known is not None and isinstance(part, ListedDimension):
                part = msgspec.structs.replace(part, registry=known.register(part.keys))  # noqa: PLW2901
            parts.append(part)
        return PartitionSet(tuple(parts))

    def split(self, key: str) -> tuple[str, ...]:
        """Return the key of each dimension.

        Raises:
            DeclarationError: a quote is never closed.
            UnknownNameError: it has too many or too few parts.
        """
        if len(self.dimensions) == 1:
            return (key,)
        parts = tuple(read_word(_KEY, key, piece) for piece in cut(_KEY, key, "|"))
        if len(parts) != len(self.dimensions):
            form = "|".join(part.name for part in self.dimensions)
            raise UnknownNameError("partition", key, hint=f"its form is {form}")
        return parts

    def join(self, parts: tuple[str, ...]) -> str:
        """Return the key with these parts."""
        return parts[0] if len(parts) == 1 else "|".join(map(_quote_part, parts))

    def position(self, key: str) -> Position:
        """Return where a key is. O(1); O(log n) where clocks change and for cron expressions.

        Raises:
            UnknownNameError: it is no key of this set; says how it would be right, or names the nearest.
        """
        found = [part.ordinal(text) for part, text in zip(self.dimensions, self.split(key), strict=True)]
        inner = found.pop(self.inner)
        if self.key((tuple(found), inner)) != key:
            raise UnknownNameError("partition", key, hint=f"it is written as {self.key((tuple(found), inner))}")
        return tuple(found), inner

    def key(self, position: Position) -> str:
        """Return the key at a position."""
        return self.join(
            tuple(part.key(number) for part, number in zip(self.dimensions, self.flat(position), strict=True))
        )

    def flat(self, position: Position) -> tuple[int, ...]:
        """Return the ordinals of a position in the order of dimensions."""
        outer, inner = position
        return (*outer[: self.inner], inner, *outer[self.inner :])

    def is_valid(self, key: str) -> bool:
        """Return whether this is a key of the set, now or later."""
        try:
            self.position(key)
        except (UnknownNameError, DeclarationError):
            return False
        return True

    def window(self, key: str, dimension: str | None = None) -> tuple[datetime, datetime] | None:
        """Return begin and end of a partition, aware; None if it has no time.

        Args:
            key: the partition.
            dimension: name of a dimension of time; else the last one.
        """
        index = self.inner if dimension is None else self.index(dimension)
        part = self.dimensions[index]
        if not isinstance(part, TimeDimension):
            return None
        ordinal, zone = self.flat(self.position(key))[index], part.grain.zone
        return moment_of(part.grain.start(ordinal), zone), moment_of(part.grain.end(ordinal), zone)

    def count(self, now: datetime) -> int:
        """Return how many partitions there are: of time, those whose window has ended."""
        total = 1
        for part in self.dimensions:
            total *= part.count(now)
        return total

    def latest_complete(self, now: datetime) -> str | None:
        """Return the key whose window ended last (of listed dimensions, the last key), or None."""
        found = [part.latest(now) for part in self.dimensions]
        numbers = [number for number in found if number is not None]
        if len(numbers) < len(found):
            return None
        inner = numbers.pop(self.inner)
        return self.key((tuple(numbers), inner))

    def address(self, key: str) -> tuple[ChunkId, int]:
        """Return the chunk that holds a partition's facts, and its place in the chunk."""
        outer, inner = self.position(key)
        return (outer, inner // CHUNK), inner % CHUNK


def registry_name(part: Dimension) -> str:
    """Return under which name the ordinals of a listed dimension are kept: the set's own name if dynamic."""
    return getattr(part, "source", "") or part.name


def static(name: str, keys: tuple[str, ...]) -> ListedDimension:
    """Return a dimension whose ordinals are those of its declaration, until a registry says otherwise."""
    return ListedDimension(name, keys, registry=KeyRegistry().register(keys))


def dynamic(name: str, source: str, registry: KeyRegistry | None = None) -> ListedDimension:
    """Return a dimension of registered keys."""
    return ListedDimension(name, source=source, registry=registry or KeyRegistry())


def _quote_part(text: str) -> str:
    """Quote a part of a key where it could be misread; colons and offsets of times could not."""
    return quote(text) if any(char in "|()'\"\\" or char.isspace() for char in text) or ".." in text else text
