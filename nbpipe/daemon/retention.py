"""Remove what `[retention]` does not keep: ticks, runs, backfills, records, and old values.

A daemon that goes on does so every hour, and every day; one that ends when nothing is left to do does it before its
end, if it was not done for as long.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import msgspec

from nbpipe import clock
from nbpipe.core.automation.records import Source
from nbpipe.core.ports.automation import Prunable
from nbpipe.core.records import ACTIVE_RUN
from nbpipe.daemon.parts import Duty
from nbpipe.daemon.retention_marks import Marks, MarksFile
from nbpipe.execution.records import RUNS
from nbpipe.loading.automation_tables import Keep

_FIRST = timedelta(minutes=1)
_EVERY = timedelta(hours=1)
_VALUES_EVERY = timedelta(days=1)
_BREATH = timedelta(milliseconds=100)
#: Between two looks whether all runs have ended.
_GLANCE = timedelta(seconds=1)
#: Records that are removed before the other parts have their turn.
_FOLDERS = 20
#: A folder this young may be of a run that is just being queued.
_YOUNG = timedelta(hours=1)
_LOG = ".nbpipe/gc.log"
#: Seconds that a clock goes ahead of the time that passes when somebody sets it, or the machine was asleep for days.
_LEAP = timedelta(days=2)

_Old: TypeAlias = tuple[datetime, tuple[Prunable, ...], tuple[Source, str] | None]
"""Before when, which rows, and of ticks whose."""


class RetentionPart:
    """Removes a little at a time, so that nobody waits."""

    def __init__(self, duty: Duty) -> None:
        """Remove for a daemon."""
        self._duty = duty
        self._due: datetime | None = None
        self._values_due: datetime | None = None
        self._rows: deque[_Old] | None = None
        self._folders: Iterator[Path] | None = None
        self._apart: float | None = None
        self._file = MarksFile(duty.root, duty.env)
        self._marks: Marks | None = None
        self._removing = False

    @property
    def idle(self) -> bool:
        """See `Part`."""
        return not (self._duty.until_idle and (self._removing or self._duty.processes.cleaning is not None))

    def act(self, now: datetime) -> datetime | None:
        """See `Part`."""
        self._removing = False  # what fails keeps no daemon from its end
        if self._due is None or self._values_due is None or self._due - now > _EVERY:  # a clock was set back
            self._due, self._values_due = self._first(now)
        if self._has_leapt(now):
            self._due = now + _EVERY
        if self._duty.until_idle and now >= min(self._due, self._values_due) and self._has_work():
            self._removing = True
            return now + _GLANCE
        self._look_at_cleaning(now)
        if now < self._due:
            return self._next(now)
        self._removing = bool(self._prune(now) or self._remove_records(now))
        if self._removing:
            return now + _BREATH
        self._rows = None
        self._due = now + _EVERY
        self._note(rows=now)
        return self._next(now)

    def close(self) -> None:
        """See `Part`."""

    def _first(self, now: datetime) -> tuple[datetime, datetime]:
        """Return when this daemon is to remove rows, and values, for the first time."""
        self._marks = self._file.read()
        if self._marks is None or self._marks.has_leapt(now, _LEAP):
            self._note(rows=now, values=now)
        if not self._duty.until_idle or self._marks is None:
            return now + _FIRST, now + _FIRST * 10
        return self._marks.rows + _EVERY, self._marks.values + _VALUES_EVERY

    def _note(self, *, rows: datetime | None = None, values: datetime | None = None) -> None:
        """Note when something was removed."""
        known = self._marks or Marks(rows=rows or self._duty.now(), values=values or self._duty.now())
        self._marks = msgspec.structs.replace(known, rows=rows or known.rows, values=values or known.values)
        self._file.write(self._marks)

    def _has_work(self) -> bool:
        """Tell whether runs are under way that count as well when they have ended."""
        return bool(self._duty.store.runs(env=self._duty.env, statuses=("queued", "starting", "running"), limit=1))

    def _next(self, now: datetime) -> datetime:
        if self._duty.until_idle and self._duty.processes.cleaning is not None:
            return now + _BREATH
        return min(self._due or now, self._values_due or now)

    def _has_leapt(self, now: datetime) -> bool:
        """Tell whether the clock was set far ahead: if it is wrong, somebody may set it right before all seems old."""
        before, self._apart = self._apart, now.timestamp() - clock.elapsed()
        return before is not None and self._apart - before > _LEAP.total_seconds()

    def _prune(self, now: datetime) -> int:
        """Remove some rows; return how many, 0 only if none are left to remove."""
        if self._rows is None:
            self._rows = deque(self._old_rows(now))
        store, lease = self._duty.store, self._duty.lease
        while self._rows:
            before, kinds, of = self._rows[0]
            removed = store.automation.prune(lease, before=before, kinds=kinds, of=of)
            if removed:
                return removed
            self._rows.popleft()
        return 0

    def _old_rows(self, now: datetime) -> Iterator[_Old]:
        """Yield which rows are not kept."""
        retention = self._duty.project.config.retention
        yield from self._old_ticks(retention.ticks, now)
        yield now, ("run_keys",), None
        before = self._runs_before(retention.runs, now)
        if before is not None:
            yield before, ("backfills", "runs", "events"), None

    def _old_ticks(self, keep: Keep, now: datetime) -> Iterator[_Old]:
        """Yield which ticks are not kept; a number is that of each schedule and sensor."""
        store, env = self._duty.store, self._duty.env
        if keep.seconds is not None:
            yield now - timedelta(seconds=keep.seconds), ("ticks",), None
        elif keep.number is not None:
            declared = self._duty.declared.definitions
            known: set[tuple[Source, str]] = {("schedule", name) for name in declared.schedules}
            known |= {("sensor", name) for name in declared.sensors}  # without a cursor the store keeps no state of it
            for of in sorted(known | store.automation.states(env).keys()):
                ticks = store.automation.ticks(env, *of, limit=keep.number)
                if len(ticks) == keep.number:
                    yield ticks[-1].at, ("ticks",), of

    def _runs_before(self, keep: Keep, now: datetime) -> datetime | None:
        if keep.number is None:
            return _before(keep, now)
        newest = self._duty.store.runs(env=self._duty.env, limit=keep.number)
        return newest[-1].created_at if len(newest) == keep.number else None

    def _remove_records(self, now: datetime) -> int:
        """Remove folders of records; return how many."""
        if self._folders is None:
            self._folders = iter(self._old_folders(now))
        batch = list(islice(self._folders, _FOLDERS))
        if batch:
            self._duty.check_lead()
        for folder in batch:
            run = self._duty.store.run(folder.name)
            if run is None or run.status not in ACTIVE_RUN:
                shutil.rmtree(folder, ignore_errors=True)
        if not batch:
            self._folders = None
        return len(batch)

    def _old_folders(self, now: datetime) -> list[Path]:
        """Return the folders of runs whose records are not kept, and of those that nobody knows any more."""
        duty = self._duty
        keep = duty.project.config.retention.records
        folders = sorted(path for path in (duty.root / RUNS).glob("*") if path.is_dir() and _time_of(path.name))
        names = [path.name for path in folders]
        known = duty.store.known_runs(names)
        young = now - _YOUNG
        if keep.number is not None:
            surplus = set(names[: -keep.number])
        else:
            before = _before(keep, now)
            surplus = {name for name in names if before is not None and (_time_of(name) or now) < before}
        unknown = {name for name in names if name not in known and (_time_of(name) or now) < young}
        return [path for path in folders if path.name in surplus | unknown]

    def _look_at_cleaning(self, now: datetime) -> None:
        """Have another process remove old values: what reads them is large."""
        processes = self._duty.processes
        if processes.cleaning is not None and processes.cleaning.code is not None:
            if processes.cleaning.code:
                words = processes.cleaning.last_words()
                self._duty.log(f"old values could not be removed: {words}", level="warning", event="gc")
            processes.cleaning.tidy()
            processes.cleaning = None
        if self._values_due is not None and now >= self._values_due and processes.cleaning is None:
            self._values_due = now + _VALUES_EVERY
            self._duty.check_lead()
            try:
                processes.cleaning = processes.start(("gc",), self._duty.root / _LOG, clock.monotonic())
                self._note(values=now)
            except OSError as error:
                self._duty.log(f"old values are not removed: {error}: it is tried again in an hour", level="warning")
                self._values_due = now + _EVERY


def _before(keep: Keep, now: datetime) -> datetime | None:
    return None if keep.seconds is None else now - timedelta(seconds=keep.seconds)


def _time_of(name: str) -> datetime | None:
    """Return when a run was created, by its id; None if it is none."""
    try:
        milliseconds = int(name[:12], 16) if len(name) == 20 else None
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, tz=clock.now().tzinfo)
    except (ValueError, OverflowError, OSError):
        return None
