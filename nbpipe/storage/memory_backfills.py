"""What is known of backfills, in memory. See `nbpipe.core.ports.BackfillStore`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from nbpipe.core.automation.records import Lease
from nbpipe.core.backfills.records import ACTIVE_BACKFILL, Backfill, BackfillStatus, Portion
from nbpipe.core.records import Run, RunAsset, Step, WorkerId
from nbpipe.errors import ConflictError, UnknownNameError
from nbpipe.storage import automation_rows, backfill_rows, codec
from nbpipe.storage.memory_base import MemoryPart
from nbpipe.storage.memory_runs import MemoryRuns
from nbpipe.storage.outcomes import ambiguous, check_worker


@dataclass
class KeptBackfill:
    """One backfill with all its parts."""

    record: Backfill
    portions: dict[str, Portion]
    plan: bytes
    runs: dict[str, bool] = field(default_factory=dict)
    """Whether each run is settled, oldest first."""

    def change(self, **changes: object) -> None:
        """Keep a changed record."""
        self.record = msgspec.structs.replace(self.record, **changes)

    def keep(self, portions: Mapping[str, Portion]) -> None:
        """Keep changed portions, and count what became of the partitions."""
        self.portions |= portions
        counted = backfill_rows.counted(self.record, self.portions)
        self.change(**{name: getattr(counted, name) for name in ("done", "failed", "skipped", "lost")})


class _Runs(MemoryRuns):
    def __init__(self, store: MemoryPart) -> None:
        self.__dict__ = store.__dict__


class MemoryBackfills(MemoryPart):
    """The part of the in-memory store that is about backfills; it shares all that the store remembers."""

    def __init__(self, store: MemoryPart) -> None:
        self.__dict__ = store.__dict__

    def create(self, backfill: Backfill, requested: Mapping[str, Portion], plan: bytes) -> None:
        """See `BackfillStore`."""
        portions = backfill_rows.ordered(backfill, requested)
        new = backfill_rows.counted(backfill, portions)
        with self._changing():
            if new.id in self._backfills:
                raise ConflictError(f"there is a backfill {new.id} already")
            self._backfills[new.id] = KeptBackfill(new, portions, plan)
            self._tell(new, "backfill_created", new.created_at, {"total": new.total})

    def backfill(self, backfill_id: str) -> Backfill | None:
        """See `BackfillStore`."""
        with self._reading():
            if backfill_id in self._backfills:
                return self._backfills[backfill_id].record
            found = sorted(number for number in self._backfills if backfill_id and number.startswith(backfill_id))
            if len(found) > 1:
                raise ambiguous(backfill_id, found, kind="backfill")
            return self._backfills[found[0]].record if found else None

    def backfills(
        self, *, env: str | None = None, statuses: Iterable[BackfillStatus] = (), limit: int = 50
    ) -> list[Backfill]:
        """See `BackfillStore`."""
        wanted = frozenset(statuses)
        with self._reading():
            records = (kept.record for kept in self._backfills.values())
            chosen = [one for one in records if env in {None, one.env} and (not wanted or one.status in wanted)]
        return sorted(chosen, key=lambda one: (one.created_at, one.id), reverse=True)[:limit]

    def portions(self, backfill_id: str) -> dict[str, Portion]:
        """See `BackfillStore`."""
        with self._reading():
            return dict(self._backfills[backfill_id].portions) if backfill_id in self._backfills else {}

    def plan(self, backfill_id: str) -> bytes | None:
        """See `BackfillStore`."""
        with self._reading():
            return self._backfills[backfill_id].plan if backfill_id in self._backfills else None

    def claim(self, backfill_id: str, worker: WorkerId, *, at: datetime, instead_of: WorkerId | None = None) -> bool:
        """See `BackfillStore`."""
        with self._changing():
            kept = self._found(backfill_id)
            old = kept.record
            if old.status not in ACTIVE_BACKFILL or old.worker != instead_of:
                return False
            kept.change(status="running", worker=worker, started_at=old.started_at or _kept(at))
            kind = "backfill_started" if old.started_at is None else "backfill_resumed"
            self._tell(old, kind, at, {"worker": worker.id})
            return True

    def release(self, backfill_id: str, worker: WorkerId, *, at: datetime) -> None:
        """See `BackfillStore`."""
        with self._changing():
            kept = self._found(backfill_id)
            if kept.record.status not in ACTIVE_BACKFILL:
                return
            check_worker(kept.record.id, kept.record.worker, worker)
            if kept.record.cancel_requested:
                self._end(kept, "canceled", at=at)
                return
            kept.change(status="queued", worker=None)
            self._tell(kept.record, "backfill_released", at)

    def launch(
        self,
        backfill_id: str,
        worker: WorkerId,
        run: Run,
        steps: Sequence[Step],
        assets: Sequence[RunAsset],
        plan: bytes,
    ) -> None:
        """See `BackfillStore`."""
        with self._changing():
            kept = self._found(backfill_id)
            if kept.record.status not in ACTIVE_BACKFILL:
                raise ConflictError(f"the backfill {kept.record.id} has ended: it starts no run any more")
            check_worker(kept.record.id, kept.record.worker, worker)
            _Runs(self).create_run(run, steps, assets, plan)
            kept.runs[run.id] = False
            if kept.record.cancel_requested:
                _Runs(self).request_cancel(run.id, at=run.created_at)

    def open_runs(self, backfill_id: str) -> list[str]:
        """See `BackfillStore`."""
        with self._reading():
            runs = self._backfills[backfill_id].runs if backfill_id in self._backfills else {}
            return [run_id for run_id, settled in runs.items() if not settled]

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
        """See `BackfillStore`."""
        with self._changing():
            kept = self._found(backfill_id)
            check_worker(kept.record.id, kept.record.worker, worker)
            if run_id and run_id not in kept.runs:
                raise UnknownNameError("run of this backfill", run_id)
            if run_id and kept.runs[run_id]:
                return
            for asset in ended:
                if asset not in kept.portions:
                    raise UnknownNameError("asset of this backfill", asset)
            if run_id:
                kept.runs[run_id] = True
            kept.keep({asset: kept.portions[asset].settle(portion) for asset, portion in ended.items()})
            if error is not None:
                kept.change(error=codec.clean(error) if kept.record.error is None else kept.record.error)
            data = {"backfill": kept.record.id}
            self._note(kept.record.env, "backfill_progressed", at, run_id=run_id or None, data=data)

    def retry(self, backfill_id: str, *, at: datetime) -> bool:
        """See `BackfillStore`."""
        with self._changing():
            kept = self._found(backfill_id)
            if kept.record.status in ACTIVE_BACKFILL:
                return False
            kept.keep({asset: portion.retry() for asset, portion in kept.portions.items()})
            kept.change(status="queued", worker=None, ended_at=None, error=None, cancel_requested=False)
            self._tell(kept.record, "backfill_retried", at)
            return True

    def advance(
        self,
        backfill_id: str,
        status: BackfillStatus,
        *,
        at: datetime,
        worker: WorkerId | None = None,
        error: str | None = None,
    ) -> bool:
        """See `BackfillStore`."""
        with self._changing():
            kept = self._found(backfill_id)
            if kept.record.status not in ACTIVE_BACKFILL:
                return False
            if worker is not None:
                check_worker(kept.record.id, kept.record.worker, worker)
            self._end(kept, status, at=at, error=error)
            return True

    def abandon(self, lease: Lease, backfill_id: str, *, at: datetime, error: str) -> bool:
        """See `BackfillStore`."""
        with self._changing():
            automation_rows.check_lease(self._leases.get(lease.env, (0, None))[1], lease)
            kept = self._found(backfill_id)
            if kept.record.status != "queued":
                return False
            self._end(kept, "failure", at=at, error=error)
            return True

    def request_cancel(self, backfill_id: str, *, at: datetime) -> bool:
        """See `BackfillStore`."""
        with self._changing():
            kept = self._found(backfill_id)
            if kept.record.status not in ACTIVE_BACKFILL:
                return False
            kept.change(cancel_requested=True)
            self._tell(kept.record, "backfill_cancel_requested", at)
            for run_id in self.open_runs(kept.record.id):
                _Runs(self).request_cancel(run_id, at=at)
            if kept.record.worker is None:
                self._end(kept, "canceled", at=at)
            return True

    def runs(self, backfill_id: str, *, limit: int = 50) -> list[Run]:
        """See `BackfillStore`."""
        with self._reading():
            launched = list(self._backfills[backfill_id].runs) if backfill_id in self._backfills else []
            return [self._runs[run_id].record for run_id in reversed(launched)][:limit]

    def _found(self, backfill_id: str) -> KeptBackfill:
        if backfill_id not in self._backfills:
            raise UnknownNameError("backfill", backfill_id)
        return self._backfills[backfill_id]

    def _tell(self, known: Backfill, kind: str, at: datetime, data: Mapping[str, object] | None = None) -> None:
        self._note(known.env, kind, at, data={"backfill": known.id, **(data or {})})

    def _end(self, kept: KeptBackfill, status: BackfillStatus, *, at: datetime, error: str | None = None) -> None:
        error = None if error is None else codec.clean(error)
        kept.change(status=status, ended_at=_kept(at), error=error)
        data = {"status": status, **({"error": error} if error else {})}
        self._tell(kept.record, "backfill_ended", at, data)


def _kept(at: datetime) -> datetime:
    """Return a moment as a database would give it back."""
    return codec.moment(codec.stamp(at))
