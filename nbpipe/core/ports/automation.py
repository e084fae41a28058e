"""The part of the state store that is about schedules, sensors and the daemon's lease."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

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
    """Every call that changes something is one durable transaction.

    Calls that take a lease raise `ConflictError` and change nothing if another process leads by now: the check is part
    of their transaction.
    """

    def lead(self, env: str, worker: WorkerId, *, at: datetime, instead_of: Lease | None = None) -> Lease | None:
        """Take the lease of an environment by compare-and-set; None if it is taken.

        Args:
            env: name of the environment.
            worker: who wants to lead.
            at: now.
            instead_of: the lease whose worker the caller knows to be gone; None: only if nobody has it.
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
        """Start or stop a schedule or sensor; None: as it is declared. A start settles all ticks before `at`."""

    def begin(self, lease: Lease, source: Source, name: str, *, times: str = "", since: datetime) -> None:
        """Note that a schedule or sensor is there, or has other times: ticks up to `since` are settled."""

    def tick(
        self, lease: Lease, tick: Tick, runs: Sequence[NewRun] = (), *, cursor: CursorChange | None = None
    ) -> Tick | None:
        """Record a tick with its runs, `since` (schedules) or the cursor (sensors), all or nothing.

        A skip of a sensor right after another one only counts that one up. A run whose key was seen before is left out,
        and named in the reason.

        Returns:
            The tick as it is kept; None if there is one of this schedule at this time already, or if the cursor is no
            longer the expected one: nothing was changed then.
        """

    def missed(self, lease: Lease, ticks: Sequence[Tick]) -> None:
        """Record missed ticks of schedules, and settle up to the last one; those that exist are left alone."""

    def ticks(self, env: str, source: Source, name: str, *, limit: int = 50, before: int | None = None) -> list[Tick]:
        """Return ticks, newest first."""

    def set_cursor(self, env: str, name: str, cursor: str | None, *, at: datetime) -> None:
        """Give a sensor another cursor, on a person's word."""

    def seen_keys(self, env: str, name: str, keys: Collection[str]) -> Mapping[str, str]:
        """Return those of some run keys that are known and not expired, with the runs that they started."""

    def waiting(self, env: str, *, limit: int = 1000) -> list[Run]:
        """Return queued runs that no process has taken: by priority, then by age."""

    def prune(self, lease: Lease, *, before: datetime, kinds: Collection[str]) -> int:
        """Remove ticks, run keys, ended runs and events that are older; return how many rows.

        Args:
            lease: the caller's.
            before: what ended, or was recorded, earlier.
            kinds: of `ticks`, `run_keys`, `runs`, `events`.
        """


class CursorChange(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor's cursor before and after an evaluation."""

    old: str | None
    new: str | None
