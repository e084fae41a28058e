"""`status`: which assets are fresh, stale, missing or failed, and why."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click
import msgspec

from nbpipe.commands.arguments import selection_argument
from nbpipe.commands.daemon_presence import sleeping
from nbpipe.commands.surface import current_surface
from nbpipe.commands.unread import say_unread
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec
from nbpipe.core.records import AssetState
from nbpipe.core.selection import AssetStatus
from nbpipe.core.staleness import Assessment

if TYPE_CHECKING:
    from nbpipe.core.partitions.counts import PartitionCounts


class PartitionNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """How many partitions of an asset are what; `materialized` counts all that have a value."""

    total: int
    materialized: int
    stale: int
    failed: int
    missing: int
    running: int
    skipped: int


class StatusRow(msgspec.Struct, frozen=True, kw_only=True):
    """One asset as it stands. Times and versions are those of its current value; of partitions, the newest's time."""

    asset: str
    status: AssetStatus
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    materialized_at: datetime | None
    version: int | None
    code_version: str | None
    data_version: str | None
    group: str | None
    notebook: str
    cell_id: str
    upstream: tuple[str, ...]
    partitions: PartitionNumbers | None = None
    """None for an asset without partitions; one with has no version of its own."""


@click.command("status")
@selection_argument
@click.pass_obj
def command(workspace: Workspace, selection: str) -> list[StatusRow]:
    """Show which assets are fresh, stale, missing or failed, and why."""
    say_unread(workspace)
    rows = status_rows(workspace, selection)
    asleep = () if selection else sleeping(workspace)  # who asks about some assets may have nothing to do with them
    if asleep and not current_surface().data:
        number = f"{len(asleep)} schedules and sensors are" if len(asleep) > 1 else f"{asleep[0]} is"
        current_surface().say(f"no daemon is running, though {number} on: start one with `nbpipe daemon`")
    return rows


def status_rows(workspace: Workspace, selection: str = "") -> list[StatusRow]:
    """Return the status of the selected assets (all, for an empty selection) in topological order.

    Raises:
        SelectionError: the selection can't be read.
        UnknownNameError: it names an asset that does not exist.
    """
    workspace.settle()
    states = workspace.states()
    assessments = workspace.assess(states=states)
    keys = workspace.select(selection, assessments)
    assets = workspace.definitions.assets
    rows = [_row(assets[key], assessments[key], states.get(key)) for key in keys]
    return [_dated(workspace, row) for row in rows]


def _dated(workspace: Workspace, row: StatusRow) -> StatusRow:
    """Return a row with the time of the newest partition."""
    if row.partitions is None or not row.partitions.materialized:
        return row
    newest = workspace.store.partitions.committed_at(workspace.env, row.asset)
    return msgspec.structs.replace(row, materialized_at=newest)


def numbers_of(found: PartitionCounts) -> PartitionNumbers:
    """Return the numbers that people are shown."""
    return PartitionNumbers(**{name: getattr(found, name) for name in PartitionNumbers.__struct_fields__})


def _row(spec: AssetSpec, assessment: Assessment, state: AssetState | None) -> StatusRow:
    current = state.current if state is not None and assessment.partitions is None else None
    return StatusRow(
        asset=spec.key,
        status=assessment.status,
        reasons=assessment.reasons,
        notes=assessment.notes,
        materialized_at=current.created_at if current else None,
        version=current.version if current else None,
        code_version=current.code_version if current else None,
        data_version=current.stored.data_version if current else None,
        group=spec.options.group,
        notebook=spec.cell.notebook,
        cell_id=spec.cell.cell_id,
        upstream=spec.upstream,
        partitions=numbers_of(assessment.partitions) if assessment.partitions is not None else None,
    )
