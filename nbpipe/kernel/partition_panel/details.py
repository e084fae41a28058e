"""What is written beside the cells, as HTML. Everything that comes from a project is escaped here, and only here."""

from __future__ import annotations

from itertools import islice

from nbpipe.core.partitions.ranges import iterate_ranges
from nbpipe.core.partitions.subsets import PartitionSubset
from nbpipe.kernel.lineage.details import bullets, chip, materialization, table
from nbpipe.kernel.partition_panel.model import PartitionFacts, PartitionsModel
from nbpipe.pages.times import time_text
from nbpipe.views.escaping import escaped
from nbpipe.views.palette import PARTITION_URGENCY
from nbpipe.views.partitions import Counts
from nbpipe.views.partitions_text import headline

_RANGES = 5
"""Ranges that are written of each status."""
_LONGEST_ERROR = 2_000


def legend(model: PartitionsModel) -> str:
    """Return the statuses with hatching, sign, word and number, of all partitions of the asset."""
    view = model.view
    items = "".join(
        f'<li><b class="{status} nbpipe-swatch" aria-hidden="true"></b>{chip(status)} {view.counts[status]:,}</li>'
        for status in PARTITION_URGENCY
        if status in view.counts
    )
    words = "Legend: how many partitions have which status"
    return f'<ul aria-label="{words}"><li><strong>{escaped(headline(view))}</strong></li>{items}</ul>'


def shown(model: PartitionsModel) -> str:
    """Return what is drawn: all keys, or which, and how many a column stands for."""
    view = model.view
    if not view.columns:
        return ""
    parts = []
    if view.zoomed:
        parts.append(f"{view.columns[0].first} … {view.columns[-1].last}")
    most = max(span.keys for span in view.columns)
    if most > 1:
        parts.append(f"each column is up to {most:,} keys")
    if view.pages > 1:
        parts.append(f"rows {view.rows[0].first} … {view.rows[-1].first} (page {view.page + 1} of {view.pages})")
    return f'<span class="nbpipe-dim">{escaped("; ".join(parts))}</span>' if parts else ""


def overview(model: PartitionsModel) -> str:
    """Return what is shown while nothing is selected."""
    return (
        f"<h3>{escaped(model.asset)}</h3>"
        '<p class="nbpipe-dim">Click a cell, move the ends of the slider, or write keys into the box, to see what is '
        "known of them. The buttons work on what is selected.</p>"
    )


def several(model: PartitionsModel, subset: PartitionSubset) -> str:
    """Return what is known of some partitions together."""
    counts = model.counts(subset)
    parts = [f"<h3>{escaped(model.text)}</h3><p>{_number(len(subset))}</p>{_chips(counts)}"]
    outside = len(subset) - sum(counts.values())
    if outside:
        parts.append(f'<p class="nbpipe-dim">{_number(outside)} that are not due yet</p>')
    told = [status for status in PARTITION_URGENCY if status != "fresh" and 0 < counts.get(status, 0) < len(subset)]
    return "".join((*parts, *(_ranges(status, model.of_status(subset, status)) for status in told)))


def one(facts: PartitionFacts) -> str:
    """Return what is known of one partition."""
    detail = facts.detail
    status = chip(facts.status) if facts.status else '<span class="nbpipe-dim">not due yet</span>'
    window = ""
    if facts.window is not None:
        window = f'<div class="nbpipe-dim">{escaped(facts.window[0])} to {escaped(facts.window[1])}</div>'
    parts = [f"<h3>{escaped(facts.key)}</h3>{status}{window}"]
    parts += [bullets("Why", facts.reasons), bullets("Notes", facts.notes)]
    if detail.running:
        parts.append(bullets("Running", detail.running))
    if detail.failed_at is not None:
        parts.append(
            f'<h4>Error</h4><pre class="nbpipe-failure">{escaped((detail.error or "")[:_LONGEST_ERROR])}</pre>'
            + table(
                "Latest attempt", {"Failed": time_text(detail.failed_at, zone=True), "Run": detail.failed_run or "none"}
            )
        )
    if detail.skipped_at is not None:
        parts.append(
            table("Skipped", {"When": time_text(detail.skipped_at, zone=True), "Reason": detail.reason or "none given"})
        )
    if detail.current is not None:
        parts.append(materialization(detail.current))
    elif detail.failed_at is None and detail.skipped_at is None:
        parts.append('<p class="nbpipe-dim">Never materialized.</p>')
    return "".join(parts)


def meant(model: PartitionsModel) -> str:
    """Return how many partitions the buttons would work on."""
    number = len(model.meant)
    return f'<span class="nbpipe-dim" role="status">{_number(number)}</span>'


def _chips(counts: Counts) -> str:
    items = "".join(f"<li>{chip(status)} {counts[status]:,}</li>" for status in PARTITION_URGENCY if status in counts)
    return f'<ul class="nbpipe-counts">{items}</ul>'


def _ranges(status: str, subset: PartitionSubset) -> str:
    texts = list(islice(iterate_ranges(subset), _RANGES + 1))
    lines = texts[:_RANGES] + (["…"] if len(texts) > _RANGES else [])
    return bullets(status.capitalize(), lines)


def _number(count: int) -> str:
    return "1 partition" if count == 1 else f"{count:,} partitions"
