"""`sensor`: what watches the world, assets or runs."""

from __future__ import annotations

import click

from nbpipe.commands.automation_rows import SensorRow, sensor_rows
from nbpipe.commands.named_groups import NamedCommands
from nbpipe.commands.workspace import Workspace


@click.group("sensor", cls=NamedCommands)
def command() -> None:
    """List the sensors that notebooks (%%sensor, %sensor) and the configuration ([sensors.NAME]) declare."""


@command.command("list")
@click.pass_obj
def list_sensors(workspace: Workspace) -> list[SensorRow]:
    """List sensors: what they look at, and which job they run."""
    return sensor_rows(workspace)
