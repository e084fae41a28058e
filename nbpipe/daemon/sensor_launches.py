"""From a sensor's answer to a tick with its runs: planned piece by piece, so that many of them hold up nobody."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from nbpipe import clock
from nbpipe.core.automation.definitions import JobDef, SensorDef
from nbpipe.core.automation.records import Tick, TickStatus
from nbpipe.core.automation.requests import Answer, RunRequest
from nbpipe.core.parameters import canonical
from nbpipe.core.ports import CursorChange, NewRun
from nbpipe.core.records import kept_error
from nbpipe.daemon.backfill_parts import PlannedRun
from nbpipe.daemon.launching import copied, created_at, discard, origin_of
from nbpipe.daemon.parts import Duty, Work
from nbpipe.errors import NbpipeError, RefusedError, StateError, UnknownNameError

#: How long a run key is remembered after it was asked for last.
KEYS_LAST = timedelta(days=90)
#: Runs whose notebooks are flushed to the disk one after the other; those of more runs all at once.
_FEW = 8
#: Seconds of planning after which the other parts have their turn.
_SLICE = 0.1


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a sensor asks for, and what its tick is to say."""

    answer: Answer
    cursor: CursorChange
    at: datetime
    """When it was asked."""
    note: str = ""
    """What else the tick says: output, notifications."""
    told: bool = False
    """People were told of runs: the tick stands for itself, even if it starts none."""
    failed: str = ""
    """Not empty: nothing is launched, the cursor stays, and this is why."""


class Launch:
    """The runs that one answer asks for."""

    def __init__(self, duty: Duty, sensor: SensorDef, wanted: Wanted) -> None:
        """Begin with nothing planned."""
        self.sensor = sensor
        self._duty, self._wanted = duty, wanted
        self._error = wanted.failed
        self._runs: list[NewRun] = []
        self._seen: dict[str, str] = {}
        self._one_by_one = len(wanted.answer.runs) <= _FEW or not hasattr(os, "sync")
        self._plans: dict[object, PlannedRun | None] = {}
        self._left = deque(wanted.answer.runs)
        self._unsure = False
        self._work = iter(()) if self._error else self._plan()

    def advance(self) -> bool:
        """Plan some of the runs; tell whether all are planned, or one can't be.

        Raises:
            StateError: the state store does not work; this goes on where it stands.
        """
        end = clock.monotonic() + _SLICE
        try:
            for _ in self._work:
                if clock.monotonic() > end:
                    return False
        except StateError:
            self._work = self._plan()  # a generator that has raised would look as if it were done
            raise
        except NbpipeError as error:
            self.fail(str(error))
        return True

    def record(self) -> Tick | None:
        """Record the tick with all runs, the cursor and the run keys; None if it counts no more.

        Raises:
            ConflictError: this process does not lead any more.
            StateError: the state store does not work; this may be tried again.
        """
        wanted, duty = self._wanted, self._duty
        now = max(duty.now(), wanted.at)
        status: TickStatus = "failed" if self._error else "launched" if self._runs or wanted.told else "skipped"
        tick = Tick(
            source="sensor",
            name=self.sensor.name,
            scheduled_at=wanted.at,
            status=status,
            reason=self._reason(),
            at=now,
        )
        if self._runs and not self._one_by_one:
            os.sync()
        try:
            recorded = self._recorded_before(tick) or duty.store.automation.tick(
                duty.lease,
                tick,
                tuple(created_at(new, now) for new in self._runs),
                cursor=None if self._error else wanted.cursor,
                seen=tuple(self._seen),
                keys_until=now + KEYS_LAST,
            )
        except StateError:
            self._unsure = True
            raise
        self.discard()  # those that were left out
        return recorded

    def _recorded_before(self, tick: Tick) -> Tick | None:
        """Return the tick if an attempt that seemed to fail has recorded it: its runs are there."""
        ids = [new.run.id for new in self._runs] if self._unsure else []
        known = self._duty.store.known_runs(ids) if ids else frozenset()
        return msgspec.structs.replace(tick, runs=tuple(filter(known.__contains__, ids))) if known else None

    def discard(self) -> None:
        """Forget its runs; those that are not queued leave nothing behind."""
        discard(self._duty.store, self._duty.root, self._runs)
        self._runs = []

    def fail(self, error: str) -> None:
        """Launch nothing, because of an error."""
        self.discard()
        self._error = error

    @property
    def cursor(self) -> str | None:
        """What is kept if it did not fail."""
        return self._wanted.cursor.new

    @property
    def failed(self) -> bool:
        """Nothing is launched, because of an error."""
        return bool(self._error)

    def _reason(self) -> str | None:
        answer, note = self._wanted.answer, self._wanted.note
        first = self._error
        if not first and not self._runs and not self._seen and not self._wanted.told:
            first = answer.reason or ("keys of partitions changed" if answer.partitions else "nothing to do")
        return kept_error("\n".join(filter(None, (first, note)))) or None

    def _plan(self) -> Iterator[None]:
        """Plan what is left; may be begun anew."""
        answer, duty = self._wanted.answer, self._duty
        if answer.partitions:
            duty.check_lead()
        for change in answer.partitions:
            partitions = duty.store.partitions
            partitions.add_keys(duty.env, change.name, change.add, at=self._duty.now())
            partitions.remove_keys(duty.env, change.name, change.delete, at=self._duty.now())
            yield
        keys = [request.run_key for request in answer.runs if request.run_key is not None]
        if keys:
            found = duty.store.automation.seen_keys(duty.env, self.sensor.name, keys, at=self._duty.now())
            self._seen = dict(found)
        job = self._job() if self._left else None
        while job is not None and self._left:
            request = self._left[0]
            new = None if request.run_key in self._seen else self._new(job, request)
            if new is not None:
                self._runs.append(new)
            self._left.popleft()
            yield

    def _job(self) -> JobDef:
        jobs = self._duty.declared.definitions.jobs
        name = self.sensor.job or ""
        if name not in jobs:
            raise UnknownNameError("job", name, jobs)
        return jobs[name]

    def _new(self, job: JobDef, request: RunRequest) -> NewRun | None:
        duty, at = self._duty, self._wanted.at
        work = Work(
            job=job,
            closed_at=at,
            partition=request.partition_key,
            selection=request.selection,
            parameters=request.parameters,
        )
        origin = origin_of(work, f"sensor:{self.sensor.name}", tags=dict(request.tags), priority=request.priority)
        new = None
        for again in (True, False):
            planned = self._planned(work)
            if planned is None:
                return None
            try:
                new = copied(
                    duty.store, duty.project, planned, origin, run_id=clock.new_id(), at=at, durable=self._one_by_one
                )
                break
            except RefusedError:  # perhaps a notebook was saved in between
                if not (again and duty.project.look()):
                    raise
                self._plans.clear()
        return None if new is None else msgspec.structs.replace(new, run_key=request.run_key)

    def _planned(self, work: Work) -> PlannedRun | None:
        """Plan a run; those that differ in nothing but their keys and tags are planned once."""
        key = (work.partition, work.selection, canonical(dict(work.parameters)))
        if key not in self._plans:
            self._plans[key] = self._duty.project.plan(work)
            for old in list(self._plans)[:-8]:
                del self._plans[old]
        return self._plans[key]
