"""Runs that this kernel started and did not wait for: what they made is taken over between two cells.

The store is asked in the kernel's own thread, before a cell runs. So no name changes while code works with it, and
a cell that starts after a run has ended sees what the run made.
"""

from __future__ import annotations

from nbpipe.core.ports import StateStore
from nbpipe.core.records import ACTIVE_RUN

#: Begins the name of a backfill where that of a run could stand.
BACKFILL = "backfill:"


class StartedRuns:
    """The runs and backfills that have not ended, as far as this kernel knows."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, run_id: str) -> None:
        """Follow a run, or with `BACKFILL` before its id a backfill."""
        self._waiting.append(run_id)

    def made(self, store: StateStore) -> tuple[str, ...]:
        """Return the assets that runs have materialized which ended since this was last asked.

        Raises:
            StateError: the store can't be read; it is asked again the next time.
        """
        found: list[str] = []
        waiting: list[str] = []
        for run_id in self._waiting:
            if run_id.startswith(BACKFILL):
                assets = _made_by_backfill(store, run_id.removeprefix(BACKFILL))
                (waiting if assets is None else found).extend([run_id] if assets is None else assets)
                continue
            run = store.run(run_id)
            if run is not None and run.status in ACTIVE_RUN:
                waiting.append(run_id)
            elif run is not None:
                found += [asset for asset, counts in store.outcome_counts(run_id).items() if counts.get("success")]
        self._waiting = waiting
        return tuple(dict.fromkeys(found))


def _made_by_backfill(store: StateStore, backfill_id: str) -> list[str] | None:
    """Return the assets of which a backfill has made something; None as long as it may make more."""
    found = store.backfills.backfill(backfill_id)
    if found is not None and found.status in ("queued", "running"):
        return None
    return [asset for asset, portion in store.backfills.portions(backfill_id).items() if portion.done]
