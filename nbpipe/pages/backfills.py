"""Pages about backfills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nbpipe.pages.page import Line, Page, Part, Style, Table, line
from nbpipe.pages.times import time_heading, time_text

if TYPE_CHECKING:
    from nbpipe.commands.backfill_results import BackfillAsset, BackfillDetails, BackfillDraft, BackfillRow

_STYLE: Mapping[str, Style] = {
    "success": "good",
    "failure": "bad",
    "canceled": "warn",
    "queued": "warn",
    "running": "busy",
}
_NAMED = 4
_RANGES = 5


def listing(rows: Sequence[BackfillRow]) -> Page:
    """Show backfills, newest first."""
    if not rows:
        return ["no backfills yet: `nbpipe backfill '*' --missing` starts one"]
    created = time_heading("created", (row.created_at for row in rows))
    return [
        Table(
            ("backfill", "status", created, "done", "of", "failed", "lost", "selection"),
            [
                (
                    Part(row.id or "", "strong"),
                    Part(_status(row), _STYLE[row.status]),
                    time_text(row.created_at),
                    f"{row.done + row.skipped:,}",
                    f"{row.total:,}",
                    f"{row.failed:,}",
                    f"{row.lost:,}",
                    f"{row.selection} ({row.partitions})",
                )
                for row in rows
            ],
        )
    ]


def details(found: BackfillDetails) -> Page:
    """Show one backfill with what became of each asset; or say that there was nothing to do."""
    if found.id is None:
        return [_nothing(found), *(line(note) for note in found.notes)]
    page: list[Line | Table | str] = [
        line("backfill ", Part(found.id, "strong"), "  ", Part(_status(found), _STYLE[found.status])),
        line(f"{found.selection} ({found.partitions}), environment {found.env}", indent=2),
        line(counts_text(found), indent=2),
    ]
    page += [line(f"{name} = {value!r}", indent=2) for name, value in found.parameters.items()]
    if found.error:
        page.append(line(Part(found.error, "bad"), indent=2))
    page += ["", _progress(found.progress)]
    for asset in found.progress:
        for what, texts, number in (
            ("failed", asset.failed_partitions, asset.failed),
            ("lost", asset.lost_partitions, asset.lost),
        ):
            if texts:
                page.append(line(f"{asset.asset} {what}: {_some(texts, number)}"))
    for each in found.errors[:_RANGES]:
        name = f"{each.asset}@{each.partition}" if each.partition else each.asset
        page.append(line(Part(f"{name}: {(each.error or 'failed').partition(chr(10))[0]}", "bad")))
    if found.status in ("queued", "canceled", "failure"):
        again = "tries again what is not done" if found.status == "failure" else "goes on with it"
        page += ["", f"`nbpipe backfill resume {found.id}` {again}"]
    return page


def _nothing(found: BackfillDetails | BackfillDraft) -> Line:
    return line(f"nothing to do: no partition of {found.selection} is among those asked for ({found.partitions})")


def draft(found: BackfillDraft) -> Page:
    """Show what a backfill would do."""
    page: list[Line | Table | str] = [line(note) for note in found.notes]
    if not found.total:
        return [*page, _nothing(found)]
    rows = [(each.asset, f"{each.total:,}", _some(each.partitions, each.total)) for each in found.assets]
    runs = "1 run" if found.runs == 1 else f"{found.runs:,} runs"
    return [
        *page,
        Table(("asset", "number", "partitions"), rows),
        "",
        f"{found.total:,} in {runs}; nothing was started",
    ]


def started(found: BackfillDetails | BackfillDraft) -> Page:
    """Show a backfill, or what it would do."""
    from nbpipe.commands.backfill_results import BackfillDraft

    return draft(found) if isinstance(found, BackfillDraft) else details(found)


def canceled(found: BackfillRow) -> Page:
    """Say what became of a request to stop."""
    if found.status == "canceled":
        return [f"backfill {found.id} is canceled"]
    return [f"backfill {found.id} was asked to stop; its runs are ending"]


def counts_text(found: BackfillRow) -> str:
    """Return how far a backfill is, in words."""
    parts = [(found.done, "done"), (found.skipped, "skipped"), (found.failed, "failed"), (found.lost, "lost")]
    told = ", ".join(f"{number:,} {word}" for number, word in parts if number) or "nothing done"
    left = f", {found.left:,} left" if found.left else ""
    return f"{found.total:,} partitions: {told}{left}" if found.total != 1 else f"1 partition: {told}{left}"


def _status(found: BackfillRow) -> str:
    return "stopped" if found.status == "queued" else found.status


def _progress(assets: Sequence[BackfillAsset]) -> Table:
    columns = ("total", "done", "skipped", "failed", "lost", "left")
    rows = [(each.asset, *(f"{getattr(each, name):,}" for name in columns)) for each in assets]
    return Table(("asset", *columns), rows)


def _some(texts: Sequence[str], number: int) -> str:
    if len(texts) <= _RANGES:
        return ", ".join(texts)
    return f"{', '.join(texts[:_NAMED])} ... {texts[-1]} ({number:,} in all)"
