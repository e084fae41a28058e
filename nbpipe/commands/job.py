"""`job`: work with a name."""

from __future__ import annotations

import click

from nbpipe.commands.automation_rows import JobRow, job_rows
from nbpipe.commands.named_groups import NamedCommands
from nbpipe.commands.workspace import Workspace


@click.group("job", cls=NamedCommands)
def command() -> None:
    """List the jobs that notebooks (%job) and the configuration ([jobs.NAME]) declare."""


@command.command("list")
@click.pass_obj
def list_jobs(workspace: Workspace) -> list[JobRow]:
    """List jobs: what they run, and what runs them."""
    return job_rows(workspace)
