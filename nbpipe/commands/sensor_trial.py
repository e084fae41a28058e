"""Ask a sensor without any consequence: what it would launch, and what its cursor would be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from nbpipe import clock
from nbpipe.commands.schedule_history import states, tick_rows
from nbpipe.commands.workspace import Workspace
from nbpipe.core.automation.definitions import SensorDef
from nbpipe.core.automation.evaluations import Evaluated, Evaluation, Program, programs_of, unpacked
from nbpipe.core.automation.requests import Answer, RunRequest
from nbpipe.core.counted import counted
from nbpipe.errors import NbpipeError, RefusedError, UnknownNameError

#: Requests that are planned, to see whether they could be run; and shown.
MOST_SHOWN = 100


class TrialRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that would be launched."""

    job: str
    run_key: str | None = None
    partition: str | None = None
    selection: str | None = None
    parameters: Mapping[str, Any] = {}
    tags: Mapping[str, str] = {}
    known_run: str | None = None
    """The run that this key has started already: nothing would be launched."""
    assets: tuple[str, ...] = ()
    error: str | None = None
    """Why it could not be run: then nothing of the answer would be."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What a sensor says now; nothing was recorded."""

    name: str
    status: Literal["launched", "skipped", "failed"]
    """Of the tick that there would be."""
    reason: str | None = None
    runs: tuple[TrialRun, ...] = ()
    """The first of them."""
    requests: int = 0
    """How many it asks for."""
    added: Mapping[str, tuple[str, ...]] = {}
    """Keys of partitions that would be added, by set."""
    deleted: Mapping[str, tuple[str, ...]] = {}
    cursor_before: str | None = None
    cursor: str | None = None
    """What it would be."""
    output: str = ""
    seconds: float = 0.0


def evaluation_of(workspace: Workspace, sensor: SensorDef, program: Program, *, cursor: str | None) -> Evaluation:
    """Return the question to a sensor's cell."""
    ticks = tick_rows(workspace, "sensor", sensor.name, 1)
    return Evaluation(
        id=clock.new_id(),
        program=program,
        cursor=cursor,
        last_tick_at=ticks[0].at if ticks else None,
        timeout=sensor.timeout,
        secrets=workspace.config.references,
    )


def kept_cursor(workspace: Workspace, name: str) -> str | None:
    """Return what a sensor keeps."""
    state = states(workspace).get(("sensor", name))
    return None if state is None else state.cursor


def asked_once(workspace: Workspace, sensor: SensorDef, *, cursor: str | None) -> Trial:
    """Ask a sensor, its cell in a process of its own.

    Raises:
        RefusedError: its cell has changed since the project was read.
    """
    if sensor.kind != "cell":
        return _of_events(workspace, sensor, cursor)
    from nbpipe.execution.evaluators import asked_alone

    notebook = sensor.cell.notebook if sensor.cell else ""
    facts = workspace.project.facts_of(notebook)
    definitions = workspace.definitions
    here = [each for each in definitions.sensors.values() if each.cell and each.cell.notebook == notebook]
    programs = (
        {}
        if facts is None
        else programs_of(facts, definitions.notebooks[notebook], here, root=str(workspace.root), env=workspace.env)
    )
    if sensor.name not in programs:
        raise RefusedError(f"the cell of sensor {sensor.name!r} in {notebook} can't be found: was it just changed?")
    evaluation = evaluation_of(workspace, sensor, programs[sensor.name], cursor=cursor)
    return trial_of(workspace, sensor, asked_alone(evaluation, mark=evaluation.id), before=cursor)


def trial_of(workspace: Workspace, sensor: SensorDef, found: Evaluated, *, before: str | None) -> Trial:
    """Return what would follow from an answer.

    Args:
        workspace: the project.
        sensor: who gave it.
        found: the answer.
        before: the cursor that it was asked with.
    """
    failed = Trial(
        name=sensor.name,
        status="failed",
        reason=found.error,
        cursor_before=before,
        cursor=before,
        output=found.output,
        seconds=found.seconds,
    )
    if found.status != "answered":
        return failed
    answer = unpacked(found.answer)
    at = clock.now()
    runs = _runs(workspace, sensor, answer, at)
    error = next((run.error for run in runs if run.error), None)
    new = any(run.known_run is None for run in runs)
    reason = error or answer.reason or (None if new else "all run keys were seen before" if runs else "nothing to do")
    return msgspec.structs.replace(
        failed,
        status="failed" if error else "launched" if new else "skipped",
        reason=reason,
        runs=runs,
        requests=len(answer.runs),
        added=_new_keys(workspace, answer),
        deleted={each.name: each.delete for each in answer.partitions if each.delete},
        cursor=before if error else found.cursor,
    )


def _of_events(workspace: Workspace, sensor: SensorDef, cursor: str | None) -> Trial:
    from nbpipe.daemon.sensor_events import event_of, look

    after = event_of(cursor)
    if after is None:
        reason = "its time begins when a daemon first looks at it"
        return Trial(name=sensor.name, status="skipped", reason=reason, cursor_before=cursor, cursor=cursor)
    seen = look(workspace.store, workspace.definitions, workspace.env, sensor, after)
    found = Evaluated(id="", status="answered", answer=Answer(), cursor=str(seen.upto))
    trial = trial_of(workspace, sensor, found, before=cursor)
    runs = _runs(workspace, sensor, seen.answer, clock.now())
    told = (
        f"{', '.join(sensor.notify)} would be told of {counted(len(seen.runs), 'run')}"
        if seen.runs and sensor.notify
        else None
    )
    return msgspec.structs.replace(
        trial,
        status="launched" if runs else "skipped",
        reason=told or (None if runs else "nothing has happened"),
        runs=runs,
        requests=len(seen.answer.runs),
    )


def _runs(workspace: Workspace, sensor: SensorDef, answer: Answer, at: datetime) -> tuple[TrialRun, ...]:
    shown = answer.runs[:MOST_SHOWN]
    keys = [request.run_key for request in shown if request.run_key is not None]
    known: Mapping[str, str] = {}
    if keys and not workspace.is_untouched:
        known = workspace.store.automation.seen_keys(workspace.env, sensor.name, keys, at=at)
    coming = {key for each in answer.partitions for key in each.add}
    return tuple(_run(workspace, sensor, request, known, at=at, coming=coming) for request in shown)


def _new_keys(workspace: Workspace, answer: Answer) -> dict[str, tuple[str, ...]]:
    """Return by set the keys of an answer that are not there yet."""
    found = {}
    for each in answer.partitions:
        there = frozenset[str]()
        if each.add and not workspace.is_untouched:
            registry = workspace.store.partitions.keys(workspace.env, each.name)
            there = frozenset(key for key in each.add if key in registry)
        new = tuple(key for key in each.add if key not in there)
        if new:
            found[each.name] = new
    return found


def _run(
    workspace: Workspace,
    sensor: SensorDef,
    request: RunRequest,
    known: Mapping[str, str],
    *,
    at: datetime,
    coming: Collection[str],
) -> TrialRun:
    from nbpipe.commands.job_plans import plan_work
    from nbpipe.daemon.parts import Work

    found = TrialRun(
        job=sensor.job or "",
        run_key=request.run_key,
        partition=request.partition_key,
        selection=request.selection,
        parameters=dict(request.parameters),
        tags=dict(request.tags),
        known_run=known.get(request.run_key or ""),
    )
    if found.known_run is not None:
        return found
    jobs = workspace.definitions.jobs
    try:
        if found.job not in jobs:
            raise UnknownNameError("job", found.job, jobs, hint="it counts when its notebook is saved")
        work = Work(
            job=jobs[found.job],
            closed_at=at,
            partition=request.partition_key,
            selection=request.selection,
            parameters=request.parameters,
        )
        plan = plan_work(workspace, work)
    except NbpipeError as error:
        if request.partition_key in coming:  # it is added before the run is planned
            return found
        return msgspec.structs.replace(found, error=str(error))
    return msgspec.structs.replace(found, assets=tuple(spec.key for spec in plan.assets))
