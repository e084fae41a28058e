"""All commands by name; a command's module is imported only when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: One line of help of each command of the terminal, in the order in which they are listed.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "init": "Make a folder a project, with a configuration to edit.",
        "list": "List the assets that the project defines.",
        "show": "Show one asset: definition, versions, preview.",
        "status": "Show which assets are fresh, stale, missing or failed, and why.",
        "validate": "Report everything that is wrong with the definitions.",
        "materialize": "Compute and store the selected assets in a run.",
        "run": "Run any notebook as a recorded run.",
        "runs": "List runs; show, cancel or retry one.",
        "lineage": "Draw how assets depend on each other.",
        "backfill": "Compute many partitions in many runs; list, show, cancel or resume.",
        "job": "List jobs: work with a name; run one.",
        "schedule": "List schedules; start, stop or preview one; show its ticks.",
        "sensor": "List sensors; start, stop or try one; show its ticks and cursor.",
        "daemon": "Carry out what schedules, sensors and backfills ask for, until it is told to stop.",
        "partitions": "Show partitions of an asset by status; add and delete keys.",
        "load": "Tell where a stored value is.",
        "why": "Explain why an asset is stale.",
        "verify": "Compute an asset again and compare it with what is stored.",
        "rollback": "Make an old version of an asset or partition current again.",
        "rename": "Rename an asset, keeping its history.",
        "wipe": "Forget the stored values of an asset, or of some partitions.",
        "gc": "Remove values that nothing refers to any more.",
        "doctor": "Check the installation and the project.",
    }
)

#: Not for people: `_run RUN` carries out a queued run in a process of its own, for `%materialize`; `_backfill ID`
#: works on a recorded backfill, for `%backfill` and for the daemon.
HIDDEN: Mapping[str, str] = MappingProxyType({"_run": "queued", "_backfill": "queued_backfill"})

#: Those that are also line magics.
MAGIC_COMMANDS: Mapping[str, str] = MappingProxyType(
    {name: COMMANDS[name] for name in ("materialize", "backfill", "status", "lineage", "partitions", "why", "runs")}
)
