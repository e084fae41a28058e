"""Have queued backfills worked on: each by a process of its own, whose runs wait in the queue with all others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from nbpipe import clock
from nbpipe.core.backfills.records import Backfill
from nbpipe.core.ports import StateStore
from nbpipe.core.records import ACTIVE_RUN
from nbpipe.daemon.parts import Duty
from nbpipe.errors import StateError

#: So many backfills are worked on at once.
_AT_ONCE = 4
#: How often a process is started for one that nobody takes.
_TRIES = 3
_GLANCE = timedelta(seconds=1)
#: When a process is started again where none could be.
_AFTER_TROUBLE = timedelta(seconds=10)
_PATIENCE = 5.0
_AGAIN = 0.5
_FOLDER = ".nbpipe/backfills"


class QueuedRuns:
    """A carrier of runs that a daemon takes from the queue; see `RunCarrier`."""

    def __init__(self, store: StateStore) -> None:
        """Wait for ends that the store tells of."""
        self._store = store
        self._open: dict[str, Callable[[str], None]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, run_id: str, *, parallel: int, done: Callable[[str], None]) -> None:  # noqa: ARG002 - its steps are limited by [executor]
        """See `RunCarrier`."""
        with self._lock:
            self._open[run_id] = done
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="nbpipe-queued", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """See `RunCarrier`. Runs that are still open stay in the queue."""
        self._over.set()

    def _watch(self) -> None:
        revision = -1
        while not self._over.is_set():
            try:
                revision = self._store.wait_for_change(revision, _PATIENCE)
                self._tell()
            except StateError:
                self._over.wait(_AGAIN)

    def _tell(self) -> None:
        with self._lock:
            waiting = list(self._open)
        for run_id in waiting:
            run = self._store.run(run_id)
            if run is None or run.status not in ACTIVE_RUN:
                with self._lock:
                    done = self._open.pop(run_id)
                done(run_id)


class Backfills:
    """Looks after the backfills that wait."""

    def __init__(self, duty: Duty) -> None:
        """Look after them for a daemon."""
        self._duty = duty
        self._tries: dict[str, tuple[int, int]] = {}
        """By id: how far a backfill had come, and how often it was tried since."""
        self._trouble = ""

    @property
    def idle(self) -> bool:
        """See `Part`."""
        return not self._duty.processes.backfills

    def act(self, now: datetime) -> datetime | None:
        """See `Part`."""
        duty = self._duty
        working = duty.processes.backfills
        self._look_at_processes()
        if len(working) < _AT_ONCE:
            waiting = duty.store.backfills.backfills(env=duty.env, statuses=("queued",), limit=50)
            for backfill in reversed(waiting):  # oldest first
                if backfill.id not in working and len(working) < _AT_ONCE and not self._begin(backfill):
                    return now + _AFTER_TROUBLE
        return now + _GLANCE if working else None

    def close(self) -> None:
        """See `Part`. What has begun is left to whoever leads next, and is not repeated."""
        for started in self._duty.processes.backfills.values():
            started.kill()
        self._duty.processes.backfills.clear()

    def _begin(self, backfill: Backfill) -> bool:
        """Start a process for a backfill; False if none can be started now."""
        duty = self._duty
        reached = backfill.done + backfill.failed + backfill.skipped + backfill.lost
        before, tries = self._tries.get(backfill.id, (reached, 0))
        if reached == before and tries >= _TRIES:  # killed each time, and got nowhere
            self._not_worked_on(backfill.id, "it was killed each time")
            return True
        duty.check_lead()
        log = duty.root / _FOLDER / f"{backfill.id}.log"
        try:
            started = duty.processes.start(("_backfill", backfill.id, "--queued"), log, clock.monotonic())
        except OSError as error:  # no memory, no space, too many processes
            if str(error) != self._trouble:
                duty.log(f"no process can be started: {error}: queued backfills wait until one can be", level="error")
            self._trouble = str(error)
            return False
        self._trouble = ""
        self._tries[backfill.id] = reached, (tries if reached == before else 0) + 1
        duty.processes.backfills[backfill.id] = started
        duty.log(
            f"backfill {backfill.id}: process {started.process.pid} works on it",
            event="backfill_started",
            backfill=backfill.id,
        )
        return True

    def _look_at_processes(self) -> None:
        duty = self._duty
        for backfill_id, started in list(duty.processes.backfills.items()):
            if started.code is None:
                continue
            del duty.processes.backfills[backfill_id]
            found = duty.store.backfills.backfill(backfill_id)
            status = "gone" if found is None else found.status
            if status == "queued":
                self._not_worked_on(backfill_id, started.last_words())
                continue
            if status == "running":  # it was killed, and will be released
                duty.log(f"backfill {backfill_id}: its process has ended", level="warning", event="backfill_gone")
                continue
            self._tries.pop(backfill_id, None)
            started.tidy()
            duty.log(f"backfill {backfill_id}: {status}", event="backfill_ended", backfill=backfill_id)

    def _not_worked_on(self, backfill_id: str, words: str) -> None:
        """End a backfill that nobody can work on, after some attempts; leave it alone if it is not waiting any more."""
        if self._tries[backfill_id][1] < _TRIES:
            return
        duty = self._duty
        error = f"no process could work on it: {words or 'no reason is known'}"
        ended = duty.store.backfills.abandon(duty.lease, backfill_id, at=clock.now(), error=error)
        del self._tries[backfill_id]  # somebody may let it go on later
        if ended:
            duty.log(f"backfill {backfill_id}: {error}", level="error", event="backfill_lost", backfill=backfill_id)
