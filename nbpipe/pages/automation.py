"""Pages about jobs, schedules and sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from nbpipe.core.counted import counted
from nbpipe.pages.page import Block, Line, Page, Part, Style, Table, line
from nbpipe.pages.times import short_time_text, time_heading, time_text

if TYPE_CHECKING:
    from nbpipe.commands.automation_rows import JobRow, ScheduleRow, SensorRow
    from nbpipe.commands.daemon import DaemonEnd
    from nbpipe.commands.schedule import Preview
    from nbpipe.commands.schedule_history import Switched, TickRow

_TICK: Mapping[str, Style] = {"launched": "good", "skipped": "dim", "missed": "warn", "failed": "bad"}
_CONFIGURATION = "nbpipe.toml"
_NO_DAEMON = line(Part("no daemon is running: nothing happens until you start one with `nbpipe daemon`", "warn"))
#: Characters of what is told of a tick that launched something.
_ENOUGH = 60


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
    return [*([Table(("job", "runs", "run by", "declared in"), good)] if good else []), *_broken(rows)]


def schedules(rows: Sequence[ScheduleRow]) -> Page:
    """Show schedules, when they tick and what they run."""
    if not rows:
        return [
            "no schedules: write %schedule NAME CRON --job JOB in a notebook cell, or [schedules.NAME] in nbpipe.toml"
        ]
    page: list[str | Line | Block | Table] = []
    width = max(len(row.name) for row in rows)
    for row in rows:
        if row.error is None:
            coming = "" if row.next is None else f"  next {short_time_text(row.next)}"
            page.append(
                line(*_state(row, width), coming, *_last(row.last, None if row.last is None else row.last.scheduled_at))
            )
            page.append(_what(row.words, _runs(row.job, row.selection), row.declared_in))
    return [*page, *_broken(rows), *_asleep(rows)]


def sensors(rows: Sequence[SensorRow]) -> Page:
    """Show sensors, what they look at and what they run."""
    if not rows:
        return ["no sensors: write %%sensor NAME --job JOB in a notebook cell, or [sensors.NAME] in nbpipe.toml"]
    page: list[str | Line | Block | Table] = []
    width = max(len(row.name) for row in rows)
    for row in rows:
        if row.error is None:
            told = [f"notification {name}" for name in row.notify]
            page.append(line(*_state(row, width), *_last(row.last, None if row.last is None else row.last.at)))
            page.append(_what(_watched(row), ", ".join(filter(None, (_runs(row.job), *told))), row.declared_in))
    return [*page, *_broken(rows), *_asleep(rows)]


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
    return [*page, *([] if data.daemon or not data.on else [_NO_DAEMON])]


def schedule_ticks(rows: Sequence[TickRow]) -> Page:
    """Show the ticks of a schedule, newest first."""
    heading = time_heading("due", (row.scheduled_at for row in rows))
    return _ticks(heading, [(time_text(row.scheduled_at), row) for row in rows])


def sensor_ticks(rows: Sequence[TickRow]) -> Page:
    """Show the ticks of a sensor, newest first."""
    return _ticks(
        time_heading("asked", (row.scheduled_at for row in rows)),
        [(_span(row.scheduled_at, row.at) if row.count > 1 else time_text(row.scheduled_at), row) for row in rows],
    )


def daemon_end(data: DaemonEnd) -> Page:  # noqa: ARG001 - its log has said it
    """Show nothing more than the daemon's log."""
    return []


def _ticks(when: str, rows: Sequence[tuple[str, TickRow]]) -> Page:
    if not rows:
        return ["no ticks yet"]
    return [
        Table(
            (when, "status", "runs", ""),
            [
                (
                    time,
                    Part(row.status + (f" {counted(row.count, 'time')}" if row.count > 1 else ""), _TICK[row.status]),
                    _listed(row.runs),
                    _told(row),
                )
                for time, row in rows
            ],
        )
    ]


def _span(first: datetime, last: datetime) -> str:
    """Write from when to when; the date once, if it is the same day."""
    begin, end = time_text(first), time_text(last)
    day = len("2024-05-01 ")
    return f"{begin} until {end[day:] if end[:day] == begin[:day] else end}"


def _listed(runs: Sequence[str]) -> str:
    return " ".join(runs[:1]) + (f" and {len(runs) - 1:,} more" if len(runs) > 1 else "")


def _told(row: TickRow) -> str:
    """Return the reason in one line; of what was launched, the beginning is enough."""
    reason = " | ".join((row.reason or "").splitlines())
    return f"{reason[:_ENOUGH]}..." if row.runs and len(reason) > _ENOUGH else reason


def _state(row: ScheduleRow | SensorRow, width: int) -> tuple[Part, ...]:
    state = Part("on", "good") if row.on else Part("stopped", "dim")
    return Part(row.name, "strong"), Part(" " * (width - len(row.name) + 2)), state


def _last(tick: TickRow | None, at: datetime | None) -> tuple[Part, ...]:
    return (
        ()
        if tick is None or at is None
        else (Part(f"  last {short_time_text(at)} "), Part(tick.status, _TICK[tick.status]))
    )


def _what(when: str, runs: str, declared_in: str | None) -> Line:
    return line(f"{when}: {runs}  ", Part(f"({declared_in or _CONFIGURATION})", "dim"), indent=2)


def _runs(job: str | None, selection: str | None = None) -> str:
    return f"job {job}" if job else selection or ""


def _broken(rows: Sequence[JobRow] | Sequence[ScheduleRow] | Sequence[SensorRow]) -> list[Line]:
    return [
        Line((Part(row.name, "strong"), Part(" can't be used: ", "bad"), Part(row.error)))
        for row in rows
        if row.error is not None
    ]


def _asleep(rows: Sequence[ScheduleRow] | Sequence[SensorRow]) -> list[Line]:
    return [_NO_DAEMON] if any(row.on for row in rows) and not any(row.daemon for row in rows) else []


def _watched(row: SensorRow) -> str:
    if row.kind == "asset":
        return f"materializations of {' '.join(row.assets)}"
    if row.kind == "run":
        return f"{' or '.join(row.statuses)} of {' '.join(row.jobs) or 'any job'}"
    return f"its cell, every {row.every:g} s"


def _moment(moment: datetime, *, seconds: bool) -> str:
    clock = f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"
    return f"{moment:%a %Y-%m-%d} {clock} {moment.isoformat()[19:]}"
