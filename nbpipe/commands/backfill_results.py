"""Backfills as commands report them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from nbpipe.commands.workspace import Workspace
from nbpipe.core.backfills.records import Backfill, BackfillStatus, Portion
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.ranges import range_texts
from nbpipe.core.partitions.sets import PartitionSet
from nbpipe.core.partitions.subsets import Families, PartitionSubset, difference, union
from nbpipe.core.records import RunStatus

#: So many ranges of one asset are named; the numbers say how many partitions there are.
_RANGES = 1_000
_RUNS = 20
_ERRORS = 20


class BackfillRow(msgspec.Struct, frozen=True, kw_only=True):
    """One backfill of a listing. The last five numbers add up to `total`."""

    id: str | None
    """None: there was nothing to do, so nothing was recorded."""
    status: BackfillStatus
    """`queued`: nobody works on it."""
    selection: str
    partitions: str
    """What was asked for, in words."""
    assets: tuple[str, ...]
    total: int
    done: int
    failed: int
    skipped: int
    lost: int
    """Not tried, because something upstream failed."""
    left: int
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None


class BackfillAsset(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one asset in a backfill. Ranges are at most a thousand; an asset without partitions has none."""

    asset: str
    total: int
    done: int
    failed: int
    skipped: int
    lost: int
    left: int
    failed_partitions: tuple[str, ...]
    lost_partitions: tuple[str, ...]
    left_partitions: tuple[str, ...]


class BackfillRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a backfill."""

    id: str
    status: RunStatus
    partition: str | None
    assets: tuple[str, ...]
    error: str | None


class BackfillError(msgspec.Struct, frozen=True, kw_only=True):
    """One of the latest failures."""

    asset: str
    partition: str
    run_id: str
    error: str | None


class BackfillDetails(BackfillRow, frozen=True, kw_only=True):
    """One backfill with all that is known of it; runs and errors are the latest, newest first."""

    env: str
    parameters: Mapping[str, Any]
    progress: tuple[BackfillAsset, ...]
    runs: tuple[BackfillRun, ...]
    errors: tuple[BackfillError, ...]
    notes: tuple[str, ...] = ()


class PlannedAsset(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill would execute of one asset."""

    asset: str
    total: int
    partitions: tuple[str, ...]
    """Ranges, at most a thousand."""


class BackfillDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a backfill would do."""

    selection: str
    partitions: str
    total: int
    runs: int
    """How many runs it takes if nothing fails."""
    assets: tuple[PlannedAsset, ...]
    notes: tuple[str, ...]


def row_of(backfill: Backfill) -> BackfillRow:
    """Return a backfill as a listing shows it."""
    return BackfillRow(**_row(backfill))


def details_of(workspace: Workspace, backfill: Backfill, notes: tuple[str, ...] = ()) -> BackfillDetails:
    """Return all that is known of a backfill."""
    kept = workspace.store.backfills
    runs = kept.runs(backfill.id, limit=_RUNS)
    errors = [
        BackfillError(asset=row.asset, partition=row.partition, run_id=run.id, error=row.error)
        for run in runs
        if run.status == "failure"
        for row in workspace.store.run_assets(run.id, outcomes=("failed",), limit=_ERRORS)
    ]
    book = workspace.book
    return BackfillDetails(
        **_row(backfill),
        env=backfill.env,
        parameters=backfill.parameters,
        progress=tuple(_asset(key, book.of(key), found) for key, found in kept.portions(backfill.id).items()),
        runs=tuple(
            BackfillRun(id=run.id, status=run.status, partition=run.partition, assets=run.assets, error=run.error)
            for run in runs
        ),
        errors=tuple(errors[:_ERRORS]),
        notes=notes,
    )


def nothing_to_do(draft: BackfillDraft, env: str) -> BackfillDetails:
    """Return a backfill that was not recorded, because everything that was asked for is there."""
    return BackfillDetails(
        id=None,
        status="success",
        selection=draft.selection,
        partitions=draft.partitions,
        assets=(),
        total=0,
        done=0,
        failed=0,
        skipped=0,
        lost=0,
        left=0,
        created_at=None,
        started_at=None,
        ended_at=None,
        error=None,
        env=env,
        parameters={},
        progress=(),
        runs=(),
        errors=(),
        notes=draft.notes,
    )


def planned_asset(asset: str, subset: PartitionSubset) -> PlannedAsset:
    """Return what would be executed of an asset."""
    return PlannedAsset(asset=asset, total=len(subset), partitions=_texts(subset.of, subset.families))


def _row(found: Backfill) -> dict[str, Any]:
    ended = found.done + found.failed + found.skipped + found.lost
    names = [name for name in BackfillRow.__struct_fields__ if name != "left"]
    return {**{name: getattr(found, name) for name in names}, "left": found.total - ended}


def _asset(key: str, of: PartitionSet | None, portion: Portion) -> BackfillAsset:
    ended = union(union(portion.done, portion.failed), union(portion.skipped, portion.lost))
    left = difference(portion.requested, ended)
    of = of or WHOLE
    return BackfillAsset(
        asset=key,
        **portion.counts,
        left=len(PartitionSubset(of, left)),
        failed_partitions=_texts(of, portion.failed),
        lost_partitions=_texts(of, portion.lost),
        left_partitions=_texts(of, left),
    )


def _texts(of: PartitionSet, families: Families) -> tuple[str, ...]:
    return () if of == WHOLE else range_texts(PartitionSubset(of, families))[:_RANGES]
