"""`show`: one asset, as it is defined and as it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
import msgspec

from nbpipe.commands.references import history, whole_asset
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetOptions
from nbpipe.core.records import AssetState, Materialization, Preview


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


class AssetDetails(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one asset; `metadata` and `preview` are of its current value."""

    asset: str
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


@click.command("show")
@click.argument("asset")
@click.pass_obj
def command(workspace: Workspace, asset: str) -> AssetDetails:
    """Show one asset: definition, status, versions, metadata and a preview."""
    spec = workspace.asset(whole_asset(asset, "show").asset)
    workspace.settle()
    assessment = workspace.assess()[spec.key]
    state = workspace.states([spec.key]).get(spec.key) or AssetState(asset=spec.key)
    current = state.current
    return AssetDetails(
        asset=spec.key,
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
        status=assessment.status,
        reasons=assessment.reasons,
        notes=assessment.notes,
        error=state.error,
        held=state.held,
        versions=tuple(_version(each, current) for each in history(workspace, spec.key)) if current else (),
        metadata={**current.stored.metadata, **current.metadata} if current else {},
        preview=workspace.store.details(current.id).preview if current else None,
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
