"""What partitions read: the values that links give, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from nbpipe import clock
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.chunks import PartitionFacts, whole_facts
from nbpipe.core.partitions.inputs import Inputs as Fingerprints
from nbpipe.core.partitions.links import WHOLE, Link
from nbpipe.core.partitions.ranges import range_texts
from nbpipe.core.partitions.sets import Position
from nbpipe.core.partitions.subsets import PartitionSubset, difference, families_of, intersection
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Materialization
from nbpipe.errors import MissingValueError
from nbpipe.kernel.executions import AssetCell
from nbpipe.kernel.values import Values, label, missing_partitions

Positions: TypeAlias = Mapping[str, Mapping[str, Position]]
"""By asset, and by key; the key of an asset without partitions is empty."""

#: Where an asset without partitions is.
WHOLE_POSITION: Position = ((), 0)


class Fed(msgspec.Struct, frozen=True):
    """What feeds some partitions by one link."""

    present: PartitionSubset
    """With a value."""
    missing: PartitionSubset
    """Without one that would have to have one."""


class Recorded(msgspec.Struct, frozen=True):
    """What is kept of the inputs of one partition."""

    data_versions: Mapping[str, str]
    versions: Mapping[str, int]
    """Of those inputs that are one value."""
    fingerprint: int


class Sources:
    """The links of an asset, and what is known of everything upstream at one moment."""

    def __init__(self, store: StateStore, env: str, book: PartitionBook, spec: AssetSpec) -> None:
        """Look at the upstream of an asset."""
        self._store, self._env = store, env
        self.links: Mapping[str, Link] = {link.upstream: link for link in book.links(spec)}
        self.refresh()

    def refresh(self) -> None:
        """Look again: values may have been committed."""
        self.now = clock.now()
        whole = [name for name, link in self.links.items() if link.up == WHOLE]
        states = self._store.states(self._env, whole) if whole else {}
        self.facts: dict[str, PartitionFacts] = {}
        for name, link in self.links.items():
            if link.up == WHOLE:
                current = states[name].current if name in states else None
                self.facts[name] = whole_facts(current.stored.data_version if current else None)
            else:
                self.facts[name] = self._store.partitions.facts(self._env, name)
        self._all = Fingerprints([(link, self.facts[name]) for name, link in self.links.items()], self.now)
        self._each = {name: Fingerprints([(link, self.facts[name])], self.now) for name, link in self.links.items()}

    def fed(self, name: str, positions: Iterable[Position]) -> Fed:
        """Return what feeds partitions by the link to one upstream."""
        link, facts = self.links[name], self.facts[name]
        above = link.upstream_of(PartitionSubset(link.down, families_of(positions)), self.now).families
        present = intersection(above, facts.materialized)
        missing = {} if link.lenient else difference(above, facts.executed)
        return Fed(PartitionSubset(link.up, present), PartitionSubset(link.up, missing))

    def fingerprint(self, position: Position) -> int:
        """Return what stands for all inputs of a partition."""
        return self._all.fingerprint(*position)

    def version(self, name: str, position: Position) -> str:
        """Return what stands for the data of one upstream."""
        return self._each[name].text(*position)


class LinkedInputs:
    """The values that feed some partitions of a cell, or a cell without partitions that reads some. See `Inputs`."""

    def __init__(
        self, values: Values, cell: AssetCell, sources: Mapping[str, Sources], positions: Positions, *, ranged: bool
    ) -> None:
        """Load them.

        Args:
            values: loads them.
            cell: the cell.
            sources: by asset of the cell.
            positions: of what is to be executed.
            ranged: the body is written for many partitions: it gets dicts.

        Raises:
            MissingValueError: something upstream has no value.
        """
        self._values, self._cell, self._sources = values, cell, sources
        self._positions = positions
        self._ranged = ranged
        self._concat = dict(cell.specs[0].options.concat)
        self._found: dict[tuple[str, Position], Materialization] = {}
        self._first: dict[str, Any] | None = self._load()

    def narrow(self, keys: Container[str]) -> None:
        """Give another attempt only what feeds these partitions."""
        self._positions = {
            asset: {key: position for key, position in found.items() if key in keys}
            for asset, found in self._positions.items()
        }

    def take(self) -> dict[str, Any]:
        """See `Inputs`."""
        found, self._first = self._first, None
        return self._load() if found is None else found

    def recorded_of(self, asset: str, position: Position) -> Recorded:
        """Return what is to be kept of the inputs of one partition of an asset of the cell."""
        sources = self._sources[asset]
        data, versions = {}, {}
        for name, link in sources.links.items():
            one = self._only(sources, name, link, position)
            if one is not None:
                data[name], versions[name] = one.stored.data_version, one.version
            else:
                data[name] = sources.version(name, position)
        return Recorded(data, versions, sources.fingerprint(position))

    def _only(self, sources: Sources, name: str, link: Link, position: Position) -> Materialization | None:
        """Return the one value that can feed a partition: what is recorded by itself."""
        if link.up == WHOLE:
            return self._found.get((name, WHOLE_POSITION))
        if link.down == WHOLE or not link.single:
            return None
        above = sources.fed(name, [position]).present.positions()
        return next((self._found.get((name, each)) for each in above), None)

    def _load(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for asset, sources in self._sources.items():
            for name, link in sources.links.items():
                if name not in found:
                    found[name] = self._value(asset, name, link)
        return found

    def _value(self, asset: str, name: str, link: Link) -> Any:
        if link.up == WHOLE:
            self._found[name, WHOLE_POSITION], value = self._values.load_kept(name, reader=self._cell.name)
            return value
        fed = self._sources[asset].fed(name, self._positions[asset].values())
        if fed.missing:
            raise MissingValueError(lacking(name, fed.missing, self._reader(asset)))
        found = {}
        for position in fed.present.positions():
            key = link.up.key(position)
            self._found[name, position], found[key] = self._values.load_partition(name, key, position)
        if name in self._concat:
            from nbpipe.kernel.partitions.tables import one_table

            return one_table(name, found, self._concat[name])
        if link.single and not self._ranged:
            return next(iter(found.values()), None)
        return found

    def _reader(self, asset: str) -> str:
        keys = list(self._positions[asset])
        return label(asset, keys[0]) if len(keys) == 1 else f"asset {asset}"


def lacking(upstream: str, missing: PartitionSubset, reader: str) -> str:
    """Say which upstream partitions have no value, and the command that makes them."""
    texts = range_texts(missing)
    first = next(iter(missing))
    return missing_partitions(upstream, first, len(missing), texts[0] if len(texts) == 1 else first, reader)
