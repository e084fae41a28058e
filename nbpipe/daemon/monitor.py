"""End runs and release backfills whose process is gone, and try failed runs of jobs again."""

from __future__ import annotations

from datetime import datetime, timedelta

import xxhash

from nbpipe import clock
from nbpipe.core.automation.definitions import JobDef
from nbpipe.core.automation.retries import retry_at
from nbpipe.core.records import Run
from nbpipe.daemon.launching import copied
from nbpipe.daemon.log import words_of
from nbpipe.daemon.parts import Duty
from nbpipe.errors import ConflictError, StateError
from nbpipe.execution.private_folders import remove_abandoned
from nbpipe.execution.reconcile import reconcile
from nbpipe.execution.submit import Origin

_EVERY = timedelta(seconds=2)
_PAGE = 100
#: Runs that ended longer ago, before this process began to lead, are not tried again.
_OLD = timedelta(days=2)
_RECENT = 200
#: What starts runs that nobody waits for; a person sees for himself what fails.
_AUTOMATIC = ("schedule:", "sensor:", "retry")


class Monitor:
    """Looks for processes that are gone."""

    def __init__(self, duty: Duty) -> None:
        """Look for a daemon."""
        self._duty = duty
        self._due = 0.0
        self._swept = False

    @property
    def idle(self) -> bool:
        """See `Part`."""
        return True

    def act(self, now: datetime) -> datetime | None:
        """See `Part`."""
        left = self._due - clock.monotonic()
        if left > 0:
            return now + timedelta(seconds=left)
        duty = self._duty
        if not self._swept:
            self._swept = True
            remove_abandoned()  # also of a daemon that was killed, and of those who had no run
        for run_id in reconcile(duty.store, duty.root, backfills=True):
            duty.log(f"run {run_id}: the process that ran it is gone", level="error", event="run_gone", run=run_id)
            duty.bell.ring()
        self._due = clock.monotonic() + _EVERY.total_seconds()
        return now + _EVERY

    def close(self) -> None:
        """See `Part`."""


class Retries:
    """Queues failed runs again, as their jobs say."""

    def __init__(self, duty: Duty) -> None:
        """Look after them for a daemon."""
        self._duty = duty
        self._after: int | None = None
        self._given_up: set[str] = set()

    @property
    def idle(self) -> bool:
        """See `Part`."""
        return self._after is not None

    def act(self, now: datetime) -> datetime | None:
        """See `Part`."""
        store, env = self._duty.store, self._duty.env
        if self._after is None:
            after = store.revision()
            for run in store.runs(env=env, statuses=("failure",), limit=_RECENT):
                if run.ended_at is not None and now - run.ended_at < _OLD:
                    self._consider(run, now)
            self._after = after
            return None
        found = store.ended_after(env, self._after, limit=_PAGE)
        for event, run in found:
            if run.status == "failure":
                self._consider(run, now)
            self._after = event
            self._given_up.discard(run.id)  # its event is not seen again
        return now if len(found) == _PAGE else None

    def close(self) -> None:
        """See `Part`."""

    def _consider(self, run: Run, now: datetime) -> None:
        job = self._duty.declared.definitions.jobs.get(run.job or "")
        if job is None or run.ended_at is None or run.id in self._given_up or not run.trigger.startswith(_AUTOMATIC):
            return
        attempt = self._attempt(run, job)
        at = retry_at(job, attempt, run.ended_at)
        if at is None or self._duty.store.runs(env=run.env, parent=run.id, limit=1):
            return
        self._retry(run, job, at, f"retry {attempt} of {job.retries}", now)

    def _attempt(self, run: Run, job: JobDef) -> int:
        """Return how often the work of a run has been tried."""
        attempt = 1
        above: Run | None = run
        while above is not None and above.parent is not None and attempt <= job.retries:
            attempt += 1
            above = self._duty.store.run(above.parent)
        return attempt

    def _retry(self, run: Run, job: JobDef, at: datetime, words: str, now: datetime) -> None:
        duty = self._duty
        origin = Origin(
            job=run.job,
            trigger="retry",
            tags=run.tags,
            parent=run.id,
            priority=run.priority,
            not_before=at if at > now else None,
            timeout=job.timeout,
        )
        try:
            planned = duty.project.plan_retry(run)
            new = copied(duty.store, duty.project, planned, origin, run_id=retry_id(run), at=now)
        except (ConflictError, StateError, OSError):  # of the moment: it is tried again
            raise
        except Exception as error:  # noqa: BLE001 - also a mistake of ours: other runs must be tried again
            self._given_up.add(run.id)
            why = f"run {run.id} can't be tried again: {words_of(error)}"
            duty.log(why, level="error", event="not_retried", run=run.id)
            return
        if duty.store.automation.enqueue(duty.lease, [new]):
            duty.log(
                f"run {run.id} of job {run.job} failed: run {new.run.id} is {words}, from {at:%H:%M:%S} UTC",
                event="retried",
                run=new.run.id,
            )
            duty.bell.ring()


def retry_id(run: Run) -> str:
    """Return the id of the run that tries a run again: always the same, so that it is tried once.

    Like every id it sorts by its time; see `clock.new_id`.
    """
    ended = run.ended_at or run.created_at
    return f"{int(ended.timestamp() * 1000):012x}{xxhash.xxh32_hexdigest(run.id.encode())}"
