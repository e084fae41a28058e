"""From a plan to a run that can be queued, with copies of its notebooks as they are now."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from nbpipe.core.ports import NewRun, PartitionStore, StateStore
from nbpipe.core.records import Run, RunAsset, Step
from nbpipe.daemon.backfill_parts import PlannedRun
from nbpipe.daemon.parts import DaemonProject, Work
from nbpipe.errors import RefusedError, StateError
from nbpipe.execution.records import RUNS
from nbpipe.execution.submit import Origin, submit


class _Kept:
    """Keeps the rows of a run instead of storing them: they are to be stored together with a tick."""

    def __init__(self, partitions: PartitionStore) -> None:
        self._partitions = partitions
        self.run: NewRun | None = None

    @property
    def partitions(self) -> PartitionStore:
        return self._partitions

    def create_run(self, run: Run, steps: Sequence[Step], assets: Sequence[RunAsset], plan: bytes) -> None:
        self.run = NewRun(run=run, steps=steps, assets=assets, plan=plan)


def new_run(
    store: StateStore, project: DaemonProject, work: Work, origin: Origin, *, run_id: str, at: datetime
) -> NewRun | None:
    """Plan a run and copy its notebooks; None if there is nothing to do.

    Args:
        store: where it will be queued.
        project: the project.
        work: what to run.
        origin: why; nobody has it yet.
        run_id: a new identifier.
        at: when it is asked for.

    Raises:
        NbpipeError: it can't be run as things stand.
    """
    planned = project.plan(work)
    if planned is None:
        return None
    try:
        return copied(store, project, planned, origin, run_id=run_id, at=at)
    except RefusedError:  # perhaps a notebook was saved in between
        if not project.look():
            raise
    planned = project.plan(work)
    return None if planned is None else copied(store, project, planned, origin, run_id=run_id, at=at)


def copied(
    store: StateStore,
    project: DaemonProject,
    planned: PlannedRun,
    origin: Origin,
    *,
    run_id: str,
    at: datetime,
    durable: bool = True,
) -> NewRun:
    """Copy the notebooks of a plan, and return its run to be queued; for `durable` see `submit`.

    Raises:
        RefusedError: a notebook is gone, can't be read, or was changed since the plan was made.
    """
    keeper = _Kept(store.partitions)
    submit(
        keeper,
        planned.plan,
        root=project.root,
        run_id=run_id,
        at=at,
        origin=origin,
        definitions=planned.definitions,
        sources=planned.sources,
        durable=durable,
    )
    assert keeper.run is not None  # noqa: S101 - `submit` gave it
    return keeper.run


def created_at(new: NewRun, at: datetime) -> NewRun:
    """Return a run that was prepared, created at this moment."""
    return msgspec.structs.replace(new, run=msgspec.structs.replace(new.run, created_at=at))


def discard(store: StateStore, root: Path, news: Sequence[NewRun]) -> None:
    """Remove the copies of runs that will not be queued.

    A run that the store knows keeps them: the store may have failed right after it was queued. If the store can't be
    asked all stay, until retention finds that nobody knows them.
    """
    try:
        known = store.known_runs([new.run.id for new in news]) if news else frozenset()
    except StateError:
        return
    for new in news:
        if new.run.id not in known:
            shutil.rmtree(root / RUNS / new.run.id, ignore_errors=True)


def origin_of(work: Work, trigger: str, *, tags: dict[str, str] | None = None, priority: int | None = None) -> Origin:
    """Return why there is a run of a job, with what the job says of its runs."""
    job = work.job
    return Origin(
        job=job.name or None,
        trigger=trigger,
        tags={**dict(job.tags), **(tags or {})},
        priority=job.priority if priority is None else priority,
        timeout=job.timeout,
    )
