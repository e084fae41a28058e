"""The graph of assets: who feeds whom.

The structure is our own and immutable: two dictionaries of sorted tuples. Every walk is iterative and every
answer sorted, so that a chain of any length works and equal projects give equal answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from heapq import heapify, heappop, heappush
from types import MappingProxyType

from nbpipe.core.cycles import knots, shortest_circle
from nbpipe.core.definitions import AssetSpec, Definitions


class AssetGraph:
    """Assets and the edges from each to those that depend on it.

    An asset that is named as an upstream but defined nowhere is no node: it is listed in `missing`. An asset
    that maps its own earlier partition (`--map NAME=offset(-1)`) has no edge to itself.
    """

    def __init__(self, upstream: Mapping[str, Iterable[str]]) -> None:
        """Build the graph from the names that each asset depends on."""
        keys = sorted(upstream)
        known = frozenset(keys)
        self._upstream: dict[str, tuple[str, ...]] = {}
        missing: dict[str, tuple[str, ...]] = {}
        downstream: dict[str, list[str]] = {key: [] for key in keys}
        for key in keys:
            names = set(upstream[key])
            if not names <= known:
                missing[key] = tuple(sorted(names - known))
                names &= known
            self._upstream[key] = tuple(sorted(names))
            for name in names:
                downstream[name].append(key)  # keys are visited in order: these lists are sorted
        self._downstream = {key: tuple(names) for key, names in downstream.items()}
        self.missing: Mapping[str, tuple[str, ...]] = MappingProxyType(missing)
        """Upstream names that are defined nowhere, by the asset that depends on them."""

    @classmethod
    def of(cls, specs: Iterable[AssetSpec] | Definitions) -> AssetGraph:
        """Build the graph of assets, or of everything that a project defines."""
        found = specs.assets.values() if isinstance(specs, Definitions) else specs
        return cls({spec.key: _feeding(spec) for spec in found})

    def __contains__(self, key: object) -> bool:
        return key in self._upstream

    def __len__(self) -> int:
        return len(self._upstream)

    def __iter__(self) -> Iterator[str]:
        return iter(self._upstream)

    @property
    def keys(self) -> tuple[str, ...]:
        """All assets, sorted by name."""
        return tuple(self._upstream)

    @property
    def edges(self) -> Iterator[tuple[str, str]]:
        """Every (upstream, downstream) pair, sorted."""
        return ((key, below) for key, names in self._downstream.items() for below in names)

    def upstream(self, key: str) -> tuple[str, ...]:
        """Return the assets that feed `key` directly, sorted."""
        return self._upstream[key]

    def downstream(self, key: str) -> tuple[str, ...]:
        """Return the assets that `key` feeds directly, sorted."""
        return self._downstream[key]

    def ancestors(self, keys: Iterable[str], depth: int | None = None) -> frozenset[str]:
        """Return what is reached from `keys` by 1 to `depth` edges upwards (any number if None)."""
        return _reach(keys, self._upstream.__getitem__, depth)

    def descendants(self, keys: Iterable[str], depth: int | None = None) -> frozenset[str]:
        """Return what is reached from `keys` by 1 to `depth` edges downwards (any number if None)."""
        return _reach(keys, self._downstream.__getitem__, depth)

    def roots(self, keys: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the assets that no other feeds, in all of the graph or among `keys` alone."""
        return self._ends(keys, self._upstream)

    def sinks(self, keys: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the assets that feed no other, in all of the graph or among `keys` alone."""
        return self._ends(keys, self._downstream)

    def arrange(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Return all of `keys` in topological order, those on a circle last and by name."""
        last = len(self._rank)
        return tuple(sorted(set(keys), key=lambda key: (self._rank.get(key, last), key)))

    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Return one shortest circle for each knot of assets that depend on each other.

        Each asset feeds the next one; the last is the first again.
        """
        return tuple(shortest_circle(knot, self._downstream) for knot in self._knots)

    @cached_property
    def cyclic(self) -> frozenset[str]:
        """The assets that lie on a circle."""
        return frozenset(key for knot in self._knots for key in knot)

    @cached_property
    def _rank(self) -> dict[str, int]:
        """Place in the topological order; a dictionary in that order."""
        cyclic = self.cyclic
        waits = {key: sum(name not in cyclic for name in names) for key, names in self._upstream.items()}
        ready = [key for key, count in waits.items() if not count and key not in cyclic]
        heapify(ready)
        rank: dict[str, int] = {}
        while ready:
            key = heappop(ready)
            rank[key] = len(rank)
            for below in self._downstream[key]:
                waits[below] -= 1
                if not waits[below] and below not in cyclic:
                    heappush(ready, below)
        return rank

    @cached_property
    def _knots(self) -> tuple[frozenset[str], ...]:
        return knots(self._upstream, self._downstream)

    def _ends(self, keys: Iterable[str] | None, neighbours: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        if keys is None:
            return tuple(key for key, names in neighbours.items() if not names)
        among = frozenset(keys)
        return tuple(key for key in self.arrange(among) if among.isdisjoint(neighbours[key]))


def _feeding(spec: AssetSpec) -> tuple[str, ...]:
    if spec.key in spec.upstream and any(name == spec.key for name, _ in spec.options.map):
        return tuple(name for name in spec.upstream if name != spec.key)
    return spec.upstream


def _reach(keys: Iterable[str], neighbours: Callable[[str], tuple[str, ...]], depth: int | None) -> frozenset[str]:
    found: set[str] = set()
    front: Iterable[str] = set(keys)
    steps = 0
    while front and (depth is None or steps < depth):
        front = {name for key in front for name in neighbours(key)} - found
        found |= front
        steps += 1
    return frozenset(found)
