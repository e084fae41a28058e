"""What the parts of the in-memory store share: everything that it remembers, under one lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from nbpipe.core.records import (
    ACTIVE_RUN,
    AssetState,
    Details,
    Event,
    Materialization,
    Outcome,
    Run,
    RunAsset,
    Step,
    StoredValue,
    WorkerState,
)
from nbpipe.errors import StateError
from nbpipe.storage import codec
from nbpipe.storage.outcomes import ACTIVE_OUTCOMES, ASSET_EVENTS
from nbpipe.storage.signals import Signal

if TYPE_CHECKING:
    from nbpipe.core.automation.records import AutomationState, Lease, Source, Tick
    from nbpipe.storage.memory_backfills import KeptBackfill
    from nbpipe.storage.memory_chunks import KeptPartitions


@dataclass
class KeptValue:
    """One version of a value."""

    record: Materialization
    details: Details
    superseded: int | None = None
    """The event since which it is not current."""


@dataclass
class KeptPartition:
    """One partition of an asset, or an asset without partitions."""

    values: list[KeptValue] = field(default_factory=list)
    current: KeptValue | None = None
    failed_at: datetime | None = None
    error: str | None = None
    failed_run: str | None = None
    held: bool = False

    def clear(self) -> None:
        """Forget a failure and a hold."""
        self.failed_at = self.error = self.failed_run = None
        self.held = False

    def fail(self, error: str, *, at: datetime, run_id: str | None) -> None:
        """Note a failure."""
        self.failed_at, self.error, self.failed_run = at, error, run_id


@dataclass
class KeptRun:
    """One run with all its parts."""

    record: Run
    created: int
    """The event that created it."""
    plan: bytes
    steps: list[Step]
    assets: list[RunAsset]


def expire_value(value: KeptValue) -> StoredValue:
    """Note that a value is removed; return where it was."""
    value.record = msgspec.structs.replace(value.record, expired=True)
    value.details = Details()
    return value.record.stored


class MemoryPart:
    """A part of the in-memory state store."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._signal = Signal()
        self._closed = False
        self._partitions: dict[tuple[str, str], dict[str, KeptPartition]] = {}
        self._partitioned: dict[tuple[str, str], KeptPartitions] = {}
        self._sources: dict[str, str] = {}
        self._events: list[Event] = []
        self._removed_events: set[int] = set()
        self._runs: dict[str, KeptRun] = {}
        self._backfills: dict[str, KeptBackfill] = {}
        self._leases: dict[str, tuple[int, Lease | None]] = {}
        self._automation: dict[tuple[str, Source, str], AutomationState] = {}
        self._ticks: dict[int, tuple[str, Tick]] = {}
        self._tick_numbers = 0
        self._run_keys: dict[tuple[str, str], dict[str, tuple[str, datetime | None]]] = {}
        self._workers: dict[str, WorkerState] = {}
        self._materializations: list[KeptValue] = []

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise StateError("the state store is closed")
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._reading():
            yield
        self._signal.notify()

    def _note(
        self,
        env: str,
        kind: str,
        at: datetime,
        *,
        asset: str | None = None,
        partition: str | None = None,
        run_id: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> int:
        """Append an event; return its number."""
        event = Event(
            id=len(self._events) + 1,
            at=at,
            env=env,
            kind=kind,
            asset=asset,
            partition=partition,
            run_id=run_id,
            data=codec.jsonable(data or {}),
        )
        self._events.append(event)
        return event.id

    def _partition(self, env: str, asset: str, partition: str) -> KeptPartition:
        """Return what is kept of a partition, which may be new."""
        return self._partitions.setdefault((env, asset), {}).setdefault(partition, KeptPartition())

    def _activity(self, env: str) -> dict[tuple[str, str], str]:
        """Return what active runs are about to do, by asset and partition."""
        found: dict[tuple[str, str], str] = {}
        for run in self._runs.values():
            for place in run.assets if run.record.env == env else ():
                if place.outcome in ACTIVE_OUTCOMES:
                    key = (place.asset, place.partition)
                    found[key] = max(found.get(key, ""), place.outcome)  # "running" comes after "queued"
        return found

    @staticmethod
    def _state(asset: str, kept: KeptPartition, activity: str) -> AssetState:
        return AssetState(
            asset=asset,
            current=None if kept.current is None else kept.current.record,
            failed_at=kept.failed_at,
            error=kept.error,
            failed_run=kept.failed_run,
            held=kept.held,
            activity=activity,  # type: ignore[arg-type]  # one of ACTIVE_OUTCOMES or nothing
        )

    def _set_outcomes(
        self,
        run_id: str,
        assets: set[str],
        outcome: Outcome,
        *,
        at: datetime,
        partition: str = "",
        error: str | None = None,
        version: int | None = None,
        silent: bool = False,
    ) -> None:
        """Set outcomes within an active run; in one that has ended they stay."""
        run = self._runs.get(run_id)
        if run is None or run.record.status not in ACTIVE_RUN:
            return
        for index, place in enumerate(run.assets):
            if place.asset not in assets or place.partition != partition:
                continue
            kept = place.version if version is None else version
            run.assets[index] = msgspec.structs.replace(place, outcome=outcome, error=error, version=kept)
            if place.outcome != outcome and not silent:
                self._note(
                    run.record.env,
                    ASSET_EVENTS[outcome],
                    at,
                    asset=place.asset,
                    partition=place.partition,
                    run_id=run_id,
                    data={"error": error} if error else {},
                )
