"""`_run`: carry out a run that was queued by another process."""

from __future__ import annotations

import click

from nbpipe.commands.materialize import execute
from nbpipe.commands.run_results import RunResult, result_of
from nbpipe.commands.workspace import Workspace


@click.command("_run", hidden=True)
@click.argument("run_id", metavar="ID")
@click.pass_obj
def command(workspace: Workspace, run_id: str) -> RunResult:
    """Carry out a queued run in this process."""
    return result_of(workspace.store, execute(workspace, run_id))
