"""What wakes the daemon: changes of the state store, other threads, and signals."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Literal, TypeAlias

from nbpipe.core.ports import StateStore

Ring: TypeAlias = Literal["changed", "lost", "stop"]
"""`changed`: something may have to be done; `lost`: this process may lead no more; `stop`: it is asked to stop."""

#: Seconds between two rounds that changes of the store cause: a run commits far more often than anybody has to look.
_REST = 0.05
#: Seconds between two attempts to listen to a store that does not work.
_AGAIN = 1.0
#: Seconds after which a wait for a change begins anew.
_LONGEST_WAIT = 30.0


class Bell:
    """Rung from any thread and from signal handlers; one thread waits for it."""

    def __init__(self) -> None:
        """Begin quiet."""
        self._rings: SimpleQueue[Ring] = SimpleQueue()  # its put may interrupt its get: a handler may call it

    def ring(self, ring: Ring = "changed") -> None:
        """Wake who waits."""
        self._rings.put(ring)

    def wait(self, seconds: float | None) -> frozenset[Ring]:
        """Wait so long at most; return what has rung since the last time."""
        heard: set[Ring] = set()
        try:
            heard.add(self._rings.get(timeout=None if seconds is None else max(seconds, 0.0)))
            while True:
                heard.add(self._rings.get_nowait())
        except Empty:
            return frozenset(heard)


class StoreListener:
    """Rings the bell when the state store has changed, from a thread of its own."""

    def __init__(self, store: StateStore, bell: Bell) -> None:
        """Begin to listen."""
        self._store, self._bell = store, bell
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="nbpipe-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; the thread ends with its present wait, or with the process."""
        self._over.set()

    def _listen(self) -> None:
        revision = -1
        while not self._over.is_set():
            try:
                now = self._store.wait_for_change(revision, _LONGEST_WAIT)
            except Exception:  # noqa: BLE001 - whatever it is: a daemon that hears of nothing does nothing
                self._over.wait(_AGAIN)
                continue
            if now != revision and not self._over.is_set():
                revision = now
                self._bell.ring()
                self._over.wait(_REST)
