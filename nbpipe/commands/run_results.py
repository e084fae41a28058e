"""What became of runs, as commands report it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from nbpipe.core.ports import RunStore
from nbpipe.core.records import Counted, Outcome, Run, RunAsset, RunStatus, Step, StepStatus
from nbpipe.core.runs.outcomes import AssetOutcome

#: So many partitions of an asset are told one by one.
_FEW = 50

_LAST = datetime.max.replace(tzinfo=UTC)


class StepResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one step; `assets` are those that were executed, with partitions or without."""

    notebook: str
    output: str
    assets: tuple[str, ...]
    status: StepStatus
    error: str | None
    partitions: dict[str, tuple[str, ...]] = {}
    """The keys that were executed of each that has partitions; of many, the first fifty. No key of the JSON without."""


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run; steps in the order in which they started."""

    run_id: str | None
    status: RunStatus
    steps: tuple[StepResult, ...]


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a listing; `notebooks` are the paths of its records."""

    id: str
    job: str | None
    status: RunStatus
    trigger: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    assets: tuple[str, ...]
    partition: str | None
    notebooks: tuple[str, ...]
    error: str | None


class RunAssetRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one asset in a run, or of one of its partitions."""

    asset: str
    partition: str | None = None
    """Key of the partition; None for a whole asset."""
    outcome: str
    error: str | None
    partitions: Mapping[str, int] | None = None
    """For a whole asset with partitions: how many have which outcome."""


class AssetProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run has come with one asset."""

    asset: str
    outcome: Outcome = "queued"
    error: str | None = None
    partitions: AssetOutcome | None = None
    """For an asset with partitions: how many have which outcome."""


class RunDetails(RunRow, frozen=True, kw_only=True):
    """One run with all that is known of it."""

    env: str
    selection: str
    parameters: Mapping[str, Any]
    parent: str | None
    steps: tuple[StepResult, ...]
    outcomes: tuple[RunAssetRow, ...]
    waits: str | None = None
    """Why it has not started yet, if it waits in the queue."""


#: There was nothing to do, so there is no run.
NOTHING_DONE = RunResult(run_id=None, status="success", steps=())


def result_of(store: RunStore, run: Run) -> RunResult:
    """Return what became of a run."""
    return RunResult(run_id=run.id, status=run.status, steps=_steps(store, run, store.steps(run.id)))


def row_of(store: RunStore, run: Run) -> RunRow:
    """Return a run as a listing shows it."""
    return RunRow(**_row(run, store.steps(run.id)))


def details_of(store: RunStore, run: Run, *, waits: str | None = None) -> RunDetails:
    """Return all that is known of a run, and why it waits if the caller knows."""
    steps = store.steps(run.id)
    return RunDetails(
        **_row(run, steps),
        env=run.env,
        selection=run.selection,
        parameters=run.parameters,
        parent=run.parent,
        steps=_steps(store, run, steps),
        outcomes=_outcomes(store, run),
        waits=waits,
    )


def progress_of(store: RunStore, run: Run) -> list[AssetProgress]:
    """Return how far a run has come with each of its assets, in plan order."""
    if run.partition is None:
        found = store.run_assets(run.id)
        return [AssetProgress(asset=row.asset, outcome=row.outcome, error=row.error) for row in found]
    progress = []
    for asset, counts in store.outcome_counts(run.id).items():
        whole = AssetOutcome(counts)
        rows = store.run_assets(run.id, assets=[asset], outcomes=["failed"], limit=1) if whole.failed else []
        if whole.is_idle and whole.total == 1:
            rows = store.run_assets(run.id, assets=[asset], limit=1)
        elif not rows and whole.lost:
            lost = store.run_assets(run.id, assets=[asset], outcomes=["skipped", "canceled"], limit=_FEW)
            rows = [row for row in lost if not row.done][:1]
        error = None
        if rows:
            error = f"{rows[0].partition}: {rows[0].error}" if rows[0].partition else rows[0].error
        partitioned = whole.total > 1 or any(row.partition for row in store.run_assets(run.id, assets=[asset], limit=1))
        progress.append(
            AssetProgress(asset=asset, outcome=whole.told, error=error, partitions=whole if partitioned else None)
        )
    return progress


def _row(run: Run, steps: list[Step]) -> dict[str, Any]:
    return {
        "id": run.id,
        "job": run.job,
        "status": run.status,
        "trigger": run.trigger,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "assets": run.assets,
        "partition": run.partition,
        "notebooks": tuple(step.output for step in steps),
        "error": run.error,
    }


def _steps(store: RunStore, run: Run, steps: list[Step]) -> tuple[StepResult, ...]:
    """Return steps by their start; those that never started come last."""
    return tuple(
        StepResult(
            notebook=step.notebook,
            output=step.output,
            assets=step.executed,
            status=step.status,
            error=step.error,
            partitions=_executed(store, run, step.executed),
        )
        for step in sorted(steps, key=lambda step: (step.started_at or _LAST, step.index))
    )


def _executed(store: RunStore, run: Run, assets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the keys that were executed of those assets of a step that have partitions."""
    found = {}
    for asset in assets if run.partition is not None else ():
        rows = store.run_assets(run.id, assets=[asset], outcomes=["success"], limit=_FEW)
        if keys := tuple(row.partition for row in rows if row.partition):
            found[asset] = keys
    return found


def _outcomes(store: RunStore, run: Run) -> tuple[RunAssetRow, ...]:
    """Return what became of each asset; of few partitions each, of many those that failed."""
    if run.partition is None:
        return tuple(map(_asset, store.run_assets(run.id)))
    found: list[RunAssetRow] = []
    for asset, counts in store.outcome_counts(run.id).items():
        whole = AssetOutcome(counts)
        wanted: tuple[Outcome, ...] | None = None if whole.total <= _FEW else ("failed",)
        rows = store.run_assets(run.id, assets=[asset], outcomes=wanted, limit=_FEW)
        if not any(row.partition == "" for row in rows):
            found.append(RunAssetRow(asset=asset, outcome=whole.told, error=None, partitions=_plain(counts)))
        found += map(_asset, rows)
    return tuple(found)


def _asset(found: RunAsset) -> RunAssetRow:
    return RunAssetRow(asset=found.asset, partition=found.partition or None, outcome=found.outcome, error=found.error)


def _plain(counts: Mapping[Counted, int]) -> dict[str, int]:
    """Count by the outcome that each partition is shown with."""
    found: dict[str, int] = {}
    for outcome, number in counts.items():
        word = "skipped" if outcome == "idle" else outcome
        found[word] = found.get(word, 0) + number
    return found
