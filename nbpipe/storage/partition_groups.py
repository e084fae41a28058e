"""How partitions that are changed together are divided: by asset and run, and by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from pyroaring import BitMap

from nbpipe.core.partitions.records import NewPartition, SkippedPartition
from nbpipe.core.partitions.sets import CHUNK, ChunkId, Position
from nbpipe.core.partitions.subsets import Families

Item = TypeVar("Item")


def address_of(position: Position) -> tuple[ChunkId, int]:
    """Return the chunk that holds a position, and its place in the chunk."""
    outer, inner = position
    return (outer, inner // CHUNK), inner % CHUNK


def by_chunk(items: Iterable[tuple[Position, Item]]) -> list[tuple[ChunkId, list[tuple[int, Item]]]]:
    """Return what belongs to positions by chunk, with offsets; chunks are sorted, items stay in order."""
    found: dict[ChunkId, list[tuple[int, Item]]] = {}
    for position, item in items:
        place, offset = address_of(position)
        found.setdefault(place, []).append((offset, item))
    return sorted(found.items(), key=lambda each: each[0])


def cut(which: Families) -> Iterator[tuple[ChunkId, BitMap]]:
    """Yield families by chunk, as offsets."""
    for outer in sorted(which):
        left = which[outer]
        while left:
            block = left.min() // CHUNK
            part = BitMap()
            part.add_range(block * CHUNK, (block + 1) * CHUNK)
            yield (outer, block), (left & part).shift(-block * CHUNK)
            left = left - part


def label_of(keys: Sequence[str]) -> str:
    """Return one text for some keys: the key, or the first and the last."""
    return keys[0] if len(keys) == 1 else f"{keys[0]}..{keys[-1]}"


def of_commit(new: NewPartition) -> tuple[str, str, str]:
    """Return environment, asset and run: one event tells of all values that share them."""
    return new.value.env, new.value.asset, new.value.run_id or ""


def of_skip(skipped: SkippedPartition) -> tuple[str, str, str, str]:
    """Return environment, asset, run and reason: one event tells of all that share them."""
    return skipped.env, skipped.asset, skipped.run_id or "", skipped.reason
