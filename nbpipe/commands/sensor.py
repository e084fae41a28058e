"""`sensor`: what watches the world, assets or runs."""

from __future__ import annotations

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.automation_rows import SensorRow, find_sensor, sensor_rows
from nbpipe.commands.automation_switches import add_switches
from nbpipe.commands.named_groups import NamedCommands
from nbpipe.commands.sensor_trial import Trial, asked_once, kept_cursor
from nbpipe.commands.surface import does_nothing_here
from nbpipe.commands.unread import say_unread
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import UsageError


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """What a sensor keeps from one evaluation to the next."""

    name: str
    cursor: str | None


@click.group("sensor", cls=NamedCommands)
def command() -> None:
    """List the sensors that notebooks (%%sensor, %sensor) and the configuration ([sensors.NAME]) declare.

    Start, stop or try one, show its ticks, show or set its cursor.
    """


@command.command("list")
@click.pass_obj
def list_sensors(workspace: Workspace) -> list[SensorRow]:
    """List sensors: what they look at, which job they run, whether they are on."""
    say_unread(workspace)
    return sensor_rows(workspace)


add_switches(
    command,
    "sensor",
    find_sensor,
    start="Let a sensor be asked from now on, however it is declared.",
    ticks="Show what came of the evaluations of a sensor, newest first; skips in a row are one line.",
)


@command.command("tick")
@click.argument("name")
@click.option("--cursor", default=None, help="Ask it with this cursor instead of the one that it keeps.")
@click.pass_obj
def tick(workspace: Workspace, name: str, cursor: str | None) -> Trial:
    """Ask a sensor now, and show what it would launch. Nothing is launched, recorded or kept."""
    sensor = find_sensor(workspace, name)
    return asked_once(workspace, sensor, cursor=kept_cursor(workspace, name) if cursor is None else cursor)


@command.command("cursor")
@click.argument("name")
@click.option("--set", "value", default=None, metavar="CURSOR", help="Keep this from now on.")
@click.option("--clear", is_flag=True, help="Forget it, as if the sensor was never asked.")
@click.pass_obj
def cursor(workspace: Workspace, name: str, value: str | None, *, clear: bool) -> Cursor:
    """Show what a sensor keeps from one evaluation to the next, or change it."""
    if clear and value is not None:
        raise UsageError("--set and --clear exclude each other: choose one")
    sensor = find_sensor(workspace, name)
    if value is not None and sensor.kind != "cell":
        _check_event(workspace, name, value)
    if (clear or value is not None) and not does_nothing_here("sensor cursor"):
        workspace.store.automation.set_cursor(workspace.env, name, value, at=clock.now())
    return Cursor(name=name, cursor=kept_cursor(workspace, name))


def _check_event(workspace: Workspace, name: str, cursor: str) -> None:
    from nbpipe.daemon.sensor_events import event_of

    event = event_of(cursor)
    if event is None or event > workspace.store.revision():
        raise UsageError(
            f"the cursor of sensor {name!r} is the number of an event that has happened, not {cursor!r}: --set 0 goes "
            "through all that is known, --clear begins with what comes from now on"
        )
