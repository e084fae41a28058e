"""Pages of commands that set up, change and clean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nbpipe.core.counted import counted
from nbpipe.core.references import reference_text
from nbpipe.pages.page import Line, Page, Part, Style, line
from nbpipe.pages.text import size_text

if TYPE_CHECKING:
    from nbpipe.commands.doctor import Check
    from nbpipe.commands.gc import Collected
    from nbpipe.commands.init import Initialized
    from nbpipe.commands.lineage import Written
    from nbpipe.commands.rename import Renamed
    from nbpipe.commands.rollback import RolledBack
    from nbpipe.commands.wipe import Wiped
    from nbpipe.views.lineage import LineageView

_LEVEL: Mapping[str, tuple[str, Style]] = {
    "ok": ("ok", "good"),
    "note": ("note", "warn"),
    "problem": ("problem", "bad"),
}


def written(found: Written | LineageView) -> Page:
    """Say what was written."""
    from nbpipe.commands.lineage import Written as File
    from nbpipe.pages.json_output import encoded
    from nbpipe.pages.page import Block

    if isinstance(found, File):
        return [f"{found.path} written ({found.format})"]
    return [Block(encoded(found).decode())]


def rolled_back(found: RolledBack) -> Page:
    """Say which version is current now."""
    before = f" (was {found.previous})" if found.previous is not None else ""
    held = "and held there: `nbpipe materialize` of it makes it again"
    return [f"{reference_text(found.asset, found.partition or '')} is at version {found.version} now{before}, {held}"]


def renamed(found: Renamed) -> Page:
    """Say what is left to do."""
    page = [f"{found.old} is called {found.new} now"]
    return [*page, found.next_step] if found.next_step else page


def wiped(found: Wiped) -> Page:
    """Say what was removed."""
    name = f"{found.asset}@{found.partition}" if found.partition else found.asset
    if not (found.values or found.partitions):
        return [f"nothing of {name} was removed"]
    removed = f"{found.values:,} {_values(found.values)} removed, {size_text(found.bytes)} freed"
    if found.partitions is None:
        return [f"{name}: {removed}"]
    return [f"{name}: {counted(found.partitions, 'partition')} forgotten, {removed}"]


def collected(found: Collected) -> Page:
    """Say what was removed."""
    return [f"{found.values} old {_values(found.values)} removed, {size_text(found.bytes)} freed"]


def initialized(found: Initialized) -> Page:
    """Say what was made, and what to do next."""
    made = ", ".join(found.created)
    return [
        f"{found.root} is a project now: {made} made"
        if made
        else f"{found.root} is a project already: nothing was changed",
        "next: write %%asset NAME above a cell of a notebook here, then `nbpipe status`",
    ]


def checks(found: Sequence[Check]) -> Page:
    """Show each check, with the remedy of what is wrong."""
    page: list[Line] = []
    for check in found:
        word, style = _LEVEL[check.level]
        page.append(line(Part(f"{word:8}", style), Part(check.check, "strong"), f": {check.message}"))
        if check.remedy:
            page.append(line(f"-> {check.remedy}", indent=10))
    return page


def _values(count: int) -> str:
    return "value" if count == 1 else "values"
