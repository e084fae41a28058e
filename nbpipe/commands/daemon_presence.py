"""Whether a daemon leads an environment, and what of its work is on."""

from __future__ import annotations

from nbpipe.commands.workspace import Workspace
from nbpipe.core.automation.records import Lease, Source


def leader(workspace: Workspace) -> Lease | None:
    """Return who leads; None if nobody does, or a process that is known to be gone.

    Of a process on another machine only its signs of life tell more: it counts as there.
    """
    if workspace.is_untouched:
        return None
    from nbpipe.execution.workers import is_alive

    lease = workspace.store.automation.lease(workspace.env)
    return None if lease is None or is_alive(lease.worker) is False else lease


def sleeping(workspace: Workspace) -> tuple[str, ...]:
    """Return the schedules and sensors that are on while no daemon leads: nothing happens at their times."""
    definitions = workspace.definitions
    if not (definitions.schedules or definitions.sensors) or leader(workspace) is not None:
        return ()
    states = {} if workspace.is_untouched else workspace.store.automation.states(workspace.env)
    switched = {key: state.on for key, state in states.items() if state.on is not None}
    declared: dict[tuple[Source, str], bool] = {
        **{("schedule", name): not each.stopped for name, each in definitions.schedules.items()},
        **{("sensor", name): not each.stopped for name, each in definitions.sensors.items()},
    }
    return tuple(f"{kind} {name}" for (kind, name), on in declared.items() if switched.get((kind, name), on))
