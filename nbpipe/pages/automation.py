"""Pages about jobs, schedules and sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from nbpipe.pages.details import time_text
from nbpipe.pages.page import Line, Page, Part, Style, Table, line

if TYPE_CHECKING:
    from nbpipe.commands.automation_rows import JobRow, ScheduleRow, SensorRow
    from nbpipe.commands.daemon import DaemonEnd
    from nbpipe.commands.schedule import Preview
    from nbpipe.commands.schedule_history import Switched, TickRow

_TICK: Mapping[str, Style] = {"launched": "good", "skipped": "dim", "missed": "warn", "failed": "bad"}
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
            Part("on", "good") if row.on else Part("stopped", "dim"),
            Part("")
            if row.last is None
            else Part(f"{row.last.status} {time_text(row.last.scheduled_at)}", _TICK[row.last.status]),
            "" if row.next is None else time_text(row.next),
        )
        for row in rows
        if row.error is None
    ]
    return _page(("schedule", "when", "runs", "declared in", "", "last tick", "next tick"), good, rows)


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
            Part("on", "good") if row.on else Part("stopped", "dim"),
            Part("")
            if row.last is None
            else Part(f"{row.last.status} {time_text(row.last.at)}", _TICK[row.last.status]),
        )
        for row in rows
        if row.error is None
    ]
    return _page(("sensor", "looks at", "runs", "declared in", "", "last tick"), good, rows)


def preview(data: Preview) -> Page:
    """Show the next ticks of a schedule."""
    page = [line(Part(data.name, "strong"), f": {data.words}")]
    if not data.times:
        return [*page, "it does not come any more"]
    seconds = any(moment.second for moment in data.times)
    return [*page, *(line(_moment(moment, seconds=seconds), indent=2) for moment in data.times)]


def switched(data: Switched) -> Page:
    """Show that a schedule or sensor was started or stopped."""
    page: Page = [line(f"{data.kind} ", Part(data.name, "strong"), " is ", "on" if data.on else "stopped")]
    if data.on and not data.daemon:
        page = [
            *page,
            line(Part("no daemon is running: nothing happens until you start one with `nbpipe daemon`", "warn")),
        ]
    return page


def ticks(rows: Sequence[TickRow]) -> Page:
    """Show the ticks of a schedule or sensor, newest first."""
    if not rows:
        return ["no ticks yet"]
    return [
        Table(
            ("due", "status", "runs", ""),
            [
                (
                    time_text(row.scheduled_at),
                    Part(row.status + (f" x {row.count}" if row.count > 1 else ""), _TICK[row.status]),
                    " ".join(row.runs),
                    " | ".join((row.reason or "").splitlines()),
                )
                for row in rows
            ],
        )
    ]


def daemon_end(data: DaemonEnd) -> Page:  # noqa: ARG001 - its log has said it
    """Show nothing more than the daemon's log."""
    return []


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


def _moment(moment: datetime, *, seconds: bool) -> str:
    clock = f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"
    return f"{moment:%a %Y-%m-%d} {clock} {moment.isoformat()[19:]}"
