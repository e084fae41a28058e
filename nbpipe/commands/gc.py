"""`gc`: remove values that retention does not keep, and files that nothing refers to."""

from __future__ import annotations

from datetime import timedelta

import click
import msgspec

from nbpipe import clock
from nbpipe.commands.retention import remove_old_values
from nbpipe.commands.workspace import Workspace

#: A file this young may belong to a commit that is on its way.
_YOUNG = timedelta(hours=1)


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed: values by retention, and the bytes freed in all."""

    values: int
    bytes: int


@click.command("gc")
@click.pass_obj
def command(workspace: Workspace) -> Collected:
    """Remove old values beyond those that retention keeps, and files that nothing refers to."""
    workspace.settle()
    now = clock.now()
    store, io = workspace.store, workspace.io
    expired = remove_old_values(workspace, undefined=True)
    # What is committed from now on is not among these records; its files are too young to be swept.
    kept: dict[str, set[str]] = {}
    for name, path in store.kept_paths():
        kept.setdefault(name, set()).add(path)
    freed = sum(io.manager(name).sweep(kept.get(name, set()).__contains__, older_than=now - _YOUNG) for name in io)
    return Collected(values=len(expired), bytes=freed + sum(stored.size for stored in expired))
