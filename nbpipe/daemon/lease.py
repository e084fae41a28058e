"""Who leads: one process for each environment; the others wait, and one of them takes over when it is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable

from nbpipe import clock
from nbpipe.core.automation.records import Lease
from nbpipe.core.ports import StateStore
from nbpipe.core.records import WorkerId
from nbpipe.errors import ConflictError
from nbpipe.execution.heartbeat import BEAT
from nbpipe.execution.liveness import PATIENCE
from nbpipe.execution.workers import is_alive

#: Seconds after which a daemon whose parts don't come back gives no more signs of life.
STUCK = 60.0
#: Seconds for which the beats of a process that is seen to exist may stand still: it may wait for a busy store.
STILL = 15.0
#: Seconds until a sign of life that could not be given is tried again.
_SOON = 0.5
#: Of the seconds between two looks at a lease, so many count: who was asleep, or had no turn, has seen nothing.
LOOK = 2.0


class Candidate:
    """Tries to lead an environment."""

    def __init__(
        self,
        store: StateStore,
        env: str,
        worker: WorkerId,
        *,
        alive: Callable[[WorkerId], bool | None] = is_alive,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        """Try for `worker`; `alive` looks up another process, and `monotonic` is a clock that never jumps."""
        self._store, self._env, self._worker = store, env, worker
        self._alive, self._monotonic = alive, monotonic
        self._seen: tuple[int, int] | None = None
        self._looked = 0.0
        self._still = 0.0

    def take(self) -> Lease | None:
        """Return the lease if nobody has it, or if who has it is gone; else None: ask again in a second.

        A process of this machine that does not exist any more is gone. Otherwise its beats must have stood still, for
        10 seconds in which this process has looked again and again, or 15 if it can be seen to exist. One that was
        only asleep loses nothing by it: the store refuses what it writes from then on, and it stands by.
        """
        known = self._store.automation.lease(self._env)
        if known is not None and not self._is_gone(known):
            return None
        return self._store.automation.lead(self._env, self._worker, at=clock.now(), instead_of=known)

    def leader(self) -> Lease | None:
        """Return who leads now."""
        return self._store.automation.lease(self._env)

    def _is_gone(self, lease: Lease) -> bool:
        alive = self._alive(lease.worker)
        if alive is False:
            return True
        now, seen = self._monotonic(), (lease.token, lease.beats)
        self._still = self._still + min(now - self._looked, LOOK) if seen == self._seen else 0.0
        self._seen, self._looked = seen, now
        return self._still > (PATIENCE if alive is None else STILL)


class LeaseKeeper:
    """Gives signs of life for a lease, from a thread of its own, as long as the daemon itself shows some."""

    def __init__(self, store: StateStore, lease: Lease, on_lost: Callable[[], None]) -> None:
        """Begin; `on_lost` is called once if another process leads."""
        self._store, self._lease, self._on_lost = store, lease, on_lost
        self._over = threading.Event()
        self._shown = clock.monotonic()
        self._thread = threading.Thread(target=self._keep, name="nbpipe-lease", daemon=True)
        self._thread.start()

    def show(self) -> None:
        """Note that the daemon goes on: one that hangs loses its lease."""
        self._shown = clock.monotonic()

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        pause = BEAT
        while not self._over.wait(pause):
            pause = BEAT
            if clock.monotonic() - self._shown > STUCK:
                continue
            try:
                self._store.automation.renew(self._lease, at=clock.now())
            except ConflictError:
                self._on_lost()
                return
            except Exception:  # noqa: BLE001 - busy, or out of reach, or worse: it is tried again
                pause = _SOON
