"""The part of the state store that is about backfills."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from nbpipe.core.automation.records import Lease
from nbpipe.core.records import Run, RunAsset, Step, WorkerId

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.backfills.records import Backfill, BackfillStatus, Portion


class BackfillStore(Protocol):
    """What is known of backfills. Every call that changes something is one durable transaction with an event.

    One process at a time works on a backfill: its worker, which stays noted after the end. Calls that take `worker` do
    nothing but raise if another one has taken over since, so a process that was taken for dead can't harm.
    Assets have the names that they had when the backfill was created, as in its plan, also after a rename; an asset
    without partitions has the one position 0: `{(): BitMap([0])}`.
    Events: `backfill_created`, `_started`, `_resumed`, `_released`, `_progressed`, `_cancel_requested`, `_retried` and
    `_ended`, whose data have the id as `backfill`.

    Raises:
        UnknownNameError: a call that changes something names no backfill; ids are needed in full there.
    """

    def create(self, backfill: Backfill, requested: Mapping[str, Portion], plan: bytes) -> None:
        """Record a queued backfill with what it covers, by asset. O(chunks), never O(partitions).

        Counts are those of the portions, whatever the record says. An asset of the record that has no portion is kept
        with an empty one; what is `done` or `lost` in a portion already is counted so.

        Raises:
            ConflictError: there is a backfill of that id.
        """

    def backfill(self, backfill_id: str) -> Backfill | None:
        """Return a backfill. An unambiguous prefix of the id is enough.

        Raises:
            UnknownNameError: several begin with the prefix.
        """

    def backfills(
        self, *, env: str | None = None, statuses: Iterable[BackfillStatus] = (), limit: int = 50
    ) -> list[Backfill]:
        """Return backfills, newest first."""

    def portions(self, backfill_id: str) -> dict[str, Portion]:
        """Return what became of its partitions, by asset in topological order; none if there is no such backfill."""

    def plan(self, backfill_id: str) -> bytes | None:
        """Return what was given to `create`."""

    def claim(self, backfill_id: str, worker: WorkerId, *, at: datetime, instead_of: WorkerId | None = None) -> bool:
        """Begin to work on a backfill (`queued` or `running` -> `running`) by compare-and-set of its worker.

        False if it has ended, or another worker has it. One whose cancellation is requested can be claimed, to end it.

        Args:
            backfill_id: which.
            worker: who begins.
            at: now.
            instead_of: the worker that has it now, which the caller knows to be gone; None if it has none.
        """

    def release(self, backfill_id: str, worker: WorkerId, *, at: datetime) -> None:
        """Stop working on a backfill that goes on later (`running` -> `queued`).

        Nothing happens to one that has ended; one whose cancellation is requested is canceled.

        Raises:
            ConflictError: another worker has it.
        """

    def launch(
        self,
        backfill_id: str,
        worker: WorkerId,
        run: Run,
        steps: Sequence[Step],
        assets: Sequence[RunAsset],
        plan: bytes,
    ) -> None:
        """Do `RunStore.create_run` for a run of the backfill, which is open until `settle`.

        If the cancellation of the backfill is requested, the run is canceled at once.

        Raises:
            ConflictError: another worker has the backfill, or none, or it has ended; or there is a run of that id.
        """

    def open_runs(self, backfill_id: str) -> list[str]:
        """Return the ids of the runs that were launched and not settled, oldest first."""

    def settle(
        self,
        backfill_id: str,
        worker: WorkerId,
        run_id: str,
        ended: Mapping[str, Portion],
        *,
        at: datetime,
        error: str | None = None,
    ) -> None:
        """Note what became of partitions in a run that has ended, once: a second call for the run does nothing.

        Args:
            backfill_id: which.
            worker: who notes it.
            run_id: the run; empty for partitions that no run will reach, because something upstream of them failed.
            ended: what is done, failed, skipped and lost now, by asset; what was in another of these before leaves it.
                `requested` is not read; partitions that the backfill does not cover are left out. Of several that
                have one partition, the first in this order counts.
            at: now.
            error: why the backfill can't end as a success, whatever became of its partitions; of several the first is
                kept, until `retry` or another end.

        Raises:
            ConflictError: another worker has the backfill, or none.
            UnknownNameError: the backfill has no such run or asset.
        """

    def retry(self, backfill_id: str, *, at: datetime) -> bool:
        """Let a backfill that has ended go on (-> `queued`): what failed, what was lost and what was never tried.

        False if it is active.
        """

    def advance(
        self,
        backfill_id: str,
        status: BackfillStatus,
        *,
        at: datetime,
        worker: WorkerId | None = None,
        error: str | None = None,
    ) -> bool:
        """End a backfill (`success`, `failure` or `canceled`); False if it has ended already. Open runs stay open.

        Raises:
            ConflictError: `worker` is given and another one has it, or none.
        """

    def abandon(self, lease: Lease, backfill_id: str, *, at: datetime, error: str) -> bool:
        """End a backfill that no process can work on (`queued` -> `failure`), by compare-and-set, as who leads.

        False if it is not queued: somebody works on it by now, or it has ended.

        Raises:
            ConflictError: another process leads.
        """

    def request_cancel(self, backfill_id: str, *, at: datetime) -> bool:
        """Ask a backfill and its open runs to stop; one that nobody works on is canceled at once.

        False if it has ended.
        """

    def runs(self, backfill_id: str, *, limit: int = 50) -> list[Run]:
        """Return its runs, settled or not, newest first."""
