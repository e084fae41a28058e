"""What `show` tells of partitions."""

from __future__ import annotations

from itertools import islice

from nbpipe.commands.partition_references import partition_detail, partition_state, position_of
from nbpipe.commands.references import history
from nbpipe.commands.show import PartitionRow, PartitionsOfAsset, Shown
from nbpipe.commands.status import numbers_of
from nbpipe.commands.why_partitions import explained_partition
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.partitions.state import PartitionState
from nbpipe.core.partitions.subsets import PartitionSubset, last_positions
from nbpipe.core.references import Reference
from nbpipe.core.staleness import Assessment

_LATEST = 10


def of_partition(workspace: Workspace, reference: Reference) -> Shown:
    """Return what is stored of one partition.

    Raises:
        UnknownNameError: there is no such partition.
        UsageError: the asset has no partitions.
        DefinitionError: its partitions can't be told.
    """
    asset, key, _ = reference
    position = position_of(workspace, reference)
    state = partition_state(workspace, asset)
    node, _ = explained_partition(workspace, workspace.partition_states(), asset, key)
    detail = partition_detail(workspace, asset, key, position)
    return Shown(
        partition=key,
        window=state.of.window(key),
        status=node.status,
        reasons=node.reasons,
        notes=node.notes,
        error=detail.error,
        held=detail.held,
        current=detail.current,
        versions=history(workspace, asset, key) if detail.current else (),
    )


def of_partitions(workspace: Workspace, spec: AssetSpec, assessment: Assessment) -> Shown:
    """Return how many partitions of an asset are what, and the latest of them."""
    state = workspace.partition_states()[spec.key]
    everything = PartitionSubset(state.of, state.total)
    keys = [state.of.key(position) for position in islice(last_positions(everything), _LATEST)]
    found = PartitionsOfAsset(
        spec=spec.options.partitions or str(state.of),
        counts=numbers_of(state.counts),
        latest=tuple(_row(workspace, state, key) for key in keys),
    )
    return Shown(status=assessment.status, reasons=assessment.reasons, notes=assessment.notes, partitions=found)


def _row(workspace: Workspace, state: PartitionState, key: str) -> PartitionRow:
    detail = partition_detail(workspace, state.asset.asset, key, state.of.position(key))
    current = detail.current
    note = (detail.error if detail.failed_at is not None else detail.reason) or ""
    return PartitionRow(
        partition=key,
        status=state.status_of(key) or "missing",
        version=current.version if current else None,
        created_at=current.created_at if current else None,
        size=current.stored.size if current else None,
        note=note.strip().partition("\n")[0],
    )
