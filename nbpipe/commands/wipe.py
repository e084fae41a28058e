"""`wipe`: forget the stored values of an asset."""

from __future__ import annotations

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.references import known_asset, refuse_active, whole_asset
from nbpipe.commands.surface import current_surface, does_nothing_here
from nbpipe.commands.workspace import Workspace
from nbpipe.errors import RefusedError


class Wiped(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed; `values` is 0 if the person said no."""

    asset: str
    values: int
    bytes: int


@click.command("wipe")
@click.argument("asset")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def command(workspace: Workspace, *, asset: str, yes: bool) -> Wiped:
    """Forget the stored values of an asset, in this environment, and delete their files."""
    key = whole_asset(asset, "wipe").asset
    workspace.settle()
    refuse_active(known_asset(workspace, key), key, "wipe it")
    if does_nothing_here("wipe"):
        return Wiped(asset=key, values=0, bytes=0)
    if not yes:
        confirm = current_surface().confirm
        if confirm is None:
            raise RefusedError(
                f"wipe deletes all stored values of {key}: nobody can be asked here, so confirm with --yes"
            )
        if not confirm(f"Delete all stored values of {key} in environment {workspace.env!r}?"):
            return Wiped(asset=key, values=0, bytes=0)
    removed = workspace.store.wipe(workspace.env, key, at=clock.now())
    for stored in removed:
        workspace.io.manager(stored.io).delete(stored)
    return Wiped(asset=key, values=len(removed), bytes=sum(stored.size for stored in removed))
