"""`rollback`: make an old version current again."""

from __future__ import annotations

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.partition_references import partition_value, position_of, refuse_running
from nbpipe.commands.references import refuse_active, version_of, without_version
from nbpipe.commands.workspace import Workspace
from nbpipe.core.references import Reference


class RolledBack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An asset, or a partition of one, that is held at a version."""

    asset: str
    partition: str | None = None
    version: int
    previous: int | None


@click.command("rollback")
@click.argument("asset", metavar="ASSET[@PARTITION]")
@click.argument("version", type=click.IntRange(min=1))
@click.pass_obj
def command(workspace: Workspace, asset: str, version: int) -> RolledBack:
    """Make an old version of an asset or partition current again, and hold it there until it is forced."""
    reference = without_version(asset, "rollback")
    workspace.settle()
    version_of(workspace, reference, version)
    if reference.partition:
        return _partition(workspace, reference, version)
    key = reference.asset
    state = workspace.states([key]).get(key)
    refuse_active(state, key, "roll it back")
    previous = state.current.version if state is not None and state.current is not None else None
    workspace.store.rollback(workspace.env, key, version, at=clock.now())
    return RolledBack(asset=key, version=version, previous=previous)


def _partition(workspace: Workspace, reference: Reference, version: int) -> RolledBack:
    from pyroaring import BitMap

    asset, key, _ = reference
    outer, inner = position = position_of(workspace, reference)
    refuse_running(workspace, asset, {outer: BitMap((inner,))}, "roll it back")
    current = partition_value(workspace, reference)
    previous = current.version if current is not None else None
    workspace.store.partitions.rollback(workspace.env, asset, key, position, version=version, at=clock.now())
    return RolledBack(asset=asset, partition=key, version=version, previous=previous)
