"""Which assets of a backfill go into one run for each partition: as many as can, so that a notebook runs once.

Cells whose assets have the same partitions, and are joined by reading each other's partition of the same key or by
standing in one notebook, run together, unless what lies between two of them would have to run in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from nbpipe.core.backfills.edges import Edge, edges_of
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.sets import PartitionSet
from nbpipe.core.runs.grouping import group


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Assets that run together for one partition."""

    assets: tuple[str, ...]
    """In topological order."""
    of: PartitionSet
    """The partitions of each of them; `WHOLE` for none."""
    size: int | None = 1
    """How many partitions one run takes; None: all."""


def blocks_of(
    specs: Sequence[AssetSpec], book: PartitionBook, *, single_run: bool = False
) -> tuple[tuple[Block, ...], Mapping[str, tuple[Edge, ...]]]:
    """Return blocks, in an order in which one after the other works, and what the assets wait for of each other.

    Args:
        specs: the assets of the backfill in topological order.
        book: their partitions.
        single_run: one run takes all partitions of a block.
    """
    chosen = {spec.key: spec for spec in specs}
    edges = {
        spec.key: tuple(edge for edge in edges_of(spec, book) if edge.upstream in chosen) for spec in chosen.values()
    }
    cells = _Cells(specs, book, edges)
    blocks = []
    for cell_numbers in cells.together():
        keys = [key for number in cell_numbers for key in cells.members[number]]
        blocks.append(
            Block(
                assets=tuple(key for key in chosen if key in frozenset(keys)) if len(keys) > 1 else tuple(keys),
                of=cells.sets[cell_numbers[0]],
                size=None if single_run else _size([chosen[key] for key in keys]),
            )
        )
    return tuple(blocks), edges


def _size(specs: Sequence[AssetSpec]) -> int | None:
    """Return the fewest partitions that one of the assets wants in one run."""
    asked = [spec.options.backfill or "1" for spec in specs]
    numbers = [int(text) for text in asked if text != "single"]
    return min(numbers) if numbers else None


class _Cells:
    """The cells of a backfill, numbered in topological order."""

    def __init__(self, specs: Sequence[AssetSpec], book: PartitionBook, edges: Mapping[str, tuple[Edge, ...]]) -> None:
        self._edges = edges
        self._cell_of: dict[str, int] = {}
        self.members: list[list[str]] = []
        self.sets: list[PartitionSet] = []
        self._notebooks: list[str] = []
        numbers: dict[tuple[str, int], int] = {}
        for spec in specs:
            number = numbers.setdefault((spec.cell.notebook, spec.cell.index), len(self.members))
            if number == len(self.members):
                self.members.append([])
                self.sets.append(book.of(spec.key) or WHOLE)
                self._notebooks.append(spec.cell.notebook)
            self.members[number].append(spec.key)
            self._cell_of[spec.key] = number

    def together(self) -> list[tuple[int, ...]]:
        """Return the cells of each block.

        Two cells of one colour that wait for each other in another way than key by key can't be one block: between
        them stands a cell that is in no block and has a colour of its own.
        """
        colours = self._colours()
        nodes: list[int] = []  # the colour of each
        before: list[list[int]] = []
        node_of: dict[int, int] = {}
        cell_of: dict[int, int] = {}
        for cell in range(len(self.members)):
            waits: list[int] = []
            for above, identity in sorted(self._above(cell).items()):
                waits.append(node_of[above])
                if colours[above] == colours[cell] and not identity:
                    before.append([node_of[above]])
                    waits[-1] = len(nodes)
                    nodes.append(len(self.members) + len(nodes))
            node_of[cell] = len(nodes)
            cell_of[len(nodes)] = cell
            nodes.append(colours[cell])
            before.append(waits)
        found = (tuple(cell_of[node] for node in block.cells if node in cell_of) for block in group(nodes, before))
        return [cells for cells in found if cells]

    def _above(self, cell: int) -> Mapping[int, bool]:
        """Return the cells that a cell waits for, and whether it does so key by key alone."""
        found: dict[int, bool] = {}
        for key in self.members[cell]:
            for edge in self._edges[key]:
                above = self._cell_of[edge.upstream]
                if above != cell:
                    found[above] = found.get(above, True) and edge.identity
        return found

    def _colours(self) -> list[int]:
        """Return a number for each cell: equal for those that may run together."""
        parent = list(range(len(self.members)))

        def root(cell: int) -> int:
            while parent[cell] != cell:
                parent[cell] = cell = parent[parent[cell]]
            return cell

        first: dict[str, list[int]] = {}
        for cell, notebook in enumerate(self._notebooks):
            others = first.setdefault(notebook, [])
            like = next((other for other in others if self.sets[other] == self.sets[cell]), None)
            if like is None:
                others.append(cell)
            else:
                parent[root(cell)] = root(like)
            for above, identity in self._above(cell).items():
                if identity:
                    parent[root(cell)] = root(above)
        return [root(cell) for cell in range(len(parent))]
