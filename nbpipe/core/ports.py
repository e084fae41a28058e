"""The ports: what the core needs of the world, as Protocols.

Each port has a folder of back-ends and one contract test that runs on all of them; the in-memory ones are
public in `nbpipe.testing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from nbpipe.core.records import (
    AssetState,
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
from nbpipe.core.runs.tasks import RunProgress, StepOutcome, StepTask

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.chunks import PartitionFacts
    from nbpipe.core.partitions.records import NewPartition, PartitionDetail, SkippedPartition
    from nbpipe.core.partitions.registries import KeyRegistry
    from nbpipe.core.partitions.sets import Position
    from nbpipe.core.partitions.subsets import Families


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
        """Set what became of assets in a run."""

    def request_cancel(self, run_id: str, *, at: datetime) -> bool:
        """Ask a run to stop; a queued one is canceled at once. False if it has ended."""

    def run(self, run_id: str) -> Run | None:
        """Return a run. An unambiguous prefix of the id is enough."""

    def runs(
        self, *, env: str | None = None, statuses: Iterable[RunStatus] = (), limit: int = 50, before: str | None = None
    ) -> list[Run]:
        """Return runs, newest first."""

    def steps(self, run_id: str) -> list[Step]:
        """Return the steps of a run in order of their index."""

    def run_assets(self, run_id: str) -> list[RunAsset]:
        """Return what became of each asset of a run, in plan order."""

    def plan(self, run_id: str) -> bytes | None:
        """Return the plan of a run."""

    def beat(self, worker: WorkerId, kind: str, *, at: datetime) -> None:
        """Give a sign of life; the first one registers the worker."""

    def workers(self) -> list[WorkerState]:
        """Return all registered workers."""

    def forget_worker(self, worker: WorkerId) -> None:
        """Remove a worker that has ended."""


class PartitionStore(Protocol):
    """What is known of the partitions of assets. Every call that changes something is one durable transaction.

    Partitions are given by position, many of them as families (see `core.partitions`); `key` and `label` are what a
    person reads: a partition key, or a range. One event tells of all partitions of an asset that one call changes.
    Code versions and data versions appear in facts as `chunks.number_of` of their texts.
    """

    def commit(self, values: Sequence[NewPartition]) -> tuple[Materialization, ...]:
        """Make values current, all or none; assign versions; clear failures, skips, holds and the run's marks.

        Within an active run also set the outcome of the run's partitions to `success`. No partition may occur twice.
        """

    def skip(self, values: Sequence[SkippedPartition]) -> None:
        """Note executions that had nothing to do; what is current stays current."""

    def fail(
        self,
        env: str,
        asset: str,
        which: Families,
        error: str,
        *,
        at: datetime,
        label: str = "",
        run_id: str | None = None,
    ) -> None:
        """Note that the latest attempts failed; what is current stays current."""

    def start(self, env: str, asset: str, which: Families, *, run_id: str, at: datetime, label: str = "") -> None:
        """Mark partitions as being worked on by an active run; ignored if it has ended.

        Marks end with the outcome of the partition, or with the run: in one that fails, what it still worked on has
        failed itself.
        """

    def stop(self, env: str, asset: str, which: Families, *, run_id: str, at: datetime, label: str = "") -> None:
        """Remove marks of a run, which left nothing."""

    def facts(self, env: str, asset: str) -> PartitionFacts:
        """Return what is known of all partitions; the same object as before if nothing has changed.

        O(chunks) the first time, then O(chunks that have changed).
        """

    def detail(self, env: str, asset: str, key: str, position: Position) -> PartitionDetail:
        """Return what is known of one partition. O(1)."""

    def materialization(
        self, env: str, asset: str, key: str, position: Position, *, version: int | None = None
    ) -> Materialization | None:
        """Return the current materialization of a partition, or the one of a version. O(1)."""

    def history(self, env: str, asset: str, key: str, position: Position, *, limit: int = 20) -> list[Materialization]:
        """Return materializations of a partition, newest first."""

    def rollback(
        self, env: str, asset: str, key: str, position: Position, *, version: int, at: datetime
    ) -> Materialization:
        """Make an old version of a partition current again and hold it.

        Raises:
            MissingValueError: there is no such version, or retention has removed its value.
        """

    def wipe(
        self, env: str, asset: str, which: Families | None = None, *, at: datetime, label: str = ""
    ) -> tuple[StoredValue, ...]:
        """Forget the values of some partitions (None: of all); return what may now be deleted.

        Versions go on counting; what runs work on stays marked.
        """

    def expire(self, env: str, keep: int, *, at: datetime) -> tuple[StoredValue, ...]:
        """Mark all but the newest `keep` values of each partition as expired; return what may now be deleted.

        Never expires a current value, nor one that was current at any time since the oldest active run was created.
        """

    def keys(self, env: str, name: str, *, asset: str = "") -> KeyRegistry:
        """Return the ordinals of listed keys.

        Args:
            env: name of the environment.
            name: see `sets.registry_name`.
            asset: for a static dimension, the asset that declares it; empty for dynamic keys, which assets share.
        """

    def add_keys(self, env: str, name: str, keys: Iterable[str], *, at: datetime, asset: str = "") -> tuple[str, ...]:
        """Register keys, removed ones again under their old ordinals; return those that were not there.

        Raises:
            DeclarationError: a key is empty, or has blanks at its ends or control characters.
        """

    def remove_keys(
        self, env: str, name: str, keys: Iterable[str], *, at: datetime, asset: str = ""
    ) -> tuple[str, ...]:
        """Remove keys, whose ordinals and facts stay; return those that were there."""


class StateStore(AssetStore, RunStore, Protocol):
    """The state store: append-only events plus current state, changed in the same transaction."""

    @property
    def partitions(self) -> PartitionStore:
        """Return the part that is about partitions."""

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


class IOManager(Protocol):
    """Writes values and reads them back."""

    name: str

    def store(self, value: object, target: StoreTarget) -> StoredValue:
        """Write a value to a new path, durable when this returns.

        Raises:
            UnstorableValueError: names the asset, the type and the remedy.
        """

    def load(self, stored: StoredValue) -> Any:
        """Read a value.

        Raises:
            MissingValueError: the file is gone or can't be read.
        """

    def delete(self, stored: StoredValue) -> None:
        """Remove a value; it is no error if it is gone already."""

    def local_path(self, stored: StoredValue) -> str:
        """Return the path or URL of the stored file, for a person."""

    def shareable(self, value: object, stored: StoredValue) -> bool:
        """Tell whether `value` may be handed on in this process instead of being read again.

        True only if it round-trips exactly and is immutable, or is a pandas object without object columns.
        """

    def sweep(self, keep: Callable[[str], bool], *, older_than: datetime) -> int:
        """Remove files that no record refers to and that are older; return how many bytes that freed."""


class StoreTarget(Protocol):
    """Where a value belongs."""

    @property
    def env(self) -> str:
        """Name of the environment."""

    @property
    def asset(self) -> str:
        """Name of the asset."""

    @property
    def partition(self) -> str:
        """Key of the partition, empty without one."""

    @property
    def uid(self) -> str:
        """Unique per commit: a value is never written over another."""


class KernelRequest(Protocol):
    """What a kernel is to be like."""

    @property
    def kernel_name(self) -> str:
        """Name of the kernelspec."""

    @property
    def cwd(self) -> str:
        """The folder that it runs in, absolute."""

    @property
    def environ(self) -> Mapping[str, str]:
        """Variables set in addition to those of this process."""


class Kernel(Protocol):
    """A kernel that was started for one step, and that its owner must end."""

    worker: WorkerId
    """Identity of the kernel's process."""
    language: str
    """Programming language in lower case, for example `python`."""
    connection: Mapping[str, Any]
    """Jupyter's connection information: transport, address, ports and key."""
    lifeline: int
    """In the kernel's process, the reading end of a pipe that ends when the process that drives it is gone, or -1."""

    def alive(self) -> bool:
        """Tell whether the process runs."""

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell that executes."""

    def shutdown(self, grace: float) -> None:
        """Wait up to `grace` seconds for the kernel's own end, then end it and everything it started by force.

        It may be called again.
        """

    def obituary(self) -> str:
        """Return how the process ended, and its last words, for an error message."""


class KernelProvider(Protocol):
    """Starts kernels."""

    def start(self, request: KernelRequest) -> Kernel:
        """Start a kernel; it may not be ready yet when this returns."""


class ProgressListener(Protocol):
    """Is told what happens in a run; it must return quickly, and is called from several threads."""

    def __call__(self, event: RunProgress) -> None:
        """Take note of something that happened."""


class Executor(Protocol):
    """Carries out the steps of a run."""

    parallel: int
    """How many steps it takes at once."""

    def start(self, task: StepTask, done: Callable[[StepOutcome], None]) -> None:
        """Begin a step and return; call `done` once, from any thread, when it has ended however it ended."""

    def cancel(self) -> None:
        """Ask all steps to stop, and take no more; each still calls `done`, soon."""

    def close(self) -> None:
        """Wait for all steps and release what is held."""
