"""Pages about one asset: what is known of it, why it is stale, where its value is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbpipe.core.counted import counted
from nbpipe.core.partitions.counts import counts_text
from nbpipe.core.records import Preview
from nbpipe.core.references import reference_text
from nbpipe.pages.assets import STATUS_STYLE
from nbpipe.pages.page import Block, Line, Page, Part, Style, Table, line
from nbpipe.pages.text import size_text
from nbpipe.pages.times import time_heading, time_text

if TYPE_CHECKING:
    from nbpipe.commands.load import StoredFile
    from nbpipe.commands.show import AssetDetails, PartitionRow, VersionRow
    from nbpipe.commands.why import Explanation, WhyNode

_DIFF_STYLE: Mapping[str, Style] = {"+": "good", "-": "bad", "@": "dim"}
#: Facts that the preview shows.
_SHOWN_ELSEWHERE = frozenset({"columns", "dtypes", "preview"})
_LONGEST_FACT = 200
_MANY_RANGES = 8


def asset(found: AssetDetails) -> Page:
    """Show all that is known of an asset."""
    page: list[Line | Block | Table | str] = [
        line(
            Part(reference_text(found.asset, found.partition or ""), "strong"),
            "  ",
            Part(found.status, STATUS_STYLE[found.status]),
        )
    ]
    if found.description:
        page.append(Block(found.description, indent=2))
    page += [line(reason, indent=2) for reason in (*found.reasons, *found.notes)]
    page += _facts(
        {
            "window": " to ".join(each.isoformat(sep=" ") for each in found.window or ()),
            "partitions": found.partitions and f"{found.partitions.spec}: {counts_text(found.partitions.counts)}",
            "notebook": f"{found.notebook}, cell {found.cell}",
            "same cell": " ".join(found.siblings),
            "upstream": " ".join(found.upstream),
            "downstream": " ".join(found.downstream),
            "parameters": " ".join(found.parameters),
            "files": " ".join(found.files),
            "group": found.options.group,
            "tags": " ".join(f"{name}={value}" for name, value in found.options.tags),
            "owners": " ".join(found.options.owners),
            "kinds": " ".join(found.options.kinds),
        }
    )
    if found.partitions and found.partitions.latest:
        made = time_heading("made", (row.created_at for row in found.partitions.latest))
        columns = ("partition", "status", "version", made, "size", "note")
        page += ["", Table(columns, list(map(_partition, found.partitions.latest)))]
        more = found.partitions.counts.total - len(found.partitions.latest)
        if more > 0:
            page.append(f"and {more:,} more: nbpipe partitions {found.asset} shows all by status")
    if found.versions:
        made = time_heading("made", (row.created_at for row in found.versions))
        page += [
            "",
            Table(("version", made, "took", "type", "format", "size", "run"), list(map(_version, found.versions))),
        ]
    page += _facts(found.metadata)
    return [*page, *preview(found.preview)]


def explanation(found: Explanation) -> Page:
    """Show the tree of reasons, each asset once, with what changed in the code."""
    nodes = {reference_text(node.asset, node.partition or ""): node for node in found.nodes}
    page: list[Line] = []
    shown: set[str] = set()
    pending = [(reference_text(found.asset, found.partition or ""), 0)]
    while pending:
        key, depth = pending.pop()
        if key in shown:
            page.append(line(key, Part(" (see above)", "dim"), indent=2 * depth))
            continue
        shown.add(key)
        page += _node(nodes[key], 2 * depth)
        pending += [(above, depth + 1) for above in reversed(nodes[key].upstream)]
    return page


def stored_file(found: StoredFile) -> Page:
    """Show what a stored value is and where."""
    page: list[Line] = [
        line(
            Part(reference_text(found.asset, found.partition or ""), "strong"),
            f" version {found.version}, made {time_text(found.created_at, zone=True)}",
        )
    ]
    page += _facts(
        {
            "path": found.path,
            "format": f"{found.format}, by I/O manager {found.io}",
            "type": found.type,
            "size": size_text(found.size),
            "data version": found.data_version,
            **found.metadata,
        }
    )
    arguments = f"{found.asset!r}, partition={found.partition!r}" if found.partition else f"{found.asset!r}"
    return [*page, *preview(found.preview), line(Part(f"in Python: nbpipe.load({arguments})", "dim"))]


def preview(found: Preview | None) -> Page:
    """Show the first rows or lines of a value."""
    if found is None or found.kind == "none":
        return []
    if found.kind == "table":
        return ["", Table(found.columns, found.rows)] if found.columns else []
    if found.kind == "image":
        return [line(Part(f"(a picture of {size_text(len(found.image))})", "dim"), indent=2)]
    return ["", Block(found.text, indent=2)]


def _node(node: WhyNode, indent: int) -> Iterator[Line]:
    name = reference_text(node.asset, node.partition or "")
    yield line(Part(name, "strong"), "  ", Part(node.status, STATUS_STYLE[node.status]), indent=indent)
    for reason in node.reasons if not node.partitions else ():
        yield line(reason, indent=indent + 4)
    for group in node.partitions:
        number = counted(group.partitions, "partition")
        yield line(f"{number}: {group.reason}", indent=indent + 4)
        ranges = (*group.ranges[:_MANY_RANGES], *(["…"] if group.more or len(group.ranges) > _MANY_RANGES else []))
        yield line(Part(", ".join(ranges), "dim"), indent=indent + 6)
    for note in node.notes:
        yield line(Part(note, "dim"), indent=indent + 4)
    for change in node.changes:
        yield line(Part(f"{change.component}:", "dim"), indent=indent + 4)
        for each in change.diff.splitlines() or ["(its recorded source is not known)"]:
            yield line(Part(each, _DIFF_STYLE.get(each[:1], "")), indent=indent + 6)


def _version(found: VersionRow) -> tuple[Part | str, ...]:
    mark = " (current)" if found.current else " (expired)" if found.expired else ""
    return (
        Part(f"{found.version}{mark}", "strong" if found.current else "dim" if found.expired else ""),
        time_text(found.created_at),
        f"{found.duration:.2f} s",
        found.type,
        found.format,
        size_text(found.size),
        found.run_id or "in a notebook",
    )


def _partition(found: PartitionRow) -> tuple[Part | str, ...]:
    return (
        Part(found.partition, "strong"),
        Part(found.status, STATUS_STYLE[found.status]),
        "" if found.version is None else str(found.version),
        time_text(found.created_at),
        "" if found.size is None else size_text(found.size),
        found.note,
    )


def _facts(facts: Mapping[str, Any]) -> list[Line]:
    known = {name: value for name, value in facts.items() if value not in (None, "", (), [], {})}
    shown = {name: value for name, value in known.items() if name not in _SHOWN_ELSEWHERE}
    return [line(Part(f"{name}: ", "dim"), _short(value), indent=2) for name, value in shown.items()]


def _short(value: Any) -> str:
    text = _words(value) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _LONGEST_FACT else text[: _LONGEST_FACT - 1] + "…"


def _words(values: Iterable[Any]) -> str:
    return ", ".join(str(each) for each in values)
