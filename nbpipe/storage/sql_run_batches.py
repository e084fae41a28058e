"""Many runs queued in one transaction, in few statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from nbpipe.core.records import RunAsset
from nbpipe.errors import ConflictError
from nbpipe.storage import codec, rows, run_lists
from nbpipe.storage import run_queries as queries
from nbpipe.storage.database import Transaction
from nbpipe.storage.sql_base import Happening
from nbpipe.storage.sql_runs import SqlRuns, place_partitions

if TYPE_CHECKING:
    from nbpipe.core.ports import NewRun


class SqlRunBatches(SqlRuns):
    """Runs that are queued as a part of another transaction."""

    def known(self, transaction: Transaction, run_ids: Sequence[str]) -> set[str]:
        """Return those ids that are of runs."""
        return {number for (number,) in transaction.all(run_lists.select_known, ids=codec.encode_text(run_ids))}

    def add_runs(self, transaction: Transaction, news: Sequence[NewRun]) -> None:
        """Do `RunStore.create_run` for each.

        Raises:
            ConflictError: there is a run of one of these ids, or two have the same.
        """
        if not news:
            return
        ids = [new.run.id for new in news]
        taken = self.known(transaction, ids) or {number for number, times in Counter(ids).items() if times > 1}
        if taken:
            raise ConflictError(f"there is a run {min(taken)} already")
        last = transaction.number(queries.last_event)
        transaction.many(queries.add_events, map(_queued, news))
        # what is newer than `last` was written here: writing transactions happen one after the other
        events = {run: number for number, run in transaction.all(queries.select_new_events, after=last)}
        transaction.many(queries.add_run, (rows.run_values(new.run, created_event=events[new.run.id]) for new in news))
        transaction.many(queries.add_plan, ({"run": new.run.id, "content": new.plan} for new in news))
        transaction.many(queries.add_step, (rows.step_values(step) for new in news for step in new.steps))
        self._place_all(transaction, news)

    def _place_all(self, transaction: Transaction, news: Sequence[NewRun]) -> None:
        numbers = {
            env: self._assets(
                transaction, env, (place.asset for new in news if new.run.env == env for place in new.assets)
            )
            for env in {new.run.env for new in news}
        }
        single: list[tuple[RunAsset, int, int]] = []
        for new in news:
            first = 0
            for shared, found in groupby(new.assets, key=rows.but_partition):
                group = list(found)
                number = numbers[new.run.env][shared[0]]
                if len(group) == 1:
                    single.append((group[0], number, first))
                else:
                    place_partitions(transaction, group, number, first)
                first += len(group)
        transaction.many(queries.add_run_asset, (rows.run_asset_values(*place) for place in single))


def _queued(new: NewRun) -> dict[str, object]:
    run = new.run
    data = {"trigger": run.trigger, "job": run.job}
    return Happening(run.env, "run_queued", run_id=run.id, data=data).values(run.created_at)
