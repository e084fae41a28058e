"""Where runs of a workspace take place."""

from __future__ import annotations

from nbpipe.commands.workspace import Workspace
from nbpipe.core.runs.tasks import OutputLimits
from nbpipe.execution.runner import Site


def site_of(workspace: Workspace) -> Site:
    """Return the project as its kernels must see it."""
    config, root = workspace.config, workspace.root
    return Site(
        root=str(root),
        state=config.state_url(root),
        storage=config.storage_url(root),
        io=config.io,
        parallel=config.executor.parallel,
        limits=OutputLimits(record=config.limits.record_size),
        memory=config.executor.memory,
        secrets=config.references,
    )
