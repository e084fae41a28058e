"""Lineage as plain data: what is drawn of a graph of assets, and where.

A graph of more than `limit` assets opens as bundles; see `bundles` for what they are and how they open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import msgspec

from nbpipe.core.definitions import Definitions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.staleness import Assessment
from nbpipe.views.bundles import Bundle, bundles, lineage_of, open_bundles
from nbpipe.views.layout import Layout, Point, layered
from nbpipe.views.palette import PARTITION_URGENCY, counts_text, most_urgent

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.counts import PartitionCounts

#: How many nodes a reader can take in at once.
READABLE = 60
#: How many nodes are drawn at most, whatever is asked for.
MOST = 300

_NOTHING: Mapping[str, int] = MappingProxyType({})


class LineageNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node: an asset, or a bundle of assets. All text is data, never markup."""

    id: str
    """The asset's key, or the id with which a bundle is opened."""
    label: str
    kind: Literal["asset", "bundle"]
    status: str
    """Of a bundle: the most urgent that it holds."""
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    group: str | None = None
    notebook: str = ""
    description: str = ""
    upstream: int = 0
    """How many assets feed it directly, drawn or not."""
    downstream: int = 0
    assets: int = 1
    counts: Mapping[str, int] = _NOTHING
    """How many of its assets have which status."""
    shares: Mapping[str, int] = _NOTHING
    """How many of its partitions have which status; nothing for a bundle, and for an asset without partitions."""
    materialized: int = 0
    """How many of its partitions have a value, whatever their status."""
    outside: bool = False
    """It was not selected, but is next to what was."""
    x: float = 0.0
    y: float = 0.0


class LineageEdge(msgspec.Struct, frozen=True, kw_only=True):
    """One arrow, from upstream to downstream."""

    id: str
    source: str
    target: str
    links: int = 1
    """How many edges between assets it stands for."""
    waypoints: tuple[Point, ...] = ()


class LineageGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One group of assets."""

    name: str
    assets: int
    counts: Mapping[str, int]


class LineageView(msgspec.Struct, frozen=True, kw_only=True):
    """A graph ready to be drawn, from left to right."""

    nodes: tuple[LineageNode, ...] = ()
    """In topological order."""
    edges: tuple[LineageEdge, ...] = ()
    groups: tuple[LineageGroup, ...] = ()
    """All groups of the assets in view, drawn as bundles or not."""
    expanded: tuple[str, ...] = ()
    """Ids of the bundles that are open."""
    assets: int = 0
    """How many assets are in view, in bundles or not."""
    counts: Mapping[str, int] = _NOTHING
    note: str = ""
    """What is not drawn, and how to see it."""


def lineage(
    definitions: Definitions,
    graph: AssetGraph,
    assessments: Mapping[str, Assessment],
    selection: Iterable[str] | None = None,
    *,
    limit: int = READABLE,
    expanded: Sequence[str] = (),
    around: int = 0,
) -> LineageView:
    """Return what is drawn of a project.

    Args:
        definitions: the project.
        graph: its assets.
        assessments: what is to be said of each asset; one without is shown as missing.
        selection: keys of the assets to show; None for all.
        limit: how many nodes to draw before bundling, at most `MOST`.
        expanded: ids of bundles to open, the latest last; earlier ones are closed where there is no room.
        around: how many edges around the selection to show too, if there is room.
    """
    limit = max(2, min(limit, MOST))
    chosen = frozenset(graph if selection is None else selection)
    scope = chosen | graph.ancestors(chosen, around) | graph.descendants(chosen, around)
    if len(scope) > limit:
        scope = chosen
    keys = graph.arrange(scope)
    drawn, opened, note = _choose(definitions, graph, keys, limit, expanded)
    nodes = _Nodes(definitions, graph, assessments, chosen)
    owner = {key: item if isinstance(item, str) else item.id for item in drawn for key in _keys(item)}
    links = _links(graph, keys, owner)
    place = {key: index for index, key in enumerate(keys)}
    drawn.sort(key=lambda item: _middle(item, place))
    layout = layered([owner[_keys(item)[0]] for item in drawn], links)
    counts, groups = nodes.summary(keys)
    return LineageView(
        nodes=tuple(nodes.of(item, layout) for item in drawn),
        edges=tuple(_edge(pair, count, layout) for pair, count in links.items()),
        groups=groups,
        expanded=opened,
        assets=len(keys),
        counts=counts,
        note=note,
    )


def _choose(
    definitions: Definitions, graph: AssetGraph, keys: Sequence[str], limit: int, expanded: Sequence[str]
) -> tuple[list[Bundle | str], tuple[str, ...], str]:
    """Return what to draw, which bundles are open, and what to say of it."""
    if len(keys) <= limit:
        return list(keys), (), ""
    roots = bundles(keys, definitions.assets, limit)
    while len(roots) == 1 and roots[0].parts:
        roots = roots[0].parts
    opened = [one for one in dict.fromkeys(expanded) if lineage_of(roots, one)]
    newest = {bundle.id for bundle in lineage_of(roots, opened[-1])} if opened else set()
    drawn = open_bundles(roots, opened)
    while len(drawn) > limit and (old := next((one for one in opened if one not in newest), None)):
        opened.remove(old)
        drawn = open_bundles(roots, opened)
    note = f"{len(keys)} assets, drawn as {len(drawn)} nodes: open a bundle to see what is in it, or select fewer"
    if len(drawn) > limit and opened:
        inside = lineage_of(roots, opened[-1])[-1]
        linked = _linked(graph, inside.keys)
        near = [item for item in drawn if not linked.isdisjoint(_keys(item))]
        note = f"{inside.label} and what is linked to it; {len(drawn) - len(near)} more nodes are not drawn"
        drawn = near[:MOST]
    return drawn, tuple(opened), note


def _linked(graph: AssetGraph, keys: Iterable[str]) -> set[str]:
    own = set(keys)
    return own | graph.ancestors(own, 1) | graph.descendants(own, 1)


def _keys(item: Bundle | str) -> tuple[str, ...]:
    return (item,) if isinstance(item, str) else item.keys


def _middle(item: Bundle | str, place: Mapping[str, int]) -> tuple[float, str]:
    keys = _keys(item)
    return sum(place[key] for key in keys) / len(keys), keys[0]


def _links(graph: AssetGraph, keys: Iterable[str], owner: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """Count the edges between what is drawn."""
    found: Counter[tuple[str, str]] = Counter()
    for key in keys:
        source = owner.get(key)
        for below in graph.downstream(key) if source is not None else ():
            target = owner.get(below)
            if source is not None and target is not None and target != source:
                found[source, target] += 1
    return dict(found)


def _edge(pair: tuple[str, str], links: int, layout: Layout) -> LineageEdge:
    source, target = pair
    return LineageEdge(
        id=f"{source}->{target}", source=source, target=target, links=links, waypoints=layout.waypoints.get(pair, ())
    )


def _shares(counts: PartitionCounts) -> Mapping[str, int]:
    return {status: number for status in PARTITION_URGENCY if (number := getattr(counts, status))}


class _Nodes:
    """Says of assets and bundles what their nodes show."""

    def __init__(
        self,
        definitions: Definitions,
        graph: AssetGraph,
        assessments: Mapping[str, Assessment],
        chosen: frozenset[str],
    ) -> None:
        self._specs, self._graph, self._assessments, self._chosen = definitions.assets, graph, assessments, chosen

    def of(self, item: Bundle | str, layout: Layout) -> LineageNode:
        return (
            self._asset(item, layout.nodes[item])
            if isinstance(item, str)
            else self._bundle(item, layout.nodes[item.id])
        )

    def summary(self, keys: Iterable[str]) -> tuple[Mapping[str, int], tuple[LineageGroup, ...]]:
        groups: dict[str, list[str]] = {}
        for key in keys:
            name = self._specs[key].options.group
            if name:
                groups.setdefault(name, []).append(key)
        return self._counts(keys), tuple(
            LineageGroup(name=name, assets=len(own), counts=self._counts(own)) for name, own in sorted(groups.items())
        )

    def _status(self, key: str) -> str:
        found = self._assessments.get(key)
        return found.status if found is not None else "missing"

    def _counts(self, keys: Iterable[str]) -> Mapping[str, int]:
        return dict(Counter(self._status(key) for key in keys))

    def _asset(self, key: str, at: Point) -> LineageNode:
        spec, found = self._specs[key], self._assessments.get(key)
        partitions = found.partitions if found is not None else None
        return LineageNode(
            id=key,
            label=key,
            kind="asset",
            status=self._status(key),
            reasons=found.reasons if found is not None else (),
            notes=found.notes if found is not None else (),
            group=spec.options.group,
            notebook=spec.cell.notebook,
            description=spec.description,
            upstream=len(self._graph.upstream(key)),
            downstream=len(self._graph.downstream(key)),
            counts={self._status(key): 1},
            shares=_shares(partitions) if partitions is not None else _NOTHING,
            materialized=partitions.materialized if partitions is not None else 0,
            outside=key not in self._chosen,
            x=at[0],
            y=at[1],
        )

    def _bundle(self, bundle: Bundle, at: Point) -> LineageNode:
        counts = self._counts(bundle.keys)
        own = frozenset(bundle.keys)
        notebooks = {self._specs[key].cell.notebook for key in bundle.keys}
        groups = {self._specs[key].options.group for key in bundle.keys}
        return LineageNode(
            id=bundle.id,
            label=bundle.label,
            kind="bundle",
            status=most_urgent(counts),
            reasons=(counts_text(counts),),
            group=groups.pop() if len(groups) == 1 else None,
            notebook=notebooks.pop() if len(notebooks) == 1 else "",
            description=f"{len(own)} assets ({bundle.kind})",
            upstream=len(self._graph.ancestors(own, 1) - own),
            downstream=len(self._graph.descendants(own, 1) - own),
            assets=len(own),
            counts=counts,
            x=at[0],
            y=at[1],
        )
