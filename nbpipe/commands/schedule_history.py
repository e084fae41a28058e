"""What the state store keeps of schedules and sensors: on or off, and their ticks."""

from __future__ import annotations

from datetime import datetime

import msgspec

from nbpipe import clock
from nbpipe.commands.surface import does_nothing_here
from nbpipe.commands.workspace import Workspace
from nbpipe.core.automation.records import AutomationState, Source, Tick, TickStatus


class TickRow(msgspec.Struct, frozen=True, kw_only=True):
    """One tick of a listing."""

    name: str
    scheduled_at: datetime
    """When it was due; of a sensor, when it was evaluated."""
    status: TickStatus
    runs: tuple[str, ...] = ()
    reason: str | None = None
    at: datetime
    """When it was recorded last."""
    count: int = 1
    """How many in a row it stands for."""


class Switched(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule or sensor that was started or stopped."""

    kind: Source
    name: str
    on: bool
    daemon: bool
    """A daemon is there to act on it."""


def tick_rows(workspace: Workspace, source: Source, name: str, limit: int) -> list[TickRow]:
    """Return the ticks of a schedule or sensor, newest first."""
    if workspace.is_untouched:
        return []
    return [row_of(tick) for tick in workspace.store.automation.ticks(workspace.env, source, name, limit=limit)]


def states(workspace: Workspace) -> dict[tuple[Source, str], AutomationState]:
    """Return what is kept of each schedule and sensor."""
    return {} if workspace.is_untouched else dict(workspace.store.automation.states(workspace.env))


def switched(workspace: Workspace, source: Source, name: str, *, on: bool) -> Switched:
    """Start or stop a schedule or sensor that is known to be there."""
    from nbpipe.commands.daemon_presence import leader

    if not does_nothing_here(f"{source} {'start' if on else 'stop'}"):
        workspace.store.automation.switch(workspace.env, source, name, on=on, at=clock.now())
    state = states(workspace).get((source, name))
    return Switched(kind=source, name=name, on=bool(state and state.on), daemon=leader(workspace) is not None)


def row_of(tick: Tick) -> TickRow:
    """Return a tick as a listing shows it."""
    return TickRow(
        name=tick.name,
        scheduled_at=tick.scheduled_at,
        status=tick.status,
        runs=tick.runs,
        reason=tick.reason,
        at=tick.at,
        count=tick.count,
    )
