"""Jobs, schedules and sensors as rows of a listing.

A row says what is declared, the declarations that have an error included; that a schedule or sensor is on, and its
ticks, are facts of the state store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypeVar

import msgspec

from nbpipe import clock
from nbpipe.commands.daemon_presence import leader
from nbpipe.commands.schedule_history import TickRow, states, tick_rows
from nbpipe.commands.workspace import Workspace
from nbpipe.core.automation.definitions import Catchup, JobDef, ScheduleDef, SensorDef
from nbpipe.core.automation.records import AutomationState
from nbpipe.core.definitions import unreadable_notebooks
from nbpipe.errors import RefusedError, UnknownNameError

_Def = TypeVar("_Def")


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One job."""

    name: str
    selection: str | None = None
    notebook: str | None = None
    """What it runs, if it runs a whole notebook."""
    parameters: Mapping[str, str] = {}
    partitions: str | None = None
    tags: Mapping[str, str] = {}
    retries: int = 0
    retry_delay: float = 0.0
    backoff: str = "constant"
    timeout: float | None = None
    memory: int | None = None
    """Bytes that each kernel of its runs may take."""
    priority: int = 0
    schedules: tuple[str, ...] = ()
    """Those that run it."""
    sensors: tuple[str, ...] = ()
    declared_in: str | None = None
    """Notebook that declares it; None: the configuration."""
    cell_id: str | None = None
    error: str | None = None
    """Why it can't be used; then nothing else is known of it."""


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule."""

    name: str
    job: str | None = None
    selection: str | None = None
    cron: tuple[str, ...] = ()
    at: tuple[str, ...] = ()
    tz: str | None = None
    words: str = ""
    """When it ticks."""
    exclude: tuple[str, ...] = ()
    catchup: Catchup | None = None
    stopped: bool = False
    """It is declared so."""
    on: bool | None = None
    """Whether it ticks: as declared, unless somebody has started or stopped it."""
    last: TickRow | None = None
    """Its last tick."""
    next: datetime | None = None
    """When it ticks next, if it is on."""
    daemon: bool = False
    """A daemon is there to act on it."""
    declared_in: str | None = None
    cell_id: str | None = None
    error: str | None = None


class SensorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor."""

    name: str
    kind: str | None = None
    """`cell`, `asset` or `run`: what it looks at."""
    job: str | None = None
    every: float | None = None
    """Seconds between two evaluations, at least."""
    timeout: float | None = None
    assets: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    stopped: bool = False
    """It is declared so."""
    on: bool | None = None
    """Whether it is asked: as declared, unless somebody has started or stopped it."""
    last: TickRow | None = None
    """Its last tick."""
    cursor: str | None = None
    daemon: bool = False
    """A daemon is there to ask it."""
    declared_in: str | None = None
    cell_id: str | None = None
    error: str | None = None


def job_rows(workspace: Workspace) -> list[JobRow]:
    """Return all jobs by name."""
    definitions = workspace.definitions
    found = [
        JobRow(
            name=job.name,
            selection=job.selection or None,
            notebook=job.notebook,
            parameters=dict(job.parameters),
            partitions=job.partitions,
            tags=dict(job.tags),
            retries=job.retries,
            retry_delay=job.retry_delay,
            backoff=job.backoff,
            timeout=job.timeout,
            memory=job.memory,
            priority=job.priority,
            schedules=tuple(each.name for each in definitions.schedules.values() if each.job == job.name),
            sensors=tuple(each.name for each in definitions.sensors.values() if each.job == job.name),
            declared_in=job.cell.notebook if job.cell else None,
            cell_id=job.cell.cell_id if job.cell else None,
        )
        for job in definitions.jobs.values()
    ]
    return sorted(
        [*found, *(JobRow(name=name, error=text) for name, text in _unusable(workspace, "job"))], key=_by_name
    )


def schedule_rows(workspace: Workspace) -> list[ScheduleRow]:
    """Return all schedules by name."""
    kept, now, daemon = states(workspace), clock.now(), leader(workspace) is not None
    found = [
        _with_history(
            workspace, _schedule_row(schedule, daemon=daemon), schedule, kept.get(("schedule", schedule.name)), now
        )
        for schedule in workspace.definitions.schedules.values()
    ]
    broken = dict(_unusable(workspace, "schedule"))
    known = {row.name for row in found} | broken.keys()
    unreadable = unreadable_notebooks(workspace.definitions)
    if unreadable:  # nobody can tell what these declare: what is known of them is that it was there
        text = f"it is declared nowhere, but can't be looked for in {', '.join(sorted(unreadable))}"
        broken |= {name: text for source, name in kept if source == "schedule" and name not in known}
    return sorted([*found, *(ScheduleRow(name=name, error=text) for name, text in broken.items())], key=_by_name)


def sensor_rows(workspace: Workspace) -> list[SensorRow]:
    """Return all sensors by name."""
    kept, daemon = states(workspace), leader(workspace) is not None
    found = [
        _with_ticks(workspace, _sensor_row(sensor, daemon=daemon), sensor, kept.get(("sensor", sensor.name)))
        for sensor in workspace.definitions.sensors.values()
    ]
    broken = (SensorRow(name=name, error=text) for name, text in _unusable(workspace, "sensor"))
    return sorted([*found, *broken], key=_by_name)


def find_job(workspace: Workspace, name: str) -> JobDef:
    """Return a job by its name.

    Raises:
        UnknownNameError: there is none.
        RefusedError: its declaration has an error.
    """
    return _found(workspace, "job", name, workspace.definitions.jobs)


def find_schedule(workspace: Workspace, name: str) -> ScheduleDef:
    """Return a schedule by its name.

    Raises:
        UnknownNameError: there is none.
        RefusedError: its declaration has an error.
    """
    return _found(workspace, "schedule", name, workspace.definitions.schedules)


def find_sensor(workspace: Workspace, name: str) -> SensorDef:
    """Return a sensor by its name.

    Raises:
        UnknownNameError: there is none.
        RefusedError: its declaration has an error.
    """
    return _found(workspace, "sensor", name, workspace.definitions.sensors)


def _found(workspace: Workspace, kind: str, name: str, known: Mapping[str, _Def]) -> _Def:
    found = known.get(name)
    if found is not None:
        return found
    problem = workspace.definitions.unusable.get(f"{kind} {name}")
    if problem is not None:
        raise RefusedError(f"{kind} {name!r} has an error: {problem}")
    raise UnknownNameError(kind, name, known, hint=f"`nbpipe {kind} list` shows all")


def _with_history(
    workspace: Workspace, row: ScheduleRow, schedule: ScheduleDef, state: AutomationState | None, now: datetime
) -> ScheduleRow:
    """Add what the state store knows."""
    from nbpipe.core.automation.schedules import upcoming

    on = not schedule.stopped if state is None or state.on is None else state.on
    last = tick_rows(workspace, "schedule", schedule.name, 1) if state is not None else []
    coming = upcoming(schedule, now, 1) if on else ()
    return msgspec.structs.replace(row, on=on, last=last[0] if last else None, next=coming[0] if coming else None)


def _with_ticks(workspace: Workspace, row: SensorRow, sensor: SensorDef, state: AutomationState | None) -> SensorRow:
    """Return a row with what the state store knows."""
    on = not sensor.stopped if state is None or state.on is None else state.on
    last = tick_rows(workspace, "sensor", sensor.name, 1)
    cursor = None if state is None else state.cursor
    return msgspec.structs.replace(row, on=on, last=last[0] if last else None, cursor=cursor)


def _schedule_row(schedule: ScheduleDef, *, daemon: bool) -> ScheduleRow:
    from nbpipe.core.automation.schedules import words

    return ScheduleRow(
        name=schedule.name,
        job=schedule.job,
        selection=schedule.selection,
        cron=schedule.crons,
        at=schedule.at,
        tz=schedule.zone,
        words=words(schedule),
        exclude=schedule.exclude,
        catchup=schedule.catchup,
        stopped=schedule.stopped,
        daemon=daemon,
        declared_in=schedule.cell.notebook if schedule.cell else None,
        cell_id=schedule.cell.cell_id if schedule.cell else None,
    )


def _sensor_row(sensor: SensorDef, *, daemon: bool) -> SensorRow:
    return SensorRow(
        name=sensor.name,
        kind=sensor.kind,
        job=sensor.job,
        every=sensor.every,
        timeout=sensor.timeout if sensor.kind == "cell" else None,
        assets=sensor.assets,
        statuses=sensor.statuses,
        jobs=sensor.jobs,
        notify=sensor.notify,
        stopped=sensor.stopped,
        daemon=daemon,
        declared_in=sensor.cell.notebook if sensor.cell else None,
        cell_id=sensor.cell.cell_id if sensor.cell else None,
    )


def _unusable(workspace: Workspace, kind: str) -> Iterator[tuple[str, str]]:
    for label, problem in workspace.definitions.unusable.items():
        if label.startswith(f"{kind} "):
            yield label.removeprefix(f"{kind} "), problem


def _by_name(row: JobRow | ScheduleRow | SensorRow) -> str:
    return row.name
