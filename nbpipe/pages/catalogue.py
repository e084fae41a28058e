"""Which page shows the data of which command."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from nbpipe.loading.config import DEFAULT_ENVIRONMENT
from nbpipe.pages.page import Page, Part, line

#: By command: module in `nbpipe.pages` and the function in it.
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
        "backfill start": ("backfills", "started"),
        "backfill": ("backfills", "started"),
        "backfill list": ("backfills", "listing"),
        "backfill show": ("backfills", "details"),
        "backfill cancel": ("backfills", "canceled"),
        "backfill resume": ("backfills", "details"),
        "_backfill": ("backfills", "details"),
        "job list": ("automation", "jobs"),
        "job run": ("runs", "result"),
        "schedule list": ("automation", "schedules"),
        "schedule preview": ("automation", "preview"),
        "schedule start": ("automation", "switched"),
        "schedule stop": ("automation", "switched"),
        "schedule ticks": ("automation", "schedule_ticks"),
        "sensor list": ("automation", "sensors"),
        "sensor start": ("automation", "switched"),
        "sensor stop": ("automation", "switched"),
        "sensor ticks": ("automation", "sensor_ticks"),
        "sensor tick": ("sensors", "trial"),
        "sensor cursor": ("sensors", "cursor"),
        "daemon": ("automation", "daemon_end"),
        "verify": ("runs", "verification"),
        "lineage": ("upkeep", "written"),
        "partitions show": ("partitions", "found"),
        "partitions add": ("partitions", "added"),
        "partitions delete": ("partitions", "deleted"),
        "rollback": ("upkeep", "rolled_back"),
        "rename": ("upkeep", "renamed"),
        "wipe": ("upkeep", "wiped"),
        "gc": ("upkeep", "collected"),
        "init": ("upkeep", "initialized"),
        "doctor": ("upkeep", "checks"),
    }
)


#: Commands that show what holds in one environment.
_OF_AN_ENVIRONMENT = frozenset(
    {"status", "why", "show", "load", "materialize", "run", "runs", "runs retry", "_run", "partitions show", "job run"}
)


def page_of(command: str, data: Any, *, env: str = DEFAULT_ENVIRONMENT) -> Page:
    """Return what a command shows; text is shown as it is.

    The environment is named where there is a choice: where it is not the default one.
    """
    if isinstance(data, str):
        from nbpipe.pages.page import Block

        return [Block(data.rstrip("\n"))] if data else []
    module, function = _PAGES[command]
    draw: Callable[[Any], Page] = getattr(importlib.import_module(f"nbpipe.pages.{module}"), function)
    page = draw(data)
    if env == DEFAULT_ENVIRONMENT or command not in _OF_AN_ENVIRONMENT:
        return page
    return [*page, line(Part(f"environment {env}", "dim"))]
