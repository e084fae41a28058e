"""Work on a backfill in this process."""

from __future__ import annotations

import contextlib

import msgspec

from nbpipe.commands.backfill_project import SavedProject
from nbpipe.commands.retention import remove_old_values
from nbpipe.commands.sites import site_of
from nbpipe.commands.surface import current_surface
from nbpipe.commands.workspace import Workspace
from nbpipe.core.backfills.orders import Orders
from nbpipe.core.backfills.records import Backfill
from nbpipe.daemon.backfills import BackfillDriver
from nbpipe.daemon.run_threads import RunThreads
from nbpipe.errors import NbpipeError, UnknownNameError


def work_on(workspace: Workspace, backfill_id: str) -> Backfill:
    """Work on a backfill until it has ended, then apply retention; return it.

    Raises:
        UnknownNameError: there is none.
        RefusedError: another process works on it, or it has ended.
    """
    store = workspace.store
    backfill = store.backfills.backfill(backfill_id)
    if backfill is None:
        raise UnknownNameError("backfill", backfill_id)
    _ = workspace.io  # a wrong [io.NAME] table is refused while there is no run yet
    kept = store.backfills.plan(backfill.id)
    orders = msgspec.json.decode(kept, type=Orders) if kept else Orders()
    parallel = orders.parallel or workspace.config.executor.parallel
    carrier = RunThreads(store, site_of(workspace), parallel=parallel)
    with current_surface().watch_backfill(backfill) as on_news:
        driver = BackfillDriver(
            store, SavedProject(workspace), carrier, root=workspace.root, parallel=parallel, on_news=on_news
        )
        try:
            found = driver.work(backfill.id)
        finally:
            carrier.close()
    with contextlib.suppress(NbpipeError):  # the work is done, and must not fail for this
        remove_old_values(workspace)
    return found
