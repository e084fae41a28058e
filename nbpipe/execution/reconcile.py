"""End runs whose worker is gone, and release their backfills. Every command does it first.

A run never stays `running` for ever, and neither does a backfill: what it has not done waits to be resumed.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from nbpipe import clock, settings
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Run, RunStatus, WorkerId
from nbpipe.errors import ConflictError
from nbpipe.execution.liveness import Sightings
from nbpipe.execution.private_folders import remove_abandoned
from nbpipe.execution.processes import kill_all, kill_group, marked
from nbpipe.execution.records import request_file
from nbpipe.execution.workers import is_alive

GONE = "the process that ran it is gone"
_FILE = ".nbpipe/sightings.json"
_MANY = 10_000
_ACTIVE: tuple[RunStatus, ...] = ("queued", "starting", "running")


def reconcile(store: StateStore, root: Path, *, backfills: bool = False) -> list[str]:
    """End as `failure` each active run whose worker is gone, and kill what is left of its kernels.

    Backfills whose worker is gone become `queued`, if `backfills` says that there may be some.

    Costs one query if no run is active. A worker of this machine is looked up; of another, which can't be seen
    from here, the beats must have stood still for ten seconds of this machine's clock, over several commands
    if need be. The records stay as they were last written; temporary folders of killed processes are removed.

    Returns:
        The ids of the runs that were ended.
    """
    ended = []
    workers = _Workers(store, root)
    for run in store.runs(statuses=_ACTIVE, limit=_MANY, taken=True):
        if run.worker is not None and workers.gone(run.worker):
            _remove_leftovers(store, run, root)
            if store.advance_run(run.id, "failure", at=clock.now(), error=GONE, expect=(run.status,)):
                _note_executed(store, run)
                ended.append(run.id)
                store.forget_worker(run.worker)
    if ended:
        remove_abandoned()
    if backfills:
        _release_backfills(store, workers)
    return ended


class _Workers:
    """Tells which workers are gone; asks once about each."""

    def __init__(self, store: StateStore, root: Path) -> None:
        self._store, self._sightings = store, Sightings(root / _FILE)
        self._known: dict[WorkerId, bool] = {}

    def gone(self, worker: WorkerId) -> bool:
        if worker not in self._known:
            alive = is_alive(worker)
            self._known[worker] = self._expired(worker) if alive is None else not alive
        return self._known[worker]

    def _expired(self, worker: WorkerId) -> bool:
        expired = self._sightings.expired(worker, self._store.workers())
        if expired:
            self._sightings.forget(worker)
        return expired


def _release_backfills(store: StateStore, workers: _Workers) -> None:
    for backfill in store.backfills.backfills(statuses=("running",), limit=_MANY):
        if backfill.worker is not None and workers.gone(backfill.worker):
            with contextlib.suppress(ConflictError):  # another process was first
                store.backfills.release(backfill.id, backfill.worker, at=clock.now())
            store.forget_worker(backfill.worker)


def _note_executed(store: StateStore, run: Run) -> None:
    """Note what each step had stored when its process died."""
    stored = [(each.step, each.asset) for each in store.run_assets(run.id, outcomes=["success"])]
    for step in store.steps(run.id):
        executed = tuple(dict.fromkeys(asset for index, asset in stored if index == step.index))
        if executed and not step.executed:
            store.update_step(run.id, step.index, step.status, at=clock.now(), executed=executed)


def _remove_leftovers(store: StateStore, run: Run, root: Path) -> None:
    for step in store.steps(run.id):
        with contextlib.suppress(OSError):
            request_file(root / step.output).unlink(missing_ok=True)
        if step.kernel is not None and is_alive(step.kernel):
            kill_group(step.kernel.pid)
    kill_all(marked({settings.RUN_ID: run.id}))
