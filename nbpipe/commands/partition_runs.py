"""A run of some partitions of one asset, whichever they are: not every choice can be written as one range."""

from __future__ import annotations

from nbpipe import clock
from nbpipe.commands.partition_requests import executed
from nbpipe.commands.workspace import Workspace
from nbpipe.core.partitions.ranges import range_texts, ranges_label
from nbpipe.core.partitions.subsets import PartitionSubset
from nbpipe.core.runs.partition_plans import PartitionRequest
from nbpipe.core.runs.planning import plan_run
from nbpipe.core.runs.plans import RunPlan
from nbpipe.core.selection import quoted


def prepare_partitions(workspace: Workspace, asset: str, wanted: PartitionSubset) -> RunPlan:
    """Plan a run of some partitions; a plan without steps has nothing to do.

    Args:
        workspace: the project as it is saved.
        asset: with partitions.
        wanted: of its set, some that are there now.

    Raises:
        UnknownNameError: there is no such asset any more.
        RefusedError: it can't be run as things stand.
    """
    workspace.settle()
    spec = workspace.asset(asset)
    return plan_run(
        workspace.definitions,
        workspace.graph,
        (asset,),
        env=workspace.env,
        materialized={key for key, state in workspace.states().items() if state.current is not None},
        selection=quoted(asset),
        partitions=PartitionRequest(
            book=workspace.book,
            roots={asset: wanted},
            executed=executed(workspace, workspace.graph.arrange({asset, *spec.siblings})),
            now=clock.now(),
            words=f"--partitions {ranges_label(range_texts(wanted)[:2], len(wanted))}",
        ),
    )
