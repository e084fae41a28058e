"""Lineage as Mermaid text, for Markdown that draws it (JupyterLab, GitHub)."""

from __future__ import annotations

from nbpipe.views.escaping import printable
from nbpipe.views.lineage import LineageNode, LineageView
from nbpipe.views.palette import LOOKS, counts_text, shares_text

#: Node outlines of Mermaid by shape of status: opening and closing brackets.
_OUTLINES = {
    "ellipse": ("([", "])"),
    "triangle": ("[/", "\\]"),
    "rectangle": ("[", "]"),
    "octagon": ("{{", "}}"),
    "play": (">", "]"),
    "diamond": ("{", "}"),
    "ring": ("((", "))"),
}


def mermaid(view: LineageView) -> str:
    """Return a Mermaid flowchart from left to right, groups as subgraphs, statuses by shape, colour and word."""
    names = {node.id: f"n{index}" for index, node in enumerate(view.nodes)}
    grouped: dict[str | None, list[LineageNode]] = {}
    for node in view.nodes:
        grouped.setdefault(node.group if node.kind == "asset" else None, []).append(node)
    lines = ["flowchart LR"]
    for number, (group, nodes) in enumerate(
        sorted(grouped.items(), key=lambda item: (item[0] is not None, item[0] or ""))
    ):
        indent = "  "
        if group is not None:
            lines.append(f'  subgraph g{number}["{_text(group)}"]')
            indent = "    "
        lines += [indent + _node(node, names[node.id]) for node in nodes]
        if group is not None:
            lines.append("  end")
    for edge in view.edges:
        arrow = f" -->|{edge.links}| " if edge.links > 1 else " --> "
        lines.append(f"  {names[edge.source]}{arrow}{names[edge.target]}")
    for status in dict.fromkeys(node.status for node in view.nodes):
        look = LOOKS.get(status, LOOKS["missing"])
        lines.append(f"  classDef {look.word} fill:{look.fill},stroke:{look.ink},color:#1f2328")
    return "\n".join(lines) + "\n"


def _node(node: LineageNode, name: str) -> str:
    look = LOOKS.get(node.status, LOOKS["missing"])
    opening, closing = _OUTLINES[look.shape]
    word = counts_text(node.counts) if node.kind == "bundle" else look.word
    if node.shares:
        word = f"{word}<br/>{shares_text(node.shares, node.materialized)}"
    return f'{name}{opening}"{_text(node.label)}<br/>{word}"{closing}:::{look.word}'


def _text(text: str) -> str:
    """Write text with the entities of Mermaid for all that could be syntax or markup."""
    return "".join(char if char.isalnum() or char in " _-./…" else f"#{ord(char)};" for char in printable(text))
