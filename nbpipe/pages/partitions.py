"""Pages about the partitions of one asset, and about keys of dynamic sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nbpipe.pages.page import Line, Page, Part, Style, line

if TYPE_CHECKING:
    from nbpipe.commands.dynamic_keys import KeysAdded, KeysDeleted
    from nbpipe.commands.partitions import PartitionsFound

_STYLES: Mapping[str, Style] = {
    "running": "busy",
    "failed": "bad",
    "missing": "",
    "stale": "warn",
    "skipped": "dim",
    "fresh": "good",
}
_WIDTH = 96
"""Columns of a line of ranges."""
_KEYS = 10


def found(data: PartitionsFound) -> Page:
    """Show how many partitions have which status, and which these are; at most about twenty lines."""
    count = "no partition yet" if not data.total else _number(data.total)
    page: list[Line | str] = [line(Part(data.asset, "strong"), f"  {data.partitions}  ", count)]
    if not data.total:
        return [*page, *(_how_to_add(data))]
    if len(data.dimensions) > 1:
        page.append(line(Part(" x ".join(f"{each.keys:,} {each.name}" for each in data.dimensions), "dim"), indent=2))
    for status, style in _STYLES.items():
        number = getattr(data, status)
        if not number:
            continue
        page.append(line(Part(f"{status:8}", style), f"{number:>12,}", _share(number, data.total), indent=2))
        if number < data.total:  # which they are is not worth telling if it is all
            left = data.more.get(status, 0) if isinstance(data.more, Mapping) else 0
            page += _packed(data.ranges.get(status, ()), left)
    return page


def added(data: KeysAdded) -> Page:
    """Say which keys are new."""
    page = [
        f"{data.set}: {_keys(data.added)} added, {data.total:,} in all" if data.added else f"{data.set}: no new key"
    ]
    return [*page, f"there already: {_listed(data.known)}"] if data.known else page


def deleted(data: KeysDeleted) -> Page:
    """Say which keys are gone."""
    kept = "what is stored of them stays, and is back when they are added again"
    if not data.deleted:
        return [f"{data.set}: {_listed(data.gone)} had been deleted before"]
    page = [f"{data.set}: {_keys(data.deleted)} deleted, {data.total:,} left; {kept}"]
    return [*page, f"deleted before: {_listed(data.gone)}"] if data.gone else page


def _packed(texts: Sequence[str], left: int) -> Iterator[Line]:
    """Put ranges beside each other; say how many partitions are not told."""
    row = ""
    for text in (*texts, *([f"and {left:,} more"] if left else [])):
        if row and len(row) + len(text) > _WIDTH:
            yield line(row, indent=6)
            row = ""
        row += f"{'  ' if row else ''}{text}"
    yield line(row, indent=6)


def _how_to_add(data: PartitionsFound) -> Iterator[Line]:
    for each in data.dimensions:
        if each.kind == "dynamic" and not each.keys:
            name = each.spec.removeprefix("dynamic:")
            yield line(f"{name} has no keys: nbpipe partitions add {name} KEY...", indent=2)


def _share(number: int, total: int) -> str:
    percent = 100 * number / total
    if percent < 1:
        return "  < 1 %"
    return "  > 99 %" if number < total and percent > 99 else f"  {percent:.0f} %"  # all is said of all alone


def _number(count: int) -> str:
    return "1 partition" if count == 1 else f"{count:,} partitions"


def _keys(keys: Sequence[str]) -> str:
    return f"{'key' if len(keys) == 1 else f'{len(keys):,} keys'} {_listed(keys)}"


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_KEYS]) + (f", ... ({len(keys) - _KEYS:,} more)" if len(keys) > _KEYS else "")
