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
from nbpipe.daemon.backfill_parts import RunCarrier
from nbpipe.daemon.backfill_queue import QueuedRuns
from nbpipe.daemon.backfills import BackfillDriver
from nbpipe.daemon.run_threads import RunThreads
from nbpipe.errors import NbpipeError, UnknownNameError
from nbpipe.execution.warm.growing import growing_kernels

#: Runs that a backfill keeps in the queue, for each that may be active at all: no place stays free.
_AHEAD = 2


def work_on(workspace: Workspace, backfill_id: str, *, queued: bool = False) -> Backfill:
    """Work on a backfill until it has ended, then apply retention; return it.

    Args:
        workspace: the project.
        backfill_id: which.
        queued: its runs wait in the queue, where a daemon takes them; else this process carries them out.

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
    config = workspace.config
    parallel = orders.parallel or (_AHEAD * config.limits.runs if queued else config.executor.parallel)
    with (
        growing_kernels(
            warm=config.executor.kernels == "warm", libraries=lambda: workspace.project.imported
        ) as kernels,
        current_surface().watch_backfill(backfill) as on_news,
    ):
        site = site_of(workspace)
        carrier: RunCarrier = (
            QueuedRuns(store) if queued else RunThreads(store, site, parallel=parallel, kernels=kernels)
        )
        driver = BackfillDriver(
            store,
            SavedProject(workspace),
            carrier,
            root=workspace.root,
            parallel=parallel,
            queued=queued,
            on_news=on_news,
        )
        try:
            found = driver.work(backfill.id)
        finally:
            carrier.close()
    with contextlib.suppress(NbpipeError):  # the work is done, and must not fail for this
        remove_old_values(workspace)
    return found
