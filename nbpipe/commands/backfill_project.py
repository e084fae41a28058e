"""A workspace as a backfill needs it: what is saved when a run is planned counts, and plans are made once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nbpipe import clock
from nbpipe.commands.partition_requests import executed
from nbpipe.commands.workspace import Workspace
from nbpipe.core.backfills.edges import edges_of
from nbpipe.core.backfills.records import Backfill
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.book import PartitionBook
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.ranges import range_texts
from nbpipe.core.partitions.subsets import Families, PartitionSubset
from nbpipe.core.runs.partition_choice import translated
from nbpipe.core.runs.partition_plans import PartitionRequest
from nbpipe.core.runs.planning import plan_run
from nbpipe.core.selection import quoted
from nbpipe.daemon.backfill_parts import PlannedRun

#: Seconds for which a look at the saved notebooks counts: runs of seconds need no more.
_FRESH = 1.0


class SavedProject:
    """See `BackfillProject`."""

    def __init__(self, workspace: Workspace) -> None:
        """Work on the notebooks of a workspace, as they are saved whenever a run is planned."""
        self._workspace = workspace
        self._looked: float | None = None
        self._known: dict[tuple[str, ...], PlannedRun] = {}
        self._made_from = workspace.definitions

    def specs(self, assets: Sequence[str]) -> tuple[AssetSpec, ...]:
        """See `BackfillProject`."""
        workspace = self._workspace
        found = {key: workspace.asset(key) for key in assets}
        return tuple(found[key] for key in workspace.graph.arrange(found))

    def book(self) -> PartitionBook:
        """See `BackfillProject`."""
        return self._workspace.book

    def there(self) -> Mapping[str, Families]:
        """See `BackfillProject`."""
        workspace = self._workspace
        if workspace.is_untouched:
            return {}
        kept, specs = workspace.store.partitions, workspace.definitions.assets.values()
        return {
            spec.key: kept.facts(workspace.env, spec.key).materialized
            for spec in specs
            if spec.options.partitions is not None
        }

    def plan(self, backfill: Backfill, partitions: Mapping[str, PartitionSubset]) -> PlannedRun:
        """See `BackfillProject`."""
        self._look_again()
        keys = tuple(partitions)
        if keys not in self._known:
            self._known[keys] = self._planned(backfill, partitions)
        known = self._known[keys]
        book = self._workspace.book
        siblings = {spec.key: spec.siblings for spec in known.plan.assets}
        texts = {key: range_texts(_of(book, key, siblings[key], partitions)) for key in known.plan.partitions}
        return msgspec.structs.replace(known, plan=msgspec.structs.replace(known.plan, partitions=texts))

    def _look_again(self) -> None:
        now = clock.monotonic()
        if self._looked is not None and now - self._looked < _FRESH:
            return
        self._workspace.reload()
        self._looked = clock.monotonic()
        if self._workspace.definitions is not self._made_from:
            self._made_from = self._workspace.definitions
            self._known.clear()

    def _planned(self, backfill: Backfill, partitions: Mapping[str, PartitionSubset]) -> PlannedRun:
        workspace = self._workspace
        self.specs(tuple(partitions))  # one that is gone is named
        plan = plan_run(
            workspace.definitions,
            workspace.graph,
            partitions,
            env=backfill.env,
            materialized=present(workspace) | {*backfill.assets},
            selection=" ".join(map(quoted, partitions)),
            parameters=parameters_of(workspace, backfill.parameters, partitions),
            partitions=request_for(workspace, backfill.assets, partitions),
        )
        return PlannedRun(
            plan=plan, definitions=workspace.definitions, sources=workspace.project.sources(plan.notebooks)
        )


def request_for(
    workspace: Workspace, assets: Sequence[str], partitions: Mapping[str, PartitionSubset]
) -> PartitionRequest:
    """Ask for exactly these partitions; what the backfill makes besides is taken to be there."""
    roots = {key: subset for key, subset in partitions.items() if subset.of != WHOLE}
    there = executed(workspace, tuple(partitions))
    now = clock.now()
    book = workspace.book
    for spec in (workspace.definitions.assets[key] for key in partitions):
        for edge in edges_of(spec, book):
            above = edge.upstream
            if above in assets and above not in roots and book.of(above) is not None:
                there[above] = there[above] | edge.waits.upstream_of(partitions[spec.key], now)
    return PartitionRequest(book=book, roots=roots, executed=there, now=now, strict=False)


def present(workspace: Workspace) -> set[str]:
    """Return the assets without partitions that have a value."""
    return {key for key, state in workspace.states().items() if state.current is not None}


def parameters_of(workspace: Workspace, given: Mapping[str, Any], assets: Iterable[str]) -> dict[str, Any]:
    """Return those parameters that the notebooks of some assets take."""
    definitions = workspace.definitions
    notebooks = {definitions.assets[key].cell.notebook for key in assets}
    known = {parameter.name for path in notebooks for parameter in definitions.notebooks[path].parameters}
    return {name: value for name, value in given.items() if name in known}


def _of(
    book: PartitionBook, key: str, siblings: Sequence[str], partitions: Mapping[str, PartitionSubset]
) -> PartitionSubset:
    """Return the partitions of an asset; of one that only comes along, those of one that its cell makes too."""
    source = key if key in partitions else next(each for each in siblings if each in partitions)
    return translated(book, source, partitions[source], key, clock.now())
