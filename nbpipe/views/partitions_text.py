"""Partitions as plain text, for displays that show nothing else: a sign for each cell, the most urgent in it."""

from __future__ import annotations

from collections.abc import Iterator

from nbpipe.views.escaping import printable
from nbpipe.views.palette import LOOKS, PARTITION_URGENCY
from nbpipe.views.partitions import Counts, PartitionsView

_NAME = 24


def partitions_text(view: PartitionsView) -> str:
    """Return heading, legend, and a row of signs; of a list, a line for each key."""
    return "\n".join(printable(line).rstrip() for line in _lines(view)) + "\n"


def headline(view: PartitionsView) -> str:
    """Return what is shown, in one line."""
    number = "1 partition" if view.total == 1 else f"{view.total:,} partitions" if view.total else "no partition yet"
    return f"{view.asset}: {number} of {view.of}"


def sign_of(counts: Counts) -> str:
    """Return the status that stands for a cell; nothing for an empty one."""
    return next((status for status in PARTITION_URGENCY if counts.get(status)), "")


def _lines(view: PartitionsView) -> Iterator[str]:
    yield headline(view)
    if not view.total:
        return
    legend = (f"{LOOKS[name].sign} {view.counts[name]:,} {name}" for name in PARTITION_URGENCY if name in view.counts)
    yield "  ".join(legend)
    for other in view.others:
        yield f"{other.name}: {other.chosen or 'all'}"
    if view.shape == "list":
        for span, counts in zip(view.columns, view.cells[0], strict=True):
            status = sign_of(counts)
            yield f"{LOOKS[status].sign} {span.first:{_NAME}}  {status}"
        return
    width = min(_NAME, max(len(row.label) for row in view.rows))
    for row, cells in zip(view.rows, view.cells, strict=True):
        signs = "".join(LOOKS[sign_of(cell)].sign if cell else " " for cell in cells)
        yield (
            f"{row.label[:width]:{width}} {signs}".strip()
            if view.shape == "strip"
            else f"{row.label[:width]:{width}} {signs}"
        )
    if view.columns:
        yield f"{'' if view.shape == 'strip' else ' ' * (width + 1)}{view.columns[0].first} … {view.columns[-1].last}"
        most = max(span.keys for span in view.columns)
        if most > 1:
            yield f"each sign is for up to {most:,} keys, and shows the most urgent status among them"
    if view.pages > 1:
        yield f"rows {view.rows[0].first} to {view.rows[-1].first}: page {view.page + 1} of {view.pages}"
