"""Circles in a graph: which nodes are knotted together, and the shortest way round."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

Neighbours = Mapping[str, tuple[str, ...]]


def knots(upstream: Neighbours, downstream: Neighbours) -> tuple[frozenset[str], ...]:
    """Return the sets of nodes that reach each other, sorted by first name (a single node: only if it feeds itself)."""
    inside = _trim(_trim(upstream.keys(), upstream, downstream), downstream, upstream)
    found = [
        component
        for component in _strong_components(inside, downstream)
        if len(component) > 1 or not component.isdisjoint(downstream[min(component)])
    ]
    return tuple(sorted(found, key=min))


def shortest_circle(knot: Collection[str], downstream: Neighbours) -> tuple[str, ...]:
    """Return a shortest circle through the first node of a knot; its last node is the first again."""
    start = min(knot)
    came_from: dict[str, str] = {}
    queue = [start]
    for key in queue:  # grows while it is walked
        for below in downstream[key]:
            if below in knot and below not in came_from:
                came_from[below] = key
                queue.append(below)
        if start in came_from:
            break
    path = [start, came_from[start]]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))


def _trim(nodes: Collection[str], before: Neighbours, after: Neighbours) -> frozenset[str]:
    """Take away nodes with nothing before them as long as there are any: every circle stays."""
    among = frozenset(nodes)
    waits = {key: sum(name in among for name in before[key]) for key in among}
    gone = [key for key, count in waits.items() if not count]
    for key in gone:  # grows while it is walked
        for below in after[key]:
            if below in among:
                waits[below] -= 1
                if not waits[below]:
                    gone.append(below)
    return among.difference(gone)


def _strong_components(nodes: frozenset[str], downstream: Neighbours) -> Iterator[frozenset[str]]:
    """Yield the strongly connected components (Tarjan 1972, with a stack of our own instead of recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    open_nodes: set[str] = set()
    for root in sorted(nodes):
        work = [] if root in index else [(root, iter(downstream[root]))]
        while work:
            key, rest = work[-1]
            if key not in index:
                index[key] = low[key] = len(index)
                path.append(key)
                open_nodes.add(key)
            fresh = None
            for below in rest:
                if below in nodes and below not in index:
                    fresh = below
                    break
                if below in open_nodes:
                    low[key] = min(low[key], index[below])
            if fresh is not None:
                work.append((fresh, iter(downstream[fresh])))
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[key])
            if low[key] == index[key]:
                yield _close(key, path, open_nodes)


def _close(key: str, path: list[str], open_nodes: set[str]) -> frozenset[str]:
    component = set()
    while key not in component:
        component.add(path.pop())
    open_nodes -= component
    return frozenset(component)
