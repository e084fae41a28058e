"""What schedules and sensors have in common on the command line: `start`, `stop` and `ticks`."""

from __future__ import annotations

from collections.abc import Callable

import click

from nbpipe.commands.schedule_history import Switched, TickRow, switched, tick_rows
from nbpipe.commands.workspace import Workspace
from nbpipe.core.automation.definitions import ScheduleDef, SensorDef
from nbpipe.core.automation.records import Source

Find = Callable[[Workspace, str], ScheduleDef | SensorDef]


def add_switches(group: click.Group, source: Source, find: Find, *, start: str, ticks: str) -> None:
    """Add the commands to a group.

    Args:
        group: `schedule` or `sensor`.
        source: the same.
        find: finds one by its name, or raises.
        start: help of `start`.
        ticks: help of `ticks`.
    """

    @group.command("start", help=start)
    @click.argument("name")
    @click.pass_obj
    def start_one(workspace: Workspace, name: str) -> Switched:
        return switched(workspace, source, find(workspace, name).name, on=True)

    @group.command("stop", help=f"Stop a {source} until it is started; what it has started goes on.")
    @click.argument("name")
    @click.pass_obj
    def stop_one(workspace: Workspace, name: str) -> Switched:
        return switched(workspace, source, find(workspace, name).name, on=False)

    @group.command("ticks", help=ticks)
    @click.argument("name")
    @click.option(
        "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many, newest first."
    )
    @click.pass_obj
    def ticks_of_one(workspace: Workspace, name: str, limit: int) -> list[TickRow]:
        found = tick_rows(workspace, source, name, limit)
        if not found:
            find(workspace, name)  # of one that was taken away the history stays
        return found
