"""Pages about jobs, schedules and sensors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from nbpipe.pages.page import Line, Page, Part, Table, line

if TYPE_CHECKING:
    from nbpipe.commands.automation_rows import JobRow, ScheduleRow, SensorRow
    from nbpipe.commands.schedule import Preview

_CONFIGURATION = "nbpipe.toml"


def jobs(rows: Sequence[JobRow]) -> Page:
    """Show jobs, what they run, and what runs them."""
    if not rows:
        return ["no jobs: write %job NAME SELECTION in a notebook cell, or [jobs.NAME] in nbpipe.toml"]
    good = [
        (
            Part(row.name, "strong"),
            row.notebook or row.selection or "",
            ", ".join([*(f"schedule {name}" for name in row.schedules), *(f"sensor {name}" for name in row.sensors)]),
            row.declared_in or _CONFIGURATION,
        )
        for row in rows
        if row.error is None
    ]
    return _page(("job", "runs", "run by", "declared in"), good, rows)


def schedules(rows: Sequence[ScheduleRow]) -> Page:
    """Show schedules, when they tick and what they run."""
    if not rows:
        return [
            "no schedules: write %schedule NAME CRON --job JOB in a notebook cell, or [schedules.NAME] in nbpipe.toml"
        ]
    good = [
        (
            Part(row.name, "strong"),
            row.words,
            f"job {row.job}" if row.job else row.selection or "",
            row.declared_in or _CONFIGURATION,
            Part("declared as stopped", "dim") if row.stopped else "",
        )
        for row in rows
        if row.error is None
    ]
    return _page(("schedule", "when", "runs", "declared in", ""), good, rows)


def sensors(rows: Sequence[SensorRow]) -> Page:
    """Show sensors, what they look at and what they run."""
    if not rows:
        return ["no sensors: write %%sensor NAME --job JOB in a notebook cell, or [sensors.NAME] in nbpipe.toml"]
    good = [
        (
            Part(row.name, "strong"),
            _watched(row),
            ", ".join([*([f"job {row.job}"] if row.job else []), *(f"notification {name}" for name in row.notify)]),
            row.declared_in or _CONFIGURATION,
            Part("declared as stopped", "dim") if row.stopped else "",
        )
        for row in rows
        if row.error is None
    ]
    return _page(("sensor", "looks at", "runs", "declared in", ""), good, rows)


def preview(data: Preview) -> Page:
    """Show the next ticks of a schedule."""
    page = [line(Part(data.name, "strong"), f": {data.words}")]
    if not data.times:
        return [*page, "it does not come any more"]
    return [*page, *(line(_moment(moment), indent=2) for moment in data.times)]


def _page(
    columns: tuple[str, ...],
    good: Sequence[tuple[Part | str, ...]],
    rows: Sequence[JobRow] | Sequence[ScheduleRow] | Sequence[SensorRow],
) -> Page:
    broken = [
        Line((Part(row.name, "strong"), Part(" can't be used: ", "bad"), Part(row.error)))
        for row in rows
        if row.error is not None
    ]
    return [*([Table(columns, good)] if good else []), *broken]


def _watched(row: SensorRow) -> str:
    if row.kind == "asset":
        return f"materializations of {' '.join(row.assets)}"
    if row.kind == "run":
        return f"{' or '.join(row.statuses)} of {' '.join(row.jobs) or 'any job'}"
    return f"its cell, every {row.every:g} s"


def _moment(moment: datetime) -> str:
    seconds = f":{moment:%S}" if moment.second else ""
    return f"{moment:%a %Y-%m-%d %H:%M}{seconds} {moment.isoformat()[19:]}"
