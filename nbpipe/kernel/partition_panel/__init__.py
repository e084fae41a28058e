"""`%partitions` in a notebook: a widget where a person looks on, a picture in a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbpipe.commands.workspace import Workspace
from nbpipe.kernel.sessions import Session

if TYPE_CHECKING:
    from nbpipe.kernel.partition_panel.fallback import PartitionsPicture
    from nbpipe.kernel.partition_panel.panel import PartitionsPanel


def show_partitions(session: Session, asset: str) -> PartitionsPanel | PartitionsPicture:
    """Return what displays the partitions of an asset.

    Raises:
        UnknownNameError: there is no such asset.
        UsageError: it has no partitions.
        DefinitionError: its declaration can't be used.
    """
    from nbpipe.kernel.partition_panel.fallback import PartitionsPicture
    from nbpipe.kernel.partition_panel.model import PartitionsModel

    session.workspace.reload()
    saved = asset in session.workspace.definitions.assets
    project = session.workspace.project if saved else session.seen().project
    model = PartitionsModel(Workspace(project), asset, saved=saved)
    if session.in_step or getattr(session.shell, "kernel", None) is None:  # nobody can press a button
        model.close()
        return PartitionsPicture(model.view)
    from nbpipe.kernel.partition_panel.panel import PartitionsPanel

    return PartitionsPanel(session, model)


def partitions_picture(workspace: Workspace, asset: str) -> PartitionsPicture:
    """Return what displays the partitions of an asset where nobody can press a button.

    Raises:
        UnknownNameError: there is no such asset.
        UsageError: it has no partitions.
        DefinitionError: its declaration can't be used.
    """
    from nbpipe.kernel.partition_panel.fallback import PartitionsPicture
    from nbpipe.kernel.partition_panel.model import PartitionsModel

    return PartitionsPicture(PartitionsModel(workspace, asset).view)
