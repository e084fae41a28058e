"""`list`: the assets that a project defines. It needs no state, no kernel and no code of the project."""

from __future__ import annotations

from collections.abc import Mapping

import click
import msgspec

from nbpipe.commands.arguments import selection_argument
from nbpipe.commands.unread import say_unread
from nbpipe.commands.workspace import Workspace
from nbpipe.core.definitions import AssetSpec


class AssetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One asset as it is defined."""

    asset: str
    notebook: str
    cell_id: str
    upstream: tuple[str, ...]
    group: str | None
    description: str
    partitions: str | None
    kinds: tuple[str, ...]
    tags: Mapping[str, str]
    owners: tuple[str, ...]


@click.command("list")
@selection_argument
@click.pass_obj
def command(workspace: Workspace, selection: str) -> list[AssetRow]:
    """List the assets that the project defines, in the order in which they depend on each other."""
    say_unread(workspace)
    keys = workspace.select(selection)
    return [_row(workspace.definitions.assets[key]) for key in keys]


def _row(spec: AssetSpec) -> AssetRow:
    options = spec.options
    return AssetRow(
        asset=spec.key,
        notebook=spec.cell.notebook,
        cell_id=spec.cell.cell_id,
        upstream=spec.upstream,
        group=options.group,
        description=spec.description,
        partitions=options.partitions,
        kinds=options.kinds,
        tags=dict(options.tags),
        owners=options.owners,
    )
