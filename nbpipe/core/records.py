"""What the state store keeps: materializations, attempts, runs, steps, workers, events.

Records are facts. Nothing here says whether an asset is stale: that is computed when it is asked for.
All times are aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import msgspec

RunStatus = Literal["queued", "starting", "running", "success", "failure", "canceled"]
StepStatus = Literal["queued", "running", "success", "failure", "canceled", "skipped"]
"""`skipped`: nothing to do, or something that it waits for failed (then `error` says so)."""
Outcome = Literal["queued", "running", "success", "unchanged", "failed", "skipped", "canceled"]
"""What became of one asset in one run; `skipped`: something upstream of it failed."""

Counted = Literal[Outcome, "idle"]
"""An outcome where many are counted; `idle`: skipped by its own body, so that nothing is left to do."""

ACTIVE_RUN: frozenset[str] = frozenset({"queued", "starting", "running"})

#: Longest error text that is kept; the record of a run has all of it.
LONGEST_ERROR = 2_000

_EMPTY: Mapping[str, Any] = MappingProxyType({})


def kept_error(text: str) -> str:
    """Return an error text as it is kept: not endless."""
    return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]} ... ({len(text):,} characters)"


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A small picture of a value, made when it is stored. Text is data, never markup."""

    kind: Literal["table", "text", "image", "none"] = "none"
    columns: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    """For a table: the first rows, each cell as text."""
    text: str = ""
    image: bytes = b""
    """For an image: a PNG."""


class StoredValue(msgspec.Struct, frozen=True, kw_only=True):
    """Where a value is kept, how to read it, and what it is. The result of an I/O manager's `store`."""

    io: str
    """Name of the I/O manager that wrote it."""
    format: str
    """`parquet`, `npy`, `json`, `text`, `bytes`, `figure`, `file`, `pickle`, ..."""
    path: str
    """Path relative to the I/O manager's own root, with `/`."""
    size: int
    """Bytes."""
    data_version: str
    opaque: bool = False
    """The data version is of the bytes, not of the content: it may change though the content is the same."""
    type: str = ""
    """For example `pandas.DataFrame`."""
    metadata: Mapping[str, Any] = _EMPTY
    """JSON-able facts: `rows`, `columns`, `dtypes`, `shape`, ..."""
    preview: Preview = Preview()


class NewMaterialization(msgspec.Struct, frozen=True, kw_only=True):
    """One value about to be made current."""

    env: str
    asset: str
    partition: str = ""
    stored: StoredValue
    code: tuple[tuple[str, str], ...]
    code_version: str
    sources: Mapping[str, str] = _EMPTY
    """Source text by component hash, for those that have one; kept once per hash."""
    inputs: Mapping[str, str] = _EMPTY
    """Data version of each loaded upstream asset."""
    input_versions: Mapping[str, int] = _EMPTY
    files: Mapping[str, str] = _EMPTY
    """Content hash by path; what did not exist has an empty hash."""
    parameters: Mapping[str, str] = _EMPTY
    """Effective value of each parameter that it reaches, as source text."""
    parameter_defaults: Mapping[str, str] = _EMPTY
    notebook: str = ""
    cell_id: str = ""
    run_id: str | None = None
    created_at: datetime
    duration: float = 0.0
    """Seconds that the body took."""
    peak_memory: int | None = None
    """Highest resident size of the process while the body ran, in bytes."""
    metadata: Mapping[str, Any] = _EMPTY
    displays: tuple[Mapping[str, Any], ...] = ()
    """What the cell displayed: mime bundles, capped in size."""


class Materialization(msgspec.Struct, frozen=True, kw_only=True):
    """One committed value."""

    id: int
    """For its details; that of a partition's value may be below 0 and has none."""
    env: str
    asset: str
    partition: str
    version: int
    """Counts from 1 per asset (or partition) and environment; never reused."""
    stored: StoredValue
    """Without its preview: ask for the details."""
    code: tuple[tuple[str, str], ...]
    code_version: str
    inputs: Mapping[str, str] = _EMPTY
    input_versions: Mapping[str, int] = _EMPTY
    files: Mapping[str, str] = _EMPTY
    parameters: Mapping[str, str] = _EMPTY
    parameter_defaults: Mapping[str, str] = _EMPTY
    notebook: str = ""
    cell_id: str = ""
    run_id: str | None = None
    created_at: datetime
    duration: float = 0.0
    peak_memory: int | None = None
    metadata: Mapping[str, Any] = _EMPTY
    expired: bool = False
    """Retention has removed the value; the record stays."""


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """The bulky part of a materialization."""

    preview: Preview = Preview()
    displays: tuple[Mapping[str, Any], ...] = ()


class AssetState(msgspec.Struct, frozen=True, kw_only=True):
    """What is current for one asset (or partition)."""

    asset: str
    partition: str = ""
    current: Materialization | None = None
    failed_at: datetime | None = None
    """Set if the latest attempt failed."""
    error: str | None = None
    failed_run: str | None = None
    held: bool = False
    """Rolled back by a person: not executed unless forced."""
    activity: Literal["", "queued", "running"] = ""
    """What an active run is about to do, or is doing, with it."""


class WorkerId(msgspec.Struct, frozen=True, kw_only=True):
    """A process, named so that it can't be mistaken for a later one with the same pid."""

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    started: float
    """Start time of the process in seconds since the epoch, as the system tells it."""

    @property
    def id(self) -> str:
        """Return one string that identifies the process."""
        return f"{self.host}/{self.boot_id}/{self.pid_namespace}/{self.pid}/{self.started:.2f}"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run: the execution of saved notebooks."""

    id: str
    env: str
    status: RunStatus = "queued"
    job: str | None = None
    trigger: str = "manual"
    """`manual`, `notebook`, `retry`, `schedule:NAME`, `sensor:NAME`, `backfill:ID`."""
    selection: str = ""
    assets: tuple[str, ...] = ()
    partition: str | None = None
    parameters: Mapping[str, Any] = _EMPTY
    tags: Mapping[str, str] = _EMPTY
    parent: str | None = None
    """The run that this one retries."""
    priority: int = 0
    """Of waiting runs, those with a higher one start first."""
    pools: tuple[str, ...] = ()
    """Pools of which it takes a place while it is active."""
    not_before: datetime | None = None
    """It waits until then at least: the delay of a retry."""
    timeout: float | None = None
    """Seconds that it may take."""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    cancel_requested: bool = False
    worker: WorkerId | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of one notebook within a run."""

    run_id: str
    index: int
    notebook: str
    output: str
    """Path of the record relative to the root."""
    planned: tuple[str, ...] = ()
    executed: tuple[str, ...] = ()
    status: StepStatus = "queued"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    kernel: WorkerId | None = None
    record_hash: str | None = None
    """Content hash of the finished record."""


class RunAsset(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one asset in one run."""

    run_id: str
    asset: str
    partition: str = ""
    step: int = 0
    outcome: Outcome = "queued"
    version: int | None = None
    """The one that was made, or found unchanged; 0: the cell was executed and had nothing to do (then `outcome` is
    `skipped` and `error` its reason)."""
    error: str | None = None

    @property
    def done(self) -> bool:
        """Return whether nothing is left to do: what needs it can go on."""
        return self.outcome in {"success", "unchanged"} or (self.outcome == "skipped" and self.version == 0)


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's sign of life: it lives as long as `beats` moves."""

    worker: WorkerId
    kind: str
    """`run`, `daemon`, ..."""
    beats: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the append-only history."""

    id: int
    at: datetime
    env: str
    kind: str
    """Past tense, for example `asset_materialized`, `asset_failed`, `asset_rolled_back`, `run_started`."""
    asset: str | None = None
    partition: str | None = None
    run_id: str | None = None
    data: Mapping[str, Any] = _EMPTY
