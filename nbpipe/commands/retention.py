"""Retention: old versions of a value are removed, their records stay."""

from __future__ import annotations

import contextlib

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import StoredValue
from nbpipe.errors import NbpipeError


def remove_old_values(workspace: Workspace, *, undefined: bool = False) -> tuple[StoredValue, ...]:
    """Remove the values of this environment beyond those that `[retention]` keeps; return them.

    They are forgotten first and deleted then, so that no record ever names a value that is gone. A file that can't
    be deleted now is left to `gc`, which sweeps what no record names.

    Args:
        workspace: the project.
        undefined: look for old values of partitions also where no asset with partitions is defined any more.

    Raises:
        StateError: the state store can't be written; nothing was removed.
    """
    keep, now = workspace.config.retention.values, clock.now()
    expired = workspace.store.expire(workspace.env, keep, at=now)
    if undefined or any(spec.options.partitions is not None for spec in workspace.definitions.assets.values()):
        expired += workspace.store.partitions.expire(workspace.env, keep, at=now)
    for stored in expired:
        with contextlib.suppress(NbpipeError, OSError):
            workspace.io.manager(stored.io).delete(stored)
    return expired
