"""Where to draw the nodes of a graph: in layers from left to right.

Layers by longest path; long edges are led through the layers between by waypoints; the order within a layer by
sweeps that move each node to the mean of its neighbours (Sugiyama, Tagawa and Toda 1981); heights by the same
means, as near as the distances between neighbours allow (isotonic regression).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

Point = tuple[float, float]

LAYER_GAP = 250.0
NODE_GAP = 66.0
WAYPOINT_GAP = 22.0

_SWEEPS = 6
#: With more waypoints than this, long edges are drawn straight.
_MOST_WAYPOINTS = 4_000


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Places in arbitrary units, y downwards."""

    nodes: Mapping[str, Point]
    """Centre of each node."""
    waypoints: Mapping[tuple[str, str], tuple[Point, ...]]
    """For edges that pass other layers: where to lead them."""


def layered(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> Layout:
    """Lay out a graph from left to right.

    `nodes` come in an order in which edges point forward, as far as that goes; an edge that points back (there may
    be circles among bundles) is treated as if it pointed forward.
    """
    place = {node: index for index, node in enumerate(nodes)}
    forward = {tuple(sorted(edge, key=place.__getitem__)): edge for edge in edges if edge[0] != edge[1]}
    linked = {node for pair in forward for node in pair}
    sheet = _Sheet(
        [node for node in nodes if node in linked], sorted(forward, key=lambda e: (place[e[0]], place[e[1]]))
    )
    points = sheet.points()
    waypoints = {}
    for pair, names in sheet.chains.items():
        way = tuple(points[name] for name in names)
        edge = forward[pair]
        waypoints[edge] = way if edge == pair else way[::-1]
    places = {node: points[node] for node in nodes if node in linked}
    places.update(_grid([node for node in nodes if node not in linked], places))
    return Layout(nodes={node: places[node] for node in nodes}, waypoints=waypoints)


def _grid(nodes: Sequence[str], above: Mapping[str, Point]) -> dict[str, Point]:
    """Put nodes without edges below the others, row by row."""
    if not nodes:
        return {}
    columns = max(len({x for x, _ in above.values()}), min(5, len(nodes)))
    top = max((y for _, y in above.values()), default=-NODE_GAP) + NODE_GAP
    return {node: (index % columns * LAYER_GAP, top + index // columns * NODE_GAP) for index, node in enumerate(nodes)}


class _Sheet:
    """The layers of a graph whose edges point forward, with waypoints among the nodes."""

    def __init__(self, nodes: Sequence[str], edges: Sequence[tuple[str, ...]]) -> None:
        self._before: dict[str, list[str]] = {node: [] for node in nodes}
        self._after: dict[str, list[str]] = {node: [] for node in nodes}
        self.chains: dict[tuple[str, ...], list[str]] = {}
        """Waypoints of each long edge, by edge."""
        self._real = frozenset(nodes)
        self._layer = _layers(nodes, edges)
        lengths = sum(self._layer[end] - self._layer[start] - 1 for start, end in edges)
        for start, end in edges:
            self._add_edge(start, end, through_layers=lengths <= _MOST_WAYPOINTS)
        rows: dict[int, list[str]] = {}
        for node, layer in self._layer.items():
            rows.setdefault(layer, []).append(node)
        self._rows = [rows[layer] for layer in sorted(rows)]

    def points(self) -> dict[str, Point]:
        """Return the places of nodes and waypoints."""
        for sweep in range(_SWEEPS):
            self._sort_rows(downwards=sweep % 2 == 0)
        height = self._heights()
        top = min(height.values(), default=0.0)
        return {
            node: (self._layer[node] * LAYER_GAP, round(height[node] - top, 1)) for row in self._rows for node in row
        }

    def _add_edge(self, start: str, end: str, *, through_layers: bool) -> None:
        names = [start]
        if through_layers:
            for layer in range(self._layer[start] + 1, self._layer[end]):
                name = f"{start}\0{end}\0{layer}"  # no node is called so
                self._layer[name] = layer
                self._before[name], self._after[name] = [], []
                names.append(name)
            if len(names) > 1:
                self.chains[start, end] = names[1:]
        names.append(end)
        for one, next_one in pairwise(names):
            self._after[one].append(next_one)
            self._before[next_one].append(one)

    def _sort_rows(self, *, downwards: bool) -> None:
        neighbours = self._before if downwards else self._after
        place = {node: index / len(row) for row in self._rows for index, node in enumerate(row)}
        for row in self._rows if downwards else self._rows[::-1]:
            row.sort(key=lambda node: _mean([place[other] for other in neighbours[node]], place[node]))
            place.update((node, index / len(row)) for index, node in enumerate(row))

    def _heights(self) -> dict[str, float]:
        height = {node: y for row in self._rows for node, y in zip(row, self._stacked(row), strict=True)}
        for sweep in range(_SWEEPS):
            for row in self._rows if sweep % 2 == 0 else self._rows[::-1]:
                wanted = [
                    _mean([height[other] for other in (*self._before[node], *self._after[node])], height[node])
                    for node in row
                ]
                height.update(zip(row, _apart(wanted, self._stacked(row)), strict=True))
        return height

    def _stacked(self, row: Sequence[str]) -> list[float]:
        """Return the heights of a row whose nodes stand as close as they may."""
        heights, at = [], 0.0
        for index, node in enumerate(row):
            if index:
                both = node in self._real and row[index - 1] in self._real
                either = node in self._real or row[index - 1] in self._real
                at += NODE_GAP if both else (NODE_GAP + WAYPOINT_GAP) / 2 if either else WAYPOINT_GAP
            heights.append(at)
        return heights


def _layers(nodes: Sequence[str], edges: Iterable[tuple[str, ...]]) -> dict[str, int]:
    """Return the longest distance from a root, for roots the place just before what they feed."""
    after: dict[str, list[str]] = {node: [] for node in nodes}
    fed = set()
    for start, end in edges:
        after[start].append(end)
        fed.add(end)
    layer = dict.fromkeys(nodes, 0)
    for node in nodes:
        for below in after[node]:
            layer[below] = max(layer[below], layer[node] + 1)
    for node in nodes:
        if node not in fed and after[node]:
            layer[node] = min(layer[below] for below in after[node]) - 1
    return layer


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _apart(wanted: Sequence[float], stacked: Sequence[float]) -> list[float]:
    """Return heights nearest to those wanted that keep the order and at least the distances of `stacked`.

    With the distances taken off this is a monotone least squares fit: pool adjacent violators.
    """
    pools: list[tuple[float, int]] = []
    for value, offset in zip(wanted, stacked, strict=True):
        mean, count = value - offset, 1
        while pools and pools[-1][0] > mean:
            other, size = pools.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        pools.append((mean, count))
    fitted = [mean for mean, count in pools for _ in range(count)]
    return [value + offset for value, offset in zip(fitted, stacked, strict=True)]
