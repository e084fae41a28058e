"""What follows from facts, definitions and the time: which partitions are missing, stale, failed, running, skipped.

All of it is algebra of bitmaps and columns; no key is made or looked at. A partition is *out of date* if it was
executed (materialized or skipped) by another recipe or with other inputs than today's; *stale* if it is out of date or
fed by one that is missing, failed or stale. A partition that was rolled back is held: it is neither, until it is
executed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.carrying import carried
from nbpipe.core.partitions.chunks import PartitionFacts
from nbpipe.core.partitions.comparing import Compared, compare, is_family
from nbpipe.core.partitions.counts import PartitionCounts
from nbpipe.core.partitions.links import WHOLE, Link
from nbpipe.core.partitions.sets import PartitionSet
from nbpipe.core.partitions.subsets import (
    Families,
    PartitionSubset,
    compact,
    difference,
    everything,
    intersection,
    size,
    union,
)
from nbpipe.core.selection import AssetStatus

PartitionStatus: TypeAlias = Literal["running", "failed", "missing", "stale", "skipped", "fresh"]
STATUSES: tuple[PartitionStatus, ...] = ("running", "failed", "missing", "stale", "skipped", "fresh")
UNSOUND_STATUSES: tuple[PartitionStatus, ...] = ("missing", "failed", "stale")
"""What a run or a backfill can be asked to make good, in the order in which it is written."""

_NONE: Families = MappingProxyType({})
_NO_FACTS = PartitionFacts({})


class AssetPartitions(msgspec.Struct, frozen=True, kw_only=True):
    """One asset as its definition and the store say."""

    asset: str
    of: PartitionSet = WHOLE
    """Its partitions; `WHOLE` for none."""
    facts: PartitionFacts = _NO_FACTS
    drift: Mapping[int, tuple[str, ...]] = MappingProxyType({})
    """Why each recipe is no longer today's, by its number; nothing for today's. One that is not named here is not."""
    notes: Mapping[int, tuple[str, ...]] = MappingProxyType({})
    """What is worth knowing of each recipe, by its number."""
    links: tuple[Link, ...] = ()
    """To every upstream that gives data, itself included if it reads earlier partitions of its own."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What an asset is to those that read it."""

    facts: PartitionFacts = _NO_FACTS
    missing: Families = _NONE
    """Never executed; may have failed."""
    failed: Families = _NONE
    unsound: Families = _NONE
    """Missing, failed or stale, whatever a run does: what makes downstream stale."""


class PartitionState(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Which partitions of an asset are what. Bitmaps of `status` have nothing in common, and cover `total`."""

    asset: AssetPartitions
    total: Families
    """Of time, windows that have ended, and those that were touched before."""
    materialized: Families
    held: Families
    """Rolled back: neither stale nor failed, until executed again."""
    status: Mapping[PartitionStatus, Families]
    recipe_changed: Families
    """Executed with other code, parameters or files."""
    inputs_changed: Families
    """Executed with other inputs."""
    above: Mapping[str, Families]
    """By upstream: executed, and fed by what is missing, failed or stale."""
    standing: Standing
    upstream: Mapping[str, Standing]
    """What its upstreams are, without itself."""
    now: datetime
    """When this was so."""
    compared: Compared
    """Also of what is held."""

    @property
    def of(self) -> PartitionSet:
        """Return the set of partitions."""
        return self.asset.of

    @property
    def unsound(self) -> Families:
        """Return what is missing, failed or stale, whatever a run does: what makes downstream stale."""
        return self.standing.unsound

    @cached_property
    def counts(self) -> PartitionCounts:
        """Return how many there are of each."""
        numbers = {name: size(self.status[name]) for name in STATUSES}
        return PartitionCounts(total=size(self.total), materialized=size(self.materialized), **numbers)

    def subset(self, *statuses: PartitionStatus) -> PartitionSubset:
        """Return the partitions that have one of some statuses."""
        found = _NONE
        for name in statuses:
            found = union(found, self.status[name])
        return PartitionSubset(self.of, found)

    def out_of_date(self) -> PartitionSubset:
        """Return the partitions that were executed with other code, parameters, files or inputs."""
        return PartitionSubset(self.of, union(self.recipe_changed, self.inputs_changed))

    def status_of(self, key: str) -> PartitionStatus | None:
        """Return the status of a partition; None if its window has not ended.

        Raises:
            UnknownNameError: it is no key of the set.
        """
        outer, inner = self.of.position(key)
        return next((name for name in STATUSES if inner in self.status[name].get(outer, ())), None)

    @property
    def asset_status(self) -> AssetStatus:
        """Return the one status of the asset that its partitions make."""
        if self.status["running"]:
            return "running"
        if self.status["failed"]:
            return "failed"
        if not self.materialized:
            return "missing"
        if self.status["stale"]:
            return "stale"
        return "missing" if self.status["missing"] else "fresh"


def assess_partitions(assets: Iterable[AssetPartitions], now: datetime) -> dict[str, PartitionState]:
    """Assess assets, each after all of its upstreams; return their states by name.

    An upstream that is not among `assets` counts as sound, with no data.
    """
    found: dict[str, PartitionState] = {}
    for asset in assets:
        found[asset.asset] = assess_asset(asset, {name: state.standing for name, state in found.items()}, now)
    return found


def assess_asset(
    asset: AssetPartitions, standings: Mapping[str, Standing], now: datetime, before: PartitionState | None = None
) -> PartitionState:
    """Assess the partitions of one asset, from what its upstreams are; faster with an earlier state of it."""
    upstream = {link.upstream: standings.get(link.upstream, Standing()) for link in _others(asset)}
    touched = asset.facts.families(lambda chunk: chunk.executed | chunk.failed | chunk.running)
    total = union(everything(asset.of, now).families, _within(asset.of, touched))
    executed = intersection(asset.facts.executed, total)
    held = intersection(asset.facts.families(lambda chunk: chunk.held), total)
    judged = difference(executed, held)
    recipe = intersection(_recipe_changed(asset), judged)
    above_facts = {**{name: standing.facts for name, standing in upstream.items()}, asset.asset: asset.facts}
    sources = tuple((link, above_facts[link.upstream]) for link in asset.links)
    compared = compare(asset.of, asset.facts, sources, now, before.compared if before else None)
    inputs = intersection(compared.found, judged)
    failed = difference(intersection(asset.facts.families(lambda chunk: chunk.failed), total), held)
    missing = difference(total, executed)
    above = {
        link.upstream: intersection(fed_by(link, troubling(link, upstream[link.upstream]), now), judged)
        for link in _others(asset)
    }
    unsound = union(union(missing, failed), union(recipe, inputs))
    for reached in above.values():
        unsound = union(unsound, reached)
    for link in asset.links:
        if link.upstream == asset.asset:
            reached = carried(link, unsound, judged, now)
            above[link.upstream] = reached
            unsound = union(unsound, reached)
    return PartitionState(
        asset=asset,
        total=total,
        materialized=intersection(asset.facts.materialized, total),
        held=held,
        status=_statuses(asset.facts, total, failed, missing, unsound),
        recipe_changed=recipe,
        inputs_changed=inputs,
        above=MappingProxyType({name: reached for name, reached in above.items() if reached}),
        standing=Standing(facts=asset.facts, missing=missing, failed=failed, unsound=unsound),
        upstream=MappingProxyType(upstream),
        now=now,
        compared=compared,
    )


def troubling(link: Link, above: Standing) -> Families:
    """Return the partitions of an upstream that make stale what they feed; `all` does not wait for missing ones."""
    return difference(above.unsound, difference(above.missing, above.failed)) if link.lenient else above.unsound


def fed_by(link: Link, above: Families, now: datetime) -> Families:
    """Return the partitions of the asset that some partitions of an upstream feed."""
    return link.downstream_of(PartitionSubset(link.up, above), now).families if above else _NONE


def _others(asset: AssetPartitions) -> list[Link]:
    return [link for link in asset.links if link.upstream != asset.asset]


def _statuses(
    facts: PartitionFacts, total: Families, failed: Families, missing: Families, unsound: Families
) -> Mapping[PartitionStatus, Families]:
    """Give each partition its first status in the order of `STATUSES`."""
    wanted: dict[PartitionStatus, Families] = {
        "running": facts.families(lambda chunk: chunk.running),
        "failed": failed,
        "missing": missing,
        "stale": unsound,
        "skipped": facts.families(lambda chunk: chunk.skipped),
        "fresh": total,
    }
    left = total
    found: dict[PartitionStatus, Families] = {}
    for name in STATUSES:
        found[name] = intersection(wanted[name], left)
        left = difference(left, found[name])
    return MappingProxyType(found)


def _recipe_changed(asset: AssetPartitions) -> Families:
    today = {number for number, reasons in asset.drift.items() if not reasons}
    return asset.facts.families(
        lambda chunk: BitMap.union(BitMap(), *(bitmap for number, bitmap in chunk.codes if number not in today))
    )


def _within(of: PartitionSet, families: Families) -> Families:
    inner = of.dimensions[of.inner]
    return compact({outer: inner.within(bitmap) for outer, bitmap in families.items() if is_family(of, outer)})
