"""Pages about runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbpipe.cli.page import Line, Page, Part, Style, line

if TYPE_CHECKING:
    from nbpipe.commands.run_results import RunResult

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
    page: list[Line] = []
    for step in found.steps:
        made = " ".join(step.assets) or "no assets"
        page.append(line(Part(step.status, RUN_STYLE[step.status]), f"  {step.notebook}: {made}"))
        if step.error:
            page.append(line(Part(step.error.partition("\n")[0], "bad"), indent=4))
        page.append(line(Part(f"record: {step.output}", "dim"), indent=4))
    return [*page, line("run ", found.run_id, ": ", Part(found.status, RUN_STYLE[found.status]))]
