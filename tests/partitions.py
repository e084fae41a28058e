"""Partitions to put into state stores."""

from __future__ import annotations

from typing import Any

from pyroaring import BitMap

from nbpipe.core.partitions.chunks import ChunkFacts, PartitionFacts
from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.records import NewPartition, SkippedPartition
from nbpipe.core.partitions.sets import Position
from nbpipe.core.partitions.subsets import Families
from tests.stores import NOON, new, stored


def at(inner: int, *outer: int) -> Position:
    """Return a position."""
    return outer, inner


def some(*inner: int, outer: tuple[int, ...] = ()) -> Families:
    """Return partitions of one family."""
    return {outer: BitMap(inner)}


def value_of(position: Position, path: str | None = None, *, fingerprint: int = 0, **changes: Any) -> NewPartition:
    """Return the value of a partition about to be committed; its key is its position."""
    key = str(position[1])
    asset = changes.get("asset", "a")
    value = {"partition": key, "stored": stored(path or f"default/{asset}/{key}/x.json"), **changes}
    return NewPartition(position=position, value=new(**value), inputs=fingerprint)


def recipe(code_version: str = "c1", **changes: Any) -> Recipe:
    """Return how values are made here."""
    return Recipe(code=(("body", "h1"),), code_version=code_version, **changes)


def skipped(position: Position, **changes: Any) -> SkippedPartition:
    """Return a partition that had nothing to do."""
    values = {"env": "default", "asset": "a", "partition": str(position[1]), "recipe": recipe(), "at": NOON}
    return SkippedPartition(position=position, **{**values, **changes})


def chunk(facts: PartitionFacts, block: int = 0, *outer: int) -> ChunkFacts:
    """Return the facts of one chunk."""
    return facts.chunk((outer, block))
