"""What the in-memory store remembers of the partitions of one asset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import PartitionFacts
from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.registries import KeyRegistry
from nbpipe.core.partitions.sets import ChunkId
from nbpipe.storage import recipe_rows
from nbpipe.storage.memory_base import KeptValue
from nbpipe.storage.partition_chunks import KeptChunk

Place: TypeAlias = tuple[ChunkId, int]
"""A chunk, and the offset of a partition in it."""


@dataclass
class KeptPartitions:
    """The partitions of one asset."""

    chunks: dict[ChunkId, KeptChunk] = field(default_factory=dict)
    values: dict[Place, list[KeptValue]] = field(default_factory=dict)
    """All versions of each partition, by address."""
    marks: dict[str, dict[ChunkId, BitMap]] = field(default_factory=dict)
    """What each run works on."""
    registries: dict[str, KeyRegistry] = field(default_factory=dict)
    recipes: Mapping[int, Recipe] = field(default_factory=lambda: MappingProxyType({}))
    facts: PartitionFacts | None = None
    """What was last read; None if it has changed since."""

    def change(self, place: ChunkId, kept: KeptChunk) -> None:
        """Keep a changed chunk."""
        self.chunks[place] = kept
        self.facts = None

    def mark(self, run_id: str, place: ChunkId, offsets: BitMap, *, on: bool) -> None:
        """Note what a run works on, or does not work on any more."""
        known = self.marks.get(run_id, {}).get(place, BitMap())
        self.marks.setdefault(run_id, {})[place] = known | offsets if on else known - offsets
        self.facts = None

    def recipe(self, recipe: Recipe) -> int:
        """Return the number of a recipe, which is kept from now on."""
        number = recipe.number
        if number not in self.recipes:
            found = {**self.recipes, number: recipe_rows.read_back(recipe)}
            self.recipes = MappingProxyType(dict(sorted(found.items())))
        return number

    def read(self) -> PartitionFacts:
        """Return the facts with what runs work on."""
        if self.facts is None:
            found = {place: kept.facts for place, kept in self.chunks.items()}
            for marked in self.marks.values():
                for place, offsets in marked.items():
                    facts = PartitionFacts(found).chunk(place)
                    found[place] = msgspec.structs.replace(facts, running=facts.running | offsets)
            self.facts = PartitionFacts(found)
        return self.facts
