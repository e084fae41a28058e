"""Judges the assets of a project that have partitions, and what they are to assets that have none.

What is judged is remembered by what it was made from, so that after a change only the assets that it concerns are
judged again. See `core.staleness.assess`, which asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias

from pyroaring import BitMap

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.drift import Made, Told
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.chunks import PartitionFacts, whole_facts
from nbpipe.core.partitions.explaining import asset_notes, asset_reasons
from nbpipe.core.partitions.inputs import is_same_data, link_version
from nbpipe.core.partitions.links import WHOLE, Link
from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.sets import PartitionSet
from nbpipe.core.partitions.state import AssetPartitions, PartitionState, Standing, assess_asset, troubling
from nbpipe.core.partitions.subsets import Families, PartitionSubset, intersection
from nbpipe.core.reasons import NEVER
from nbpipe.core.records import AssetState
from nbpipe.core.staleness import Assessment, trouble_of
from nbpipe.errors import NbpipeError

_ONE: Families = {(): BitMap((0,))}
"""All of an asset without partitions."""

_Told: TypeAlias = tuple[PartitionState, tuple[str, ...], tuple[str, ...]]
Memory: TypeAlias = dict[str, tuple["_Made", _Told]]
"""By asset, the latest state and what it follows from. May be shared by all that look at one project."""


class Kept(Protocol):
    """What is kept of partitions."""

    def facts(self, asset: str) -> PartitionFacts:
        """See `PartitionStore.facts`."""

    def recipes(self, asset: str) -> Mapping[int, Recipe]:
        """See `PartitionStore.recipes`."""


class _Made(NamedTuple):
    """What a state follows from: equal ones give equal states."""

    asset: AssetPartitions
    upstream: tuple[Standing, ...]
    windows: tuple[int | None, ...]
    """The last complete window of each dimension that matters."""


class AssessedPartitions:
    """Judges assets with partitions, one after the other in topological order; see `staleness.PartitionedAssets`."""

    def __init__(self, book: PartitionBook, kept: Kept, now: datetime, memory: Memory) -> None:
        """Judge at one moment.

        Args:
            book: the sets and links of the project.
            kept: what is known of partitions.
            now: which windows have ended.
            memory: of earlier judgements; filled.
        """
        self._book, self._kept, self._now, self._memory = book, kept, now, memory
        self.states: dict[str, PartitionState] = {}
        """What was judged; assets whose declaration can't be used are left out."""

    def has(self, asset: str) -> bool:
        """See `PartitionedAssets`."""
        return self._book.has(asset)

    def assess(
        self,
        spec: AssetSpec,
        drift: Callable[[Made], Told],
        found: Mapping[str, Assessment],
        states: Mapping[str, AssetState],
    ) -> Assessment:
        """See `PartitionedAssets`."""
        try:
            made = self._made(spec, drift, found, states)
        except NbpipeError as error:  # its declaration can't be used: `validate` says where
            return Assessment(asset=spec.key, status="missing", reasons=(str(error),), out_of_date=True, stale=True)
        known = self._memory.get(spec.key)
        if known is None or known[0] != made:
            standings = dict(zip((link.upstream for link in made.asset.links), made.upstream, strict=True))
            state = assess_asset(made.asset, standings, self._now, known[1][0] if known else None)
            known = self._memory[spec.key] = made, (state, asset_reasons(state), asset_notes(state))
        state, reasons, notes = known[1]
        self.states[spec.key] = state
        return Assessment(
            asset=spec.key,
            status=state.asset_status,
            reasons=reasons,
            notes=notes,
            out_of_date=bool(state.standing.missing or state.standing.failed or state.out_of_date()),
            stale=bool(state.unsound),
            partitions=state.counts,
        )

    def version(self, spec: AssetSpec, upstream: str, recorded: str) -> str:
        """See `PartitionedAssets`."""
        if self._fed(spec, upstream) is None:
            return ""
        link, facts = self._book.link(spec, upstream), self.states[upstream].asset.facts
        if recorded and is_same_data(link, facts, ((), 0), recorded, self._now):
            return recorded
        return link_version(link, facts, (), 0, self._now)

    def trouble(self, spec: AssetSpec, upstream: str) -> str:
        """See `PartitionedAssets`."""
        fed = self._fed(spec, upstream)
        if fed is None:
            return "is missing"
        state = self.states[upstream]
        above = intersection(fed.families, troubling(self._book.link(spec, upstream), state.standing))
        if not above:
            return "" if intersection(fed.families, state.total) else "is missing"
        if intersection(above, state.standing.failed):
            return "failed"
        return "is missing" if intersection(above, state.standing.missing) else "is stale"

    def _fed(self, spec: AssetSpec, upstream: str) -> PartitionSubset | None:
        """Return the partitions that feed an asset without partitions; None if that can't be said."""
        if upstream not in self.states:
            return None
        try:
            link = self._book.link(spec, upstream)
        except NbpipeError:
            return None
        return link.upstream_of(PartitionSubset(WHOLE, _ONE), self._now)

    def _made(
        self,
        spec: AssetSpec,
        drift: Callable[[Made], Told],
        found: Mapping[str, Assessment],
        states: Mapping[str, AssetState],
    ) -> _Made:
        of = self._book.of(spec.key) or WHOLE
        links = self._book.links(spec)
        facts, recipes = self._kept.facts(spec.key), self._kept.recipes(spec.key)
        told = {number: drift(recipes[number]) for number in sorted(facts.recipes) if number in recipes}
        asset = AssetPartitions(
            asset=spec.key,
            of=of,
            facts=facts,
            drift={number: reasons for number, (reasons, _) in told.items()},
            notes={number: notes for number, (_, notes) in told.items() if notes},
            links=links,
        )
        upstream = tuple(self._standing(link, spec.key, found, states) for link in links)
        return _Made(asset, upstream, _windows((of, *(link.up for link in links)), self._now))

    def _standing(
        self, link: Link, reader: str, found: Mapping[str, Assessment], states: Mapping[str, AssetState]
    ) -> Standing:
        name = link.upstream
        if name == reader:
            return Standing()
        if name in self.states:
            return self.states[name].standing
        if self.has(name) or name not in found:  # its declaration can't be used, or it is not among those asked about
            return Standing()
        state, trouble = states.get(name), trouble_of(found[name])
        current = state.current if state is not None else None
        return Standing(
            facts=whole_facts(current.stored.data_version if current else None),
            missing=_ONE if NEVER in found[name].reasons else {},
            failed=_ONE if trouble == "failed" else {},
            unsound=_ONE if trouble else {},
        )


def _windows(sets: tuple[PartitionSet, ...], now: datetime) -> tuple[int | None, ...]:
    return tuple(part.latest(now) for of in sets for part in of.dimensions)
