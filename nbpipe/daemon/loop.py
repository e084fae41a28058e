"""The daemon's loop: one thread that asks each part when its time has come, and sleeps in between."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from nbpipe import clock
from nbpipe.core.automation.records import Lease
from nbpipe.core.ports import StateStore
from nbpipe.daemon.bell import Bell, StoreListener
from nbpipe.daemon.lease import Candidate, LeaseKeeper
from nbpipe.daemon.log import Log, words_of
from nbpipe.daemon.parts import Part
from nbpipe.errors import ConflictError, NbpipeError, RefusedError, StateError

#: Seconds between two attempts to lead.
_STANDBY = 1.0
#: No sleep is longer: somebody may set the system's clock.
_LONGEST_SLEEP = 5.0
#: A clock that has gone so many seconds more, or fewer, than time has passed was set, or this machine was asleep.
_JUMP = 1.0
#: When a part that failed is asked again.
_AFTER_STORE_TROUBLE = timedelta(seconds=1)
_AFTER_ERROR = timedelta(seconds=10)
#: Seconds after which the same trouble with the store is told again.
_SAID_AGAIN = 60.0


class Daemon:
    """Leads an environment, or stands by, until it is told to stop."""

    def __init__(
        self,
        store: StateStore,
        candidate: Candidate,
        make_parts: Callable[[Lease], Sequence[Part]],
        *,
        bell: Bell,
        log: Log,
        until_idle: bool = False,
    ) -> None:
        """Work with parts that are made when this process begins to lead.

        Args:
            store: the state store.
            candidate: who tries to lead.
            make_parts: makes them; they are asked in this order.
            bell: wakes it, and with `stop` ends it.
            log: what it says.
            until_idle: stop when nothing runs, waits or is due.
        """
        self._store, self._candidate, self._make_parts = store, candidate, make_parts
        self._bell, self._log, self._until_idle = bell, log, until_idle
        self._stopping = False
        self._trouble = ""
        self._said_at = 0.0
        self._apart = _clocks_apart()

    def run(self) -> None:
        """Lead or stand by until the bell rings `stop`.

        Raises:
            RefusedError: it was to end when nothing is left to do, and another process leads.
        """
        listener = StoreListener(self._store, self._bell)
        said = None
        try:
            while not self._stopping:
                lease = self._take()
                if lease is not None:
                    said = None
                    self._lead(lease)
                    continue
                if self._until_idle:
                    self._refuse()
                said = self._stand_by(said)
        finally:
            listener.close()

    def _take(self) -> Lease | None:
        try:
            return self._candidate.take()
        except StateError as error:
            self._say_trouble(error)
            return None

    def _say_trouble(self, error: StateError) -> None:
        """Say what is wrong with the state store, now and then: it is asked every second."""
        text, now = str(error), clock.monotonic()
        if text != self._trouble or now > self._said_at + _SAID_AGAIN:
            self._trouble, self._said_at = text, now
            self._log(f"the state store can't be used: {text}", level="error")

    def _refuse(self) -> None:
        leader = self._candidate.leader()
        if leader is not None:
            raise RefusedError(
                f"process {leader.worker.pid} on {leader.worker.host} leads environment {leader.env}: it does the work"
            )

    def _stand_by(self, said: str | None) -> str | None:
        try:
            leader = self._candidate.leader()
        except StateError:
            leader = None
        if leader is not None and leader.worker.id != said:
            said = leader.worker.id
            self._log(
                f"standing by: process {leader.worker.pid} on {leader.worker.host} leads environment {leader.env}",
                event="standby",
            )
        due = clock.monotonic() + _STANDBY
        while not self._stopping and (left := due - clock.monotonic()) > 0:
            self._stopping = "stop" in self._bell.wait(left)
        return said

    def _lead(self, lease: Lease) -> None:
        """Ask the parts until this process stops or another one leads."""
        self._log(f"leading environment {lease.env}", event="leading", token=lease.token)
        keeper = LeaseKeeper(self._store, lease, lambda: self._bell.ring("lost"))
        parts: Sequence[Part] = ()
        try:
            parts = self._make_parts(lease)
            self._ask_parts(lease, parts, keeper)
        except ConflictError as error:
            self._log(f"not leading any more: {error}", level="warning", event="deposed")
        finally:
            keeper.close()
            for part in parts:
                self._close(part)
            self._resign(lease)

    def _close(self, part: Part) -> None:
        try:
            part.close()
        except Exception as error:  # noqa: BLE001 - the others must let go, and the lease be given back
            self._log(words_of(error), level="error", trace=traceback.format_exc())

    def _resign(self, lease: Lease) -> None:
        try:
            self._store.automation.resign(lease, at=clock.now())
        except StateError as error:  # others find out that this process is gone
            self._log(f"the lease could not be given back: {error}", level="warning")

    def _ask_parts(self, lease: Lease, parts: Sequence[Part], keeper: LeaseKeeper) -> None:
        now = clock.now()
        due: list[datetime | None] = [now] * len(parts)
        changed = True
        self._apart = _clocks_apart()
        while True:
            keeper.show()
            revision = self._revision()
            for index, part in enumerate(parts):
                now = clock.now()
                moment = due[index]
                if changed or (moment is not None and moment <= now):
                    due[index] = self._asked(lease, part, now)
            if self._until_idle and self._is_idle(lease, parts, due):
                if not changed or revision != self._revision():  # not every part has seen all that has happened
                    changed = True
                    continue
                self._stopping = True
            if self._stopping:
                return
            changed = self._sleep(lease, due)
            changed = self._clock_was_set() or changed  # what was to come in an hour may be due, or be far away

    def _sleep(self, lease: Lease, due: Sequence[datetime | None]) -> bool:
        """Wait until something is due, at most; return whether anything changed."""
        left = min((clock.seconds_until(moment) for moment in due if moment is not None), default=_LONGEST_SLEEP)
        heard = self._bell.wait(min(left, _LONGEST_SLEEP))
        if "stop" in heard:
            self._stopping = True
        if "lost" in heard:
            self._check(lease)
        return "changed" in heard

    def _clock_was_set(self) -> bool:
        """Tell whether somebody has set the clock since the last time."""
        before, self._apart = self._apart, _clocks_apart()
        jump = self._apart - before
        if abs(jump) <= _JUMP:
            return False
        self._log(f"the clock has jumped by {jump:+,.0f} s", level="warning", event="clock_set")
        return True

    def _asked(self, lease: Lease, part: Part, now: datetime) -> datetime | None:
        if self._stopping:
            return None
        try:
            return part.act(now)
        except ConflictError as error:
            self._check(lease)
            self._log(str(error), level="error")  # another conflict: this process still leads
            return now + _AFTER_ERROR
        except StateError as error:
            self._say_trouble(error)
            return now + _AFTER_STORE_TROUBLE
        except (NbpipeError, OSError) as error:
            self._log(words_of(error), level="error")
            return now + _AFTER_ERROR
        except Exception as error:  # noqa: BLE001 - the other parts must go on
            self._log(words_of(error), level="error", trace=traceback.format_exc())
            return now + _AFTER_ERROR

    def _check(self, lease: Lease) -> None:
        """See to it that this process still leads.

        Raises:
            ConflictError: it does not, or nobody can tell: another one may.
        """
        try:
            known = self._candidate.leader()
        except StateError as error:
            raise ConflictError(f"who leads can't be found out: {error}") from error
        if known is None or known.token != lease.token:
            raise ConflictError("another process leads by now")

    def _revision(self) -> int | None:
        try:
            return self._store.revision() if self._until_idle else None
        except StateError:
            return None

    def _is_idle(self, lease: Lease, parts: Sequence[Part], due: Sequence[datetime | None]) -> bool:
        now = clock.now()
        if not all(part.idle for part in parts) or any(moment is not None and moment <= now for moment in due):
            return False
        try:
            if self._store.runs(env=lease.env, statuses=("queued", "starting", "running"), limit=1):
                return False
            return not self._store.backfills.backfills(env=lease.env, statuses=("queued", "running"), limit=1)
        except StateError:
            return False


def _clocks_apart() -> float:
    return clock.now().timestamp() - clock.elapsed()
