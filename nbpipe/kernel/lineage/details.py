"""What is written beside the graph, as HTML. Everything that comes from a project is escaped here, and only here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nbpipe.core.reasons import duration_text
from nbpipe.core.records import Materialization, Preview
from nbpipe.kernel.lineage.model import AssetFacts
from nbpipe.pages.text import size_text
from nbpipe.pages.times import time_text
from nbpipe.views.escaping import escaped
from nbpipe.views.lineage import LineageNode, LineageView
from nbpipe.views.palette import LOOKS, PARTITION_URGENCY, URGENCY, counts_text

if TYPE_CHECKING:  # the algebra of partitions is loaded when partitions are used
    from nbpipe.core.partitions.state import PartitionState

_LONGEST_VALUE = 300
_MOST_VALUES = 30


def legend(view: LineageView) -> str:
    """Return the statuses with sign, colour, word and number, and what is not drawn."""
    shown = [status for status in reversed(URGENCY) if view.counts.get(status)] or ["missing"]
    items = "".join(f"<li>{chip(status)} {view.counts.get(status, 0):,}</li>" for status in shown)
    note = f'<li class="nbpipe-note">{escaped(view.note)}</li>' if view.note else ""
    total = f"{view.assets:,} asset" + ("" if view.assets == 1 else "s")
    return f'<ul aria-label="Legend: how many assets have which status"><li>{total}</li>{items}{note}</ul>'


def chip(status: str) -> str:
    """Return a status as sign, word and colour."""
    look = LOOKS.get(status, LOOKS["missing"])
    return (
        f'<span class="nbpipe-chip nbpipe-{look.word}"><span aria-hidden="true">{look.sign}</span> {look.word}</span>'
    )


def error(message: str) -> str:
    """Return a refusal, with its text as it is: a mark below it shows the column."""
    return f'<pre role="alert">{escaped(message)}</pre>' if message else ""


def message(text: str, *, refused: bool = False) -> str:
    """Return what a button did."""
    kind = " nbpipe-refused" if refused else ""
    return f'<div class="nbpipe-message{kind}" role="status">{escaped(text)}</div>' if text else ""


def overview(view: LineageView) -> str:
    """Return what is shown while nothing is chosen."""
    if not view.nodes:
        return "<h3>No assets</h3><p>Nothing is selected, or no saved notebook has a cell that begins with %%asset.</p>"
    return (
        f"<h3>Lineage</h3><p>{escaped(counts_text(view.counts))}</p>"
        '<p class="nbpipe-dim">Click an asset, or choose one from the list, to see what is known about it.</p>'
    )


def bundle(node: LineageNode) -> str:
    """Return what is known of a bundle of assets."""
    place = f'<div class="nbpipe-dim">{escaped(node.description)}</div>'
    return f"<h3>{escaped(node.label)}</h3>{place}<p>{escaped(counts_text(node.counts))}</p>"


def heading(facts: AssetFacts) -> str:
    """Return name, status, and where the asset is defined."""
    spec, found = facts.spec, facts.assessment
    status = found.status if found is not None else "missing"
    place = f"{spec.cell.notebook}, cell {spec.cell.index + 1}"
    group = f" · group {spec.options.group}" if spec.options.group else ""
    return f'<h3>{escaped(spec.key)}</h3>{chip(status)} <span class="nbpipe-dim">{escaped(place + group)}</span>'


def why(facts: AssetFacts) -> str:
    """Return description, reasons and notes."""
    parts = [f"<p>{escaped(facts.spec.description)}</p>"] if facts.spec.description else []
    if facts.assessment is not None:
        parts.append(bullets("Why", facts.assessment.reasons))
        parts.append(bullets("Notes", facts.assessment.notes))
    return "".join(parts)


def stored(facts: AssetFacts) -> str:
    """Return the last materialization, its metadata and its preview; of an asset with partitions, how these are."""
    if facts.spec.options.partitions is not None:
        return _partitions(facts.partitions) if facts.partitions is not None else ""
    current = facts.state.current if facts.state is not None else None
    if current is None:
        return '<p class="nbpipe-dim">Never materialized.</p>'
    preview = _preview(facts.details.preview) if facts.details is not None else ""
    return materialization(current) + preview


def _partitions(state: PartitionState) -> str:
    from nbpipe.kernel.partition_panel.heat import mini_html
    from nbpipe.views.partitions import partitions_overview

    view = partitions_overview(state)
    items = "".join(
        f"<li>{chip(status)} {view.counts[status]:,}</li>" for status in PARTITION_URGENCY if status in view.counts
    )
    keys = f"{view.columns[0].first} … {view.columns[-1].last}" if view.columns else "none yet"
    return (
        f'<h4>{view.total:,} partitions</h4>{mini_html(view)}<div class="nbpipe-dim">{escaped(keys)}</div>'
        f'<ul class="nbpipe-counts">{items}</ul>'
    )


def materialization(current: Materialization) -> str:
    """Return what is known of a stored value, with its metadata."""
    facts = {
        "Version": f"{current.version}, {time_text(current.created_at, zone=True)}",
        "Took": duration_text(current.duration) if current.duration >= 1 else f"{current.duration * 1000:.0f} ms",
        "Value": f"{current.stored.type or 'value'}, {size_text(current.stored.size)}, {current.stored.format}",
    }
    if current.run_id:
        facts["Run"] = current.run_id
    if current.parameters:
        facts["Parameters"] = ", ".join(f"{name}={value}" for name, value in sorted(current.parameters.items()))
    return table("Last materialization", facts) + table("Metadata", _metadata(current))


def _metadata(current: Materialization) -> dict[str, str]:
    """Return the stored facts of the value, and those that the notebook gives."""
    facts = {**current.stored.metadata, **current.metadata}
    facts.pop("dtypes", None)  # the preview shows them
    return {str(name): _value(value) for name, value in list(facts.items())[:_MOST_VALUES]}


def _value(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _preview(preview: Preview) -> str:
    match preview.kind:
        case "table":
            content = _preview_table(preview)
        case "text":
            content = f"<pre>{escaped(preview.text)}</pre>"
        case "image":
            picture = base64.b64encode(preview.image).decode()
            content = f'<img src="data:image/png;base64,{picture}" alt="Preview of the value"/>'
        case _:
            return ""
    return f'<h4>Preview</h4><div class="nbpipe-preview" tabindex="0">{content}</div>'


def _preview_table(preview: Preview) -> str:
    kinds = preview.dtypes if len(preview.dtypes) == len(preview.columns) else ("",) * len(preview.columns)
    head = "".join(
        f'<th scope="col" title="{escaped(kind)}">{escaped(name)}</th>'
        for name, kind in zip(preview.columns, kinds, strict=True)
    )
    rows = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in preview.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def table(title: str, facts: Mapping[str, str]) -> str:
    """Return names and values below a title; nothing if there are none."""
    if not facts:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escaped(name)}</th><td>{escaped(value)}</td></tr>' for name, value in facts.items()
    )
    return f"<h4>{title}</h4><table>{rows}</table>"


def bullets(title: str, lines: Iterable[str]) -> str:
    """Return lines below a title; nothing if there are none."""
    items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
    return f"<h4>{title}</h4><ul>{items}</ul>" if items else ""
