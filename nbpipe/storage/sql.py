"""The state store in SQL. See `nbpipe.core.ports.StateStore`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from nbpipe import clock
from nbpipe.core.records import Event
from nbpipe.errors import StateError
from nbpipe.storage import rows
from nbpipe.storage import run_queries as queries
from nbpipe.storage.sql_assets import SqlAssets
from nbpipe.storage.sql_runs import SqlRuns

if TYPE_CHECKING:
    from nbpipe.core.ports import AutomationStore, BackfillStore, PartitionStore


class SqlStateStore(SqlAssets, SqlRuns):
    """A state store in a SQL database.

    Every change appends at least one event within its transaction, and transactions happen one after the
    other: so the number of the newest event is the revision.
    """

    _closed = False

    @cached_property
    def partitions(self) -> PartitionStore:
        """See `StateStore`. Loaded when it is used: most commands do without."""
        from nbpipe.storage.sql_partitions import SqlPartitions

        return SqlPartitions(self._database)

    @cached_property
    def backfills(self) -> BackfillStore:
        """See `StateStore`. Loaded when it is used."""
        from nbpipe.storage.sql_backfills import SqlBackfills

        return SqlBackfills(self._database)

    @cached_property
    def automation(self) -> AutomationStore:
        """See `StateStore`. Loaded when it is used."""
        from nbpipe.storage.sql_automation import SqlAutomation

        return SqlAutomation(self._database)

    def revision(self) -> int:
        """See `StateStore`."""
        with self._database.read() as transaction:
            return transaction.number(queries.last_event)

    def wait_for_change(self, since: int, timeout: float) -> int:
        """See `StateStore`. Returns early if the store is closed meanwhile."""
        deadline = clock.monotonic() + timeout
        revision = since
        try:
            with self._database.watch() as watch:
                while True:
                    revision = self.revision()
                    left = deadline - clock.monotonic()
                    if revision > since or left <= 0:
                        return revision
                    watch.wait(left)
        except StateError:
            if self._closed:
                return revision
            raise

    def events(
        self,
        *,
        env: str | None = None,
        asset: str | None = None,
        run_id: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Event]:
        """See `StateStore`."""
        with self._database.read() as transaction:
            if run_id is not None:
                found = transaction.all(
                    queries.select_run_events, env=env, run=run_id, asset=asset, after=after, limit=limit
                )
            elif asset is not None:
                found = transaction.all(queries.select_asset_events, env=env, asset=asset, after=after, limit=limit)
            else:
                found = transaction.all(queries.select_events, env=env, after=after, limit=limit)
        return [rows.event(row) for row in found]

    def close(self) -> None:
        """See `StateStore`."""
        self._closed = True
        self._database.close()
