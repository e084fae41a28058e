"""From a job to the plan of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from nbpipe.commands.whole_notebooks import WholeNotebook, whole_notebook
from nbpipe.commands.workspace import Workspace
from nbpipe.core.parameters import parse_value
from nbpipe.core.runs.planning import plan_notebook, plan_run
from nbpipe.core.runs.plans import RunPlan
from nbpipe.daemon.parts import Work
from nbpipe.errors import RefusedError, UnknownNameError

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.sets import PartitionSet
    from nbpipe.core.partitions.subsets import PartitionSubset
    from nbpipe.core.runs.partition_plans import PartitionRequest


def plan_work(workspace: Workspace, work: Work) -> RunPlan:
    """Plan the run of a job; a plan without steps has nothing to do.

    A job of partitions runs the given key, else those that closed last: of time, the last window that has ended;
    of every other dimension, all keys.

    Args:
        workspace: the project as it is saved.
        work: what to run.

    Raises:
        SelectionError: the selection can't be read.
        UnknownNameError: it names something that does not exist, or there is no such key.
        RefusedError: it can't be run as things stand.
        ParameterError: a parameter is unknown, of a wrong type or not representable.
    """
    return msgspec.structs.replace(_planned(workspace, work), memory=work.job.memory)


def _planned(workspace: Workspace, work: Work) -> RunPlan:
    job = work.job
    parameters = {**{name: parse_value(text) for name, text in job.parameters}, **work.parameters}
    if job.notebook is not None:
        return _whole(workspace, work, job.notebook, parameters)
    keys = _selected(workspace, work)
    if not keys:
        return RunPlan(env=workspace.env, selection=_words(work))
    return plan_run(
        workspace.definitions,
        workspace.graph,
        keys,
        env=workspace.env,
        materialized={key for key, state in workspace.states().items() if state.current is not None},
        selection=_words(work),
        parameters=parameters,
        partitions=_request(workspace, work, keys),
    )


def _selected(workspace: Workspace, work: Work) -> tuple[str, ...]:
    keys = workspace.select(work.job.selection)
    if work.selection is None:
        return keys
    wanted = set(workspace.select(work.selection))
    outside = sorted(wanted.difference(keys))
    if outside:
        raise RefusedError(f"job {work.job.name} does not run {', '.join(outside[:5])}: select some of its own assets")
    return tuple(key for key in keys if key in wanted)


def _words(work: Work) -> str:
    return work.job.selection if work.selection is None else work.selection


def _whole(workspace: Workspace, work: Work, notebook: str, parameters: Mapping[str, Any]) -> RunPlan:
    if notebook not in workspace.definitions.notebooks:
        raise UnknownNameError("notebook", notebook, workspace.definitions.notebooks)
    if work.selection is not None:
        raise RefusedError(f"job {work.job.name} runs the whole of {notebook}: nothing of it can be selected")
    whole = _whole_partitions(workspace, work, notebook)
    return plan_notebook(
        workspace.definitions,
        notebook,
        env=workspace.env,
        parameters=parameters,
        partitions=whole.partitions,
        left_out=whole.left_out,
    )


def _whole_partitions(workspace: Workspace, work: Work, notebook: str) -> WholeNotebook:
    """Return the partition that each asset of a notebook is executed for."""
    if work.partition is None and work.job.partitions is None:
        return whole_notebook(workspace, notebook, at=work.closed_at)
    found = {}
    for key in workspace.definitions.notebooks[notebook].assets:
        of = workspace.book.of(key) if key in workspace.definitions.assets else None
        if of is not None:
            from nbpipe.core.partitions.ranges import range_texts

            found[key] = range_texts(_of_job(work, of))
    if not found:
        raise _without_partitions(work)
    return WholeNotebook(partitions=found)


def _request(workspace: Workspace, work: Work, keys: Sequence[str]) -> PartitionRequest | None:
    """Return the partitions that are asked for; None if the project has none."""
    if not workspace.has_partitions:
        if work.partition is not None or work.job.partitions is not None:
            raise _without_partitions(work)
        return None
    from nbpipe.commands.partition_requests import executed, specs_of
    from nbpipe.core.runs.partition_choice import roots_of
    from nbpipe.core.runs.partition_plans import PartitionRequest

    specs = specs_of(workspace, keys)
    roots: dict[str, PartitionSubset] = {}
    for key in roots_of(specs, workspace.book):
        of = workspace.book.of(key)
        assert of is not None  # noqa: S101 - roots have partitions
        roots[key] = _of_job(work, of)
    if not roots and (work.partition is not None or work.job.partitions is not None):
        raise _without_partitions(work)
    return PartitionRequest(
        book=workspace.book,
        roots=roots,
        executed=executed(workspace, [spec.key for spec in specs]),
        now=work.closed_at,
        words="" if work.partition is None else f"--partition {work.partition}",
    )


def _of_job(work: Work, of: PartitionSet) -> PartitionSubset:
    """Return which partitions of a set a job runs."""
    from nbpipe.core.partitions.spec_syntax import parse_partitions
    from nbpipe.core.partitions.subsets import nothing, single

    if work.partition is not None:
        return single(of, work.partition)
    if work.job.partitions is None:
        return closed_last(of, work.closed_at)
    found = nothing(of)
    for key in closed_last(parse_partitions(work.job.partitions), work.closed_at):
        found = found | single(of, key)
    return found


def closed_last(of: PartitionSet, at: datetime) -> PartitionSubset:
    """Return the partitions whose window ended last: of listed dimensions, all keys.

    Raises:
        RefusedError: no window has ended yet, or there are no keys.
    """
    from pyroaring import BitMap

    from nbpipe.core.partitions.sets import TimeDimension
    from nbpipe.core.partitions.subsets import box
    from nbpipe.core.partitions.texts import quote

    ordinals = []
    for part in of.dimensions:
        if isinstance(part, TimeDimension):
            latest = part.latest(at)
            ordinals.append(BitMap() if latest is None else BitMap((latest,)))
        else:
            ordinals.append(part.members(at))
    found = box(of, tuple(ordinals))
    if not found:
        empty = [part.source for part in of.dimensions if not isinstance(part, TimeDimension) and not part.members(at)]
        why = f": add keys with nbpipe partitions add {quote(empty[0])} KEY" if empty else ": no window has ended"
        raise RefusedError(f"there is no partition of {of} yet that could be run{why}")
    return found


def _without_partitions(work: Work) -> RefusedError:
    name = f"job {work.job.name}" if work.job.name else "it"
    given = f"partition {work.partition}" if work.partition is not None else f"partitions {work.job.partitions}"
    return RefusedError(f"nothing that {name} runs has partitions: leave out {given}")
