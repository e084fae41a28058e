"""Tick: note the times of schedules, launch what they ask for, and record what was missed."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import TypeAlias

import msgspec

from nbpipe import clock
from nbpipe.core.automation.definitions import JobDef, ScheduleDef
from nbpipe.core.automation.records import AutomationState, Source, Tick, TickStatus
from nbpipe.core.automation.schedules import GRACE, Due, due, upcoming
from nbpipe.core.counted import counted
from nbpipe.core.ports import NewRun
from nbpipe.core.records import kept_error
from nbpipe.daemon.launching import created_at, discard, new_run, origin_of
from nbpipe.daemon.log import words_of
from nbpipe.daemon.parts import Duty, Work
from nbpipe.errors import ConflictError, StateError, UnknownNameError

#: Runs are planned this long before their time, so that at the time they need only be recorded.
_AHEAD = timedelta(seconds=3)
#: So many ticks are recorded before the other parts have their turn, and of one schedule before others have theirs.
_AT_ONCE = 20
_OF_EACH = 10
#: How long a schedule waits that this program can't deal with, and that must not stop the others.
_ASIDE = timedelta(minutes=1)

_STOPPED = "stopped"
#: Begins the times of a schedule that is not declared now.
_GONE = "gone "
_NO_DAEMON = "no daemon was at work"
_NO_TIME = "the clock was set ahead, or the machine was asleep"
_UNLISTED = "; nor at the times before, which are not listed"


class _NotPlanned(msgspec.Struct, frozen=True):
    """There can be no run."""

    why: str


_Ready: TypeAlias = NewRun | _NotPlanned | None
"""A run to be queued, why there can be none, or None: there is nothing to do."""


class Schedules:
    """Looks after all schedules."""

    def __init__(self, duty: Duty) -> None:
        """Look after them for a daemon."""
        self._duty = duty
        self._seen: tuple[int, int] | None = None
        self._on: dict[str, ScheduleDef] = {}
        self._since: dict[str, datetime] = {}
        self._next: dict[str, datetime] = {}
        self._ready: dict[tuple[str, datetime], tuple[int, _Ready]] = {}
        self._looked: frozenset[str] | None = None
        self._count = count(1)
        self._turns: dict[str, int] = {}
        self._began: datetime | None = None
        self._settled: dict[str, datetime] = {}
        """Up to when all was settled before the clock was set back."""
        self._aside: dict[str, float] = {}

    @property
    def idle(self) -> bool:
        """See `Part`."""
        return self._looked is not None and not self._looked

    def act(self, now: datetime) -> datetime | None:
        """See `Part`."""
        if any(until <= clock.monotonic() for until in self._aside.values()):
            self._aside.clear()
            self._seen = None
        self._began = self._began or now
        self._look(now)
        left = _AT_ONCE
        for name in self._in_turn([name for name, at in self._next.items() if at <= now]):
            with self._apart(name):
                left -= self._settle(name, now, min(left, _OF_EACH))
            if left <= 0:
                break
        if any(at <= now for at in self._next.values()):
            return now
        if self._duty.once:
            return None
        again = self._prepare(now)
        return min(again or now + _ASIDE, now + _ASIDE) if self._aside else again

    def close(self) -> None:
        """See `Part`."""
        self._discard([ready for _, ready in self._ready.values()])
        self._ready.clear()

    def _in_turn(self, names: Iterable[str]) -> Iterator[str]:
        """Yield those first whose turn was longest ago: nobody waits until another has caught up with days."""
        for name in sorted(names, key=lambda name: (self._turns.get(name, 0), self._next[name])):
            self._turns[name] = next(self._count)
            yield name

    def _look(self, now: datetime) -> None:
        """Take in what is declared and what persons have switched, if any of it may have changed."""
        declared, store = self._duty.declared, self._duty.store
        seen = (declared.version, store.revision())
        set_back = any(since > now + GRACE for since in self._since.values())
        set_right = any(upto < now - GRACE for upto in self._settled.values())
        if seen == self._seen and not (set_back or set_right):
            return
        states = store.automation.states(self._duty.env)
        self._on = {}
        for name, schedule in declared.definitions.schedules.items():
            state = states.get(("schedule", name)) or AutomationState(source="schedule", name=name)
            with self._apart(name):
                if name not in self._aside and self._begin(schedule, state, now):
                    self._on[name] = schedule
        self._note_gone(states, now)
        self._seen = seen
        self._settled = {name: upto for name, upto in self._settled.items() if upto >= now - GRACE}
        for known in (self._next, self._since, self._turns):
            for name in known.keys() - self._on.keys():
                del known[name]
        self._forget_ready()
        if self._looked is None:
            self._looked = frozenset(name for name, at in self._next.items() if at <= now)

    @contextmanager
    def _apart(self, name: str) -> Iterator[None]:
        """Let a mistake of ours about one schedule stop no other: it is looked at again a little later."""
        try:
            yield
        except (ConflictError, StateError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._aside[name] = clock.monotonic() + _ASIDE.total_seconds()
            self._next.pop(name, None)
            self._looked = self._looked and self._looked - {name}
            self._duty.log(
                f"schedule {name}: {words_of(error)}",
                level="error",
                event="schedule_aside",
                schedule=name,
                trace=traceback.format_exc(),
            )

    def _note_gone(self, states: Mapping[tuple[Source, str], AutomationState], now: datetime) -> None:
        """Settle the past of schedules that are not declared any more: until they are again, they have no ticks."""
        declared = self._duty.declared.definitions
        if not declared.notebooks:  # the project's folder is not there, or nothing could be read yet: nobody can tell
            return
        for (source, name), state in states.items():
            is_gone = source == "schedule" and name not in declared.schedules
            if is_gone and state.since is not None and not state.times.startswith(_GONE):
                times = _GONE + state.times
                self._duty.store.automation.begin(self._duty.lease, "schedule", name, times=times, since=now)
                self._duty.log(f"schedule {name} is not declared any more", event="schedule_gone", schedule=name)

    def _begin(self, schedule: ScheduleDef, state: AutomationState, now: datetime) -> bool:
        """Settle the past of a schedule that is new or has other times; tell whether it is on."""
        on = not schedule.stopped if state.on is None else state.on
        times = schedule.times if on else _STOPPED
        kept, state = state, _returned(state, now)
        since, settled = state.since, self._settled.get(schedule.name)
        if since is not None and since > now + GRACE:
            self._settled[schedule.name] = max(since, settled or since)
            since = now
        elif since is None:
            since = now
        elif settled is not None and since < settled < now - GRACE:
            since = settled  # a clock that was wrong is right again: what was done before is not made up for
        elif state.times != times:
            # one that a person has started ticks from then on; what else changes, changes now
            started = on and state.on is True and state.times in ("", _STOPPED)
            since = since if started else now
        if since != kept.since or kept.times != times:
            self._duty.store.automation.begin(self._duty.lease, "schedule", schedule.name, times=times, since=since)
        if not on:
            return False
        if self._since.get(schedule.name) != since or self._changed(schedule) or schedule.name not in self._next:
            self._since[schedule.name] = since
            self._note_next(schedule)
        return True

    def _changed(self, schedule: ScheduleDef) -> bool:
        known = self._on.get(schedule.name)
        return known is None or known.times != schedule.times

    def _note_next(self, schedule: ScheduleDef) -> None:
        coming = upcoming(schedule, self._since[schedule.name], 1)
        if coming:
            self._next[schedule.name] = coming[0]
        else:
            self._next.pop(schedule.name, None)

    def _settle(self, name: str, now: datetime, most: int) -> int:
        """Record the ticks of a schedule up to now, at most so many that launch something; return how many."""
        schedule = self._on[name]
        if self._duty.once and self._looked is not None and name not in self._looked:
            self._next.pop(name)
            return 0
        found = due(schedule, self._since[name], now)
        self._record_missed(schedule, found, now)
        for at in found.launch[:most]:
            self._tick(schedule, at)
            self._since[name] = at
        self._note_next(schedule)
        if self._looked and self._next.get(name, now + GRACE) > now:
            self._looked -= {name}
        return len(found.launch[:most])

    def _record_missed(self, schedule: ScheduleDef, found: Due, now: datetime) -> None:
        if not found.missed:
            return
        began = self._began or now
        ticks = [
            Tick(
                source="schedule",
                name=schedule.name,
                scheduled_at=at,
                status="missed",
                reason=(_NO_DAEMON if at <= began else _NO_TIME) + (_UNLISTED if found.more and index == 0 else ""),
                at=now,
            )
            for index, at in enumerate(found.missed)
        ]
        self._duty.store.automation.missed(self._duty.lease, ticks)
        self._since[schedule.name] = found.missed[-1]
        number = f"{'more than ' if found.more else ''}{counted(len(ticks), 'tick')}"
        self._duty.log(
            f"schedule {schedule.name}: {number} missed, the last at {found.missed[-1]:%Y-%m-%d %H:%M:%S} UTC",
            level="warning",
            event="missed",
            schedule=schedule.name,
        )

    def _tick(self, schedule: ScheduleDef, at: datetime) -> None:
        """Record one tick with its run."""
        place = (schedule.name, at)
        version, ready = self._ready.get(place, (0, None))
        if version != self._duty.declared.version or not isinstance(ready, NewRun):
            ready = self._planned(schedule, at)  # what could not be run a moment ago, perhaps can be now
        self._ready[place] = (self._duty.declared.version, ready)  # should the store be busy, it is there next time
        recorded = self._recorded(schedule, at, ready)
        del self._ready[place]
        if recorded is None:
            self._discard([ready])
            self._seen = None  # somebody has stopped it, or it was settled
            return
        what = f"launched run {recorded.runs[0]}" if recorded.runs else f"{recorded.status}: {recorded.reason}"
        self._duty.log(
            f"schedule {schedule.name}: tick of {at:%Y-%m-%d %H:%M:%S} UTC {what}",
            level="error" if recorded.status == "failed" else "info",
            event="tick",
            schedule=schedule.name,
        )
        self._duty.bell.ring()

    def _recorded(self, schedule: ScheduleDef, at: datetime, ready: _Ready) -> Tick | None:
        now = max(self._duty.now(), at)
        status: TickStatus = "launched"
        reason = None
        runs: tuple[NewRun, ...] = ()
        if isinstance(ready, _NotPlanned):
            status, reason = "failed", kept_error(ready.why)
        elif ready is None:
            status, reason = "skipped", "nothing to do"
        else:
            runs = (created_at(ready, now),)
        tick = Tick(source="schedule", name=schedule.name, scheduled_at=at, status=status, reason=reason, at=now)
        return self._duty.store.automation.tick(self._duty.lease, tick, runs)

    def _prepare(self, now: datetime) -> datetime | None:
        """Plan one run of the near future; return when to go on."""
        coming = sorted((at, name) for name, at in self._next.items())
        first = coming[0][0] if coming else None
        for at, name in coming:
            if at - now > _AHEAD:
                return min(at - _AHEAD, first or at)
            if (name, at) not in self._ready:
                self._ready[name, at] = (self._duty.declared.version, self._planned(self._on[name], at))
                return now if len(coming) > 1 else at
        return first

    def _planned(self, schedule: ScheduleDef, at: datetime) -> _Ready:
        duty = self._duty
        try:
            job = job_of(schedule, duty.declared.definitions.jobs)
            work = Work(job=job, closed_at=at)
            origin = origin_of(work, f"schedule:{schedule.name}")
            # an id tells retention how old a run is: one that is made up for is young
            return new_run(duty.store, duty.project, work, origin, run_id=run_id_at(max(at, duty.now())), at=at)
        except (ConflictError, StateError):
            raise
        except Exception as error:  # noqa: BLE001 - also a mistake of ours: it must not stop the schedules
            return _NotPlanned(words_of(error))

    def _forget_ready(self) -> None:
        """Drop what was planned from other definitions, or will not be needed."""
        version = self._duty.declared.version
        for place, (made_from, ready) in list(self._ready.items()):
            if made_from != version or self._next.get(place[0]) != place[1]:
                self._discard([ready])
                del self._ready[place]

    def _discard(self, found: Iterable[_Ready]) -> None:
        discard(self._duty.store, self._duty.root, [ready for ready in found if isinstance(ready, NewRun)])


def _returned(state: AutomationState, now: datetime) -> AutomationState:
    """Return the state of a schedule that is declared; if it was not, all is settled that is not of the last moments.

    A notebook may be away for a moment: it is put in another place, or another branch is checked out.
    """
    if state.since is None or not state.times.startswith(_GONE):
        return state
    times, since = state.times.removeprefix(_GONE), max(state.since, now - GRACE)
    return msgspec.structs.replace(state, times=times, since=since)


def job_of(schedule: ScheduleDef, jobs: Mapping[str, JobDef]) -> JobDef:
    """Return what a schedule runs: a job, or one without a name for its selection.

    Raises:
        UnknownNameError: the job is gone, or has an error.
    """
    if schedule.job is None:
        return JobDef(name="", selection=schedule.selection or "")
    try:
        return jobs[schedule.job]
    except KeyError:
        raise UnknownNameError("job", schedule.job, jobs) from None


def run_id_at(at: datetime) -> str:
    """Return a new identifier of a run of that moment; see `clock.new_id`."""
    return f"{int(at.timestamp() * 1000):012x}{os.urandom(4).hex()}"
