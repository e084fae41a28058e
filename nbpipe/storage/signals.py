"""A counter that wakes threads of this process."""

from __future__ import annotations

import threading


class Signal:
    """Counts what may be a change, and wakes those who wait for the next one."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    @property
    def count(self) -> int:
        """Return how often `notify` was called."""
        return self._count

    def notify(self) -> None:
        """Wake everybody who waits."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> bool:
        """Wait until the count is not `seen` any more; False if `timeout` seconds passed before."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count != seen, timeout)
