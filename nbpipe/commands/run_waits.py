"""Why a queued run has not started yet."""

from __future__ import annotations

from nbpipe import clock
from nbpipe.commands.daemon_presence import leader
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import Run

_MANY = 100_000


def why_waiting(workspace: Workspace, run: Run) -> str | None:
    """Return what a queued run waits for; None if it does not wait in the queue of a daemon."""
    if run.status != "queued" or run.worker is not None:
        return None
    if leader(workspace) is None:
        return "waits for a daemon: none is running, start one with `nbpipe daemon`"
    from nbpipe.core.automation.queue import decide

    store = workspace.store
    active = store.runs(env=run.env, statuses=("starting", "running"), limit=_MANY)
    waiting = [each for each in store.automation.waiting(run.env, limit=_MANY) if each.worker is None]
    decision = decide(waiting, active, workspace.config.limits.queue, clock.now())
    return decision.waits.get(run.id, "is about to start")
