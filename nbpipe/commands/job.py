"""`job`: work with a name; list jobs, run one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from nbpipe import clock
from nbpipe.commands.arguments import parameter_option
from nbpipe.commands.automation_rows import JobRow, find_job, job_rows
from nbpipe.commands.named_groups import NamedCommands
from nbpipe.commands.run_results import NOTHING_DONE, RunResult, result_of
from nbpipe.commands.surface import current_surface, does_nothing_here
from nbpipe.commands.unread import say_unread
from nbpipe.commands.workspace import Workspace

if TYPE_CHECKING:
    from nbpipe.core.automation.definitions import JobDef
    from nbpipe.core.records import Run
    from nbpipe.core.runs.plans import RunPlan
    from nbpipe.execution.submit import Origin


@click.group("job", cls=NamedCommands)
def command() -> None:
    """List the jobs that notebooks (%job) and the configuration ([jobs.NAME]) declare; run one."""


@command.command("list")
@click.pass_obj
def list_jobs(workspace: Workspace) -> list[JobRow]:
    """List jobs: what they run, and what runs them."""
    say_unread(workspace)
    return job_rows(workspace)


@command.command("run")
@click.argument("name")
@click.option("--partition", metavar="K", help="Key of one partition, instead of those that closed last.")
@parameter_option
@click.pass_obj
def run(workspace: Workspace, *, name: str, partition: str | None, parameters: Mapping[str, Any]) -> RunResult:
    """Run a job now, and wait for its end; a failed run is tried again as the job says."""
    return carry_out(workspace, name, partition=partition, parameters=parameters)


def carry_out(workspace: Workspace, name: str, *, partition: str | None, parameters: Mapping[str, Any]) -> RunResult:
    """Run a job and wait for its end, or that of its last retry; see `job_plans.plan_work` for errors.

    Raises:
        UnknownNameError: there is no such job.
        RefusedError: its declaration has an error.
    """
    from nbpipe.commands.job_plans import plan_work
    from nbpipe.commands.materialize import run_as
    from nbpipe.core.automation.retries import retry_at
    from nbpipe.daemon.parts import Work

    workspace.settle()
    job = find_job(workspace, name)
    plan = plan_work(workspace, Work(job=job, closed_at=clock.now(), partition=partition, parameters=parameters))
    if does_nothing_here("starting a run") or not plan.steps:
        return NOTHING_DONE
    found = run_as(workspace, plan, _origin(job, current_surface().trigger))
    attempt = 1
    while found.status == "failure" and found.ended_at is not None:
        again = retry_at(job, attempt, found.ended_at)
        retry = None if again is None else _prepared(workspace, found)
        if again is None or retry is None:
            break
        delay = max(0.0, clock.seconds_until(again))
        current_surface().say(f"run {found.id} failed: retry {attempt} of {job.retries} in {delay:.0f} s")
        clock.sleep(delay)
        found = run_as(workspace, retry, _origin(job, current_surface().trigger, parent=found.id))
        attempt += 1
    return result_of(workspace.store, found)


def _prepared(workspace: Workspace, run: Run) -> RunPlan | None:
    """Return the plan of a retry; None if there can be none, as the run's own error says best what is wrong."""
    from nbpipe.commands.runs import prepare_retry
    from nbpipe.errors import NbpipeError

    try:
        return prepare_retry(workspace, run, from_failure=True)
    except NbpipeError as error:
        current_surface().say(f"run {run.id} can't be tried again: {error}")
        return None


def _origin(job: JobDef, trigger: str, *, parent: str | None = None) -> Origin:
    from nbpipe.execution.submit import Origin
    from nbpipe.execution.workers import this_worker

    return Origin(
        job=job.name,
        trigger=trigger,
        tags=dict(job.tags),
        parent=parent,
        worker=this_worker(),
        priority=job.priority,
        timeout=job.timeout,
    )
