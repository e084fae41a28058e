"""`_backfill`: work on a backfill that was recorded by another process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nbpipe.commands.backfill import find_backfill, work
from nbpipe.commands.workspace import Workspace

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.commands.backfill_results import BackfillDetails


@click.command("_backfill", hidden=True)
@click.argument("backfill_id", metavar="ID")
@click.option("--queued", is_flag=True, help="Leave its runs in the queue, to a daemon.")
@click.pass_obj
def command(workspace: Workspace, *, backfill_id: str, queued: bool) -> BackfillDetails:
    """Work on a backfill in this process until it has ended."""
    from nbpipe.commands.backfill_results import details_of

    return details_of(workspace, work(workspace, find_backfill(workspace, backfill_id).id, queued=queued))
