"""Pages about what a sensor says and keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbpipe.core.counted import counted
from nbpipe.pages.page import Block, Page, Part, Style, Table, line

if TYPE_CHECKING:
    from nbpipe.commands.sensor import Cursor
    from nbpipe.commands.sensor_trial import Trial, TrialRun

_STATUS: Mapping[str, tuple[str, Style]] = {
    "launched": ("would launch", "good"),
    "skipped": ("would launch nothing", "dim"),
    "failed": ("failed", "bad"),
}
_NAMED = 5


def trial(data: Trial) -> Page:
    """Show what a sensor would launch."""
    words, style = _STATUS[data.status]
    new = data.requests - sum(run.known_run is not None for run in data.runs)
    number = f" {counted(new, 'run')}" if data.status == "launched" and data.requests else ""
    reason = f": {data.reason}" if data.reason else ""
    page: Page = [line("sensor ", Part(data.name, "strong"), " ", Part(words + number, style), reason)]
    if data.runs:
        page = [
            *page,
            Table(("job", "run key", "partition", "parameters", "tags", ""), [_run(run) for run in data.runs]),
        ]
    if data.requests > len(data.runs):
        page = [*page, f"... and {data.requests - len(data.runs):,} more"]
    for what, sets in (("add", data.added), ("delete", data.deleted)):
        page = [*page, *(line(f"would {what} keys of {name}: {_listed(keys)}") for name, keys in sets.items())]
    if data.cursor != data.cursor_before:
        page = [*page, line(f"cursor: {data.cursor_before!r} would become {data.cursor!r}")]
    elif data.cursor is not None:
        page = [*page, line(f"cursor: {data.cursor!r}, unchanged")]
    if data.output:
        page = [*page, line(Part("it printed:", "dim")), Block(data.output, 2)]
    return [*page, line(Part("nothing was launched, recorded or kept", "dim"))]


def cursor(data: Cursor) -> Page:
    """Show what a sensor keeps."""
    if data.cursor is None:
        return [line("sensor ", Part(data.name, "strong"), " keeps nothing")]
    return [data.cursor]


def _run(run: TrialRun) -> tuple[str | Part, ...]:
    note: str | Part = ", ".join(run.assets[:_NAMED]) + (", ..." if len(run.assets) > _NAMED else "")
    if run.known_run is not None:
        note = Part(f"seen before: run {run.known_run}", "dim")
    elif run.error is not None:
        note = Part(run.error, "bad")
    return (
        run.job,
        run.run_key or "",
        run.partition or "",
        ", ".join(f"{name}={value!r}" for name, value in run.parameters.items()),
        ", ".join(f"{name}={value}" for name, value in run.tags.items()),
        note,
    )


def _listed(keys: tuple[str, ...]) -> str:
    return ", ".join(keys[:_NAMED]) + (f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else "")
