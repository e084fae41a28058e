"""Pages about assets and their definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nbpipe.core.counted import counted
from nbpipe.core.partitions.counts import counts_text
from nbpipe.pages.page import Block, Line, Page, Part, Style, Table, line
from nbpipe.pages.times import time_heading

if TYPE_CHECKING:
    from nbpipe.commands.list import AssetRow
    from nbpipe.commands.status import StatusRow
    from nbpipe.core.definitions import Diagnostic

STATUS_STYLE: Mapping[str, Style] = {
    "fresh": "good",
    "stale": "warn",
    "missing": "warn",
    "failed": "bad",
    "running": "busy",
    "queued": "busy",
    "skipped": "dim",
}
_NOTHING = "no assets: write %%asset NAME on the first line of a notebook cell, and save the notebook"


def listing(rows: Sequence[AssetRow]) -> Page:
    """Show assets with their notebooks and what they are made from."""
    if not rows:
        return [_NOTHING]
    grouped = any(row.group for row in rows)
    partitioned = any(row.partitions for row in rows)
    columns = (
        *("asset", "notebook"),
        *(["group"] if grouped else []),
        *(["partitions"] if partitioned else []),
        *("upstream", "description"),
    )
    return [
        Table(
            columns,
            [
                (
                    Part(row.asset, "strong"),
                    row.notebook,
                    *([row.group or ""] if grouped else []),
                    *([row.partitions or ""] if partitioned else []),
                    " ".join(row.upstream),
                    row.description.partition("\n")[0],
                )
                for row in rows
            ],
        )
    ]


def status(rows: Sequence[StatusRow]) -> Page:
    """Show the status of assets, with the reasons and notes."""
    if not rows:
        return ["no assets are selected: `nbpipe list` shows what there is"]
    return [
        Table(
            ("asset", "status", "version", _heading(rows), "why"),
            [
                (
                    Part(row.asset, "strong"),
                    Part(row.status, STATUS_STYLE[row.status]),
                    "" if row.version is None else str(row.version),
                    _made(row),
                    "; ".join((*row.reasons, *row.notes)),
                )
                for row in rows
            ],
        )
    ]


def _heading(rows: Sequence[StatusRow]) -> str:
    return time_heading("materialized", (row.materialized_at for row in rows if row.partitions is None))


def _made(row: StatusRow) -> str:
    if row.partitions is not None:
        return counts_text(row.partitions)
    return "" if row.materialized_at is None else f"{row.materialized_at.astimezone():%Y-%m-%d %H:%M}"


def diagnostics(found: Sequence[Diagnostic]) -> Page:
    """Show what is wrong, each with its place."""
    if not found:
        return ["nothing is wrong with the definitions"]
    page = [item for each in found for item in _diagnostic(each)]
    errors = sum(each.severity == "error" for each in found)
    counts = [counted(errors, "error")] if errors else []
    if len(found) > errors:
        counts.append(counted(len(found) - errors, "warning"))
    return [*page, ", ".join(counts)]


def _diagnostic(found: Diagnostic) -> Iterator[Line | Block]:
    style: Style = "bad" if found.severity == "error" else "warn"
    message, _, mark = found.message.partition("\n")
    yield line(
        Part(place(found), "strong"),
        ": ",
        Part(found.severity, style),
        f": {message} ",
        Part(f"[{found.code}]", "dim"),
    )
    if mark:  # the text that is wrong, with a sign below the place
        yield Block(mark)


def place(found: Diagnostic) -> str:
    """Name the place of a diagnostic."""
    parts = [found.notebook or "project"]
    if found.cell is not None:
        parts.append(f"cell {found.cell}")
    if found.line is not None:
        parts.append(f"line {found.line}")
    return ", ".join(parts)
