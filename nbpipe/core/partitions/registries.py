"""Ordinals of keys that have no arithmetic: given once, in the order of registration, and never again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType

import msgspec
from pyroaring import BitMap

from nbpipe.errors import DeclarationError


class KeyRegistry(msgspec.Struct, frozen=True, dict=True):
    """Keys by ordinal. Keys are only appended; a removed key keeps its ordinal and gets it back if it returns."""

    keys: tuple[str, ...] = ()
    """The key of each ordinal."""
    removed: frozenset[str] = frozenset()
    """Keys that are no longer there."""

    @cached_property
    def ordinals(self) -> Mapping[str, int]:
        """Return the ordinal of each key, removed ones included."""
        return MappingProxyType({key: ordinal for ordinal, key in enumerate(self.keys)})

    @cached_property
    def present(self) -> BitMap:
        """Return the ordinals of the keys that are there."""
        found = BitMap()
        found.add_range(0, len(self.keys))
        return found - BitMap(self.ordinals[key] for key in self.removed)

    def __contains__(self, key: str) -> bool:
        return key in self.ordinals and key not in self.removed

    def register(self, keys: Iterable[str]) -> KeyRegistry:
        """Return a registry that has these keys too; those it has are left alone. O(keys of both).

        Raises:
            DeclarationError: a key is empty, or has blanks at its ends or control characters.
        """
        wanted = dict.fromkeys(keys)
        for key in wanted:
            check_key(key)
        new = tuple(key for key in wanted if key not in self.ordinals)
        return KeyRegistry(self.keys + new, self.removed.difference(wanted))

    def remove(self, keys: Iterable[str]) -> KeyRegistry:
        """Return a registry without these keys; unknown ones are ignored."""
        return KeyRegistry(self.keys, self.removed.union(key for key in keys if key in self.ordinals))


def check_key(key: str) -> None:
    """Refuse a key that nobody could read or write; any other text is a key, also with `/`, `|` and spaces.

    Raises:
        DeclarationError: the key is empty, or has blanks at its ends or control characters.
    """
    if not key:
        raise DeclarationError("a partition key can't be empty: give it a name")
    if key != key.strip():
        raise DeclarationError(f"partition key {key!r} has blanks at its ends: remove them")
    if not key.isprintable():
        raise DeclarationError(f"partition key {key!r} has characters that can't be seen: remove them")
