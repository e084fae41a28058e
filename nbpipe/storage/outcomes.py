"""What the stores must agree on: what the end of a run means for its parts, names of events, ambiguous names."""

from __future__ import annotations

from collections.abc import Sequence

from nbpipe.core.records import Outcome, RunStatus, StepStatus, WorkerId
from nbpipe.errors import ConflictError, UnknownNameError

CANDIDATES = 6
"""How many are looked for when a prefix is ambiguous."""
ACTIVE_OUTCOMES: frozenset[str] = frozenset({"queued", "running"})
NOT_STARTED = "the run ended before this was started"

#: How a run's end ends its steps: by the run's status, then by the step's.
END_OF_STEPS: dict[str, dict[StepStatus, StepStatus]] = {
    "success": {"running": "success", "queued": "skipped"},
    "failure": {"running": "failure", "queued": "skipped"},
    "canceled": {"running": "canceled", "queued": "canceled"},
}
#: The same for assets.
END_OF_ASSETS: dict[str, dict[Outcome, Outcome]] = {
    "success": {"running": "skipped", "queued": "skipped"},
    "failure": {"running": "failed", "queued": "skipped"},
    "canceled": {"running": "canceled", "queued": "canceled"},
}

RUN_EVENTS: dict[RunStatus, str] = {
    "queued": "run_queued",
    "starting": "run_claimed",
    "running": "run_started",
    "success": "run_succeeded",
    "failure": "run_failed",
    "canceled": "run_canceled",
}
STEP_EVENTS: dict[StepStatus, str] = {
    "queued": "step_queued",
    "running": "step_started",
    "success": "step_succeeded",
    "failure": "step_failed",
    "canceled": "step_canceled",
    "skipped": "step_skipped",
}
ASSET_EVENTS: dict[Outcome, str] = {
    "queued": "asset_queued",
    "running": "asset_started",
    "success": "asset_succeeded",
    "unchanged": "asset_unchanged",
    "failed": "asset_failed",
    "skipped": "asset_skipped",
    "canceled": "asset_canceled",
}

#: The same for what is told of many partitions at once.
PARTITION_EVENTS: dict[Outcome, str] = {
    outcome: kind.replace("asset_", "partitions_") for outcome, kind in ASSET_EVENTS.items()
}

#: Events that tell how a run ended, as in `schema.RUN_ENDINGS`; and of new values.
RUN_ENDINGS: frozenset[str] = frozenset({"run_succeeded", "run_failed", "run_canceled"})
NEW_VALUES: frozenset[str] = frozenset({"asset_materialized", "partitions_materialized"})

#: Events that retention leaves: they are a part of what is known of runs and of partitions.
KEPT_EVENTS: frozenset[str] = frozenset(
    {"run_queued", "partitions_materialized", "partitions_failed", "partitions_skipped"}
)


def left_behind(old: str, error: str | None) -> str | None:
    """Return the error of a step or asset that was `old` when its run ended with `error`."""
    return error if old == "running" else NOT_STARTED


def ambiguous(prefix: str, found: Sequence[str], *, kind: str = "run") -> UnknownNameError:
    """Return the error for a prefix with which several runs or backfills begin."""
    listed = ", ".join(found[: CANDIDATES - 1]) + (", ..." if len(found) >= CANDIDATES else "")
    return UnknownNameError(kind, prefix, hint=f"several {kind}s begin with it: {listed}")


def check_worker(backfill_id: str, known: WorkerId | None, worker: WorkerId) -> None:
    """See to it that a process still works on a backfill.

    Raises:
        ConflictError: another one does, or none.
    """
    if known is None:
        raise ConflictError(f"nobody works on the backfill {backfill_id}: claim it first")
    if known != worker:
        raise ConflictError(
            f"the backfill {backfill_id} was taken over by process {known.pid} on {known.host}: this process may not "
            f"change it any more"
        )
