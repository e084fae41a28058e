"""`rename`: give what is known of an asset to its new name."""

from __future__ import annotations

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.partition_references import has_partition_facts, refuse_running
from nbpipe.commands.references import known_asset, refuse_active
from nbpipe.commands.workspace import Workspace
from nbpipe.core.keys import check_name
from nbpipe.errors import RefusedError


class Renamed(msgspec.Struct, frozen=True, kw_only=True):
    """An asset whose history has a new name; `next_step` says what is left to do by hand."""

    old: str
    new: str
    next_step: str | None


@click.command("rename")
@click.argument("old")
@click.argument("new")
@click.pass_obj
def command(workspace: Workspace, old: str, new: str) -> Renamed:
    """Rename an asset, keeping its versions and history, and those of its partitions."""
    workspace.settle()
    state = known_asset(workspace, old)
    for part in new.split("/"):
        check_name(part)
    if old == new:
        raise RefusedError(f"{old} is its name already")
    partitions = has_partition_facts(workspace, old)
    if state is None and not partitions:
        raise RefusedError(
            f"nothing is stored of {old} in environment {workspace.env!r}: just rename it in its notebook"
        )
    refuse_active(state, old, "rename it")
    if partitions:
        refuse_running(workspace, old, None, "rename it")
    workspace.store.rename(workspace.env, old, new, at=clock.now())
    defined = workspace.definitions.assets
    left = None
    if new not in defined:
        where = f" (in {defined[old].cell})" if old in defined else ""
        left = f"rename the asset in its notebook too{where}: %%asset {new}"
    return Renamed(old=old, new=new, next_step=left)
