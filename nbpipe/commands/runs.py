"""`runs`: list runs; show, cancel or retry one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.materialize import carry_out, has_partitions
from nbpipe.commands.run_results import RunDetails, RunResult, RunRow, details_of, row_of
from nbpipe.commands.run_waits import why_waiting
from nbpipe.commands.whole_notebooks import whole_notebook
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import ACTIVE_RUN, Run
from nbpipe.core.runs.planning import plan_notebook, plan_run
from nbpipe.core.runs.plans import RunPlan
from nbpipe.errors import RefusedError, UnknownNameError

_RECENT = 200


class _Runs(click.Group):
    """Commands about runs; an unknown one is refused in our words."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and not args[0].startswith("-"):
            raise UnknownNameError(
                "command of `runs`", args[0], self.commands, hint=f"choose {', '.join(self.commands)}"
            )
        return super().resolve_command(ctx, args)


@click.group("runs", cls=_Runs, invoke_without_command=True)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
@click.pass_obj
def command(workspace: Workspace, limit: int) -> list[RunRow] | None:
    """List runs, newest first; show, cancel or retry one."""
    if click.get_current_context().invoked_subcommand is not None:
        return None
    return run_rows(workspace, limit)


@command.command("show")
@click.argument("run_id", metavar="ID")
@click.pass_obj
def show(workspace: Workspace, run_id: str) -> RunDetails:
    """Show one run: its steps, assets and records. The beginning of an ID is enough."""
    workspace.settle()
    run = find_run(workspace, run_id)
    return details_of(workspace.store, run, waits=why_waiting(workspace, run))


@command.command("cancel")
@click.argument("run_id", metavar="ID")
@click.pass_obj
def cancel(workspace: Workspace, run_id: str) -> RunRow:
    """Ask a run to stop; one that has not started is canceled at once."""
    workspace.settle()
    run = find_run(workspace, run_id)
    if not workspace.store.request_cancel(run.id, at=clock.now()):
        raise RefusedError(f"run {run.id} has ended already: {run.status}")
    return row_of(workspace.store, find_run(workspace, run.id))


@command.command("retry")
@click.argument("run_id", metavar="ID")
@click.option("--from-failure", is_flag=True, help="Only what did not succeed.")
@click.pass_obj
def retry(workspace: Workspace, *, run_id: str, from_failure: bool) -> RunResult:
    """Do the work of a run again, with its parameters and the notebooks as they are saved now."""
    run = find_run(workspace, run_id)
    return carry_out(workspace, prepare_retry(workspace, run, from_failure=from_failure), parent=run.id)


def run_rows(workspace: Workspace, limit: int = 20) -> list[RunRow]:
    """Return the runs of this environment, newest first."""
    workspace.settle()
    if workspace.is_untouched:
        return []
    return [row_of(workspace.store, run) for run in workspace.store.runs(env=workspace.env, limit=limit)]


def find_run(workspace: Workspace, run_id: str) -> Run:
    """Return the run whose id begins with `run_id`.

    Raises:
        UnknownNameError: there is none, or there are several.
    """
    found = workspace.store.run(run_id)
    if found is None:
        known = [run.id for run in workspace.store.runs(limit=_RECENT)]
        raise UnknownNameError("run", run_id, known, hint="`nbpipe runs` lists them")
    return found


def prepare_retry(workspace: Workspace, run: Run, *, from_failure: bool) -> RunPlan:
    """Plan a run's work again.

    Raises:
        RefusedError: it has not ended, belongs to another environment, or nothing is left to do.
        UnknownNameError: an asset or notebook of it is gone.
    """
    workspace.settle()
    run = find_run(workspace, run.id)
    if run.env != workspace.env:
        raise RefusedError(f"run {run.id} belongs to environment {run.env!r}: use --env {run.env}")
    plan = _recorded(workspace, run)
    if plan.mode == "verify":
        raise RefusedError(f"run {run.id} only compared values: `nbpipe verify {run.selection}` does it again")
    job = workspace.definitions.jobs.get(run.job or "")
    again = _planned_again(workspace, run, plan, from_failure=from_failure)
    return msgspec.structs.replace(again, memory=plan.memory if job is None else job.memory)


def _planned_again(workspace: Workspace, run: Run, plan: RunPlan, *, from_failure: bool) -> RunPlan:
    from nbpipe.execution.retries import assets_to_retry, left_to_do

    whole = next((step.notebook for step in plan.steps if step.whole), None)
    if whole is not None:
        if run.status in ACTIVE_RUN:
            raise RefusedError(f"run {run.id} is still {run.status}: wait for its end, or cancel it")
        if from_failure and run.status == "success":
            raise RefusedError(f"run {run.id} succeeded: retry it without --from-failure")
        given = plan.steps[0].parameters
        found = whole_notebook(workspace, whole, at=clock.now(), given=plan.partitions)
        return plan_notebook(
            workspace.definitions,
            whole,
            env=run.env,
            parameters=given,
            partitions=found.partitions,
            left_out=found.left_out,
        )
    assets = assets_to_retry(workspace.store, run, from_failure=from_failure)
    request = None
    if has_partitions(workspace):
        from nbpipe.commands.partition_requests import repeated_request

        left = left_to_do(workspace.store, run) if from_failure else None
        request = repeated_request(workspace, plan, assets, left)
    return plan_run(
        workspace.definitions,
        workspace.graph,
        assets,
        env=run.env,
        materialized={key for key, state in workspace.states().items() if state.current is not None},
        selection=run.selection,
        mode=plan.mode,
        parameters=_parameters(workspace, run.parameters, assets),
        partitions=request,
    )


def _recorded(workspace: Workspace, run: Run) -> RunPlan:
    plan = workspace.store.plan(run.id)
    if plan is None:
        raise RefusedError(f"nothing is known of what run {run.id} was to do: materialize its assets instead")
    return msgspec.json.decode(plan, type=RunPlan)


def _parameters(workspace: Workspace, given: Mapping[str, Any], assets: tuple[str, ...]) -> dict[str, Any]:
    """Return the parameters that notebooks of this part of the work still take."""
    definitions = workspace.definitions
    notebooks = {definitions.assets[key].cell.notebook for key in assets if key in definitions.assets}
    known = {parameter.name for path in notebooks for parameter in definitions.notebooks[path].parameters}
    return {name: value for name, value in given.items() if name in known}
