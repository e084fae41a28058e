"""The sets of a project's partitioned assets with the ordinals that the store gave, and the links between them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.layouts import check_layout, keep_layout
from nbpipe.core.partitions.sets import ListedDimension, PartitionSet, registry_name
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.core.ports.partitions import PartitionStore

if TYPE_CHECKING:
    from nbpipe.core.partitions.links import Link
    from nbpipe.core.partitions.mapping_syntax import MappingRule


class PartitionBook:
    """Looks up partition sets and links; asks the store once for each list of keys."""

    def __init__(self, declared: Mapping[str, str], store: PartitionStore | None, env: str) -> None:
        """Work on declared partitions.

        Args:
            declared: SPEC by asset, for assets with partitions alone; those that are read too.
            store: None where nothing was ever stored: keys have the ordinals of their declaration.
            env: name of the environment.
        """
        self._declared = declared
        self._store = store
        self._env = env
        self._sets: dict[str, PartitionSet] = {}
        self._fitting: set[str] = set()

    def has(self, asset: str) -> bool:
        """Return whether an asset has partitions, well declared or not."""
        return asset in self._declared

    def of(self, asset: str) -> PartitionSet | None:
        """Return the partitions of an asset; None if it has none.

        Raises:
            RefusedError: what is stored of it belongs to other partitions, see `layouts`.
        """
        if asset not in self._declared:
            return None
        if asset not in self._sets:
            self._sets[asset] = self._registered(asset, parse_partitions(self._declared[asset]))
        return self._sets[asset]

    def link(self, spec: AssetSpec, upstream: str) -> Link:
        """Return the link from an asset to one that it depends on, or to itself.

        Raises:
            DeclarationError: the mapping doesn't fit.
        """
        from nbpipe.core.partitions.fitting import link, own_link  # assets that read nothing do without

        rule = rule_for(spec, upstream)
        if upstream == spec.key:
            return own_link(upstream, self.of(upstream), rule)
        return link(upstream, self.of(upstream), self.of(spec.key), rule)

    def links(self, spec: AssetSpec) -> tuple[Link, ...]:
        """Return the links of an asset to everything whose values it reads, in the order of `inputs`."""
        return tuple(self.link(spec, upstream) for upstream in spec.inputs)

    def register(self, asset: str, *, at: datetime) -> None:
        """Give the static keys of an asset their ordinals for ever: before anything is written by position.

        Raises:
            RefusedError: what is stored of it belongs to other partitions, see `layouts`.
        """
        of = self.of(asset)
        if of is None or self._store is None:
            return
        if asset not in self._fitting:
            keep_layout(self._store, self._env, asset, of, at=at)
        for part in of.dimensions:
            if isinstance(part, ListedDimension) and not part.source:
                known = self._store.keys(self._env, registry_name(part), asset=asset)
                if not all(key in known.ordinals for key in part.keys):
                    self._store.add_keys(self._env, registry_name(part), part.keys, at=at, asset=asset)
        del self._sets[asset]

    def forget(self) -> None:
        """Ask the store again: keys may have been added or removed."""
        self._sets.clear()

    def _registered(self, asset: str, declared: PartitionSet) -> PartitionSet:
        if self._store is None:
            return declared
        if asset not in self._fitting and check_layout(self._store, self._env, asset, declared):
            self._fitting.add(asset)  # it stays: it changes with the declaration alone
        found = {}
        for part in declared.dimensions:
            if isinstance(part, ListedDimension):
                owner = "" if part.source else asset
                found[registry_name(part)] = self._store.keys(self._env, registry_name(part), asset=owner)
        return declared.with_registries(found) if found else declared


def rule_for(spec: AssetSpec, upstream: str) -> MappingRule | None:
    """Return the mapping that `--map` gives for an upstream; None if there is none."""
    text = dict(spec.options.map).get(upstream)
    if text is None:
        return None
    from nbpipe.core.partitions.mapping_syntax import parse_mapping

    return parse_mapping(text)
