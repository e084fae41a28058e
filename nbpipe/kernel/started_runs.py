"""Runs that this kernel started and did not wait for: what they made is taken over between two cells.

The store is asked in the kernel's own thread, before a cell runs. So no name changes while code works with it, and
a cell that starts after a run has ended sees what the run made.
"""

from __future__ import annotations

from nbpipe.core.ports import StateStore
from nbpipe.core.records import ACTIVE_RUN


class StartedRuns:
    """The runs that have not ended, as far as this kernel knows."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, run_id: str) -> None:
        """Follow a run."""
        self._waiting.append(run_id)

    def made(self, store: StateStore) -> tuple[str, ...]:
        """Return the assets that runs have materialized which ended since this was last asked.

        Raises:
            StateError: the store can't be read; it is asked again the next time.
        """
        found: list[str] = []
        waiting: list[str] = []
        for run_id in self._waiting:
            run = store.run(run_id)
            if run is not None and run.status in ACTIVE_RUN:
                waiting.append(run_id)
            elif run is not None:
                found += [asset for asset, counts in store.outcome_counts(run_id).items() if counts.get("success")]
        self._waiting = waiting
        return tuple(dict.fromkeys(found))
