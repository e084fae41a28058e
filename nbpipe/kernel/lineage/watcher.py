"""A thread that tells a widget of changes in the state store, as long as somebody can see the widget."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable

from nbpipe.core.ports import StateStore
from nbpipe.errors import StateError

_PATIENCE = 2.0
"""Seconds without a change after which it is looked whether a run has died, and whether to go on."""
_GRACE = 3.0


class Watcher:
    """Waits for changes, and calls back in its own thread."""

    def __init__(
        self, store: StateStore, on_change: Callable[[], None], on_silence: Callable[[], None], *, rest: float = 0.0
    ) -> None:
        """Begin to watch.

        Args:
            store: safe to use from several threads.
            on_change: is called after changes; several may come as one.
            on_silence: is called now and then while nothing changes.
            rest: seconds to let pass after a change has been told.
        """
        self._rest = rest
        self._store = store
        self._on_change = on_change
        self._on_silence = on_silence
        self._seen = threading.Event()
        self._seen.set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="nbpipe-watcher", daemon=True)
        self._thread.start()
        atexit.register(self.end)

    @property
    def alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    def pause(self) -> None:
        """Stop asking the store: nobody looks."""
        self._seen.clear()

    def resume(self) -> None:
        """Go on; what changed meanwhile is told."""
        self._seen.set()

    def end(self) -> None:
        """End the thread; nothing is called any more when this returns, unless it is called by the thread itself."""
        self._ended.set()
        self._seen.set()
        atexit.unregister(self.end)
        if threading.current_thread() is not self._thread:
            self._thread.join(_GRACE)

    def _watch(self) -> None:
        try:
            revision = self._store.revision()
            while not self._ended.is_set():
                self._seen.wait()
                changed = self._store.wait_for_change(revision, _PATIENCE)
                if self._ended.is_set():
                    return
                if changed == revision:
                    self._store.revision()  # raises if the store was closed, of which waiting says nothing
                    self._on_silence()
                else:
                    revision = changed
                    self._on_change()
                    self._ended.wait(self._rest)
        except StateError:
            # The store was closed or can't be read any more: the widget stays as it is.
            return
