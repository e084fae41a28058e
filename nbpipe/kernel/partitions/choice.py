"""The current partition of a notebook: what a person chose, seen from each of its sets of partitions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from nbpipe.core.partitions.sets import Dimension, ListedDimension, PartitionSet, TimeDimension
from nbpipe.core.partitions.zones import instant_of
from nbpipe.errors import DeclarationError, UnknownNameError


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One key that was chosen, and what it says to sets that don't have it."""

    key: str
    parts: tuple[tuple[str, str], ...]
    """Name and key of each dimension."""
    instant: int | None = None
    """When its window begins, in seconds since 1970."""


class Choices(msgspec.Struct, frozen=True):
    """What was chosen so far; for each dimension the newest choice that says something counts."""

    newest_first: tuple[Choice, ...] = ()

    def with_key(self, sets: Iterable[PartitionSet], key: str) -> Choices:
        """Return the choices with a newer one.

        Args:
            sets: those of the notebook.
            key: of one of them at least.

        Raises:
            UnknownNameError: none of the sets has the key; names the nearest.
        """
        errors: list[UnknownNameError | DeclarationError] = []
        for of in sets:
            try:
                return Choices((choice(of, key), *self.newest_first))
            except (UnknownNameError, DeclarationError) as error:
                errors.append(error)
        near = next((error for error in errors if getattr(error, "nearest", None)), None)
        if near is not None or len(errors) == 1:
            raise near or errors[0]
        hints = dict.fromkeys(str(error).partition(": ")[2] for error in errors)
        raise UnknownNameError("partition", key, hint="; ".join(filter(None, hints)))

    def with_part(self, of: PartitionSet, index: int, key: str, now: datetime) -> Choices:
        """Return the choices with another key of one dimension of a set.

        Raises:
            UnknownNameError: the dimension does not have the key.
        """
        of.dimensions[index].ordinal(key)
        parts = self._parts(of, now)
        parts[index] = key
        if None in parts:
            part = of.dimensions[index]
            return Choices((Choice(key=key, parts=((part.name, key),), instant=_start(part, key)), *self.newest_first))
        return Choices((choice(of, of.join(tuple(filter(None, parts)))), *self.newest_first))

    def key(self, of: PartitionSet, now: datetime) -> str | None:
        """Return the current key of a set: where nothing was chosen, the latest complete one; None if there is none."""
        parts = self._parts(of, now)
        return None if None in parts else of.join(tuple(filter(None, parts)))

    def _parts(self, of: PartitionSet, now: datetime) -> list[str | None]:
        found: list[str | None] = [None] * len(of.dimensions)
        for each in self.newest_first:
            exact = of.split(each.key) if of.is_valid(each.key) else None
            for index, part in enumerate(of.dimensions):
                if found[index] is None:
                    found[index] = exact[index] if exact else _said(each, part)
        for index, part in enumerate(of.dimensions):
            latest = part.latest(now) if found[index] is None else None
            if latest is not None:
                found[index] = part.key(latest)
        return found


def choice(of: PartitionSet, key: str) -> Choice:
    """Return the choice of a key of a set.

    Raises:
        UnknownNameError: it is none; names the nearest.
    """
    of.position(key)
    parts = tuple((part.name, text) for part, text in zip(of.dimensions, of.split(key), strict=True))
    window = of.window(key)
    return Choice(key=key, parts=parts, instant=instant_of(window[0]) if window else None)


def _said(chosen: Choice, part: Dimension) -> str | None:
    """Return the key that a choice means in a dimension of a set that does not have it; None: it says nothing."""
    if isinstance(part, TimeDimension):
        if chosen.instant is None:
            return None
        ordinal = part.grain.at(chosen.instant)
        return part.key(ordinal) if part.contains(ordinal) else None
    for name, key in chosen.parts:
        if (name == part.name or len(chosen.parts) == 1) and _has(part, key):
            return key
    return None


def _has(part: ListedDimension, key: str) -> bool:
    ordinal = part.registry.ordinals.get(key)
    return ordinal is not None and part.contains(ordinal)


def _start(part: Dimension, key: str) -> int | None:
    return part.grain.start(part.ordinal(key)) if isinstance(part, TimeDimension) else None
