"""Start queued runs as places become free, each in a process of its own, which claims it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from nbpipe import clock
from nbpipe.core.automation.queue import QueueLimits, decide
from nbpipe.core.records import Run
from nbpipe.daemon.launched import Launched
from nbpipe.daemon.parts import Duty
from nbpipe.daemon.processes import Started
from nbpipe.execution.records import RUNS

#: Waiting runs that are looked at; if none of them can start, all are, but not much more often than runs end.
_FIRST = 1_000
_ALL = 1_000_000
#: Processes that are started before the other parts have their turn: each may take a while, and a tick may be due.
_AT_ONCE = 2
_SHARE = 50.0
_NEVER = datetime.max.replace(tzinfo=UTC)
_MANY = 10_000
#: How often a process is started for a run; the seconds before the next one; and what it may take to claim the run.
_TRIES = 3
_PAUSE = 1.0
_LONGEST_START = 120.0
#: Seconds until a process is started again where none could be.
_AFTER_TROUBLE = 10.0
_GLANCE = timedelta(seconds=1)

LOG = "worker.log"
"""Beside the records of a run: what its process printed, if it did not end as it should."""


class RunQueue:
    """Looks after the runs that wait."""

    def __init__(self, duty: Duty) -> None:
        """Look after them for a daemon."""
        self._duty = duty
        self._unclaimed: dict[str, Run] = {}
        self._coming: frozenset[str] = frozenset()
        self._tries: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._holders: frozenset[str] = frozenset()
        self._rest_until = 0.0
        self._no_start_before = 0.0
        self._trouble = ""
        self._launched = Launched(duty.root)

    @property
    def idle(self) -> bool:
        """See `Part`. What a run has left to others is known when its process has ended."""
        return not self._unclaimed and not self._duty.processes.runs

    def act(self, now: datetime) -> datetime | None:
        """See `Part`."""
        duty = self._duty
        active = duty.store.runs(env=duty.env, statuses=("starting", "running"), limit=_MANY)
        self._look_at_processes({run.id for run in active})
        others = self._of_others()
        starting = [*self._unclaimed.values(), *others]
        active += [run for run in starting if all(run.id != other.id for other in active)]
        again = self._start(active, now)
        watched = now + _GLANCE if duty.processes.runs or self._not_before or others else None
        return min((moment for moment in (again, watched) if moment is not None), default=None)

    def close(self) -> None:
        """See `Part`. The processes go on: they are the runs' own."""

    def _of_others(self) -> list[Run]:
        """Return the runs that processes of another leader are about to claim."""
        found = []
        for run_id in self._launched.of_others(_LONGEST_START):
            run = self._duty.store.run(run_id)
            if run is not None and run.status == "queued" and run.worker is None and run_id not in self._unclaimed:
                found.append(run)
            else:
                self._launched.forget(run_id)
        self._coming = frozenset(run.id for run in found)
        return found

    def _start(self, active: Sequence[Run], now: datetime) -> datetime | None:
        """Start what may start; return when the delay of a waiting run ends."""
        limits = self._duty.project.config.limits.queue
        if len(active) >= limits.runs:
            return None
        trouble = self._no_start_before - clock.monotonic()
        if trouble > 0:
            return now + timedelta(seconds=trouble)
        again, started, all_seen = self._decide(_FIRST, active, limits, now)
        if self._no_start_before > clock.monotonic():
            return now + timedelta(seconds=_AFTER_TROUBLE)
        if started or all_seen:
            return again
        holders = frozenset(run.id for run in active)
        left = self._rest_until - clock.monotonic()
        if holders == self._holders and left > 0:
            return min(again or _NEVER, now + timedelta(seconds=left))
        began = clock.monotonic()
        again, _, _ = self._decide(_ALL, active, limits, now)
        self._holders = holders
        self._rest_until = clock.monotonic() + max(_PAUSE, _SHARE * (clock.monotonic() - began))
        return again

    def _decide(
        self, most: int, active: Sequence[Run], limits: QueueLimits, now: datetime
    ) -> tuple[datetime | None, bool, bool]:
        """Start what may start, of so many waiting runs.

        Returns:
            When a delay ends, whether any was started, and whether there are no more.
        """
        found = self._duty.store.automation.waiting(self._duty.env, limit=most)
        waiting = [run for run in found if run.worker is None and self._may_start(run.id)]
        decision = decide(waiting, active, limits, now)
        by_id = {run.id: run for run in waiting}
        if decision.start:
            self._duty.check_lead()
        for run_id in decision.start[:_AT_ONCE]:
            if self._no_start_before <= clock.monotonic():
                self._begin(by_id[run_id])
        again = now if len(decision.start) > _AT_ONCE else decision.again_at
        return again, bool(decision.start), len(found) < most

    def _may_start(self, run_id: str) -> bool:
        if run_id in self._unclaimed or run_id in self._coming or run_id in self._duty.processes.runs:
            return False
        return self._not_before.get(run_id, 0.0) <= clock.monotonic()

    def _begin(self, run: Run) -> None:
        duty = self._duty
        tries = self._tries[run.id] = self._tries.get(run.id, 0) + 1
        log = duty.root / RUNS / run.id / LOG
        try:
            started = duty.processes.start(("_run", run.id), log, clock.monotonic())
        except OSError as error:
            self._forget(run.id)
            self._wait_for_room(error)
            return
        self._trouble = ""
        self._unclaimed[run.id] = run
        duty.processes.runs[run.id] = started
        self._launched.note(run.id, started.process.pid)
        again = "" if tries == 1 else f", for the {tries}. time"
        duty.log(
            f"run {run.id}{_what(run)}: started process {started.process.pid}{again}", event="run_started", run=run.id
        )

    def _wait_for_room(self, error: OSError) -> None:
        """Start nothing for a while: no memory, no space, too many processes, it would be so for every run."""
        self._no_start_before = clock.monotonic() + _AFTER_TROUBLE
        if str(error) != self._trouble:
            self._duty.log(f"no process can be started: {error}: queued runs wait until one can be", level="error")
        self._trouble = str(error)

    def _look_at_processes(self, active: set[str]) -> None:
        """Note which runs were claimed and which processes have ended."""
        for run_id in [run_id for run_id in self._unclaimed if run_id in active]:
            self._forget(run_id)
        for run_id, started in list(self._duty.processes.runs.items()):
            if started.code is not None:
                del self._duty.processes.runs[run_id]
                self._ended(run_id, started)
            elif run_id in self._unclaimed and clock.monotonic() - started.at > _LONGEST_START:
                started.kill()

    def _ended(self, run_id: str, started: Started) -> None:
        run = self._duty.store.run(run_id)
        if run is not None and run.status == "queued" and run_id in self._unclaimed:
            words = started.last_words()
            self._not_started(run_id, "its process ended before it began" + (f": {words}" if words else ""))
            return
        self._forget(run_id)
        started.tidy()
        if run is not None and run.status in ("success", "failure", "canceled"):
            trouble = run.status == "failure"
            self._duty.log(
                f"run {run_id}{_what(run)}: {run.status}{f': {run.error}' if run.error else ''}",
                level="error" if trouble else "info",
                event="run_ended",
                run=run_id,
            )
        self._duty.bell.ring()

    def _not_started(self, run_id: str, reason: str) -> None:
        """Try again a little later, or end the run."""
        tries = self._tries.get(run_id, 1)
        self._unclaimed.pop(run_id, None)
        self._launched.forget(run_id)
        if tries < _TRIES:
            self._not_before[run_id] = clock.monotonic() + _PAUSE * tries
            return
        self._duty.check_lead()
        self._forget(run_id)
        self._duty.log(f"run {run_id}: {reason}", level="error", event="run_lost", run=run_id)
        self._duty.store.advance_run(
            run_id, "failure", at=clock.now(), error=f"{reason} ({tries} times)", expect=("queued",)
        )

    def _forget(self, run_id: str) -> None:
        self._unclaimed.pop(run_id, None)
        self._tries.pop(run_id, None)
        self._not_before.pop(run_id, None)
        self._launched.forget(run_id)


def _what(run: Run) -> str:
    return f" of job {run.job}" if run.job else ""
