"""`show`: one asset or partition, as it is defined and as it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from nbpipe.commands.references import history, without_version
from nbpipe.commands.status import PartitionNumbers
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetOptions, AssetSpec
from nbpipe.core.records import AssetState, Materialization, Preview
from nbpipe.core.staleness import Assessment


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One stored version; `duration` in seconds, `size` and `peak_memory` in bytes."""

    version: int
    current: bool
    expired: bool
    created_at: datetime
    run_id: str | None
    data_version: str
    opaque: bool
    format: str
    type: str
    size: int
    duration: float
    peak_memory: int | None
    parameters: Mapping[str, str]


class PartitionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One partition; `version`, `created_at` and `size` (bytes) are of its current value."""

    partition: str
    status: str
    version: int | None
    created_at: datetime | None
    size: int | None
    note: str
    """First line of the error, or why it was skipped."""


class PartitionsOfAsset(msgspec.Struct, frozen=True, kw_only=True):
    """The partitions of an asset."""

    spec: str
    counts: PartitionNumbers
    latest: tuple[PartitionRow, ...]
    """The last ones in time, newest first; of listed keys, the first ones."""


class AssetDetails(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one asset or partition; `metadata` and `preview` are of its current value."""

    asset: str
    partition: str | None = None
    """Key of the partition that is shown; None: the asset."""
    window: tuple[datetime, datetime] | None = None
    """Begin and end of the partition, if it has a time."""
    partitions: PartitionsOfAsset | None = None
    description: str
    notebook: str
    cell: int
    cell_id: str
    siblings: tuple[str, ...]
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    parameters: tuple[str, ...]
    resources: tuple[str, ...]
    files: tuple[str, ...]
    options: AssetOptions
    code: Mapping[str, str]
    status: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    error: str | None
    held: bool
    versions: tuple[VersionRow, ...]
    metadata: Mapping[str, Any]
    preview: Preview | None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of the asset or partition that is shown."""

    status: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    error: str | None = None
    held: bool = False
    current: Materialization | None = None
    versions: Sequence[Materialization] = ()
    preview: Preview | None = None
    partition: str | None = None
    window: tuple[datetime, datetime] | None = None
    partitions: PartitionsOfAsset | None = None


@click.command("show")
@click.argument("asset")
@click.pass_obj
def command(workspace: Workspace, asset: str) -> AssetDetails:
    """Show one asset, or one partition of it (ASSET@KEY): definition, status, versions, metadata and a preview."""
    reference = without_version(asset, "show")
    spec = workspace.asset(reference.asset)
    workspace.settle()
    if reference.partition:
        from nbpipe.commands.show_partitions import of_partition

        return _details(workspace, spec, of_partition(workspace, reference))
    assessment = workspace.assess()[spec.key]
    if assessment.partitions is not None:
        from nbpipe.commands.show_partitions import of_partitions

        return _details(workspace, spec, of_partitions(workspace, spec, assessment))
    state = workspace.states([spec.key]).get(spec.key) or AssetState(asset=spec.key)
    return _details(workspace, spec, _whole(workspace, assessment, state))


def _whole(workspace: Workspace, assessment: Assessment, state: AssetState) -> Shown:
    current = state.current
    return Shown(
        status=assessment.status,
        reasons=assessment.reasons,
        notes=assessment.notes,
        error=state.error,
        held=state.held,
        current=current,
        versions=history(workspace, state.asset) if current else [],
        preview=workspace.store.details(current.id).preview if current else None,
    )


def _details(workspace: Workspace, spec: AssetSpec, shown: Shown) -> AssetDetails:
    current = shown.current
    return AssetDetails(
        asset=spec.key,
        partition=shown.partition,
        window=shown.window,
        partitions=shown.partitions,
        description=spec.description,
        notebook=spec.cell.notebook,
        cell=spec.cell.index + 1,
        cell_id=spec.cell.cell_id,
        siblings=tuple(key for key in spec.siblings if key != spec.key),
        upstream=spec.upstream,
        downstream=workspace.graph.downstream(spec.key),
        parameters=spec.parameters,
        resources=spec.resources,
        files=spec.files,
        options=spec.options,
        code=dict(spec.code),
        status=shown.status,
        reasons=shown.reasons,
        notes=shown.notes,
        error=shown.error,
        held=shown.held,
        versions=tuple(_version(each, current) for each in shown.versions),
        metadata={**current.stored.metadata, **current.metadata} if current else {},
        preview=shown.preview,
    )


def _version(found: Materialization, current: Materialization | None) -> VersionRow:
    stored = found.stored
    return VersionRow(
        version=found.version,
        current=current is not None and current.version == found.version,
        expired=found.expired,
        created_at=found.created_at,
        run_id=found.run_id,
        data_version=stored.data_version,
        opaque=stored.opaque,
        format=stored.format,
        type=stored.type,
        size=stored.size,
        duration=found.duration,
        peak_memory=found.peak_memory,
        parameters=found.parameters,
    )
