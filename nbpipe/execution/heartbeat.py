"""Signs of life while something is carried out, and an ear for requests to stop it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from types import TracebackType

from nbpipe import clock
from nbpipe.core.ports import StateStore
from nbpipe.core.records import ACTIVE_RUN, WorkerId
from nbpipe.errors import StateError

#: Seconds between two signs of life.
BEAT = 3.0
#: Seconds between two looks for a request. Not a wait for the store's own signal: the run's end would have to
#: wait for that wait.
_GLANCE = 0.25


class Heartbeat:
    """Beats for a worker and passes on a request to stop what it does, in a thread of its own."""

    def __init__(
        self,
        store: StateStore,
        worker: WorkerId,
        look: Callable[[], str | None],
        cancel: Callable[[str], None],
        *,
        kind: str = "run",
    ) -> None:
        """Prepare; entering the context starts it.

        Args:
            store: where the beats go, and where requests come from.
            worker: who lives.
            look: returns why to stop, or None; called when the store has changed.
            cancel: is told, once.
            kind: see `WorkerState`.
        """
        self._store, self._worker, self._look, self._cancel, self._kind = store, worker, look, cancel, kind
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="nbpipe-heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        """Register the worker and go on beating."""
        self._store.beat(self._worker, self._kind, at=clock.now())
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop beating and take the worker off the list."""
        self._over.set()
        self._thread.join()
        with contextlib.suppress(StateError):  # a worker that is left on the list harms nobody
            self._store.forget_worker(self._worker)

    def _live(self) -> None:
        due = clock.monotonic() + BEAT
        revision = -1
        asked = False
        while not self._over.wait(_GLANCE):
            # a store that is busy for a moment must not end a run: the next round tries again
            with contextlib.suppress(StateError):
                if clock.monotonic() >= due:
                    self._store.beat(self._worker, self._kind, at=clock.now())
                    due = clock.monotonic() + BEAT
                now = self._store.revision()
                if asked or revision == now:
                    continue
                reason = self._look()
                revision = now  # only what was looked at counts as seen
                if reason is not None:
                    asked = True
                    self._cancel(reason)


def run_look(store: StateStore, run_id: str) -> Callable[[], str | None]:
    """Return what looks whether a run is to stop."""

    def look() -> str | None:
        run = store.run(run_id)
        if run is None or not (run.cancel_requested or run.status not in ACTIVE_RUN):
            return None
        return "canceled on request" if run.cancel_requested else "ended by another process"

    return look
