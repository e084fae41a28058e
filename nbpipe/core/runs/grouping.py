"""Groups cells into steps: as few executions of notebooks as the order between the cells allows.

A step executes cells of one notebook. Steps that wait for each other in a circle could never start, so the cells
are laid out as a sequence of steps in which everything a cell needs stands in an earlier step or in its own. The
fewest steps are the shortest such sequence of notebooks, when each step takes all cells of its notebook that can
run by then: taking more at once never costs a step later, and a notebook that can be finished now may be.

Finding the shortest is a hard problem in general (shortest common supersequence). Up to `EXACT` cells in a
connected group of notebooks it is solved by breadth first search; above that a sequence is made greedily, and
steps of one notebook are then merged wherever no circle results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from nbpipe.core.runs.merging import Block, merge

EXACT = 12


def group(notebooks: Sequence[int], before: Sequence[Iterable[int]]) -> tuple[Block, ...]:
    """Return blocks in an order in which one after the other works.

    Cells are numbered in topological order. `notebooks` holds the notebook of each cell, `before` the cells that
    each one waits for.
    """
    waits_for = [tuple(sorted(set(cells))) for cells in before]
    blocks: list[Block] = []
    for cells in _components(notebooks, waits_for):
        number = {cell: index for index, cell in enumerate(cells)}
        part = _Problem([notebooks[cell] for cell in cells], [[number[c] for c in waits_for[cell]] for cell in cells])
        found = _exact(part) if len(cells) <= EXACT else merge(_Greedy(part).blocks(), part.before)
        blocks.extend(Block(block.notebook, tuple(cells[index] for index in block.cells)) for block in found)
    return tuple(blocks)


def waiting(blocks: Sequence[Block], before: Sequence[Iterable[int]]) -> tuple[tuple[int, ...], ...]:
    """Return for each block the blocks whose cells its own cells wait for directly."""
    block_of = {cell: index for index, block in enumerate(blocks) for cell in block.cells}
    return tuple(
        tuple(sorted({block_of[other] for cell in block.cells for other in before[cell]} - {index}))
        for index, block in enumerate(blocks)
    )


class _Problem:
    """The cells of one connected group of notebooks, numbered in topological order."""

    def __init__(self, notebooks: list[int], before: list[list[int]]) -> None:
        self.notebooks, self.before = notebooks, before
        self.after: list[list[int]] = [[] for _ in notebooks]
        for cell, others in enumerate(before):
            for other in others:
                self.after[other].append(cell)


def _components(notebooks: Sequence[int], before: Sequence[Iterable[int]]) -> list[list[int]]:
    """Return the cells of notebooks that are connected by anything that waits, in order of their first cell."""
    parent = {notebook: notebook for notebook in notebooks}

    def root(notebook: int) -> int:
        while parent[notebook] != notebook:
            parent[notebook] = notebook = parent[parent[notebook]]
        return notebook

    for cell, others in enumerate(before):
        for other in others:
            parent[root(notebooks[other])] = root(notebooks[cell])
    found: dict[int, list[int]] = {}
    for cell, notebook in enumerate(notebooks):
        found.setdefault(root(notebook), []).append(cell)
    return list(found.values())


def _exact(problem: _Problem) -> list[Block]:
    """Search breadth first over the sets of cells that are done; the first way to all of them is a shortest one."""
    everything = (1 << len(problem.notebooks)) - 1
    came_from: dict[int, tuple[int, int]] = {0: (0, -1)}
    queue = [0]
    for done in queue:  # grows while it is walked
        if done == everything:
            break
        for notebook, reached in _moves(problem, done):
            if reached not in came_from:
                came_from[reached] = (done, notebook)
                queue.append(reached)
    blocks: list[Block] = []
    done = everything
    while done:
        earlier, notebook = came_from[done]
        gained = done & ~earlier
        cells = tuple(cell for cell in range(len(problem.notebooks)) if gained >> cell & 1)
        blocks.append(Block(notebook, cells))
        done = earlier
    return blocks[::-1]


def _moves(problem: _Problem, done: int) -> list[tuple[int, int]]:
    """Return each notebook that can go on, with the cells done after it; only one if that one can be finished."""
    moves = []
    for notebook in sorted(set(problem.notebooks)):
        reached, finished = done, True
        for cell, owner in enumerate(problem.notebooks):
            if owner == notebook and not reached >> cell & 1:
                if all(reached >> other & 1 for other in problem.before[cell]):
                    reached |= 1 << cell
                else:
                    finished = False
        if reached != done:
            if finished:
                return [(notebook, reached)]
            moves.append((notebook, reached))
    return moves


class _Greedy:
    """Makes a sequence step by step: a notebook that can be finished, else one at the head of the longest way."""

    def __init__(self, problem: _Problem) -> None:
        self._problem = problem
        notebooks = problem.notebooks
        self._distance = _distances(problem)
        self._waits = [len(others) for others in problem.before]
        self._foreign = dict.fromkeys(notebooks, 0)  # how often cells of a notebook wait for another notebook
        for cell, others in enumerate(problem.before):
            self._foreign[notebooks[cell]] += sum(notebooks[other] != notebooks[cell] for other in others)
        self._finishable = sorted(notebook for notebook, count in self._foreign.items() if not count)
        self._ready: dict[int, list[int]] = {notebook: [] for notebook in notebooks}
        self._farthest: list[tuple[int, int]] = []
        for cell, count in enumerate(self._waits):
            if not count:
                self._offer(cell)

    def blocks(self) -> list[Block]:
        """Return the whole sequence."""
        found = []
        while self._finishable or self._farthest:
            notebook = heappop(self._finishable) if self._finishable else heappop(self._farthest)[1]
            cells = self._take(notebook)
            if cells:  # else an earlier step took them on its way
                found.append(Block(notebook, tuple(sorted(cells))))
        return found

    def _offer(self, cell: int) -> None:
        notebook = self._problem.notebooks[cell]
        self._ready[notebook].append(cell)
        heappush(self._farthest, (-self._distance[cell], notebook))

    def _take(self, notebook: int) -> list[int]:
        """Take every cell of a notebook that can run now, one after the other."""
        cells, self._ready[notebook] = self._ready[notebook], []
        for cell in cells:  # grows while it is walked
            for below in self._problem.after[cell]:
                owner = self._problem.notebooks[below]
                self._waits[below] -= 1
                if owner != notebook:
                    self._foreign[owner] -= 1
                    if not self._foreign[owner]:
                        heappush(self._finishable, owner)
                if not self._waits[below]:
                    if owner == notebook:
                        cells.append(below)
                    else:
                        self._offer(below)
        return cells


def _distances(problem: _Problem) -> list[int]:
    """Return how often the notebook changes, at most, on the way down from each cell."""
    distance = [0] * len(problem.notebooks)
    for cell in reversed(range(len(distance))):
        here = problem.notebooks[cell]
        for below in problem.after[cell]:
            distance[cell] = max(distance[cell], distance[below] + (problem.notebooks[below] != here))
    return distance
