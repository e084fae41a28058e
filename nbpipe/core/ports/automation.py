"""The part of the state store that is about schedules, sensors and the daemon's lease."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

import msgspec

from nbpipe.core.automation.records import AutomationState, Lease, Source, Tick
from nbpipe.core.records import Run, RunAsset, Step, WorkerId


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be queued together with the tick that asks for it; see `RunStore.create_run`."""

    run: Run
    steps: Sequence[Step] = ()
    assets: Sequence[RunAsset] = ()
    plan: bytes = b""
    run_key: str | None = None
    """Of a sensor's request: a second request with the same key, before it expires, starts nothing."""


class AutomationStore(Protocol):
    """Every call that changes something is one durable transaction, and all but `renew` and `prune` append an event.

    Events: `lease_taken`, `lease_resigned`, `automation_begun`, `automation_switched`, `cursor_set`; `tick_launched`,
    `tick_skipped`, `tick_failed`, `tick_missed`, and `ticks_missed` for many; their data have `source` and `name`.

    Calls that take a lease raise `ConflictError` and change nothing if another process leads by now: the check is part
    of their transaction.
    """

    def lead(self, env: str, worker: WorkerId, *, at: datetime, instead_of: Lease | None = None) -> Lease | None:
        """Take the lease of an environment by compare-and-set; None if it is taken.

        Args:
            env: name of the environment.
            worker: who wants to lead.
            at: now.
            instead_of: the lease whose worker the caller knows to be gone, as it was read last: one that has given a
                sign of life since is not taken. None: only if nobody has it.
        """

    def lease(self, env: str) -> Lease | None:
        """Return who leads."""

    def renew(self, lease: Lease, *, at: datetime) -> Lease:
        """Give a sign of life; return the lease with its new beats."""

    def resign(self, lease: Lease, *, at: datetime) -> None:
        """Give the lease back; nothing happens if another process has it."""

    def states(self, env: str) -> Mapping[tuple[Source, str], AutomationState]:
        """Return what is kept of every schedule and sensor."""

    def switch(self, env: str, source: Source, name: str, *, on: bool | None, at: datetime) -> None:
        """Start or stop a schedule or sensor; None: as it is declared. A start settles all ticks up to `at`."""

    def begin(self, lease: Lease, source: Source, name: str, *, times: str = "", since: datetime) -> None:
        """Note that a schedule or sensor is there, or has other times: ticks up to `since` are settled.

        `since` may lie before the old one (a clock was set back): what has a tick is not done again, but what was
        missed may be done now.
        """

    def tick(
        self,
        lease: Lease,
        tick: Tick,
        runs: Sequence[NewRun] = (),
        *,
        cursor: CursorChange | None = None,
        seen: Collection[str] = (),
        keys_until: datetime | None = None,
    ) -> Tick | None:
        """Record a tick with its runs, `since` (schedules) or the cursor (sensors), all or nothing.

        A skip of a sensor right after another one only counts that one up: `scheduled_at` stays that of the first,
        `at` and `reason` become those of the last, and nobody who waits for a change is woken. A run whose key was
        seen before is left out, and named in the reason; if none is left, what was `launched` is `skipped`.

        Args:
            lease: the caller's.
            tick: what to record; its `id`, `runs` and `count` are not read.
            runs: to be queued.
            cursor: of a sensor, before and after; None: it is neither looked at nor changed.
            seen: run keys that were asked for again and that the caller has left out already (see `seen_keys`): they
                are named in the reason, and last longer.
            keys_until: when the run keys of this tick expire; None: never. A key that is asked for again gets this,
                if it moves by more than a hundredth of its time.

        Returns:
            The tick as it is kept; None if there is none, because there was one of this schedule at this time that was
            not missed (the time is settled now), or the time was settled, or the cursor is no longer the expected one,
            or somebody has stopped it.

        Raises:
            ConflictError: another process leads, or there is a run of one of these ids.
        """

    def missed(self, lease: Lease, ticks: Sequence[Tick]) -> None:
        """Record missed ticks of schedules, and settle up to the last one; those that exist are left alone."""

    def enqueue(self, lease: Lease, runs: Sequence[NewRun]) -> list[str]:
        """Queue runs that no tick asks for, for example retries; run keys are not read.

        Returns:
            The ids of the new ones: a run whose id is known is left alone, so a call may be repeated.
        """

    def ticks(self, env: str, source: Source, name: str, *, limit: int = 50, before: int | None = None) -> list[Tick]:
        """Return ticks, newest first.

        Args:
            env: name of the environment.
            source: schedules or sensors.
            name: of which one.
            limit: how many.
            before: only those with an `id` below.
        """

    def set_cursor(self, env: str, name: str, cursor: str | None, *, at: datetime) -> None:
        """Give a sensor another cursor, on a person's word."""

    def seen_keys(self, env: str, name: str, keys: Collection[str], *, at: datetime) -> Mapping[str, str]:
        """Return those of some run keys that are known and not expired, with the runs that they started."""

    def waiting(self, env: str, *, limit: int = 1000) -> list[Run]:
        """Return queued runs that no process has taken: by priority, then by age."""

    def prune(
        self,
        lease: Lease,
        *,
        before: datetime,
        kinds: Collection[Prunable],
        limit: int = 2_000,
        of: tuple[Source, str] | None = None,
    ) -> int:
        """Remove what is older, in one short transaction for each kind.

        What is active stays, and what that needs: runs of a backfill that has not ended, events that tell when and by
        which run a partition's value was made. Values stay whatever becomes of their runs: their `run_id`, and that
        of failures, ticks and run keys, may name a run that is no longer there.

        Args:
            lease: the caller's.
            before: what ended, was recorded last, or expired (run keys), earlier.
            kinds: what to remove. A backfill goes after its runs have ended.
            limit: at most so many of each kind, so that nobody waits long; parts of a large run count too.
            of: of ticks, only those of this schedule or sensor.

        Returns:
            How many rows were removed. Call it again until it is 0.
        """


Prunable: TypeAlias = Literal["ticks", "run_keys", "runs", "backfills", "events"]


class CursorChange(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor's cursor before and after an evaluation."""

    old: str | None
    new: str | None
