"""Lineage as plain text, for terminals and for displays that show nothing else."""

from __future__ import annotations

from nbpipe.views.escaping import printable
from nbpipe.views.lineage import LineageView
from nbpipe.views.palette import LOOKS, counts_text, shares_text


def lineage_text(view: LineageView) -> str:
    """Return one line for each node in topological order: sign, name, what feeds it, status and first reason."""
    if not view.nodes:
        return "no assets\n"
    labels = {node.id: node.label for node in view.nodes}
    feeding: dict[str, list[str]] = {}
    for edge in view.edges:
        feeding.setdefault(edge.target, []).append(labels[edge.source])
    width = max(map(len, labels.values()))
    lines = []
    for node in view.nodes:
        look = LOOKS.get(node.status, LOOKS["missing"])
        reasons = node.reasons[:1] if not node.shares else (shares_text(node.shares, node.materialized),)
        words = counts_text(node.counts) if node.kind == "bundle" else ": ".join((look.word, *reasons))
        above = ", ".join(sorted(feeding.get(node.id, ())))
        arrow = f"  <- {above}" if above else ""
        lines.append(printable(f"{look.sign} {node.label:{width}}  {words}{arrow}").rstrip())
    if view.note:
        lines.append(printable(view.note).rstrip())
    return "\n".join(lines) + "\n"
