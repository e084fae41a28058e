"""What is known of runs and workers, in memory. See `nbpipe.core.ports.RunStore`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

import msgspec

from nbpipe.core.records import (
    ACTIVE_RUN,
    Counted,
    Outcome,
    Run,
    RunAsset,
    RunStatus,
    Step,
    StepStatus,
    WorkerId,
    WorkerState,
)
from nbpipe.errors import ConflictError, UnknownNameError
from nbpipe.storage import codec
from nbpipe.storage.memory_base import KeptRun, MemoryPart
from nbpipe.storage.outcomes import (
    END_OF_ASSETS,
    END_OF_STEPS,
    PARTITION_EVENTS,
    RUN_ENDINGS,
    RUN_EVENTS,
    STEP_EVENTS,
    ambiguous,
    left_behind,
)


class MemoryRuns(MemoryPart):
    """The half of the in-memory store that is about runs."""

    def create_run(self, run: Run, steps: Sequence[Step], assets: Sequence[RunAsset], plan: bytes) -> None:
        """See `RunStore`."""
        with self._changing():
            if run.id in self._runs:
                raise ConflictError(f"there is a run {run.id} already")
            record = msgspec.structs.replace(
                run,
                parameters=codec.jsonable(run.parameters),
                tags=codec.jsonable(run.tags),
                not_before=None if run.not_before is None else codec.moment(codec.stamp(run.not_before)),
            )
            data = {"trigger": run.trigger, "job": run.job}
            event = self._note(run.env, "run_queued", run.created_at, run_id=run.id, data=data)
            ordered = sorted(steps, key=lambda step: step.index)
            self._runs[run.id] = KeptRun(record, event, plan, ordered, list(assets))

    def claim_run(self, run_id: str, worker: WorkerId, *, at: datetime) -> bool:
        """See `RunStore`."""
        with self._changing():
            run = self._runs.get(run_id)
            if run is None or run.record.status != "queued":
                return False
            run.record = msgspec.structs.replace(run.record, status="starting", worker=worker)
            self._note(run.record.env, "run_claimed", at, run_id=run_id, data={"worker": worker.id})
            return True

    def advance_run(
        self,
        run_id: str,
        status: RunStatus,
        *,
        at: datetime,
        error: str | None = None,
        expect: Iterable[RunStatus] = (),
    ) -> bool:
        """See `RunStore`."""
        expected = frozenset(expect) or ACTIVE_RUN
        with self._changing():
            run = self._known(run_id)
            if run.record.status not in expected:
                return False
            self._advance(run, status, at=at, error=error)
            return True

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
        """See `RunStore`."""
        ended = status not in {"queued", "running"}
        with self._changing():
            run = self._known(run_id)
            place = next((place for place, step in enumerate(run.steps) if step.index == index), None)
            if place is None:
                raise UnknownNameError("step", f"{run_id}/{index}")
            if run.record.status not in ACTIVE_RUN and not ended:
                return
            old = run.steps[place]
            run.steps[place] = msgspec.structs.replace(
                old,
                status=status,
                started_at=old.started_at or (at if status == "running" else None),
                ended_at=at if ended else old.ended_at,
                error=old.error if error is None else codec.clean(error),
                executed=old.executed if executed is None else tuple(executed),
                kernel=kernel or old.kernel,
                record_hash=record_hash or old.record_hash,
            )
            kind = STEP_EVENTS[status] if old.status != status else "step_updated"
            self._note(run.record.env, kind, at, run_id=run_id, data={"step": index})

    def update_run_assets(
        self, run_id: str, assets: Sequence[str], outcome: Outcome, *, at: datetime, error: str | None = None
    ) -> None:
        """See `RunStore`."""
        with self._changing():
            self._known(run_id)
            message = None if error is None else codec.clean(error)
            self._set_outcomes(run_id, set(assets), outcome, at=at, error=message)

    def request_cancel(self, run_id: str, *, at: datetime) -> bool:
        """See `RunStore`."""
        with self._changing():
            run = self._known(run_id)
            status = run.record.status
            if status not in ACTIVE_RUN:
                return False
            run.record = msgspec.structs.replace(run.record, cancel_requested=True)
            self._note(run.record.env, "run_cancel_requested", at, run_id=run_id)
            if status == "queued":
                self._advance(run, "canceled", at=at, error=None)
            return True

    def run(self, run_id: str) -> Run | None:
        """See `RunStore`."""
        with self._reading():
            if run_id in self._runs:
                return self._runs[run_id].record
            found = sorted(number for number in self._runs if run_id and number.startswith(run_id))
            if len(found) > 1:
                raise ambiguous(run_id, found)
            return self._runs[found[0]].record if found else None

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
        """See `RunStore`."""
        wanted = frozenset(statuses)
        given = {"env": env, "job": job, "trigger": trigger, "parent": parent}
        with self._reading():
            newest = sorted((run.record for run in self._runs.values()), key=_moment, reverse=True)
            if before is not None:
                last = self._runs.get(before)
                newest = [] if last is None else [run for run in newest if _moment(run) < _moment(last.record)]
            chosen = (
                run
                for run in newest
                if (not wanted or run.status in wanted)
                and (run.worker is not None or not taken)
                and all(value in {None, getattr(run, name)} for name, value in given.items())
            )
            return list(chosen)[:limit]

    def ended_after(self, env: str, after: int, *, limit: int = 100) -> list[tuple[int, Run]]:
        """See `RunStore`."""
        with self._reading():
            found = (
                (event.id, self._runs[event.run_id].record)
                for event in self._events[max(after, 0) :]
                if event.kind in RUN_ENDINGS
                and event.env == env
                and event.run_id in self._runs
                and event.id not in self._removed_events
            )
            return list(islice(found, limit))

    def known_runs(self, run_ids: Iterable[str]) -> frozenset[str]:
        """See `RunStore`."""
        with self._reading():
            return frozenset(self._runs.keys() & set(run_ids))

    def steps(self, run_id: str) -> list[Step]:
        """See `RunStore`."""
        with self._reading():
            return list(self._runs[run_id].steps) if run_id in self._runs else []

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
        """See `RunStore`."""
        with self._changing():
            run = self._known(run_id)
            if run.record.status not in ACTIVE_RUN:
                return
            message = None if error is None else codec.clean(error)
            ended = 0
            wanted = None if keys is None else set(keys)
            for index, place in enumerate(run.assets):
                if (
                    place.asset != asset
                    or not place.partition
                    or (wanted is not None and place.partition not in wanted)
                ):
                    continue
                if place.outcome in {"queued", "running"}:
                    run.assets[index] = msgspec.structs.replace(place, outcome=outcome, error=message)
                    ended += 1
            if ended:
                data = {"partitions": ended, **({"error": message} if message else {})}
                kind = PARTITION_EVENTS[outcome]
                self._note(run.record.env, kind, at, asset=asset, partition=label, run_id=run_id, data=data)

    def run_assets(
        self,
        run_id: str,
        *,
        assets: Iterable[str] | None = None,
        outcomes: Iterable[Outcome] | None = None,
        limit: int | None = None,
        skip: int = 0,
    ) -> list[RunAsset]:
        """See `RunStore`."""
        names = None if assets is None else set(assets)
        wanted = None if outcomes is None else set(outcomes)
        with self._reading():
            every = self._runs[run_id].assets if run_id in self._runs else []
            found = (
                place
                for place in every
                if (names is None or place.asset in names) and (wanted is None or place.outcome in wanted)
            )
            return list(islice(found, skip, None if limit is None else skip + limit))

    def outcome_counts(self, run_id: str) -> dict[str, dict[Counted, int]]:
        """See `RunStore`."""
        found: dict[str, dict[Counted, int]] = {}
        for place in self.run_assets(run_id):
            counts = found.setdefault(place.asset, {})
            outcome: Counted = "idle" if place.outcome == "skipped" and place.done else place.outcome
            counts[outcome] = counts.get(outcome, 0) + 1
        return found

    def plan(self, run_id: str) -> bytes | None:
        """See `RunStore`."""
        with self._reading():
            return self._runs[run_id].plan if run_id in self._runs else None

    def beat(self, worker: WorkerId, kind: str, *, at: datetime) -> None:  # noqa: ARG002 - beats are counted, not timed
        """See `RunStore`."""
        with self._reading():
            old = self._workers.get(worker.id)
            self._workers[worker.id] = WorkerState(
                worker=worker, kind=old.kind if old else kind, beats=old.beats + 1 if old else 1
            )

    def workers(self) -> list[WorkerState]:
        """See `RunStore`."""
        with self._reading():
            return [self._workers[key] for key in sorted(self._workers)]

    def forget_worker(self, worker: WorkerId) -> None:
        """See `RunStore`."""
        with self._reading():
            self._workers.pop(worker.id, None)

    def _known(self, run_id: str) -> KeptRun:
        if run_id not in self._runs:
            raise UnknownNameError("run", run_id)
        return self._runs[run_id]

    def _advance(self, run: KeptRun, status: RunStatus, *, at: datetime, error: str | None) -> None:
        ended = status not in ACTIVE_RUN
        error = None if error is None else codec.clean(error)
        run.record = msgspec.structs.replace(
            run.record,
            status=status,
            started_at=run.record.started_at or (at if status == "running" else None),
            ended_at=at if ended else None,
            error=run.record.error if error is None else error,
        )
        data = {"error": error} if error else {}
        self._note(run.record.env, RUN_EVENTS[status], at, run_id=run.record.id, data=data)
        if ended:
            self._end_parts(run, status, at=at, error=error)

    def _end_parts(self, run: KeptRun, status: RunStatus, *, at: datetime, error: str | None) -> None:
        """End what is queued or running in a run. An asset that was running in a failed run has failed itself."""
        env, run_id = run.record.env, run.record.id
        for place in run.assets if status == "failure" else ():
            if place.outcome == "running" and not place.partition:  # those of partitions have marks
                reason = error or "the run failed"
                self._partition(env, place.asset, place.partition).fail(reason, at=at, run_id=run_id)
                data = {"error": reason}
                self._note(
                    env, "asset_failed", at, asset=place.asset, partition=place.partition, run_id=run_id, data=data
                )
        if self._partitioned:
            from nbpipe.storage.memory_partitions import MemoryPartitions  # loaded only where partitions are used

            failed = (error or "the run failed") if status == "failure" else None
            MemoryPartitions(self).end_marks(run_id, failed, at)
        for index, step in enumerate(run.steps):
            ending = END_OF_STEPS[status].get(step.status)
            if ending is not None:
                message = step.error or left_behind(step.status, error)
                run.steps[index] = msgspec.structs.replace(step, status=ending, ended_at=at, error=message)
        for index, place in enumerate(run.assets):
            outcome = END_OF_ASSETS[status].get(place.outcome)
            if outcome is not None:
                message = place.error or left_behind(place.outcome, error)
                run.assets[index] = msgspec.structs.replace(place, outcome=outcome, error=message)


def _moment(run: Run) -> tuple[datetime, str]:
    return run.created_at, run.id
