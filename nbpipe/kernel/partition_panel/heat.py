"""Partitions as HTML: a layer of cells to look at, and the style of the layer of names above it that takes the clicks.

Both layers are grids with the same columns and rows. Colours come from the theme; each status has a hatching of its
own, and a sign where there is room for one.
"""

from __future__ import annotations

from collections.abc import Sequence

from nbpipe.views.escaping import escaped, printable
from nbpipe.views.palette import LOOKS, PALE, PARTITION_URGENCY, partition_counts_text
from nbpipe.views.partitions import Counts, PartitionsView
from nbpipe.views.partitions_text import headline, sign_of

_MOST_SIGNS = 40
"""With more columns than this, cells are too narrow for a sign."""
_ROOM = {"strip": 80, "grid": 56}
"""Characters that there is room for below the columns."""
_TICKS = 5
_MARKS = {
    "stale": "repeating-linear-gradient(135deg, {mark} 0 2px, transparent 2px 6px)",
    "failed": (
        "repeating-linear-gradient(45deg, {mark} 0 1px, transparent 1px 5px), "
        "repeating-linear-gradient(135deg, {mark} 0 1px, transparent 1px 5px)"
    ),
    "running": "repeating-linear-gradient(0deg, {mark} 0 1px, transparent 1px 4px)",
    "skipped": "radial-gradient({mark} 1.2px, transparent 1.4px) 0 0 / 6px 6px",
}


def cells_html(view: PartitionsView, inside: Sequence[Sequence[bool]] = ()) -> str:
    """Return all cells; those marked as inside belong to the selection."""
    if not view.columns:
        return '<p class="nbpipe-dim">There is no partition yet.</p>'
    parts = []
    for number, (row, cells) in enumerate(zip(view.rows, view.cells, strict=True)):
        if view.shape == "grid":
            parts.append(f"<u>{escaped(row.label)}</u>")
        for column, counts in enumerate(cells):
            kind = ' class="in"' if inside and inside[number][column] else ""
            if view.shape == "list":
                parts.append(_entry(view.columns[column].first, counts, kind))
            else:
                parts.append(f"<i{kind}>{_pile(counts, signs=len(cells) <= _MOST_SIGNS)}</i>")
    narrow = " nbpipe-narrow" if view.shape != "list" and len(view.columns) > _MOST_SIGNS else ""
    words = escaped(f"{headline(view)}: {partition_counts_text(view.counts)}")
    return f'<div class="nbpipe-cells{narrow}" role="img" aria-label="{words}">{"".join(parts)}</div>'


def ticks_html(view: PartitionsView) -> str:
    """Return the keys at some columns, the first and the last among them; nothing for a list."""
    if view.shape == "list" or not view.columns:
        return ""
    last = len(view.columns) - 1
    fitting = _ROOM[view.shape] // (len(view.columns[last].last) + 3)
    number = min(_TICKS, last + 1, max(2, fitting))
    texts = [view.columns[last * index // max(number - 1, 1)].first for index in range(number - 1)]
    return "".join(f"<span>{escaped(text)}</span>" for text in (*texts, view.columns[last].last))


def names(view: PartitionsView) -> tuple[str, ...]:
    """Return the name of each cell, row by row; all are different."""
    every = [
        printable(view.cell_text(row, column)) for row in range(len(view.rows)) for column in range(len(view.columns))
    ]
    return tuple(every) if len(set(every)) == len(every) else tuple(f"{text} ({n})" for n, text in enumerate(every))


def layer_style(view: PartitionsView, scope: str) -> str:
    """Return the style sheet that gives both layers of one widget the same grid.

    A name that is looked at is written beside the pointer; from the middle on, to the left of it. Selectors are more
    particular than those of the style sheet, which another widget may bring once more, further down in the page.
    """
    number = max(len(view.columns), 1)
    columns = "repeat(auto-fill, minmax(180px, 1fr))" if view.shape == "list" else f"repeat({number}, minmax(0, 1fr))"
    rows = {"strip": "60px", "grid": "20px", "list": "24px"}[view.shape]
    left = "150px" if view.shape == "grid" else "0px"
    longest = max((len(view.cell_text(0, column)) for column in range(len(view.columns))), default=0)
    right = ", ".join(
        f"{scope} .nbpipe-heat .widget-radio-box label:nth-child({number}n+{column})"
        for column in range(number // 2 + 1, number + 1)
    )
    indent = f"{right} {{ text-indent: -{longest}ch; }}" if view.shape != "list" else ""
    cells = f"{left} {columns}" if view.shape == "grid" else columns
    heat = f"{scope} .nbpipe-heat"
    return (
        f"<style>{heat} .nbpipe-cells {{ grid-template-columns: {cells}; grid-auto-rows: {rows}; }}\n"
        f"{heat} .widget-radio {{ left: {left}; }}\n"
        f"{heat} .widget-radio .widget-radio-box {{ grid-template-columns: {columns}; grid-auto-rows: {rows}; }}\n"
        f"{scope}.nbpipe-canvas .nbpipe-ticks, {scope}.nbpipe-canvas .widget-slider {{ margin-left: {left}; }}\n"
        f"{indent}</style>"
    )


def statuses_style(scope: str) -> str:
    """Return the style sheet of colours and hatchings."""
    rules = []
    for status in PARTITION_URGENCY:
        ink, fill = f"var(--nbpipe-{status})", f"var(--nbpipe-{status}-fill)"
        ground, mark = (fill, ink) if status in PALE else (ink, fill)
        hatching = _MARKS[status].format(mark=mark) + ", " if status in _MARKS else ""
        rules.append(f"{scope} b.{status} {{ background: {hatching}{ground}; }}")
        rules.append(f"{scope} b.{status} > s {{ color: {ink}; background: {fill}; }}")
        if status in PALE:
            rules.append(f"{scope} b.{status} {{ box-shadow: inset 0 0 0 1px {ink}; }}")
            flat = f"inset 0 1px 0 {ink}, inset 0 -1px 0 {ink}"
            rules.append(f".nbpipe-narrow b.{status}.{status} {{ box-shadow: {flat}; }}")
    return "\n".join(rules)


def mini_html(view: PartitionsView) -> str:
    """Return one narrow row of cells that brings its own style, for a place with little room."""
    cells = "".join(f"<i>{_pile(counts, signs=False)}</i>" for counts in view.cells[0])
    words = escaped(partition_counts_text(view.counts))
    return (
        f"<style>{statuses_style('.nbpipe-mini')}</style>"
        f'<div class="nbpipe-mini nbpipe-narrow" role="img" aria-label="{words}">{cells}</div>'
    )


def _pile(counts: Counts, *, signs: bool) -> str:
    """Return the statuses of one cell one upon the other, as high as their shares."""
    present = [status for status in PARTITION_URGENCY if counts.get(status)]
    if len(present) == 1:
        return f'<b class="{present[0]}">{_sign(present[0]) if signs else ""}</b>'
    return "".join(f'<b class="{status}" style="flex-grow:{counts[status]}"></b>' for status in present)


def _entry(key: str, counts: Counts, kind: str) -> str:
    status = sign_of(counts)
    return f'<i{kind}><b class="{status}">{_sign(status)}</b><u>{escaped(key)}</u><s>{status}</s></i>'


def _sign(status: str) -> str:
    return f"<s>{LOOKS[status].sign}</s>" if status in LOOKS and status != "fresh" else ""
