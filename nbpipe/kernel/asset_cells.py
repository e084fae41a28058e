"""Execute one asset cell: load its inputs, run the body, store and commit, bind and publish.

The same code serves a person's kernel and a job's: what differs (which specification counts, whether the
cell is out of date, what is said) is decided by the callers, `live` and `step`. Whether the body runs once or
for some partitions, what it reads and what is committed, is decided by its `Work`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from nbpipe.core.definitions import AssetSpec
from nbpipe.core.records import Materialization
from nbpipe.kernel.captures import replay
from nbpipe.kernel.executions import AssetCell, Execution, Work
from nbpipe.kernel.retries import retrying
from nbpipe.kernel.time_limits import async_time_limit, time_limit
from nbpipe.kernel.whole_assets import WholeWork
from nbpipe.kernel.workbench import Workbench


class AssetCells(Workbench):
    """Executes and loads asset cells in one kernel."""

    def load(self, cell: AssetCell, current: Mapping[str, Materialization]) -> None:
        """Bind stored values instead of executing, and show what the cell showed when it computed them."""
        loaded = {key: self.values.load(materialization) for key, materialization in current.items()}
        self.names.unpublish(cell.name)
        for key, value in loaded.items():
            self.names.bind(key, value)
        replay(self.shell, self.store.details(next(iter(current.values())).id).displays)

    def linked_versions(self, sets: Mapping[str, str], spec: AssetSpec) -> Mapping[str, str]:
        """Return what stands for the data of each upstream with partitions; see `staleness.out_of_date`.

        Args:
            sets: SPEC of the partitions of those upstreams.
            spec: an asset without partitions.
        """
        from nbpipe.kernel.partitions.whole import linked_versions

        return linked_versions(self.store, self.env, sets, [spec])

    def execute(self, cell: AssetCell) -> tuple[Materialization, ...]:
        """Run the body and commit what it computes.

        Raises:
            MissingValueError: an upstream asset has no value.
            Exception: whatever the body raises; the failed attempt is recorded.
        """
        __tracebackhide__ = True
        work = self._work(cell)
        for execution in work.executions():
            with work.watched(execution):
                value = retrying(cell.specs[0], partial(self._attempt, work, execution))()
                work.finish(execution, value)
        return work.result()

    async def execute_async(self, cell: AssetCell) -> tuple[Materialization, ...]:
        """Do what `execute` does for a body with top-level `await`."""
        __tracebackhide__ = True
        work = self._work(cell)
        for execution in work.executions():
            with work.watched(execution):
                value = await retrying(cell.specs[0], partial(self._attempt_async, work, execution))()
                work.finish(execution, value)
        return work.result()

    def _work(self, cell: AssetCell) -> Work:
        if cell.chosen is None:
            return WholeWork(self, cell)
        from nbpipe.kernel.partitions.work import PartitionWork

        return PartitionWork(self, cell)

    def _attempt(self, work: Work, execution: Execution) -> Any:
        __tracebackhide__ = True
        work.begin(execution)
        cell, module = execution.cell, self.begin(execution)
        with time_limit(cell.specs[0].options.timeout, cell.name):
            value = execution.body.run(module)
            work.take(execution, value)
            return value

    async def _attempt_async(self, work: Work, execution: Execution) -> Any:
        __tracebackhide__ = True
        work.begin(execution)
        cell, module = execution.cell, self.begin(execution)
        async with async_time_limit(cell.specs[0].options.timeout, cell.name, execution.body.filename):
            value = await execution.body.run_async(module)
            work.take(execution, value)
            return value
