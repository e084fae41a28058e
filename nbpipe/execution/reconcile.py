"""End runs whose worker is gone. Every command does it first: a run never stays `running` for ever."""

from __future__ import annotations

import contextlib
from pathlib import Path

from nbpipe import clock, settings
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Run, RunStatus, WorkerId
from nbpipe.execution.liveness import Sightings
from nbpipe.execution.processes import kill_all, kill_group, marked
from nbpipe.execution.records import request_file
from nbpipe.execution.workers import is_alive

GONE = "the process that ran it is gone"
_FILE = ".nbpipe/sightings.json"
_MANY = 10_000
_ACTIVE: tuple[RunStatus, ...] = ("queued", "starting", "running")


def reconcile(store: StateStore, root: Path) -> list[str]:
    """End as `failure` each active run whose worker is gone, and kill what is left of its kernels.

    Costs one query if no run is active. A worker of this machine is looked up; of another, which can't be seen
    from here, the beats must have stood still for ten seconds of this machine's clock, over several commands
    if need be. The records stay as they were last written.

    Returns:
        The ids of the runs that were ended.
    """
    ended = []
    for run in store.runs(statuses=_ACTIVE, limit=_MANY):
        if run.worker is not None and _gone(store, run.worker, root):
            _remove_leftovers(store, run, root)
            if store.advance_run(run.id, "failure", at=clock.now(), error=GONE, expect=(run.status,)):
                _note_executed(store, run)
                ended.append(run.id)
                store.forget_worker(run.worker)
    return ended


def _gone(store: StateStore, worker: WorkerId, root: Path) -> bool:
    alive = is_alive(worker)
    if alive is not None:
        return not alive
    sightings = Sightings(root / _FILE)
    expired = sightings.expired(worker, store.workers())
    if expired:
        sightings.forget(worker)
    return expired


def _note_executed(store: StateStore, run: Run) -> None:
    """Note what each step had stored when its process died."""
    stored = [(each.step, each.asset) for each in store.run_assets(run.id) if each.outcome == "success"]
    for step in store.steps(run.id):
        executed = tuple(asset for index, asset in stored if index == step.index)
        if executed and not step.executed:
            store.update_step(run.id, step.index, step.status, at=clock.now(), executed=executed)


def _remove_leftovers(store: StateStore, run: Run, root: Path) -> None:
    for step in store.steps(run.id):
        with contextlib.suppress(OSError):
            request_file(root / step.output).unlink(missing_ok=True)
        if step.kernel is not None and is_alive(step.kernel):
            kill_group(step.kernel.pid)
    kill_all(marked({settings.RUN_ID: run.id}))
