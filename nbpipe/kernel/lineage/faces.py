"""The face of a node: a picture with its status as shape, colour and word, behind the name.

A picture is drawn on a canvas; it can't run scripts, and what is written in it is escaped all the same.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache

from nbpipe.kernel.lineage.curves import NODE_HEIGHT, NODE_WIDTH
from nbpipe.views.escaping import escaped
from nbpipe.views.lineage import LineageNode
from nbpipe.views.palette import LOOKS, PALE, counts_text, shares_text
from nbpipe.views.shares import share_bar
from nbpipe.views.svg import SHAPES

FONT = 'system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif'
TEXT_LEFT = 34
"""Where text begins, from the left side of a node."""

#: The picture is larger than the node, so that it stays sharp when somebody zooms in.
_SCALE = 3
_LINE = 23
"""Characters that fit into the second line."""


def second_line(node: LineageNode) -> tuple[str, str]:
    """Return the word of a node's status, and what else there is room for."""
    if node.kind == "bundle":
        return "", _cut(counts_text(node.counts), _LINE)
    if node.shares:
        return "", _cut(shares_text(node.shares, node.materialized), _LINE)
    word = LOOKS.get(node.status, LOOKS["missing"]).word
    reason = node.reasons[0] if node.reasons and node.status != "missing" else ""
    return word, _cut(reason, _LINE - len(word) - 2)


def face(node: LineageNode) -> str:
    """Return the picture as a `data:` URI."""
    return _face(node.status, *second_line(node), tuple(node.shares.items()))


@lru_cache(maxsize=2_000)
def _face(status: str, word: str, rest: str, shares: tuple[tuple[str, int], ...]) -> str:
    look = LOOKS.get(status, LOOKS["missing"])
    y = NODE_HEIGHT / 2
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{NODE_WIDTH * _SCALE}" height="{NODE_HEIGHT * _SCALE}" '
        f'viewBox="0 0 {NODE_WIDTH} {NODE_HEIGHT}"><style>.shape * {{ fill: {look.ink}; stroke: {look.ink}; '
        f"stroke-width: 1.6 }} .shape .hollow {{ fill: none }} .shape .crossed {{ stroke: #ffffff }}</style>"
        f'<g class="shape" transform="translate(18,{y})">{SHAPES[look.shape]}</g>'
        f'<text x="{TEXT_LEFT}" y="{y + 13}" font-family="{escaped(FONT)}" font-size="11" fill="#4a525b">'
        f'<tspan fill="{look.ink}" font-weight="600">{escaped(word)}</tspan>{" " if word and rest else ""}'
        f"<tspan>{escaped(rest)}</tspan></text>{_bar(dict(shares))}</svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()


def _bar(shares: Mapping[str, int]) -> str:
    """Draw which share of the partitions has which status."""
    pieces = []
    for status, x, width in share_bar(shares, 7, NODE_WIDTH - 14):
        look = LOOKS[status]
        fill = look.fill if status in PALE else look.ink
        box = f'x="{x:.1f}" y="{NODE_HEIGHT - 7}" width="{width:.1f}" height="4"'
        pieces.append(f'<rect {box} fill="{fill}" stroke="{look.ink}" stroke-width="0.7"/>')
    return "".join(pieces)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"
