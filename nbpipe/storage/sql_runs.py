"""What is known of runs and workers, in SQL. See `nbpipe.core.ports.RunStore`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby

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
from nbpipe.storage import asset_queries, codec, partition_queries, rows, run_lists
from nbpipe.storage import run_queries as queries
from nbpipe.storage.database import Transaction
from nbpipe.storage.outcomes import (
    CANDIDATES,
    END_OF_ASSETS,
    END_OF_STEPS,
    PARTITION_EVENTS,
    RUN_EVENTS,
    STEP_EVENTS,
    ambiguous,
    left_behind,
)
from nbpipe.storage.sql_base import Happening, SqlPart

_ALL = 2**31 - 1
_NARROW = {
    "job": run_lists.select_runs_of_job,
    "trigger": run_lists.select_triggered_runs,
    "parent": run_lists.select_retries,
}


class SqlRuns(SqlPart):
    """The half of the state store that is about runs."""

    def create_run(self, run: Run, steps: Sequence[Step], assets: Sequence[RunAsset], plan: bytes) -> None:
        """See `RunStore`."""
        with self._database.write() as transaction:
            self.add_run(transaction, run, steps, assets, plan)

    def add_run(
        self, transaction: Transaction, run: Run, steps: Sequence[Step], assets: Sequence[RunAsset], plan: bytes
    ) -> int:
        """Do `create_run` as a part of a transaction; return the number of its event."""
        if self._status(transaction, run.id) is not None:
            raise ConflictError(f"there is a run {run.id} already")
        data = {"trigger": run.trigger, "job": run.job}
        event = self._note(transaction, Happening(run.env, "run_queued", run_id=run.id, data=data), run.created_at)
        transaction.run(queries.add_run, **rows.run_values(run, created_event=event))
        transaction.run(queries.add_plan, run=run.id, content=plan)
        transaction.many(queries.add_step, map(rows.step_values, steps))
        numbers = self._assets(transaction, run.env, (asset.asset for asset in assets))
        first = 0
        for shared, found in groupby(assets, key=rows.but_partition):
            group = list(found)
            place_partitions(transaction, group, numbers[shared[0]], first)
            first += len(group)
        return event

    def claim_run(self, run_id: str, worker: WorkerId, *, at: datetime) -> bool:
        """See `RunStore`."""
        with self._database.write() as transaction:
            if not transaction.run(queries.claim, run=run_id, identity=codec.encode_text(worker)):
                return False
            _, env = self._known(transaction, run_id)
            self._note(transaction, Happening(env, "run_claimed", run_id=run_id, data={"worker": worker.id}), at)
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
        with self._database.write() as transaction:
            found, env = self._known(transaction, run_id)
            if found not in expected:
                return False
            self._advance(transaction, run_id, env, status, at=at, error=error)
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
        """See `RunStore`. A step of a run that has ended can't start any more."""
        ended = status not in {"queued", "running"}
        with self._database.write() as transaction:
            run_status, env = self._known(transaction, run_id)
            row = transaction.one(queries.select_step_status, run=run_id, index=index)
            if row is None:
                raise UnknownNameError("step", f"{run_id}/{index}")
            if run_status not in ACTIVE_RUN and not ended:
                return
            transaction.run(
                queries.update_step,
                run=run_id,
                index=index,
                new=status,
                started=codec.stamp(at) if status == "running" else None,
                ended=codec.stamp(at) if ended else None,
                message=None if error is None else codec.clean(error),
                done=None if executed is None else codec.encode_text(tuple(executed)),
                identity=None if kernel is None else codec.encode_text(kernel),
                hash=record_hash,
            )
            kind = STEP_EVENTS[status] if row[0] != status else "step_updated"
            self._note(transaction, Happening(env, kind, run_id=run_id, data={"step": index}), at)

    def update_run_assets(
        self, run_id: str, assets: Sequence[str], outcome: Outcome, *, at: datetime, error: str | None = None
    ) -> None:
        """See `RunStore`. In a run that has ended outcomes stay as they are."""
        with self._database.write() as transaction:
            self._known(transaction, run_id)
            message = None if error is None else codec.clean(error)
            self._set_outcomes(transaction, run_id, assets, outcome, at=at, error=message)

    def request_cancel(self, run_id: str, *, at: datetime) -> bool:
        """See `RunStore`."""
        with self._database.write() as transaction:
            return self.ask_to_stop(transaction, run_id, at=at)

    def ask_to_stop(self, transaction: Transaction, run_id: str, *, at: datetime) -> bool:
        """Do `request_cancel` as a part of a transaction."""
        status, env = self._known(transaction, run_id)
        if status not in ACTIVE_RUN:
            return False
        transaction.run(queries.ask_to_cancel, run=run_id)
        self._note(transaction, Happening(env, "run_cancel_requested", run_id=run_id), at)
        if status == "queued":
            self._advance(transaction, run_id, env, "canceled", at=at, error=None)
        return True

    def run(self, run_id: str) -> Run | None:
        """See `RunStore`.

        Raises:
            UnknownNameError: several runs begin with the prefix.
        """
        with self._database.read() as transaction:
            row = transaction.one(queries.select_run, run=run_id)
            if row is None and run_id:
                found = [number for (number,) in transaction.all(queries.find_runs, prefix=run_id, limit=CANDIDATES)]
                if len(found) > 1:
                    raise ambiguous(run_id, found)
                row = transaction.one(queries.select_run, run=found[0]) if found else None
        return None if row is None else rows.run(row)

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
        given = {"job": job, "trigger": trigger, "parent": parent}
        query = next((_NARROW[name] for name in ("parent", "trigger", "job") if given[name] is not None), None)
        if wanted and wanted <= ACTIVE_RUN:
            query = run_lists.select_active_runs
        listed = codec.encode_text(sorted(wanted)) if wanted else None
        with self._database.read() as transaction:
            found = transaction.all(
                query or run_lists.select_runs,
                env=env,
                statuses=listed,
                limit=limit,
                before=before,
                taken=int(taken),
                **given,
            )
        return [rows.run(row) for row in found]

    def ended_after(self, env: str, after: int, *, limit: int = 100) -> list[tuple[int, Run]]:
        """See `RunStore`."""
        with self._database.read() as transaction:
            found = transaction.all(run_lists.select_ended, env=env, after=after, limit=limit)
        return [(event, rows.run(tuple(row))) for event, *row in found]

    def known_runs(self, run_ids: Iterable[str]) -> frozenset[str]:
        """See `RunStore`."""
        with self._database.read() as transaction:
            found = transaction.all(run_lists.select_known, ids=codec.encode_text(list(run_ids)))
        return frozenset(number for (number,) in found)

    def steps(self, run_id: str) -> list[Step]:
        """See `RunStore`."""
        with self._database.read() as transaction:
            return [rows.step(row) for row in transaction.all(queries.select_steps, run=run_id)]

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
        """See `RunStore`. In a run that has ended outcomes stay as they are."""
        with self._database.write() as transaction:
            status, env = self._known(transaction, run_id)
            if status not in ACTIVE_RUN:
                return
            number = self._asset(transaction, env, asset)
            message = None if error is None else codec.clean(error)
            given = {"asset": number, "keys": None if keys is None else codec.encode_text(list(keys))}
            ended = transaction.run(queries.end_partitions, run=run_id, new=outcome, message=message, **given)
            if ended:
                data = {"partitions": ended, **({"error": message} if message else {})}
                self._note(transaction, Happening(env, PARTITION_EVENTS[outcome], number, label, run_id, data), at)

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
        given = {
            "names": None if assets is None else codec.encode_text(list(assets)),
            "outcomes": None if outcomes is None else codec.encode_text(list(outcomes)),
            "limit": _ALL if limit is None else limit,
            "skip": skip,
        }
        some = (assets, outcomes, limit, skip) != (None, None, None, 0)
        with self._database.read() as transaction:
            if some:
                found = transaction.all(queries.select_some_run_assets, run=run_id, **given)
            else:
                found = transaction.all(queries.select_run_assets, run=run_id)
        return [rows.run_asset(run_id, row) for row in found]

    def outcome_counts(self, run_id: str) -> dict[str, dict[Counted, int]]:
        """See `RunStore`."""
        found: dict[str, dict[Counted, int]] = {}
        with self._database.read() as transaction:
            for name, outcome, number in transaction.all(queries.count_outcomes, run=run_id):
                found.setdefault(name, {})[outcome] = number
        return found

    def plan(self, run_id: str) -> bytes | None:
        """See `RunStore`."""
        with self._database.read() as transaction:
            row = transaction.one(queries.select_plan, run=run_id)
        return None if row is None else bytes(row[0])

    def beat(self, worker: WorkerId, kind: str, *, at: datetime) -> None:  # noqa: ARG002 - beats are counted, not timed
        """See `RunStore`. It is no change that anybody waits for."""
        with self._database.write(announce=False) as transaction:
            transaction.run(queries.beat, id=worker.id, kind=kind, identity=codec.encode_text(worker))

    def workers(self) -> list[WorkerState]:
        """See `RunStore`."""
        with self._database.read() as transaction:
            return [rows.worker(row) for row in transaction.all(queries.select_workers)]

    def forget_worker(self, worker: WorkerId) -> None:
        """See `RunStore`."""
        with self._database.write(announce=False) as transaction:
            transaction.run(queries.forget_worker, worker=worker.id)

    def _known(self, transaction: Transaction, run_id: str) -> tuple[str, str]:
        found = self._status(transaction, run_id)
        if found is None:
            raise UnknownNameError("run", run_id)
        return found

    def _advance(
        self, transaction: Transaction, run_id: str, env: str, status: RunStatus, *, at: datetime, error: str | None
    ) -> None:
        ended = status not in ACTIVE_RUN
        error = None if error is None else codec.clean(error)
        transaction.run(
            queries.set_status,
            run=run_id,
            new=status,
            started=codec.stamp(at) if status == "running" else None,
            ended=codec.stamp(at) if ended else None,
            message=error,
        )
        data = {"error": error} if error else {}
        self._note(transaction, Happening(env, RUN_EVENTS[status], run_id=run_id, data=data), at)
        if ended:
            self._end_parts(transaction, run_id, env, status, at=at, error=error)

    def _end_parts(
        self, transaction: Transaction, run_id: str, env: str, status: RunStatus, *, at: datetime, error: str | None
    ) -> None:
        """End what is queued or running in a run. An asset that was running in a failed run has failed itself."""
        if status == "failure":
            for number, partition in transaction.all(queries.select_running_assets, run=run_id):
                reason = error or "the run failed"
                transaction.run(
                    asset_queries.fail,
                    asset=number,
                    partition=partition,
                    at=codec.stamp(at),
                    message=reason,
                    run=run_id,
                )
                happening = Happening(env, "asset_failed", number, partition, run_id, {"error": reason})
                self._note(transaction, happening, at)
        if transaction.one(partition_queries.select_marks_of_run, run=run_id) is not None:
            from nbpipe.storage.sql_chunks import SqlChunks  # loaded only where partitions are used

            failed = (error or "the run failed") if status == "failure" else None
            SqlChunks(self._database).end_marks(transaction, run_id, failed, at)
        for old, new in END_OF_STEPS[status].items():
            message = left_behind(old, error)
            transaction.run(queries.end_steps, run=run_id, old=old, new=new, at=codec.stamp(at), message=message)
        for outcome, ending in END_OF_ASSETS[status].items():
            message = left_behind(outcome, error)
            transaction.run(queries.end_outcomes, run=run_id, old=outcome, new=ending, message=message)


def place_partitions(transaction: Transaction, group: Sequence[RunAsset], number: int, first: int) -> None:
    """Give places in a run to partitions of an asset that differ by their keys alone: many in one statement."""
    one = group[0]
    if len(group) == 1 or one.version is not None or one.error is not None:
        columns = (rows.run_asset_values(each, number, first + place) for place, each in enumerate(group))
        transaction.many(queries.add_run_asset, columns)
        return
    keys = codec.encode_text([each.partition for each in group])
    shared = {"run": one.run_id, "asset": number, "step": one.step, "outcome": one.outcome}
    transaction.run(queries.add_run_partitions, **shared, first=first, keys=keys)
