"""Lineage as one self-contained page: the picture and a table, no scripts and nothing from elsewhere."""

from __future__ import annotations

from nbpipe.views.escaping import escaped
from nbpipe.views.lineage import LineageNode, LineageView
from nbpipe.views.palette import LOOKS, counts_text, shares_text
from nbpipe.views.svg import svg

_STYLE = """
body { font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; margin: 24px;
  color: #1f2328; background: #ffffff; }
h1 { font-size: 20px; }
.picture { overflow-x: auto; }
table { border-collapse: collapse; margin-top: 20px; }
th, td { text-align: left; vertical-align: top; padding: 5px 14px 5px 0; border-bottom: 1px solid #d0d7de; }
td.status { white-space: nowrap; font-weight: 600; }
"""
_DARK = """
  body { color: #f0f6fc; background: #0d1117; }
  th, td { border-color: #30363d; }
"""
_COLUMNS = ("Status", "Asset", "Why", "From", "Group", "Notebook", "Description")


def html_page(view: LineageView, *, title: str = "Lineage") -> str:
    """Return an HTML document; all text of the project is escaped."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
        '<meta name="viewport" content="width=device-width"/>\n'
        f"<title>{escaped(title)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n"
        f"<h1>{escaped(title)}</h1>\n<p>{view.assets} assets: {counts_text(view.counts) or 'none'}</p>\n"
        f'<div class="picture">{svg(view, title=title)}</div>\n{_table(view)}</body>\n</html>\n'
    )


def _style() -> str:
    light = [_STYLE, *(f".{look.word} .status {{ color: {look.ink}; }}" for look in LOOKS.values())]
    dark = [_DARK, *(f"  .{look.word} .status {{ color: {look.dark_ink}; }}" for look in LOOKS.values())]
    return "\n".join([*light, "@media (prefers-color-scheme: dark) {", *dark, "}"])


def _table(view: LineageView) -> str:
    labels = {node.id: node.label for node in view.nodes}
    feeding: dict[str, list[str]] = {}
    for edge in view.edges:
        feeding.setdefault(edge.target, []).append(labels[edge.source])
    head = "".join(f"<th>{column}</th>" for column in _COLUMNS)
    rows = "".join(_row(node, ", ".join(sorted(feeding.get(node.id, ())))) for node in view.nodes)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"


def _row(node: LineageNode, above: str) -> str:
    look = LOOKS.get(node.status, LOOKS["missing"])
    status = counts_text(node.counts) if node.kind == "bundle" else look.word
    if node.shares:
        status += f"<br/>{shares_text(node.shares, node.materialized)}"
    why = "" if node.kind == "bundle" else "\n".join((*node.reasons, *node.notes))
    cells = [node.label, why, above, node.group or "", node.notebook, node.description]
    rest = "".join(f"<td>{escaped(text).replace(chr(10), '<br/>')}</td>" for text in cells)
    return f'<tr class="{look.word}"><td class="status">{look.sign} {status}</td>{rest}</tr>\n'
