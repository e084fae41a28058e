"""The state store: what is known of assets and runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from nbpipe.core.ports.automation import AutomationStore
from nbpipe.core.ports.backfills import BackfillStore
from nbpipe.core.ports.partitions import PartitionStore
from nbpipe.core.records import (
    AssetState,
    Counted,
    Details,
    Event,
    Materialization,
    NewMaterialization,
    Outcome,
    Run,
    RunAsset,
    RunStatus,
    Step,
    StepStatus,
    StoredValue,
    WorkerId,
    WorkerState,
)


class AssetStore(Protocol):
    """What is known of assets. Every call that changes something is one durable transaction."""

    def commit(self, values: Sequence[NewMaterialization]) -> tuple[Materialization, ...]:
        """Make values current, all or none; assign versions; clear a failure or hold; append events.

        Within an active run also set the outcome of the run's assets to `success`.
        """

    def record_failure(
        self,
        env: str,
        assets: Sequence[str],
        error: str,
        *,
        at: datetime,
        partition: str = "",
        run_id: str | None = None,
    ) -> None:
        """Note that the latest attempt failed; what is current stays current."""

    def record_unchanged(
        self, env: str, assets: Sequence[str], *, at: datetime, run_id: str, partition: str = ""
    ) -> None:
        """Note that a run found assets unchanged and did not execute them."""

    def states(self, env: str, assets: Iterable[str] | None = None) -> dict[str, AssetState]:
        """Return the state of unpartitioned assets (all that have one, or those named), in O(assets returned)."""

    def materialization(
        self, env: str, asset: str, *, partition: str = "", version: int | None = None
    ) -> Materialization | None:
        """Return the current materialization, or the one of a version."""

    def history(self, env: str, asset: str, *, partition: str = "", limit: int = 20) -> list[Materialization]:
        """Return materializations, newest first."""

    def details(self, materialization_id: int) -> Details:
        """Return the preview and displays of a materialization."""

    def sources(self, hashes: Iterable[str]) -> dict[str, str]:
        """Return the source texts that are known for these component hashes."""

    def materialized_after(self, env: str, assets: Iterable[str], after: int, *, limit: int = 100) -> list[Event]:
        """Return events that tell of new values, of partitions too, with an id above `after`, oldest first.

        Costs what is new of these assets, however long the history is. Who found fewer than `limit` may go on from
        the revision that was read before.
        """

    def rollback(self, env: str, asset: str, version: int, *, at: datetime, partition: str = "") -> Materialization:
        """Make an old version current again and hold the asset.

        Raises:
            MissingValueError: there is no such version, or retention has removed its value.
        """

    def rename(self, env: str, old: str, new: str, *, at: datetime) -> None:
        """Move everything known of asset `old` to `new`.

        Raises:
            ConflictError: `new` has a history of its own.
        """

    def wipe(self, env: str, asset: str, *, at: datetime, partition: str | None = None) -> tuple[StoredValue, ...]:
        """Forget the values of an asset (or of one partition); return what may now be deleted.

        Versions go on counting.
        """

    def expire(self, env: str, keep: int, *, at: datetime) -> tuple[StoredValue, ...]:
        """Mark all but the newest `keep` values of each asset as expired; return what may now be deleted.

        Never expires a current value, nor one that was current at any time since the oldest active run was created.
        """

    def kept_paths(self) -> Iterable[tuple[str, str]]:
        """Return `(io, path)` of every value that is not expired, in all environments; those of partitions too."""


class RunStore(Protocol):
    """What is known of runs."""

    def create_run(self, run: Run, steps: Sequence[Step], assets: Sequence[RunAsset], plan: bytes) -> None:
        """Record a queued run with its steps, assets and plan."""

    def claim_run(self, run_id: str, worker: WorkerId, *, at: datetime) -> bool:
        """Take a queued run (`queued` -> `starting`); False if it was not queued any more."""

    def advance_run(
        self,
        run_id: str,
        status: RunStatus,
        *,
        at: datetime,
        error: str | None = None,
        expect: Iterable[RunStatus] = (),
    ) -> bool:
        """Change the status by compare-and-set; a final status also ends queued and running steps and assets.

        Without `expect`, any status that is not final is expected. Return False if the run's status was another.
        """

    def update_step(
        self,
        run_id: str,
        index: int,
        status: StepStatus,
        *,
        at: datetime,
        error: str | None = None,
        executed: Sequence[str] | None = None,
        kernel: WorkerId | None = None,
        record_hash: str | None = None,
    ) -> None:
        """Change a step."""

    def update_run_assets(
        self, run_id: str, assets: Sequence[str], outcome: Outcome, *, at: datetime, error: str | None = None
    ) -> None:
        """Set what became of assets in a run; for partitions see `end_partitions` and `PartitionStore`."""

    def request_cancel(self, run_id: str, *, at: datetime) -> bool:
        """Ask a run to stop; a queued one is canceled at once. False if it has ended."""

    def run(self, run_id: str) -> Run | None:
        """Return a run. An unambiguous prefix of the id is enough."""

    def runs(
        self,
        *,
        env: str | None = None,
        statuses: Iterable[RunStatus] = (),
        limit: int = 50,
        before: str | None = None,
        job: str | None = None,
        trigger: str | None = None,
        parent: str | None = None,
        taken: bool = False,
    ) -> list[Run]:
        """Return runs, newest first.

        Args:
            env: only those of this environment.
            statuses: only those that have one of these; empty: all.
            limit: how many.
            before: only those older than this run.
            job: only those of this job.
            trigger: only what was started by this, for example `schedule:NAME`.
            parent: only those that retry this run.
            taken: only those that a process has, or is about to take: not what waits in the queue.
        """

    def ended_after(self, env: str, after: int, *, limit: int = 100) -> list[tuple[int, Run]]:
        """Return runs that have ended, each with the id of the event that tells so, above `after`; oldest first.

        Costs what it returns, however long the history is. Runs that retention has removed are left out.
        """

    def known_runs(self, run_ids: Iterable[str]) -> frozenset[str]:
        """Return those ids that are of runs which the store knows, for example to find records of removed runs."""

    def steps(self, run_id: str) -> list[Step]:
        """Return the steps of a run in order of their index."""

    def end_partitions(
        self,
        run_id: str,
        asset: str,
        outcome: Outcome,
        *,
        at: datetime,
        keys: Iterable[str] | None = None,
        error: str | None = None,
        label: str = "",
    ) -> None:
        """Set what became of those partitions of an asset in a run that are queued or running there.

        Args:
            run_id: the run.
            asset: the asset.
            outcome: what became of them.
            at: now.
            keys: only these.
            error: why.
            label: for the history, which they are.
        """

    def run_assets(
        self,
        run_id: str,
        *,
        assets: Iterable[str] | None = None,
        outcomes: Iterable[Outcome] | None = None,
        limit: int | None = None,
        skip: int = 0,
    ) -> list[RunAsset]:
        """Return what became of each asset of a run, and of each partition, in plan order.

        Args:
            run_id: the run.
            assets: only these.
            outcomes: only what has one of these.
            limit: only so many.
            skip: of those that are wanted, not the first so many.
        """

    def outcome_counts(self, run_id: str) -> dict[str, dict[Counted, int]]:
        """Return how many partitions of each asset of a run have which outcome; 1 for an asset without.

        Assets are in plan order. Executions that had nothing to do count as `idle`, see `RunAsset.done`.
        """

    def plan(self, run_id: str) -> bytes | None:
        """Return the plan of a run."""

    def beat(self, worker: WorkerId, kind: str, *, at: datetime) -> None:
        """Give a sign of life; the first one registers the worker."""

    def workers(self) -> list[WorkerState]:
        """Return all registered workers."""

    def forget_worker(self, worker: WorkerId) -> None:
        """Remove a worker that has ended."""


class StateStore(AssetStore, RunStore, Protocol):
    """The state store: append-only events plus current state, changed in the same transaction."""

    @property
    def partitions(self) -> PartitionStore:
        """Return the part that is about partitions."""

    @property
    def backfills(self) -> BackfillStore:
        """Return the part that is about backfills."""

    @property
    def automation(self) -> AutomationStore:
        """Return the part that is about schedules, sensors and who leads."""

    def revision(self) -> int:
        """Return a number that grows with every committed change."""

    def wait_for_change(self, since: int, timeout: float) -> int:
        """Wait until the revision is above `since` or `timeout` seconds have passed; return the revision."""

    def events(
        self,
        *,
        env: str | None = None,
        asset: str | None = None,
        run_id: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Event]:
        """Return events in order, oldest first, with an id above `after`."""

    def close(self) -> None:
        """Release all connections."""
