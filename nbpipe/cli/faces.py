"""Which page shows the data of which command, and which exit status it means."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from nbpipe.cli.page import Page

#: By command: module in `nbpipe.cli.pages` and the function in it.
_PAGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "list": ("assets", "listing"),
        "status": ("assets", "status"),
        "validate": ("assets", "diagnostics"),
        "show": ("details", "asset"),
        "why": ("details", "explanation"),
        "load": ("details", "stored_file"),
        "materialize": ("runs", "result"),
        "run": ("runs", "result"),
        "runs": ("runs", "listing"),
        "runs show": ("runs", "details"),
        "runs cancel": ("runs", "canceled"),
        "runs retry": ("runs", "result"),
        "_run": ("runs", "result"),
        "verify": ("runs", "verification"),
        "lineage": ("upkeep", "written"),
        "rollback": ("upkeep", "rolled_back"),
        "rename": ("upkeep", "renamed"),
        "wipe": ("upkeep", "wiped"),
        "gc": ("upkeep", "collected"),
        "init": ("upkeep", "initialized"),
        "doctor": ("upkeep", "checks"),
    }
)


def page_of(command: str, data: Any) -> Page:
    """Return what a command shows; text is shown as it is."""
    if isinstance(data, str):
        from nbpipe.cli.page import Block

        return [Block(data.rstrip("\n"))] if data else []
    module, function = _PAGES[command]
    draw: Callable[[Any], Page] = getattr(importlib.import_module(f"nbpipe.cli.pages.{module}"), function)
    return draw(data)


def exit_status(command: str, data: Any) -> int:
    """Return 0 if what was asked for is done, 1 if the work failed, 2 if something is wrong with the definitions."""
    if command in ("materialize", "run", "runs retry", "_run"):
        return 0 if data.status == "success" else 1
    if command == "validate":
        return 2 if any(each.severity == "error" for each in data) else 0
    if command == "verify":
        return 1 if any(each.result == "different" for each in data.assets) or data.status != "success" else 0
    if command == "doctor":
        return 1 if any(each.level == "problem" for each in data) else 0
    return 0
