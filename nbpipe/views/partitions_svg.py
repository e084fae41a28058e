"""Partitions as a static picture: SVG without scripts, links or fonts of its own.

A cell is a pile of the statuses of its partitions, with the most urgent on top, none of them too thin to be seen. Each
status has a colour, a hatching and, in the legend, a sign and a word.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from nbpipe.views.escaping import escaped
from nbpipe.views.palette import LOOKS, PALE, PARTITION_URGENCY, StatusLook, partition_counts_text
from nbpipe.views.partitions import Counts, PartitionsView
from nbpipe.views.partitions_text import headline, sign_of
from nbpipe.views.svg import SHAPES

WIDTH = 760.0
_MARGIN, _HEAD, _LEGEND, _TICKS = 18.0, 30.0, 26.0, 22.0
_STRIP, _ROW, _LINE = 56.0, 20.0, 24.0
_NAMES = 150.0
"""Room for the names of rows."""
_LIST_WIDTH = 236.0
_THINNEST = 3.0
_MOST_TICKS = 5

_STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
text { font-size: 11px; fill: #4a525b; }
.page { fill: #ffffff; stroke: #d0d7de; }
.title { font-size: 13px; font-weight: 600; fill: #1f2328; }
.key { font-size: 12px; fill: #1f2328; }
"""
_DARK = """
text { fill: #b1bac4; }
.page { fill: #0d1117; stroke: #30363d; }
.title, .key { fill: #f0f6fc; }
"""
#: Hatching of each status, over its colour: SVG of a tile of 6 by 6 units; `line` is drawn, `dot` is filled.
_HATCHING = {
    "fresh": "",
    "stale": '<path class="line" d="M-1,1 L1,-1 M0,6 L6,0 M5,7 L7,5"/>',
    "failed": '<path class="line" d="M0,6 L6,0 M0,0 L6,6"/>',
    "missing": "",
    "running": '<path class="line" d="M0,1.5 H6 M0,4.5 H6"/>',
    "skipped": '<circle class="dot" cx="3" cy="3" r="1.1"/>',
}


def partitions_svg(view: PartitionsView) -> str:
    """Return the picture as an SVG document; all text of the project is escaped."""
    return "".join(_lines(view))


def partitions_img(view: PartitionsView) -> str:
    """Return an HTML `img` with the picture inside: what untrusted notebooks still show."""
    uri = "data:image/svg+xml;base64," + base64.b64encode(partitions_svg(view).encode()).decode()
    words = escaped(f"{headline(view)}: {partition_counts_text(view.counts) or 'none'}")
    return f'<img src="{uri}" alt="{words}" style="width: {WIDTH:.0f}px; max-width: 100%; height: auto"/>'


def _lines(view: PartitionsView) -> Iterator[str]:
    height = _height(view)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img">\n<title>{escaped(headline(view))}</title>\n'
        f"<style>{_style()}</style>\n<defs>{''.join(map(_pattern, _HATCHING))}</defs>\n"
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1:.0f}" height="{height - 1:.0f}" rx="8"/>\n'
        f'<text class="title" x="{_MARGIN}" y="25">{escaped(_cut(headline(view), 96))}</text>\n'
    )
    yield from _legend(view)
    top = _HEAD + _LEGEND + 8
    if view.shape == "list":
        yield from _list(view, top)
    else:
        yield from _grid(view, top)
    yield "</svg>\n"


def _height(view: PartitionsView) -> float:
    if not view.columns:
        return _HEAD + _LEGEND
    if view.shape == "list":
        per_line = int((WIDTH - 2 * _MARGIN) // _LIST_WIDTH)
        body = -(-len(view.columns) // per_line) * _LINE
    else:
        body = _STRIP if view.shape == "strip" else len(view.rows) * _ROW
        body += _TICKS
    return _HEAD + _LEGEND + 8 + body + (18.0 if _note(view) else 0.0) + _MARGIN / 2


def _style() -> str:
    light, dark = [_STYLE], [_DARK]
    for status in _HATCHING:
        look = LOOKS[status]
        light += _colours(status, look, look.ink, look.fill)
        dark += _colours(status, look, look.dark_ink, look.dark_fill)
    return "\n".join([*light, "@media (prefers-color-scheme: dark) {", *dark, "}"])


def _colours(status: str, look: StatusLook, ink: str, fill: str) -> Iterator[str]:
    ground, mark = (fill, ink) if status in PALE else (ink, fill)
    yield f".{status}.ground {{ fill: {ground}; }} .{status} .line {{ stroke: {mark}; stroke-width: 1; fill: none; }}"
    yield f".{status} .dot {{ fill: {mark}; }} .{status}.edge {{ stroke: {ink}; stroke-width: 0.8; fill: none; }}"
    yield f".shape.{look.word} * {{ fill: {ink}; stroke: {ink}; stroke-width: 1.6; }}"
    yield f".shape.{look.word} .hollow {{ fill: none; }} .shape.{look.word} .crossed {{ stroke: {fill}; }}"


def _pattern(status: str) -> str:
    return (
        f'<pattern id="{status}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect class="{status} ground" width="6" height="6"/><g class="{status}">{_HATCHING[status]}</g></pattern>'
    )


def _legend(view: PartitionsView) -> Iterator[str]:
    x, y = _MARGIN, _HEAD + _LEGEND / 2
    for status in PARTITION_URGENCY:
        if status not in view.counts:
            continue
        words = f"{view.counts[status]:,} {status}"
        yield (
            f'<g transform="translate({x:.0f},{y:.0f})"><rect y="-7" width="14" height="14" fill="url(#{status})"/>'
            f'<rect class="{status} edge" y="-7" width="14" height="14"/>'
            f'<g class="shape {status}" transform="translate(26,0) scale(0.8)">{SHAPES[LOOKS[status].shape]}</g>'
            f'<text x="36" y="4">{words}</text></g>\n'
        )
        x += 52 + 6.2 * len(words)


def _grid(view: PartitionsView, top: float) -> Iterator[str]:
    named = view.shape == "grid"
    left = _MARGIN + (_NAMES if named else 0.0)
    high = _ROW if named else _STRIP
    width = (WIDTH - _MARGIN - left) / max(len(view.columns), 1)
    for number, (row, cells) in enumerate(zip(view.rows, view.cells, strict=True)):
        y = top + number * high
        if named:
            at = f'x="{left - 8:.0f}" y="{y + high / 2 + 4:.0f}"'
            yield f'<text {at} text-anchor="end">{escaped(_cut(row.label, 22))}</text>\n'
        for column, counts in enumerate(cells):
            if counts:
                title = f"{view.cell_text(number, column)}: {partition_counts_text(counts)}"
                yield f"<g><title>{escaped(title)}</title>"
                yield from _pile(counts, left + column * width, y, width - (1 if width > 4 else 0), high - 2)
                yield "</g>\n"
    yield from _ticks(view, left, width, top + len(view.rows) * high + 12)


def _pile(counts: Counts, x: float, y: float, width: float, height: float) -> Iterator[str]:
    """Draw the statuses of one cell one upon the other, as high as their shares, but all of them visible."""
    present = [status for status in PARTITION_URGENCY if counts.get(status)]
    total = sum(counts.values())
    thin = min(_THINNEST, height / len(present))
    room = height - thin * len(present)
    for status in present:
        high = thin + room * counts[status] / total
        box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{high:.1f}"'
        yield f'<rect {box} fill="url(#{status})"/>'
        if status in PALE:
            yield f'<rect class="{status} edge" {box}/>'
        y += high


def _ticks(view: PartitionsView, left: float, width: float, y: float) -> Iterator[str]:
    """Write the keys at some columns, the first and the last among them."""
    last = len(view.columns) - 1
    if last < 0:
        return
    longest = max(len(view.columns[0].first), len(view.columns[last].last))
    fitting = int((width * (last + 1)) // (6.4 * longest + 16))
    number = max(min(_MOST_TICKS, fitting, last + 1), 2 if last else 1)
    for index in range(number):
        column = last * index // max(number - 1, 1)
        text = view.columns[column].last if index and index == number - 1 else view.columns[column].first
        anchor = "start" if not index else "end" if index == number - 1 else "middle"
        x = left + (column + {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]) * width
        yield f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escaped(_cut(text, 30))}</text>\n'
    if note := _note(view):
        yield f'<text x="{_MARGIN:.0f}" y="{y + 18:.0f}">{escaped(note)}</text>\n'


def _note(view: PartitionsView) -> str:
    parts = [f"{other.name}: {other.chosen or 'all'}" for other in view.others]
    most = max((span.keys for span in view.columns), default=1)
    if most > 1:
        parts.append(f"each column is up to {most:,} keys")
    if view.pages > 1:
        parts.append(f"rows {view.rows[0].first} to {view.rows[-1].first}, page {view.page + 1} of {view.pages}")
    return "; ".join(parts)


def _list(view: PartitionsView, top: float) -> Iterator[str]:
    per_line = int((WIDTH - 2 * _MARGIN) // _LIST_WIDTH)
    for number, (span, counts) in enumerate(zip(view.columns, view.cells[0], strict=True)):
        status = sign_of(counts)
        x, y = _MARGIN + number % per_line * _LIST_WIDTH, top + number // per_line * _LINE
        yield (
            f'<g transform="translate({x:.0f},{y:.0f})"><title>{escaped(f"{span.first}: {status}")}</title>'
            f'<rect y="2" width="14" height="14" fill="url(#{status})"/>'
            f'<rect class="{status} edge" y="2" width="14" height="14"/>'
            f'<g class="shape {status}" transform="translate(26,9) scale(0.8)">{SHAPES[LOOKS[status].shape]}</g>'
            f'<text class="key" x="38" y="13">{escaped(_cut(span.first, 20))} <tspan>{status}</tspan></text></g>\n'
        )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
