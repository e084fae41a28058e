"""Pages about runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from nbpipe.pages.page import Line, Page, Part, Style, Table, line
from nbpipe.pages.times import time_heading, time_text

if TYPE_CHECKING:
    from nbpipe.commands.run_results import RunAssetRow, RunDetails, RunResult, RunRow, StepResult
    from nbpipe.commands.verify import Verification

_NAMED = 4

RUN_STYLE: Mapping[str, Style] = {
    "success": "good",
    "unchanged": "good",
    "failure": "bad",
    "failed": "bad",
    "canceled": "warn",
    "skipped": "warn",
    "queued": "busy",
    "starting": "busy",
    "running": "busy",
}


def result(found: RunResult) -> Page:
    """Show what became of a run and where its records are."""
    if found.run_id is None:
        return ["nothing to do: everything that is selected is fresh"]
    page = _steps(found.steps)
    return [*page, line("run ", found.run_id, ": ", Part(found.status, RUN_STYLE[found.status]))]


def listing(rows: Sequence[RunRow]) -> Page:
    """Show runs, newest first."""
    if not rows:
        return ["no runs yet: `nbpipe materialize '*'` starts one"]
    what = "job: assets" if any(row.job for row in rows) else "assets"
    created = time_heading("created", (row.created_at for row in rows))
    return [
        Table(
            ("run", "status", "trigger", created, "took", what),
            [
                (
                    Part(row.id, "strong"),
                    Part(row.status, RUN_STYLE[row.status]),
                    row.trigger,
                    time_text(row.created_at),
                    _took(row),
                    _what(row),
                )
                for row in rows
            ],
        )
    ]


def details(found: RunDetails) -> Page:
    """Show one run with its steps and assets."""
    took = f", took {_took(found)}" if _took(found) else ""
    page: list[Line | Table | str] = [
        line("run ", Part(found.id, "strong"), "  ", Part(found.status, RUN_STYLE[found.status])),
        line(f"{found.selection}  ({found.trigger}, environment {found.env})", indent=2),
        *([line(f"partitions: {found.partition}", indent=2)] if found.partition else []),
        line(f"created {time_text(found.created_at, zone=True)}{took}", indent=2),
    ]
    if found.waits:
        page.append(line(Part(found.waits, "busy"), indent=2))
    if found.parent:
        page.append(line(f"retries run {found.parent}", indent=2))
    page += [line(f"{name} = {value!r}", indent=2) for name, value in found.parameters.items()]
    if found.error:
        page.append(line(Part(found.error, "bad"), indent=2))
    page += _steps(found.steps)
    if found.outcomes:
        rows = [
            (_place(each), Part(each.outcome, RUN_STYLE[each.outcome]), (each.error or "").partition("\n")[0])
            for each in found.outcomes
        ]
        page += ["", Table(("asset", "outcome", "error"), rows)]
    return page


def _place(found: RunAssetRow) -> str:
    """Name an asset with its counts of partitions, or one of those."""
    if found.partition is not None:
        return f"  {found.asset}@{found.partition}"
    if found.partitions is None:
        return found.asset
    counts = ", ".join(f"{number:,} {outcome}" for outcome, number in found.partitions.items())
    return f"{found.asset}: {counts}"


def canceled(found: RunRow) -> Page:
    """Say what became of a request to stop."""
    if found.status == "canceled":
        return [f"run {found.id} is canceled"]
    return [f"run {found.id} was asked to stop; it is still {found.status}"]


def verification(found: Verification) -> Page:
    """Say which assets came out the same."""
    style: Mapping[str, Style] = {"equal": "good", "different": "bad", "unknown": "warn", "failed": "bad"}
    page: list[Line] = []
    for each in found.assets:
        page.append(
            line(Part(each.asset, "strong"), f" version {each.version}: ", Part(each.result, style[each.result]))
        )
        page.append(line(each.message, indent=2))
    return [*page, line(Part(f"record: {' '.join(found.records)}", "dim"))]


def _steps(steps: Sequence[StepResult]) -> list[Line]:
    page: list[Line] = []
    for step in steps:
        made = f": {' '.join(_executed(step, asset) for asset in step.assets)}" if step.assets else ""
        page.append(line(Part(step.status, RUN_STYLE[step.status]), f"  {step.notebook}{made}"))
        if step.error:
            page.append(line(Part(step.error.partition("\n")[0], "bad"), indent=4))
        page.append(line(Part(f"record: {step.output}", "dim"), indent=4))
    return page


def _executed(step: StepResult, asset: str) -> str:
    """Name an asset of a step, with the partitions that were executed of it."""
    keys = step.partitions.get(asset, ())
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return f"{asset} ({', '.join(keys[:_NAMED])}{more})" if keys else asset


def _notebook(record: str) -> str:
    """Return the name of the notebook that a record was made of; its file is called NUMBER-NAME."""
    return PurePosixPath(record).name.partition("-")[2]


def _what(row: RunRow) -> str:
    """Name the job, and its assets or notebooks, and the partitions."""
    job = f"{row.job}: " if row.job else ""
    work = _some(row.assets) or " ".join(map(_notebook, row.notebooks))
    return f"{job}{work}{f' ({row.partition})' if row.partition else ''}"


def _took(row: RunRow) -> str:
    if row.started_at is None or row.ended_at is None:
        return ""
    return f"{max((row.ended_at - row.started_at).total_seconds(), 0.0):.1f} s"  # the clock may have been set back


def _some(assets: Sequence[str]) -> str:
    if len(assets) <= _NAMED:
        return " ".join(assets)
    return f"{' '.join(assets[:_NAMED])} and {len(assets) - _NAMED} more"
