"""`rollback`: make an old version current again."""

from __future__ import annotations

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.references import refuse_active, version_of, whole_asset
from nbpipe.commands.workspace import Workspace


class RolledBack(msgspec.Struct, frozen=True, kw_only=True):
    """An asset that is held at a version."""

    asset: str
    version: int
    previous: int | None


@click.command("rollback")
@click.argument("asset")
@click.argument("version", type=click.IntRange(min=1))
@click.pass_obj
def command(workspace: Workspace, asset: str, version: int) -> RolledBack:
    """Make an old version of an asset current again, and hold it there until it is forced."""
    key = whole_asset(asset, "rollback").asset
    workspace.settle()
    version_of(workspace, key, version)
    state = workspace.states([key]).get(key)
    refuse_active(state, key, "roll it back")
    previous = state.current.version if state is not None and state.current is not None else None
    workspace.store.rollback(workspace.env, key, version, at=clock.now())
    return RolledBack(asset=key, version=version, previous=previous)
