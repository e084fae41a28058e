"""From a selection to what a backfill does: which partitions, in how many runs, and whether that works at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec

from nbpipe import clock
from nbpipe.commands.backfill_project import parameters_of, present, request_for
from nbpipe.commands.backfill_results import BackfillDraft, planned_asset
from nbpipe.commands.workspace import Workspace
from nbpipe.core.backfills.blocks import Block, blocks_of
from nbpipe.core.backfills.orders import Orders
from nbpipe.core.backfills.records import Backfill, Portion
from nbpipe.core.backfills.targets import Asked, Targets, choose
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.parameters import canonical
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.subsets import PartitionSubset, nothing
from nbpipe.core.runs.parameter_checks import parameters_for
from nbpipe.core.runs.partition_refusals import when
from nbpipe.core.runs.planning import plan_run
from nbpipe.core.runs.refusals import refuse_broken
from nbpipe.errors import RefusedError, UsageError

_NONE: Mapping[str, Any] = MappingProxyType({})
_MANY = 1_000
"""Runs from which on it is said that fewer would do: each takes seconds to start."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for."""

    selection: str
    asked: Asked
    single_run: bool = False
    parameters: Mapping[str, Any] = _NONE
    parallel: int | None = None

    def nothing(self) -> BackfillDraft:
        """Return a backfill that does nothing."""
        words = self.asked.words
        return BackfillDraft(selection=self.selection, partitions=words, total=0, runs=0, assets=(), notes=())


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill about to be recorded."""

    wish: Wish
    specs: tuple[AssetSpec, ...]
    """Selected assets of which something is executed, in topological order."""
    targets: Targets
    blocks: tuple[Block, ...]

    @property
    def runs(self) -> int:
        """Return how many runs it takes if nothing fails."""
        return sum(_runs(block, self.targets.subsets) for block in self.blocks)

    def summary(self) -> BackfillDraft:
        """Return what a person or program is told of it."""
        return BackfillDraft(
            selection=self.wish.selection,
            partitions=self.wish.asked.words,
            total=self.targets.total,
            runs=self.runs,
            assets=tuple(planned_asset(key, subset) for key, subset in self.targets.subsets.items()),
            notes=(*self.targets.notes, *self._many()),
        )

    def _many(self) -> tuple[str, ...]:
        """Say that many runs are for one partition each, where that is so."""
        single = [block for block in self.blocks if block.size == 1 and block.of != WHOLE]
        number = sum(_runs(block, self.targets.subsets) for block in single)
        if number < _MANY:
            return ()
        several = "--single-run, or --backfill N in the cell, takes several at once"
        return (f"{number:,} runs, one for each partition: {several}",)


def draft(workspace: Workspace, wish: Wish) -> Draft:
    """Decide what a backfill executes; nothing is recorded.

    Raises:
        UsageError: nothing is selected, or nothing was said of the partitions.
        SelectionError: the selection can't be read.
        UnknownNameError: it names something that does not exist.
        DeclarationError: the range can't be read.
        RefusedError: it can't be run as things stand.
        ParameterError: a parameter is unknown or of a wrong type.
    """
    if not wish.selection:
        raise UsageError("nothing is selected: name assets, or write '*' for all")
    wish.asked.check()
    now = clock.now()
    chosen = _with_siblings(workspace, workspace.select(wish.selection))
    specs = tuple(workspace.definitions.assets[key] for key in chosen)
    _check_parameters(workspace, specs, wish.parameters)
    given = {name: canonical(value) or repr(value) for name, value in wish.parameters.items()} or None
    _refuse_broken(workspace, specs)
    whole = [spec.key for spec in specs if spec.options.partitions is None]
    assessed = workspace.assess(given) if whole else {}
    targets = choose(
        specs,
        workspace.book,
        wish.asked,
        states=workspace.partition_states(given),
        whole={key: assessed[key].status for key in whole},
        now=now,
    )
    if targets.notes and not targets.subsets:
        told = "; ".join(targets.notes)
        raise RefusedError(f"nothing can be executed: {told}; select what they need too, or repair what failed")
    if not targets.subsets:
        targets = msgspec.structs.replace(targets, notes=_empty(workspace, specs, now))
    specs = tuple(spec for spec in specs if spec.key in targets.subsets)
    blocks, _ = blocks_of(specs, workspace.book, single_run=wish.single_run)
    found = Draft(wish=wish, specs=specs, targets=targets, blocks=blocks)
    _refuse_impossible(workspace, found)
    return found


def record(workspace: Workspace, wish: Wish) -> tuple[Backfill | None, Draft]:
    """Record a backfill, which nobody works on yet; None if there is nothing to do. See `draft` for errors."""
    now = clock.now()
    kept = workspace.store.backfills
    for key in _with_siblings(workspace, workspace.select(wish.selection)):
        if workspace.definitions.blocked(key) is None:
            workspace.book.register(key, at=now)  # what is recorded is by position
    found = draft(workspace, wish)
    if not found.targets.subsets:
        return None, found
    backfill = Backfill(
        id=clock.new_id(),
        env=workspace.env,
        selection=wish.selection,
        partitions=wish.asked.words,
        assets=tuple(found.targets.subsets),
        parameters=dict(wish.parameters),
        total=found.targets.total,
        created_at=now,
    )
    declared = {spec.key: spec.options.partitions for spec in found.specs}
    orders = Orders(
        sets={key: text for key, text in declared.items() if text is not None},
        single_run=wish.single_run,
        parallel=wish.parallel,
    )
    requested = {key: Portion(requested=subset.families) for key, subset in found.targets.subsets.items()}
    kept.create(backfill, requested, msgspec.json.encode(orders))
    return backfill, found


def _empty(workspace: Workspace, specs: tuple[AssetSpec, ...], now: datetime) -> tuple[str, ...]:
    """Say of selected sets without partitions when they will have some."""
    sets = {spec.key: workspace.book.of(spec.key) for spec in specs}
    return tuple(
        f"{key} has no partitions yet: {when(of, now)}"
        for key, of in sets.items()
        if of is not None and not of.count(now)
    )


def _with_siblings(workspace: Workspace, keys: tuple[str, ...]) -> tuple[str, ...]:
    assets = workspace.definitions.assets
    return workspace.graph.arrange({other for key in keys for other in assets[key].siblings if other in assets})


def _check_parameters(workspace: Workspace, specs: tuple[AssetSpec, ...], parameters: Mapping[str, Any]) -> None:
    paths = sorted({spec.cell.notebook for spec in specs})
    if parameters and paths:
        parameters_for([workspace.definitions.notebooks[path] for path in paths], parameters)


def _refuse_broken(workspace: Workspace, specs: tuple[AssetSpec, ...]) -> None:
    refuse_broken(workspace.definitions, workspace.graph, [spec.key for spec in specs])


def _refuse_impossible(workspace: Workspace, found: Draft) -> None:
    """Refuse now what planning the runs would refuse later, one run after the other."""
    there = present(workspace) | {spec.key for spec in found.specs}
    for block in found.blocks:
        partitions = {key: found.targets.subsets[key] for key in block.assets}
        plan_run(
            workspace.definitions,
            workspace.graph,
            partitions,
            env=workspace.env,
            materialized=there,
            selection=found.wish.selection,
            parameters=parameters_of(workspace, found.wish.parameters, partitions),
            partitions=request_for(workspace, tuple(found.targets.subsets), partitions),
        )


def _runs(block: Block, subsets: Mapping[str, PartitionSubset]) -> int:
    if block.size is None:
        return 1
    keys = nothing(block.of)
    for key in block.assets:
        keys = keys | PartitionSubset(block.of, subsets[key].families)
    return -(-len(keys) // block.size)
