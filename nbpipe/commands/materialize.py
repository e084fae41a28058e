"""`materialize`: from a selection to a plan, a run, and what became of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from nbpipe import clock
from nbpipe.commands.arguments import parameter_option, selection_argument
from nbpipe.commands.run_results import NOTHING_DONE, RunResult, result_of
from nbpipe.commands.surface import current_surface
from nbpipe.commands.workspace import Workspace
from nbpipe.core.parameters import canonical
from nbpipe.core.planning import plan_run
from nbpipe.core.plans import Mode, RunPlan
from nbpipe.core.ports import ProgressListener
from nbpipe.core.records import Run
from nbpipe.core.staleness import Assessment
from nbpipe.errors import NbpipeError, RefusedError, UsageError

if TYPE_CHECKING:
    from nbpipe.execution.runner import Runner
    from nbpipe.execution.submit import Origin

_NONE: Mapping[str, Any] = MappingProxyType({})


@click.command("materialize")
@selection_argument
@click.option("--stale", is_flag=True, help="Only what is missing or stale.")
@parameter_option
@click.option("--partition", metavar="K", help="Not available in this version.")
@click.option("--partitions", metavar="A..B", help="Not available in this version.")
@click.pass_obj
def command(
    workspace: Workspace,
    *,
    selection: str,
    stale: bool,
    parameters: Mapping[str, Any],
    partition: str | None,
    partitions: str | None,
) -> RunResult:
    """Compute and store the selected assets in a run."""
    refuse_partitions(partition, partitions)
    if not selection:
        raise UsageError("nothing is selected: name assets, or write '*' for all")
    plan = prepare(workspace, selection, stale=stale, parameters=parameters)
    return carry_out(workspace, plan)


def refuse_partitions(partition: str | None, partitions: str | None) -> None:
    """Refuse what this version can't do.

    Raises:
        RefusedError: a partition is asked for.
    """
    for name, value in (("--partition", partition), ("--partitions", partitions)):
        if value is not None:
            raise RefusedError(f"{name} is not available in this version of nbpipe: leave it out")


def prepare(
    workspace: Workspace, selection: str, *, stale: bool = False, parameters: Mapping[str, Any] = _NONE
) -> RunPlan:
    """Plan the run of a selection; a plan without steps has nothing to do.

    Args:
        workspace: the project as it is saved.
        selection: which assets.
        stale: only those that are missing or stale.
        parameters: values by name, for the notebooks that have such parameters.

    Raises:
        SelectionError: the selection can't be read.
        UnknownNameError: it names something that does not exist.
        RefusedError: it can't be run as things stand.
        ParameterError: a parameter is unknown, of a wrong type or not representable.
    """
    workspace.settle()
    states = workspace.states()
    keys = workspace.select(selection)
    mode: Mode = "all"
    if stale:
        mode = "stale"
        keys = _to_execute(workspace, keys, workspace.assess(_as_source(parameters), states=states))
    if not keys:
        return RunPlan(env=workspace.env, selection=selection, mode=mode)
    return plan_run(
        workspace.definitions,
        workspace.graph,
        keys,
        env=workspace.env,
        materialized={key for key, state in states.items() if state.current is not None},
        selection=selection,
        mode=mode,
        parameters=parameters,
    )


def carry_out(workspace: Workspace, plan: RunPlan, *, parent: str | None = None) -> RunResult:
    """Start the run of a plan, wait for its end and say what became of it; show progress on the current surface."""
    if not plan.steps:
        return NOTHING_DONE
    from nbpipe.execution.submit import Origin
    from nbpipe.execution.workers import this_worker

    trigger = "manual" if parent is None else "retry"
    with current_surface().watch(plan) as on_event:
        run_id = _submit(workspace, plan, Origin(trigger=trigger, parent=parent, worker=this_worker()))
        run = execute(workspace, run_id, on_event)
    return result_of(workspace.store, run)


def start(workspace: Workspace, plan: RunPlan, *, trigger: str = "manual") -> str:
    """Queue the run of a plan and return its id; a process that calls `execute` carries it out.

    Raises:
        RefusedError: a notebook is gone or can't be read.
        ParameterError: a parameter can't be represented.
    """
    from nbpipe.execution.submit import Origin

    return _submit(workspace, plan, Origin(trigger=trigger))


def execute(workspace: Workspace, run_id: str, on_event: ProgressListener | None = None) -> Run:
    """Carry out a queued run in this process, then apply retention; return the run as it ended.

    Raises:
        UnknownNameError: there is no such run.
        RefusedError: another process has taken it, or it has ended.
    """
    run = _runner(workspace, on_event).execute(run_id)
    if run.status == "success":
        retain(workspace)
    return run


def retain(workspace: Workspace) -> int:
    """Remove values beyond those that retention keeps; return how many were removed."""
    expired = workspace.store.expire(workspace.env, workspace.config.retention.values, at=clock.now())
    for stored in expired:
        # A value whose file can't be removed now is left to `gc`.
        with contextlib.suppress(NbpipeError, OSError):
            workspace.io.manager(stored.io).delete(stored)
    return len(expired)


def _to_execute(workspace: Workspace, keys: Iterable[str], found: Mapping[str, Assessment]) -> tuple[str, ...]:
    """Return the assets that are out of date, and the stale ones below them.

    What is stale only because of something that is not selected would come out the same.
    """
    chosen: set[str] = set()
    for key in workspace.graph.arrange(keys):
        below = found[key].stale and not chosen.isdisjoint(workspace.graph.upstream(key))
        if found[key].out_of_date or below:
            chosen.add(key)
    return workspace.graph.arrange(chosen)


def _as_source(parameters: Mapping[str, Any]) -> dict[str, str] | None:
    if not parameters:
        return None
    return {name: canonical(value) or repr(value) for name, value in parameters.items()}


def _submit(workspace: Workspace, plan: RunPlan, origin: Origin) -> str:
    from nbpipe.execution.submit import submit

    return submit(
        workspace.store,
        plan,
        root=workspace.root,
        run_id=clock.new_id(),
        at=clock.now(),
        origin=origin,
        definitions=workspace.definitions,
        sources=workspace.project.sources(plan.notebooks),
    ).id


def _runner(workspace: Workspace, on_event: ProgressListener | None) -> Runner:
    from nbpipe.core.tasks import OutputLimits
    from nbpipe.execution.runner import Runner, Site
    from nbpipe.execution.steps import ignore

    config, root = workspace.config, workspace.root
    site = Site(
        root=str(Path(root)),
        state=config.state_url(root),
        storage=config.storage_url(root),
        io=config.io,
        parallel=config.executor.parallel,
        limits=OutputLimits(record=config.limits.record_size),
    )
    return Runner(workspace.store, site, on_event=on_event or ignore)
