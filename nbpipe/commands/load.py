"""`load`: where a stored value is, and what it is. It never reads the value itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from nbpipe.commands.references import find_kept
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import Materialization, Preview
from nbpipe.core.references import reference_text
from nbpipe.errors import MissingValueError


class StoredFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stored value, told from its record; `path` is relative to the root if it is below it."""

    asset: str
    partition: str | None = None
    """Its key; None, and not told, for an asset without partitions."""
    version: int
    path: str
    io: str
    format: str
    type: str
    size: int
    data_version: str
    created_at: datetime
    metadata: Mapping[str, Any]
    preview: Preview
    """Not kept for single partitions."""


@click.command("load")
@click.argument("asset", metavar="ASSET[@PARTITION][#VERSION]")
@click.option("--path", "only_path", is_flag=True, help="Print the path of the stored file, nothing else.")
@click.pass_obj
def command(workspace: Workspace, *, asset: str, only_path: bool) -> StoredFile | str:
    """Tell where a stored value is, what it is, and show its preview; the value itself is not read.

    A partition is named by its key (orders@2024-01-01), an older version by its number (orders@2024-01-01#2). A key
    that ends like a version stands in quotes of its own: 'parts@"a#3"'.
    """
    found = find_kept(workspace, asset)
    path = stored_path(workspace, found)
    if only_path:
        return path
    stored = found.stored
    return StoredFile(
        asset=found.asset,
        partition=found.partition or None,
        version=found.version,
        path=_relative(path, workspace.root),
        io=stored.io,
        format=stored.format,
        type=stored.type,
        size=stored.size,
        data_version=stored.data_version,
        created_at=found.created_at,
        metadata={**stored.metadata, **found.metadata},
        preview=workspace.store.details(found.id).preview if not found.partition else Preview(),
    )


def stored_path(workspace: Workspace, found: Materialization) -> str:
    """Return the absolute path or URL of a stored value.

    Raises:
        MissingValueError: a local file is gone.
    """
    path = workspace.io.manager(found.stored.io).local_path(found.stored)
    if Path(path).is_absolute() and not Path(path).exists():
        name = f"version {found.version} of {reference_text(found.asset, found.partition)}"
        raise MissingValueError(f"the value of {name} is gone from {path}: materialize the asset again")
    return path


def _relative(path: str, root: Path) -> str:
    absolute = Path(path)
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else path
