"""Carry out a backfill: start runs as partitions become ready, and note what became of each, until all have ended.

Whatever happens to this process, the state store says what is done: another process can go on from there, and repeats
nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType

import msgspec

from nbpipe import clock
from nbpipe.core.backfills.backlog import Backlog, Request
from nbpipe.core.backfills.blocks import blocks_of
from nbpipe.core.backfills.orders import Orders, refuse_other_partitions
from nbpipe.core.backfills.records import ACTIVE_BACKFILL, Backfill, BackfillStatus, Portion
from nbpipe.core.partitions.links import WHOLE
from nbpipe.core.partitions.subsets import Families, PartitionSubset, union
from nbpipe.core.ports import PartitionStore, StateStore
from nbpipe.core.records import ACTIVE_RUN, Run, RunAsset, Step, WorkerId
from nbpipe.daemon.backfill_parts import BackfillNews, BackfillProject, RunCarrier, unheard
from nbpipe.daemon.run_endings import became, objection, requested_of
from nbpipe.errors import ConflictError, DefinitionError, RefusedError, StateError, UnknownNameError, UsageError
from nbpipe.execution.heartbeat import Heartbeat
from nbpipe.execution.stop_signals import stop_signals
from nbpipe.execution.submit import Origin, submit
from nbpipe.execution.workers import this_worker

#: Seconds between two looks at runs that another process carries out.
_GLANCE = 0.5
_ASKED = "canceled on request"
_TAKEN = "taken over or ended by another process"

_NO_FAMILIES: Families = MappingProxyType({})


class BackfillDriver:
    """Works on one backfill at a time, as its worker."""

    def __init__(
        self,
        store: StateStore,
        project: BackfillProject,
        carrier: RunCarrier,
        *,
        root: Path,
        parallel: int,
        queued: bool = False,
        on_news: Callable[[BackfillNews], None] = unheard,
    ) -> None:
        """Work for a project, with at most `parallel` steps at once; the caller closes the carrier.

        With `queued` the carrier leaves the runs in the queue, where a daemon takes them.
        """
        self.queued = queued
        self.store, self.project, self.carrier = store, project, carrier
        self.root, self.parallel, self.on_news = root, parallel, on_news

    def work(self, backfill_id: str) -> Backfill:
        """Carry out a backfill that nobody works on, from where it stands; return it as it ended.

        Ctrl-C and SIGTERM cancel it: called in the main thread, this takes them over until then.

        Raises:
            UnknownNameError: there is no such backfill, or an asset of it is gone.
            RefusedError: another process works on it, it has ended, or its partitions are others now.
            ConflictError: another process has taken over.
        """
        backfill = self.store.backfills.backfill(backfill_id)
        if backfill is None:
            raise UnknownNameError("backfill", backfill_id)
        worker = this_worker()
        execution = _Execution(self, backfill, self._orders(backfill), worker)
        if not self.store.backfills.claim(backfill.id, worker, at=clock.now()):
            state = "is being worked on by another process" if backfill.status == "running" else "has ended"
            raise RefusedError(f"backfill {backfill.id} {state}: see `nbpipe backfill show {backfill.id}`")
        look = _look(self.store, backfill.id, worker)
        heartbeat = Heartbeat(self.store, worker, look, execution.stop, kind="backfill")
        try:
            with heartbeat, stop_signals(execution.stop):
                execution.carry_out()
        except BaseException:
            execution.give_up()
            raise
        return self.store.backfills.backfill(backfill.id) or backfill

    def _orders(self, backfill: Backfill) -> Orders:
        kept = self.store.backfills.plan(backfill.id)
        orders = msgspec.json.decode(kept, type=Orders) if kept else Orders()
        refuse_other_partitions(backfill.id, orders, self.project.book())
        return orders


class _Active(msgspec.Struct, frozen=True):
    """A run on its way."""

    request: Request
    width: int
    """How many steps it may take at once."""
    ours: bool = True
    """This process has it carried out."""


class _Execution:
    """One backfill on its way."""

    def __init__(self, driver: BackfillDriver, backfill: Backfill, orders: Orders, worker: WorkerId) -> None:
        self._driver, self._store, self._id, self._worker = driver, driver.store, backfill.id, worker
        self._backfill = backfill
        self._kept = driver.store.backfills
        self._orders = orders
        specs = driver.project.specs(backfill.assets)
        book = driver.project.book()
        self._sets = {spec.key: book.of(spec.key) or WHOLE for spec in specs}
        self._blocks, self._edges = blocks_of(specs, book, single_run=orders.single_run)
        self._active: dict[str, _Active] = {}
        self._news: SimpleQueue[_Ended | _Stop] = SimpleQueue()
        self._stopping: str | None = None
        self._trouble: str | None = None
        self._backlog: Backlog

    def stop(self, reason: str) -> None:
        """Ask the backfill to stop; safe in a signal handler and from any thread."""
        self._news.put(_Stop(reason))

    def carry_out(self) -> None:
        """Start runs as partitions become ready and wait until all have ended; then end the backfill."""
        self._recover()
        self._lose({})
        self._tell()
        while True:
            before = len(self._active)
            if self._stopping is None and self._trouble is None:
                self._launch()
            if len(self._active) > before:
                self._tell()
            if not self._active:
                break
            self._await()
        self._driver.carrier.close()
        status, error = self._verdict()
        self._kept.advance(self._id, status, at=clock.now(), worker=self._worker, error=error)
        self._tell()

    def give_up(self) -> None:
        """Leave the backfill to be resumed, because of an error of ours, and let nothing run on.

        Runs in the queue of a backfill that another process has taken over are no longer ours to cancel.
        """
        with contextlib.suppress(StateError):
            found = self._kept.backfill(self._id)
            taken = found is not None and found.worker not in (None, self._worker)
            for run_id in () if taken and self._driver.queued else self._active:
                self._store.request_cancel(run_id, at=clock.now())
        self._driver.carrier.close()
        with contextlib.suppress(StateError):
            self._kept.release(self._id, self._worker, at=clock.now())

    def _recover(self) -> None:
        """Note what became of runs whose end nobody noted; go on to watch those that another process carries out."""
        ours = {}
        for run_id in self._kept.open_runs(self._id):
            run, rows = self._store.run(run_id), self._store.run_assets(run_id)
            requested = requested_of(rows, self._sets)
            if run is not None and run.status in ACTIVE_RUN:
                ours[run_id] = requested
                continue
            ended: Mapping[str, Portion] = {}
            error = None
            if run is not None:
                ended, _ = became(run, rows, requested, self._sets, stopping=True)
                error = objection(run, ended, requested)
            self._kept.settle(self._id, self._worker, run_id, ended, at=clock.now(), error=error)
        self._backlog = Backlog(
            self._blocks,
            self._edges,
            self._kept.portions(self._id),
            sets=self._sets,
            there=self._driver.project.there(),
            now=self._backfill.created_at,
        )
        for run_id, requested in ours.items():
            self._active[run_id] = _Active(self._backlog.adopt(requested), 1, ours=False)

    def _launch(self) -> None:
        room = self._driver.parallel - sum(active.width for active in self._active.values())
        while room > 0 and self._trouble is None:
            requests = self._backlog.take(room)
            if not requests:
                return
            for index, request in enumerate(requests):
                if self._trouble is None:
                    room -= self._start(request, max(1, room // (len(requests) - index)))
                else:
                    self._backlog.end(request, {})

    def _start(self, request: Request, width: int) -> int:
        """Queue the run of a request and have it carried out; return how many steps it takes at once."""
        subsets = {key: PartitionSubset(self._sets[key], found) for key, found in request.partitions.items()}
        try:
            run, steps = self._queue(subsets)
        except (UsageError, DefinitionError) as error:
            self._backlog.end(request, {})
            self._trouble = str(error)
            return 0
        width = min(width, steps)
        self._active[run.id] = _Active(request, width)
        self._driver.carrier.start(run.id, parallel=width, done=lambda run_id: self._news.put(_Ended(run_id)))
        return width

    def _queue(self, subsets: Mapping[str, PartitionSubset], *, again: bool = True) -> tuple[Run, int]:
        planned = self._driver.project.plan(self._backfill, subsets)
        try:
            run = submit(
                _Launches(self._store, self._id, self._worker),
                planned.plan,
                root=self._driver.root,
                run_id=clock.new_id(),
                at=clock.now(),
                origin=Origin(trigger=f"backfill:{self._id}", worker=None if self._driver.queued else self._worker),
                definitions=planned.definitions,
                sources=planned.sources,
            )
        except RefusedError:  # perhaps a notebook was saved in between
            if again:
                return self._queue(subsets, again=False)
            raise
        return run, len(planned.plan.steps)

    def _await(self) -> None:
        """Wait for something to happen, and take it in."""
        others = [run_id for run_id, active in self._active.items() if not active.ours]
        try:
            news = self._news.get(timeout=_GLANCE if others else None)
        except Empty:
            for run_id in others:
                run = self._store.run(run_id)
                if run is None or run.status not in ACTIVE_RUN:
                    self._settle(run_id)
            return
        if isinstance(news, _Ended):
            self._settle(news.run_id)
        elif news.reason == _TAKEN:
            raise ConflictError(f"backfill {self._id} was {_TAKEN}")
        elif self._stopping is None:
            self._stopping = news.reason
            self._kept.request_cancel(self._id, at=clock.now())

    def _settle(self, run_id: str) -> None:
        request = self._active.pop(run_id).request
        run = self._store.run(run_id)
        if run is not None and run.status in ACTIVE_RUN:
            self._store.advance_run(run_id, "failure", at=clock.now(), error="it was not carried out to its end")
            run = self._store.run(run_id)
        failures: tuple[RunAsset, ...] = ()
        ended: Mapping[str, Portion] = {}
        error = None
        if run is not None:
            rows = self._store.run_assets(run_id)
            if run.status == "canceled":
                self._hear()
            stopping = self._stopping is not None
            ended, failures = became(run, rows, request.partitions, self._sets, stopping=stopping)
            error = objection(run, ended, request.partitions)
        self._backlog.end(request, ended)
        self._lose(ended, run_id, error)
        self._tell(failures)

    def _hear(self) -> None:
        """Find out whether the backfill was asked to stop, of which the heartbeat may not have told yet."""
        found = self._kept.backfill(self._id)
        if self._stopping is None and found is not None and found.cancel_requested:
            self._stopping = _ASKED

    def _lose(self, ended: Mapping[str, Portion], run_id: str = "", error: str | None = None) -> None:
        """Record what became of a run, and what is lost by it."""
        lost = self._backlog.newly_lost()
        if not (run_id or lost):
            return
        changed = dict(ended)
        for key, families in lost.items():
            before = changed.get(key, Portion(requested=_NO_FAMILIES))
            changed[key] = msgspec.structs.replace(before, lost=union(before.lost, families))
        self._kept.settle(self._id, self._worker, run_id, changed, at=clock.now(), error=error)

    def _verdict(self) -> tuple[BackfillStatus, str | None]:
        found = self._kept.backfill(self._id) or self._backfill
        if self._stopping is not None and self._backlog.left:  # else the request came after the last run
            return "canceled", self._stopping
        if self._trouble is None and self._backlog.left:
            self._trouble = "partitions wait for each other: this should not happen, please report it"
        trouble = self._trouble or found.error
        return ("failure" if trouble or found.failed or found.lost else "success"), trouble

    def _tell(self, failures: tuple[RunAsset, ...] = ()) -> None:
        found = self._kept.backfill(self._id) or self._backfill
        running = sum(
            len(bitmap)
            for active in self._active.values()
            for families in active.request.partitions.values()
            for bitmap in families.values()
        )
        self._driver.on_news(BackfillNews(backfill=found, running=running, failures=failures))


class _Ended(msgspec.Struct, frozen=True):
    run_id: str


class _Stop(msgspec.Struct, frozen=True):
    reason: str


class _Launches:
    """Records new runs as those of a backfill."""

    def __init__(self, store: StateStore, backfill_id: str, worker: WorkerId) -> None:
        self._kept, self._id, self._worker = store.backfills, backfill_id, worker
        self._partitions = store.partitions

    @property
    def partitions(self) -> PartitionStore:
        """See `StateStore`."""
        return self._partitions

    def create_run(self, run: Run, steps: Sequence[Step], assets: Sequence[RunAsset], plan: bytes) -> None:
        """See `BackfillStore.launch`."""
        self._kept.launch(self._id, self._worker, run, steps, assets, plan)


def _look(store: StateStore, backfill_id: str, worker: WorkerId) -> Callable[[], str | None]:
    """Return what looks whether a backfill is to stop."""

    def look() -> str | None:
        found = store.backfills.backfill(backfill_id)
        if found is None or found.worker != worker or found.status not in ACTIVE_BACKFILL:
            return _TAKEN
        return _ASKED if found.cancel_requested else None

    return look
