"""Watch a backfill on which a daemon works."""

from __future__ import annotations

from nbpipe.commands.backfill_work import work_on
from nbpipe.commands.daemon_presence import leader
from nbpipe.commands.surface import current_surface
from nbpipe.commands.workspace import Workspace
from nbpipe.core.backfills.records import ACTIVE_BACKFILL, Backfill
from nbpipe.daemon.backfill_parts import BackfillNews
from nbpipe.errors import UnknownNameError

#: Seconds without news after which the daemon is looked for.
_PATIENCE = 5.0


def watched(workspace: Workspace, backfill_id: str) -> Backfill:
    """Wait until a backfill has ended, and return it; should no daemon be left, this process works on it.

    Raises:
        UnknownNameError: there is none.
    """
    store = workspace.store
    found = store.backfills.backfill(backfill_id)
    if found is None:
        raise UnknownNameError("backfill", backfill_id)
    with current_surface().watch_backfill(found) as on_news:
        revision = -1
        while True:
            changed = store.wait_for_change(revision, _PATIENCE)
            found = store.backfills.backfill(backfill_id) or found
            on_news(BackfillNews(backfill=found, running=0))
            if found.status not in ACTIVE_BACKFILL:
                return found
            if changed == revision and leader(workspace) is None:
                workspace.settle(backfills=True)
                found = store.backfills.backfill(backfill_id) or found
                if found.status == "queued":
                    break
            revision = changed
    return work_on(workspace, backfill_id)
