"""Lineage as a static picture: SVG without scripts, links or fonts of its own.

It carries its own background, so that it is readable on a light and on a dark page, and turns dark where the
reader's system is. Status is shown by colour, shape and word.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from nbpipe.views.escaping import escaped
from nbpipe.views.layout import Point
from nbpipe.views.lineage import LineageEdge, LineageNode, LineageView
from nbpipe.views.palette import LOOKS, PALE, URGENCY, Shape, counts_text, partition_counts_text, shares_text
from nbpipe.views.shares import share_bar

_WIDTH, _HEIGHT = 186.0, 46.0
_MARGIN = 22.0
_LEGEND = 34.0
_SHRINKABLE = 2_000.0
_LABEL_LENGTH, _LINE_LENGTH = 20, 25

_STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
.page { fill: #ffffff; stroke: #d0d7de; }
.label { font-size: 13px; font-weight: 600; fill: #1f2328; }
.line, .legend { font-size: 11px; fill: #4a525b; }
.edge { fill: none; stroke: #848d97; stroke-width: 1.4; }
.many { stroke-width: 2.4; }
.head { fill: #848d97; }
.outside { opacity: 0.7; }
.share { stroke-width: 0.7; }
"""
_DARK = """
.page { fill: #0d1117; stroke: #30363d; }
.label { fill: #f0f6fc; }
.line, .legend { fill: #b1bac4; }
.edge { stroke: #7d8590; }
.head { fill: #7d8590; }
"""
#: SVG of each shape, about 14 units across, with its middle at the origin; `hollow` and `crossed` are for styles.
SHAPES: Mapping[Shape, str] = {
    "ellipse": '<circle cx="0" cy="0" r="6"/>',
    "triangle": '<path d="M0,-7 L7,6 L-7,6 Z"/>',
    "rectangle": '<rect x="-5.5" y="-5.5" width="11" height="11" class="hollow"/>',
    "octagon": '<path d="M-3,-7 L3,-7 L7,-3 L7,3 L3,7 L-3,7 L-7,3 L-7,-3 Z M-3,-3 L3,3 M3,-3 L-3,3" class="crossed"/>',
    "play": '<path d="M-5,-7 L7,0 L-5,7 Z"/>',
    "diamond": '<path d="M0,-7.5 L7.5,0 L0,7.5 L-7.5,0 Z"/>',
    "ring": '<circle cx="0" cy="0" r="5.5" class="hollow"/>',
}


def svg(view: LineageView, *, title: str = "Lineage") -> str:
    """Return the picture as an SVG document; all text of the project is escaped."""
    return "".join(_lines(view, title))


def svg_data_uri(view: LineageView, *, title: str = "Lineage") -> str:
    """Return the picture as a `data:` URI."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg(view, title=title).encode()).decode()


def svg_data_uri_img(view: LineageView, *, title: str = "Lineage") -> str:
    """Return an HTML `img` with the picture inside: what untrusted notebooks still show.

    A picture that is too wide to be readable at the width of a page is scrolled instead of shrunk.
    """
    width, _ = _size(view)
    words = escaped(f"{title}: {view.assets} assets, {counts_text(view.counts) or 'none'}")
    wide = width > _SHRINKABLE
    img = (
        f'<img src="{svg_data_uri(view, title=title)}" alt="{words}" '
        f'style="width: {width:.0f}px; max-width: {"none" if wide else "100%"}; height: auto"/>'
    )
    return f'<div style="overflow-x: auto">{img}</div>' if wide else img


def _lines(view: LineageView, title: str) -> Iterator[str]:
    width, height = _size(view)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n'
    )
    yield f"<title>{escaped(title)}</title>\n<style>{_style()}</style>\n"
    yield f'<rect class="page" x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="8"/>\n'
    left, top = _origin(view)
    yield f'<g transform="translate({_number(left)},{_number(top)})">\n'
    places = {node.id: (node.x, node.y) for node in view.nodes}
    for edge in view.edges:
        yield _edge(edge, places)
    for node in view.nodes:
        yield _node(node)
    yield "</g>\n"
    yield from _legend(view, height)
    yield "</svg>\n"


def _style() -> str:
    light = [_STYLE, ".hollow { fill: none !important; }", ".crossed { stroke: #ffffff !important; }"]
    dark = [_DARK, ".crossed { stroke: #0d1117 !important; }"]
    for status, look in LOOKS.items():
        light.append(f".{status} .box {{ fill: {look.fill}; stroke: {look.ink}; }}")
        light.append(f".{status} .shape * {{ fill: {look.ink}; stroke: {look.ink}; stroke-width: 1.6; }}")
        light.append(f".{status} .word {{ fill: {look.ink}; font-weight: 600; }}")
        dark.append(f".{status} .box {{ fill: {look.dark_fill}; stroke: {look.dark_ink}; }}")
        dark.append(f".{status} .shape * {{ fill: {look.dark_ink}; stroke: {look.dark_ink}; }}")
        dark.append(f".{status} .word {{ fill: {look.dark_ink}; }}")
        pale = status in PALE
        light.append(f".share.{status} {{ fill: {look.fill if pale else look.ink}; stroke: {look.ink}; }}")
        dark.append(
            f".share.{status} {{ fill: {look.dark_fill if pale else look.dark_ink}; stroke: {look.dark_ink}; }}"
        )
    return "\n".join([*light, "@media (prefers-color-scheme: dark) {", *dark, "}"])


def _size(view: LineageView) -> Point:
    xs = [node.x for node in view.nodes] or [0.0]
    ys = _heights(view)
    width = max(xs) - min(xs) + _WIDTH + 2 * _MARGIN
    height = max(ys, default=0.0) - min(ys, default=0.0) + _HEIGHT + 2 * _MARGIN + _LEGEND
    legend = _MARGIN + sum(_legend_width(word) for word in _legend_words(view))
    note = 2 * _MARGIN + 6.2 * len(view.note)
    return max(width, legend, note), height + (18.0 if view.note else 0.0)


def _origin(view: LineageView) -> Point:
    left = min((node.x for node in view.nodes), default=0.0) - _WIDTH / 2 - _MARGIN
    return -left, _HEIGHT / 2 + _MARGIN - min(_heights(view), default=0.0)


def _heights(view: LineageView) -> list[float]:
    return [node.y for node in view.nodes] + [y for edge in view.edges for _, y in edge.waypoints]


def _edge(edge: LineageEdge, places: Mapping[str, Point]) -> str:
    """Draw an arrow from the right side of one node to the left side of another, along the waypoints."""
    (x0, y0), (x1, y1) = places[edge.source], places[edge.target]
    back = x1 <= x0
    half = _WIDTH / 2
    at = (x0 + half, y0)
    path = f"M{_pair(at)}"
    for x, y in () if back else edge.waypoints:
        path += _curve(at, (x - half, y), back=False) + f" L{_pair((x + half, y))}"  # level between the nodes
        at = (x + half, y)
    tip = (x1 - half, y1)
    path += _curve(at, (tip[0] - 7, y1), back=back)
    head = f"M{_pair(tip)} L{_pair((tip[0] - 8, y1 - 4))} L{_pair((tip[0] - 8, y1 + 4))} Z"
    kind = "edge many" if edge.links > 1 else "edge"
    links = f" ({edge.links} links)" if edge.links > 1 else ""
    title = escaped(f"{edge.source} -> {edge.target}{links}")
    return f'<g><title>{title}</title><path class="{kind}" d="{path}"/><path class="head" d="{head}"/></g>\n'


def _curve(start: Point, end: Point, *, back: bool) -> str:
    reach = 60.0 if back else (end[0] - start[0]) / 2
    return f" C{_pair((start[0] + reach, start[1]))} {_pair((end[0] - reach, end[1]))} {_pair(end)}"


def _node(node: LineageNode) -> str:
    look = LOOKS.get(node.status, LOOKS["missing"])
    left, top = node.x - _WIDTH / 2, node.y - _HEIGHT / 2
    box = f'width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" rx="7" class="box"'
    dashes = ' stroke-dasharray="5 3"' if node.status == "missing" else ""
    behind = (
        f'<rect x="{_number(left + 5)}" y="{_number(top + 5)}" {box}/>' if node.kind == "bundle" else ""
    )  # a bundle looks like a pile
    return (
        f'<g class="{look.word}{" outside" if node.outside else ""}"><title>{escaped(tooltip(node))}</title>{behind}'
        f'<rect x="{_number(left)}" y="{_number(top)}" {box}{dashes}/>'
        f'<g class="shape" transform="translate({_number(left + 17)},{_number(node.y)})">{SHAPES[look.shape]}</g>'
        f'<text class="label" x="{_number(left + 32)}" y="{_number(node.y - 4)}">'
        f"{_cut(node.label, _LABEL_LENGTH)}</text>"
        f"{_second_line(node, look.word, left)}{_shares(node, left, top)}</g>\n"
    )


def _second_line(node: LineageNode, word: str, left: float) -> str:
    at = f'x="{_number(left + 32)}" y="{_number(node.y + 13)}"'
    if node.kind == "bundle":
        return f'<text class="line" {at}>{_cut(counts_text(node.counts), _LINE_LENGTH)}</text>'
    if node.shares:
        return f'<text class="line" {at}>{_cut(shares_text(node.shares, node.materialized), _LINE_LENGTH)}</text>'
    reason = node.reasons[0] if node.reasons and node.status != "missing" else ""
    rest = f' <tspan class="line">{_cut(reason, _LINE_LENGTH - len(word) - 3)}</tspan>' if reason else ""
    return f'<text class="line" {at}><tspan class="word">{word}</tspan>{rest}</text>'


def _shares(node: LineageNode, left: float, top: float) -> str:
    """Draw which share of the partitions has which status."""
    y = _number(top + _HEIGHT - 7)
    return "".join(
        f'<rect class="share {status}" x="{_number(x)}" y="{y}" width="{_number(width)}" height="4"/>'
        for status, x, width in share_bar(node.shares, left + 8, _WIDTH - 16)
    )


def tooltip(node: LineageNode) -> str:
    """Write all that a node knows, as plain text of several lines."""
    lines = [f"{node.label}: {counts_text(node.counts) if node.kind == 'bundle' else node.status}"]
    if node.shares:
        lines.append(f"partitions: {partition_counts_text(node.shares)}")
    lines += node.reasons if node.kind == "asset" else ()
    lines += node.notes
    lines += [text for text in (node.description, node.notebook) if text]
    lines.append(f"{node.upstream} upstream, {node.downstream} downstream")
    return "\n".join(lines)


def _legend(view: LineageView, height: float) -> Iterator[str]:
    """Explain the statuses that occur, with shape, colour and word."""
    x, y = _MARGIN, height - _LEGEND / 2 - (18.0 if view.note else 0.0)
    for status, words in zip(_legend_statuses(view), _legend_words(view), strict=True):
        look = LOOKS[status]
        yield (
            f'<g class="{look.word}"><g class="shape" transform="translate({_number(x + 6)},{_number(y)})">'
            f"{SHAPES[look.shape]}</g>"
            f'<text class="legend" x="{_number(x + 18)}" y="{_number(y + 4)}">{words}</text></g>\n'
        )
        x += _legend_width(words)
    if view.note:
        yield f'<text class="legend" x="{_MARGIN:.0f}" y="{height - 12:.0f}">{escaped(view.note)}</text>\n'


def _legend_statuses(view: LineageView) -> list[str]:
    return [status for status in reversed(URGENCY) if view.counts.get(status)]


def _legend_words(view: LineageView) -> list[str]:
    return [f"{view.counts[status]} {LOOKS[status].word}" for status in _legend_statuses(view)]


def _legend_width(words: str) -> float:
    return 34.0 + 6.5 * len(words)


def _cut(text: str, length: int) -> str:
    return escaped(text if len(text) <= length else text[: length - 1] + "…")


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _pair(point: Point) -> str:
    return f"{_number(point[0])},{_number(point[1])}"
