"""What the tables of the configuration about jobs, schedules, sensors and notifications mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from nbpipe.core.automation.checks import (
    ENDINGS,
    check_automation_name,
    check_job,
    check_schedule,
    check_selection,
    check_sensor,
)
from nbpipe.core.automation.definitions import EVERY, JobDef, ScheduleDef, SensorDef
from nbpipe.core.automation.schedules import check_cron, check_exclusion, check_moment
from nbpipe.core.keys import check_name
from nbpipe.core.parameters import canonical
from nbpipe.core.partitions.zones import zone_of
from nbpipe.core.reading.automation_lines import AutomationDef
from nbpipe.core.reading.options import read_partitions
from nbpipe.core.resolving.declared import Configured, Declared, kind_of
from nbpipe.errors import DeclarationError, nearest
from nbpipe.loading.automation_tables import Job, Notify, Schedule, Sensor

_MAIL = ("host", "port", "security", "user", "password", "from", "to")
_CALL = ("url", "kind")
_OWN_NAME = re.compile(r"^\w+, (?=column \d)")  # how the error of a small language begins
_REFERENCE = re.compile(r"\$\{\w+\}")

Problem = Callable[[str, str], Exception]
"""Makes the error for a key path and a message."""


class _Tables(Protocol):
    """The tables; a part of the configuration."""

    @property
    def jobs(self) -> Mapping[str, Job]: ...
    @property
    def schedules(self) -> Mapping[str, Schedule]: ...
    @property
    def sensors(self) -> Mapping[str, Sensor]: ...
    @property
    def notify(self) -> Mapping[str, Notify]: ...


def configured(tables: _Tables, file: str) -> Configured:
    """Return what the tables declare; they were checked."""
    found = tuple(
        Declared(kind=kind_of(definition), name=definition.name, definition=definition, label=path, file=file)
        for path, definition in _definitions(tables)
    )
    return Configured(declared=found, notifiers=frozenset(tables.notify))


def check_values(tables: _Tables, problem: Problem) -> None:
    """Refuse values that mean nothing, each by itself; a table need not be complete.

    Raises:
        Exception: what `problem` makes.
    """
    for path, check, value in _checks(tables):
        try:
            check(value)
        except (DeclarationError, ValueError) as error:
            raise problem(path, _OWN_NAME.sub("", str(error))) from None


def check_complete(tables: _Tables, problem: Problem) -> None:
    """Refuse tables that lack something, or have too much.

    Raises:
        Exception: what `problem` makes.
    """
    for name, each in tables.notify.items():
        _check_notify(f"notify.{name}", each, problem)
    definitions = _definitions(tables)
    while True:
        try:
            path, definition = next(definitions)
        except StopIteration:
            return
        try:
            _check(definition)
        except DeclarationError as error:
            raise problem(path, str(error)) from None


def _definitions(tables: _Tables) -> Iterator[tuple[str, AutomationDef]]:
    for name, job in tables.jobs.items():
        yield f"jobs.{name}", _job(name, job)
    for name, schedule in tables.schedules.items():
        yield f"schedules.{name}", _schedule(name, schedule)
    for name, sensor in tables.sensors.items():
        yield f"sensors.{name}", _sensor(name, sensor)


def _job(name: str, table: Job) -> JobDef:
    values = msgspec.structs.asdict(table)
    values["parameters"] = tuple(sorted((key, canonical(value) or "") for key, value in table.parameters.items()))
    values["tags"] = tuple(sorted(table.tags.items()))
    return JobDef(name=name, **values)


def _schedule(name: str, table: Schedule) -> ScheduleDef:
    return ScheduleDef(
        name=name,
        job=table.job,
        selection=table.selection,
        crons=tuple(table.cron),
        at=tuple(table.at),
        zone=table.tz,
        exclude=tuple(table.exclude),
        catchup=table.catchup,
        stopped=table.stopped,
    )


def _sensor(name: str, table: Sensor) -> SensorDef:
    return SensorDef(
        name=name,
        kind="run" if table.on and not table.assets else "asset",
        job=table.job,
        every=EVERY if table.every is None else table.every,
        assets=tuple(table.assets),
        statuses=tuple(table.on),
        jobs=tuple(table.jobs),
        notify=tuple(table.notify),
        stopped=table.stopped,
    )


def _check(definition: AutomationDef) -> None:
    if isinstance(definition, JobDef):
        check_job(definition)
    elif isinstance(definition, ScheduleDef):
        check_schedule(definition)
    else:
        check_sensor(definition)


def _checks(tables: _Tables) -> Iterator[tuple[str, Callable[[Any], Any], Any]]:
    """Yield what is to be checked: key path, check, value."""
    kinds = {"job": tables.jobs, "schedule": tables.schedules, "sensor": tables.sensors, "notification": tables.notify}
    for what, named in kinds.items():
        table = "notify" if what == "notification" else f"{what}s"
        for name in named:
            yield f"{table}.{name}", _named(what), name
    for name, job in tables.jobs.items():
        yield from _job_checks(f"jobs.{name}", job)
    for name, schedule in tables.schedules.items():
        yield from _schedule_checks(f"schedules.{name}", schedule)
    for name, sensor in tables.sensors.items():
        yield from ((f"sensors.{name}.on", _check_ending, status) for status in sensor.on)
    for name, notify in tables.notify.items():
        yield f"notify.{name}.password", _check_secret, notify.password
        if notify.kind == "slack":
            yield f"notify.{name}.url", _check_secret, notify.url


def _job_checks(path: str, job: Job) -> Iterator[tuple[str, Callable[[Any], Any], Any]]:
    if job.selection:
        yield f"{path}.selection", check_selection, job.selection
    if job.partitions is not None:
        yield f"{path}.partitions", read_partitions, job.partitions
    for key, value in job.parameters.items():
        yield f"{path}.parameters.{key}", lambda name: check_name(name, "parameter"), key
        yield f"{path}.parameters.{key}", _check_plain, value


def _schedule_checks(path: str, schedule: Schedule) -> Iterator[tuple[str, Callable[[Any], Any], Any]]:
    if schedule.selection:
        yield f"{path}.selection", check_selection, schedule.selection
    yield from ((f"{path}.cron", _check_cron, cron) for cron in schedule.cron)
    yield from ((f"{path}.at", check_moment, moment) for moment in schedule.at)
    yield from ((f"{path}.exclude", check_exclusion, day) for day in schedule.exclude)
    yield f"{path}.tz", zone_of, schedule.tz


def _named(what: str) -> Callable[[str], None]:
    return lambda name: check_automation_name(name, what)


def _check_cron(text: str) -> None:
    try:
        check_cron(text)
    except DeclarationError as error:
        place = f"column {error.column + 1}: " if error.column else ""
        raise DeclarationError(f"{place}{error}") from None


def _check_plain(value: Any) -> None:
    if canonical(value) is None:
        raise ValueError(f"{value!r} can't be a parameter: dates and the like are written as text, in quotes")


def _check_ending(status: str) -> None:
    if status not in ENDINGS:
        near = nearest(status, ENDINGS)
        raise ValueError(f"expected {', '.join(ENDINGS)}, got {status!r}{f': did you mean {near!r}?' if near else ''}")


def _check_secret(value: str | None) -> None:
    if value and _REFERENCE.search(value) is None:
        raise ValueError("is a secret: write it as ${NAME} and set that environment variable")


def _check_notify(path: str, notify: Notify, problem: Problem) -> None:
    changed = {field.encode_name: getattr(notify, field.name) != field.default for field in _FIELDS}
    own, other = (_CALL, _MAIL) if notify.url else (_MAIL, _CALL)
    if not (notify.url or notify.host):
        raise problem(path, "expected host, from and to for an e-mail, or the url to call")
    stray = next((key for key in other if changed[key]), None)
    if stray is not None:
        raise problem(f"{path}.{stray}", f"does not belong to what has a {own[0]}: take one of them out")
    missing = [key for key in ("from", "to") if not notify.url and not changed[key]]
    if missing:
        raise problem(f"{path}.{missing[0]}", "is missing: an e-mail needs it")
    if (notify.user is None) != (notify.password is None):
        raise problem(f"{path}.{'user' if notify.user is None else 'password'}", "is missing: they belong together")


_FIELDS = msgspec.structs.fields(Notify)
