"""`materialize`: from a selection to a plan, a run, and what became of it."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from nbpipe import clock
from nbpipe.commands.arguments import only_one, parameter_option, partition_options, selection_argument
from nbpipe.commands.retention import remove_old_values
from nbpipe.commands.run_results import NOTHING_DONE, RunResult, result_of
from nbpipe.commands.surface import current_surface, does_nothing_here
from nbpipe.commands.workspace import Workspace
from nbpipe.core.parameters import canonical
from nbpipe.core.ports import ProgressListener
from nbpipe.core.records import Run
from nbpipe.core.runs.parameter_checks import parameters_for
from nbpipe.core.runs.planning import plan_run
from nbpipe.core.runs.plans import Mode, RunPlan
from nbpipe.core.staleness import Assessment
from nbpipe.errors import NbpipeError, UsageError

if TYPE_CHECKING:
    from nbpipe.execution.runner import Runner
    from nbpipe.execution.submit import Origin

_NONE: Mapping[str, Any] = MappingProxyType({})


@click.command("materialize")
@selection_argument
@click.option("--stale", is_flag=True, help="Only what is missing or stale.")
@parameter_option
@partition_options
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
    if not selection:
        raise UsageError("nothing is selected: name assets, or write '*' for all")
    plan = prepare(workspace, selection, stale=stale, parameters=parameters, partition=partition, partitions=partitions)
    return carry_out(workspace, plan)


def prepare(
    workspace: Workspace,
    selection: str,
    *,
    stale: bool = False,
    parameters: Mapping[str, Any] = _NONE,
    partition: str | None = None,
    partitions: str | None = None,
) -> RunPlan:
    """Plan the run of a selection; a plan without steps has nothing to do.

    Args:
        workspace: the project as it is saved.
        selection: which assets.
        stale: only those that are missing or stale.
        parameters: values by name, for the notebooks that have such parameters.
        partition: key of one partition; read by the assets with partitions that no other selected one feeds.
        partitions: a range of them.

    Raises:
        SelectionError: the selection can't be read.
        UnknownNameError: it names something that does not exist, or there is no such key.
        DeclarationError: the range can't be read.
        RefusedError: it can't be run as things stand.
        ParameterError: a parameter is unknown, of a wrong type or not representable.
    """
    only_one(partition, partitions)
    workspace.settle()
    states = workspace.states()
    keys = workspace.select(selection)
    mode: Mode = "all"
    request = None
    if has_partitions(workspace) or partition is not None or partitions is not None:
        from nbpipe.commands.partition_requests import Wording, stale_request
        from nbpipe.commands.partition_requests import request as requested

        wording = Wording(partition, partitions)
        given = _as_source(parameters)
        request = stale_request(workspace, keys, wording, given) if stale else requested(workspace, keys, wording)
    if stale:
        mode = "stale"
        chosen = request.roots if request is not None else None
        keys = _to_execute(workspace, keys, workspace.assess(_as_source(parameters), states=states), chosen or {})
    if not keys:
        _check_parameters(workspace, workspace.select(selection), parameters)
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
        partitions=request,
    )


def has_partitions(workspace: Workspace) -> bool:
    """Tell whether a project has assets with partitions: only then, what is about them is loaded."""
    return any(spec.options.partitions is not None for spec in workspace.definitions.assets.values())


def carry_out(workspace: Workspace, plan: RunPlan, *, parent: str | None = None) -> RunResult:
    """Carry out the run of a plan, wait for its end and say what became of it.

    Args:
        workspace: the project.
        plan: without steps, nothing happens.
        parent: the run that this one retries.
    """
    if does_nothing_here("starting a run") or not plan.steps:
        return NOTHING_DONE
    run = run_plan(workspace, plan, trigger=current_surface().trigger if parent is None else "retry", parent=parent)
    return result_of(workspace.store, run)


def run_plan(workspace: Workspace, plan: RunPlan, *, trigger: str, parent: str | None = None) -> Run:
    """Carry out the run of a plan and return it as it ended; the current surface says where, and shows progress."""
    from nbpipe.execution.submit import Origin
    from nbpipe.execution.workers import this_worker

    return run_as(workspace, plan, Origin(trigger=trigger, parent=parent, worker=this_worker()))


def run_as(workspace: Workspace, plan: RunPlan, origin: Origin) -> Run:
    """Do `run_plan` for a run whose origin is told in full; its worker is this process."""
    surface = current_surface()
    if surface.follow is not None:
        return surface.follow(workspace, plan, _submit(workspace, plan, origin))
    with surface.watch(plan) as on_event:
        return execute(workspace, _submit(workspace, plan, origin), on_event)


def start(workspace: Workspace, plan: RunPlan, *, trigger: str = "manual") -> str:
    """Queue the run of a plan and return its id; this process sees to it that another one calls `execute`.

    Raises:
        RefusedError: a notebook is gone or can't be read.
        ParameterError: a parameter can't be represented.
    """
    from nbpipe.execution.submit import Origin
    from nbpipe.execution.workers import this_worker

    return _submit(workspace, plan, Origin(trigger=trigger, worker=this_worker()))


def execute(workspace: Workspace, run_id: str, on_event: ProgressListener | None = None) -> Run:
    """Carry out a queued run in this process, then apply retention; return the run as it ended.

    Raises:
        UnknownNameError: there is no such run.
        RefusedError: another process has taken it, or it has ended.
    """
    run = _runner(workspace, on_event).execute(run_id)
    with contextlib.suppress(NbpipeError):  # the work is done, and must not fail for this
        remove_old_values(workspace)
    return run


def _to_execute(
    workspace: Workspace, keys: Iterable[str], found: Mapping[str, Assessment], partitioned: Container[str]
) -> tuple[str, ...]:
    """Return the assets that are out of date, and the stale ones below them; of those with partitions, `partitioned`.

    What is stale only because of something that is not selected would come out the same.
    """
    chosen: set[str] = set()
    for key in workspace.graph.arrange(keys):
        if workspace.definitions.assets[key].options.partitions is not None:
            chosen.update({key} if key in partitioned else ())
            continue
        below = found[key].stale and not chosen.isdisjoint(workspace.graph.upstream(key))
        if found[key].out_of_date or below:
            chosen.add(key)
    return workspace.graph.arrange(chosen)


def _check_parameters(workspace: Workspace, keys: Iterable[str], parameters: Mapping[str, Any]) -> None:
    """Refuse wrong parameters also where nothing has to be done."""
    definitions = workspace.definitions
    paths = sorted({definitions.assets[key].cell.notebook for key in keys})
    if parameters and paths:
        parameters_for([definitions.notebooks[path] for path in paths], parameters)


def _as_source(parameters: Mapping[str, Any]) -> dict[str, str] | None:
    if not parameters:
        return None
    return {name: canonical(value) or repr(value) for name, value in parameters.items()}


def _submit(workspace: Workspace, plan: RunPlan, origin: Origin) -> str:
    from nbpipe.execution.submit import submit

    _ = workspace.io  # a wrong [io.NAME] table is refused while there is no run yet
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
    from nbpipe.commands.sites import site_of
    from nbpipe.execution.runner import Runner
    from nbpipe.execution.steps import ignore
    from nbpipe.execution.warm import kernel_provider

    kernels = kernel_provider(warm=workspace.config.executor.kernels == "warm")
    return Runner(workspace.store, site_of(workspace), kernels=kernels, on_event=on_event or ignore)
