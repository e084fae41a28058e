"""What is known of backfills, in SQL. See `nbpipe.core.ports.BackfillStore`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from nbpipe.core.automation.records import Lease
from nbpipe.core.backfills.records import ACTIVE_BACKFILL, PARTS, Backfill, BackfillStatus, Portion
from nbpipe.core.records import Run, RunAsset, Step, WorkerId
from nbpipe.errors import ConflictError, UnknownNameError
from nbpipe.storage import automation_queries, automation_rows, backfill_rows, codec, rows
from nbpipe.storage import backfill_queries as queries
from nbpipe.storage.database import Database, Transaction
from nbpipe.storage.outcomes import CANDIDATES, ambiguous, check_worker
from nbpipe.storage.sql_base import Happening, SqlPart
from nbpipe.storage.sql_runs import SqlRuns


class SqlBackfills(SqlPart):
    """The part of the state store that is about backfills.

    Writing transactions happen one after the other (see `Database.write`), so what is read here is what is changed.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._runs = SqlRuns(database)

    def create(self, backfill: Backfill, requested: Mapping[str, Portion], plan: bytes) -> None:
        """See `BackfillStore`."""
        portions = backfill_rows.ordered(backfill, requested)
        new = backfill_rows.counted(backfill, portions)
        contents = [backfill_rows.portion_columns(new.id, asset, portion) for asset, portion in portions.items()]
        with self._database.write() as transaction:
            if transaction.one(queries.select_backfill, backfill=new.id) is not None:
                raise ConflictError(f"there is a backfill {new.id} already")
            transaction.run(queries.add_backfill, **backfill_rows.columns(new))
            transaction.run(queries.add_plan, backfill=new.id, content=plan)
            transaction.many(
                queries.add_portion, ({**content, "position": place} for place, content in enumerate(contents))
            )
            self._tell(transaction, new, "backfill_created", new.created_at, {"total": new.total})

    def backfill(self, backfill_id: str) -> Backfill | None:
        """See `BackfillStore`."""
        with self._database.read() as transaction:
            row = transaction.one(queries.select_backfill, backfill=backfill_id)
            if row is None and backfill_id:
                found = transaction.all(queries.find_backfills, prefix=backfill_id, limit=CANDIDATES)
                if len(found) > 1:
                    raise ambiguous(backfill_id, [number for (number,) in found], kind="backfill")
                row = transaction.one(queries.select_backfill, backfill=found[0][0]) if found else None
        return None if row is None else backfill_rows.backfill(row)

    def backfills(
        self, *, env: str | None = None, statuses: Iterable[BackfillStatus] = (), limit: int = 50
    ) -> list[Backfill]:
        """See `BackfillStore`."""
        wanted = frozenset(statuses)
        query = queries.select_active_backfills if wanted and wanted <= ACTIVE_BACKFILL else queries.select_backfills
        listed = codec.encode_text(sorted(wanted)) if wanted else None
        with self._database.read() as transaction:
            found = transaction.all(query, env=env, statuses=listed, limit=limit)
        return [backfill_rows.backfill(row) for row in found]

    def portions(self, backfill_id: str) -> dict[str, Portion]:
        """See `BackfillStore`."""
        with self._database.read() as transaction:
            found = transaction.all(queries.select_portions, backfill=backfill_id)
        return dict(map(backfill_rows.portion, found))

    def plan(self, backfill_id: str) -> bytes | None:
        """See `BackfillStore`."""
        with self._database.read() as transaction:
            row = transaction.one(queries.select_plan, backfill=backfill_id)
        return None if row is None else bytes(row[0])

    def claim(self, backfill_id: str, worker: WorkerId, *, at: datetime, instead_of: WorkerId | None = None) -> bool:
        """See `BackfillStore`."""
        with self._database.write() as transaction:
            known = self._known(transaction, backfill_id)
            if known.status not in ACTIVE_BACKFILL or known.worker != instead_of:
                return False
            identity = codec.encode_text(worker)
            transaction.run(queries.begin, backfill=backfill_id, identity=identity, at=codec.stamp(at))
            kind = "backfill_started" if known.started_at is None else "backfill_resumed"
            self._tell(transaction, known, kind, at, {"worker": worker.id})
        return True

    def release(self, backfill_id: str, worker: WorkerId, *, at: datetime) -> None:
        """See `BackfillStore`."""
        with self._database.write() as transaction:
            known = self._known(transaction, backfill_id)
            if known.status not in ACTIVE_BACKFILL:
                return
            check_worker(known.id, known.worker, worker)
            if known.cancel_requested:
                self._end(transaction, known, "canceled", at=at)
                return
            transaction.run(queries.leave, backfill=backfill_id)
            self._tell(transaction, known, "backfill_released", at)

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
        with self._database.write() as transaction:
            known = self._known(transaction, backfill_id)
            if known.status not in ACTIVE_BACKFILL:
                raise ConflictError(f"the backfill {known.id} has ended: it starts no run any more")
            check_worker(known.id, known.worker, worker)
            event = self._runs.add_run(transaction, run, steps, assets, plan)
            transaction.run(queries.add_run, backfill=known.id, event=event, run=run.id)
            if known.cancel_requested:
                self._runs.ask_to_stop(transaction, run.id, at=run.created_at)

    def open_runs(self, backfill_id: str) -> list[str]:
        """See `BackfillStore`."""
        with self._database.read() as transaction:
            return [run for (run,) in transaction.all(queries.select_open_runs, backfill=backfill_id)]

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
        with self._database.write() as transaction:
            known = self._known(transaction, backfill_id)
            check_worker(known.id, known.worker, worker)
            if run_id and not transaction.run(queries.settle_run, backfill=known.id, run=run_id):
                if transaction.one(queries.find_run, backfill=known.id, run=run_id) is None:
                    raise UnknownNameError("run of this backfill", run_id)
                return
            more = self._change(transaction, known.id, ended)
            happening = Happening(known.env, "backfill_progressed", run_id=run_id or None, data={"backfill": known.id})
            transaction.run(queries.count, backfill=known.id, **{f"more_{name}": more[name] for name in PARTS})
            if error is not None:
                transaction.run(queries.complain, backfill=known.id, message=codec.clean(error))
            self._note(transaction, happening, at)

    def retry(self, backfill_id: str, *, at: datetime) -> bool:
        """See `BackfillStore`."""
        with self._database.write() as transaction:
            known = self._known(transaction, backfill_id)
            if known.status in ACTIVE_BACKFILL:
                return False
            for row in transaction.all(queries.select_portions, backfill=known.id):
                asset, portion = backfill_rows.portion(row)
                self._write(transaction, known.id, asset, portion, portion.retry())
            less = {"more_done": 0, "more_skipped": 0, "more_failed": -known.failed, "more_lost": -known.lost}
            transaction.run(queries.count, backfill=known.id, **less)
            transaction.run(queries.reopen, backfill=known.id)
            self._tell(transaction, known, "backfill_retried", at)
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
        with self._database.write() as transaction:
            known = self._known(transaction, backfill_id)
            if known.status not in ACTIVE_BACKFILL:
                return False
            if worker is not None:
                check_worker(known.id, known.worker, worker)
            self._end(transaction, known, status, at=at, error=error)
        return True

    def abandon(self, lease: Lease, backfill_id: str, *, at: datetime, error: str) -> bool:
        """See `BackfillStore`."""
        with self._database.write() as transaction:
            row = transaction.one(automation_queries.select_lease, of_env=lease.env)
            automation_rows.check_lease(automation_rows.lease(lease.env, row), lease)
            known = self._known(transaction, backfill_id)
            if known.status != "queued":
                return False
            self._end(transaction, known, "failure", at=at, error=error)
        return True

    def request_cancel(self, backfill_id: str, *, at: datetime) -> bool:
        """See `BackfillStore`."""
        with self._database.write() as transaction:
            known = self._known(transaction, backfill_id)
            if known.status not in ACTIVE_BACKFILL:
                return False
            transaction.run(queries.ask_to_cancel, backfill=known.id)
            self._tell(transaction, known, "backfill_cancel_requested", at)
            for (run_id,) in transaction.all(queries.select_open_runs, backfill=known.id):
                self._runs.ask_to_stop(transaction, run_id, at=at)
            if known.worker is None:
                self._end(transaction, known, "canceled", at=at)
        return True

    def runs(self, backfill_id: str, *, limit: int = 50) -> list[Run]:
        """See `BackfillStore`."""
        with self._database.read() as transaction:
            return [rows.run(row) for row in transaction.all(queries.select_runs, backfill=backfill_id, limit=limit)]

    @staticmethod
    def _known(transaction: Transaction, backfill_id: str) -> Backfill:
        row = transaction.one(queries.select_backfill, backfill=backfill_id)
        if row is None:
            raise UnknownNameError("backfill", backfill_id)
        return backfill_rows.backfill(row)

    def _tell(
        self, transaction: Transaction, known: Backfill, kind: str, at: datetime, data: Mapping[str, object] = {}
    ) -> None:
        self._note(transaction, Happening(known.env, kind, data={"backfill": known.id, **data}), at)

    def _end(
        self,
        transaction: Transaction,
        known: Backfill,
        status: BackfillStatus,
        *,
        at: datetime,
        error: str | None = None,
    ) -> None:
        error = None if error is None else codec.clean(error)
        transaction.run(queries.end, backfill=known.id, new=status, at=codec.stamp(at), message=error)
        self._tell(transaction, known, "backfill_ended", at, {"status": status, **({"error": error} if error else {})})

    def _change(self, transaction: Transaction, backfill_id: str, ended: Mapping[str, Portion]) -> dict[str, int]:
        """Settle portions; return how many partitions more there are of each kind."""
        more = dict.fromkeys(PARTS, 0)
        for asset, portion in ended.items():
            row = transaction.one(queries.select_portion, backfill=backfill_id, asset=asset)
            if row is None:
                raise UnknownNameError("asset of this backfill", asset)
            old = backfill_rows.portion(row)[1]
            new = old.settle(portion)
            self._write(transaction, backfill_id, asset, old, new)
            more = {name: more[name] + new.counts[name] - old.counts[name] for name in PARTS}
        return more

    @staticmethod
    def _write(transaction: Transaction, backfill_id: str, asset: str, old: Portion, new: Portion) -> None:
        """Write what has changed of a portion."""
        contents = backfill_rows.changes(old, new)
        if any(contents.values()):
            transaction.run(queries.change_portion, backfill=backfill_id, name=asset, **contents)
