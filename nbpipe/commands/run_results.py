"""What became of runs, as commands report it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from nbpipe.core.ports import RunStore
from nbpipe.core.records import Run, RunAsset, RunStatus, Step, StepStatus

_LAST = datetime.max.replace(tzinfo=UTC)


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one step; `assets` are those that were executed."""

    notebook: str
    output: str
    assets: tuple[str, ...]
    status: StepStatus
    error: str | None


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
    """What became of one asset in a run."""

    asset: str
    outcome: str
    error: str | None


class RunDetails(RunRow, frozen=True, kw_only=True):
    """One run with all that is known of it."""

    env: str
    selection: str
    parameters: Mapping[str, Any]
    parent: str | None
    steps: tuple[StepResult, ...]
    outcomes: tuple[RunAssetRow, ...]


#: There was nothing to do, so there is no run.
NOTHING_DONE = RunResult(run_id=None, status="success", steps=())


def result_of(store: RunStore, run: Run) -> RunResult:
    """Return what became of a run."""
    return RunResult(run_id=run.id, status=run.status, steps=_steps(store.steps(run.id)))


def row_of(store: RunStore, run: Run) -> RunRow:
    """Return a run as a listing shows it."""
    return RunRow(**_row(run, store.steps(run.id)))


def details_of(store: RunStore, run: Run) -> RunDetails:
    """Return all that is known of a run."""
    steps = store.steps(run.id)
    return RunDetails(
        **_row(run, steps),
        env=run.env,
        selection=run.selection,
        parameters=run.parameters,
        parent=run.parent,
        steps=_steps(steps),
        outcomes=tuple(_asset(each) for each in store.run_assets(run.id)),
    )


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


def _steps(steps: list[Step]) -> tuple[StepResult, ...]:
    """Return steps by their start; those that never started come last."""
    return tuple(
        StepResult(
            notebook=step.notebook, output=step.output, assets=step.executed, status=step.status, error=step.error
        )
        for step in sorted(steps, key=lambda step: (step.started_at or _LAST, step.index))
    )


def _asset(found: RunAsset) -> RunAssetRow:
    return RunAssetRow(asset=found.asset, outcome=found.outcome, error=found.error)
