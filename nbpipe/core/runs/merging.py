"""Merges steps of one notebook wherever no circle results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec


class Block(msgspec.Struct, frozen=True):
    """Cells of one notebook that one step executes."""

    notebook: int
    cells: tuple[int, ...]


def merge(blocks: Sequence[Block], before: Sequence[Iterable[int]]) -> list[Block]:
    """Merge steps until no two of one notebook can be merged without a circle.

    The blocks come and are returned in a workable order; `before` holds the cells that each cell waits for.
    """
    sequence = _Sequence(blocks, before)
    merging = True
    while merging:
        merging = False
        for notebook in sequence.repeated():
            merging |= sequence.merge_all(notebook)
    return sequence.blocks()


class _Sequence:
    """Steps in a workable order, with the edges between them, while steps are being merged.

    Two steps of one notebook can be merged if no way leads from the first to the second through another step.
    All steps on such a way stand between the two, so only that window is searched, and reordered by a merge.
    It is enough to look at steps that follow each other: where each is joined to the next by such a way, the
    ways join any two.
    """

    def __init__(self, blocks: Sequence[Block], before: Sequence[Iterable[int]]) -> None:
        self._cells = [set(block.cells) for block in blocks]
        self._notebook = [block.notebook for block in blocks]
        block_of = {cell: index for index, block in enumerate(blocks) for cell in block.cells}
        self._after: list[set[int]] = [set() for _ in blocks]
        self._before: list[set[int]] = [set() for _ in blocks]
        for cell, others in enumerate(before):
            for other in others:
                if block_of[other] != block_of[cell]:
                    self._after[block_of[other]].add(block_of[cell])
                    self._before[block_of[cell]].add(block_of[other])
        self._order: list[int | None] = list(range(len(blocks)))  # None: a step was merged away
        self._place = list(range(len(blocks)))
        self._steps_of: dict[int, list[int]] = {}
        for index, notebook in enumerate(self._notebook):
            self._steps_of.setdefault(notebook, []).append(index)

    def repeated(self) -> list[int]:
        """Return the notebooks with more than one step."""
        return sorted(notebook for notebook, steps in self._steps_of.items() if len(steps) > 1)

    def merge_all(self, notebook: int) -> bool:
        """Merge steps of a notebook that follow each other, wherever that is possible."""
        steps = sorted(self._steps_of[notebook], key=self._place.__getitem__)
        kept = steps[:1]
        for step in steps[1:]:
            if not self._joined(kept[-1], step):
                self._merge(kept[-1], step)
            else:
                kept.append(step)
        self._steps_of[notebook] = kept
        return len(kept) < len(steps)

    def blocks(self) -> list[Block]:
        """Return what is left, in a workable order."""
        return [
            Block(self._notebook[step], tuple(sorted(self._cells[step]))) for step in self._order if step is not None
        ]

    def _joined(self, first: int, second: int) -> bool:
        """Tell whether a way leads from one step to a later one through another."""
        if not self._after[first].isdisjoint(self._before[second]):
            return True
        return not self._below(first, second).isdisjoint(self._before[second])

    def _below(self, first: int, second: int) -> set[int]:
        """Return the steps between the two that the first one leads to."""
        end = self._place[second]
        found = {step for step in self._after[first] if self._place[step] < end}
        pending = list(found)
        while pending:
            for step in self._after[pending.pop()]:
                if step not in found and self._place[step] < end:
                    found.add(step)
                    pending.append(step)
        return found

    def _merge(self, first: int, second: int) -> None:
        """Put the second step into the first, and behind it what the first leads to."""
        below = self._below(first, second)
        start, end = self._place[first], self._place[second]
        window = [step for step in self._order[start : end + 1] if step is not None and step not in (first, second)]
        ordered = [step for step in window if step not in below] + [first] + [step for step in window if step in below]
        self._order[start : end + 1] = ordered + [None] * (end + 1 - start - len(ordered))
        for offset, step in enumerate(ordered):
            self._place[step] = start + offset
        self._cells[first] |= self._cells[second]
        for edges, back in ((self._after, self._before), (self._before, self._after)):
            for step in edges[second]:
                back[step].discard(second)
                if step != first:
                    back[step].add(first)
                    edges[first].add(step)
            edges[first].discard(second)
