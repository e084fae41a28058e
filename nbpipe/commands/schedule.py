"""`schedule`: when work is to be done."""

from __future__ import annotations

from datetime import datetime

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.automation_rows import ScheduleRow, find_schedule, schedule_rows
from nbpipe.commands.automation_switches import add_switches
from nbpipe.commands.named_groups import NamedCommands
from nbpipe.commands.unread import say_unread
from nbpipe.commands.workspace import Workspace


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The next ticks of a schedule."""

    name: str
    words: str
    tz: str
    times: tuple[datetime, ...]
    """In the schedule's time zone."""


@click.group("schedule", cls=NamedCommands)
def command() -> None:
    """List the schedules that notebooks (%schedule) and the configuration ([schedules.NAME]) declare.

    Start, stop or preview one, or show its ticks.
    """


@command.command("list")
@click.pass_obj
def list_schedules(workspace: Workspace) -> list[ScheduleRow]:
    """List schedules: when they tick, what they run, whether they are on."""
    say_unread(workspace)
    return schedule_rows(workspace)


add_switches(
    command,
    "schedule",
    find_schedule,
    start="Let a schedule tick from now on, however it is declared.",
    ticks="Show what became of the ticks of a schedule, newest first.",
)


@command.command("preview")
@click.argument("name")
@click.option("-n", "number", type=click.IntRange(1, 1_000), default=10, show_default=True, help="How many times.")
@click.pass_obj
def preview(workspace: Workspace, name: str, number: int) -> Preview:
    """Show when a schedule will tick next, whether it is started or stopped: in words, and in its time zone."""
    return previewed(workspace, name, number, after=clock.now())


def previewed(workspace: Workspace, name: str, number: int, *, after: datetime) -> Preview:
    """Return the next ticks of a schedule after a moment.

    Raises:
        UnknownNameError: there is no such schedule.
        RefusedError: its declaration has an error.
    """
    from nbpipe.core.automation.schedules import upcoming, words
    from nbpipe.core.partitions.zones import zone_of

    schedule = find_schedule(workspace, name)
    zone = zone_of(schedule.zone)
    return Preview(
        name=name,
        words=words(schedule),
        tz=schedule.zone,
        times=tuple(tick.astimezone(zone) for tick in upcoming(schedule, after, number)),
    )
