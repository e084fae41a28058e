"""Python twins of the magics that are about the running kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython

from nbpipe.errors import RefusedError
from nbpipe.kernel.sessions import session_of

if TYPE_CHECKING:
    from nbpipe.kernel.partition_panel.fallback import PartitionsPicture
    from nbpipe.kernel.partition_panel.panel import PartitionsPanel


def force(*assets: str) -> None:
    """Let the next run of the cells of these assets execute them, also if nothing changed; see `%force`.

    Within a run this does nothing: what executes there is what was selected.

    Args:
        assets: assets of this notebook; without any, all of them.

    Raises:
        RefusedError: the extension is not loaded here.
        UnknownNameError: there is no such asset in this notebook.
    """
    shell = get_ipython()
    session = None if shell is None else session_of(shell)
    if session is None:
        raise RefusedError("nbpipe.force works in a notebook: run %load_ext nbpipe first")
    if not session.in_step:
        session.force(assets)


def partitions(asset: str) -> PartitionsPanel | PartitionsPicture:
    """Return what displays the partitions of an asset; see `%partitions`. In a script it is a picture, or a text.

    Raises:
        UnknownNameError: there is no such asset.
        UsageError: it has no partitions.
    """
    from nbpipe.kernel.partition_panel import partitions_picture, show_partitions

    shell = get_ipython()
    session = None if shell is None else session_of(shell)
    if session is not None:
        return show_partitions(session, asset)
    from nbpipe.commands.workspace import Workspace

    with Workspace.open() as workspace:
        return partitions_picture(workspace, asset)


def partition(key: str = "") -> Any:
    """Make a key the current partition of this notebook; see `%partition`.

    Args:
        key: of a partition of one of its assets. Without one nothing changes, and what shows the current partition,
            and sets it, is returned.

    Raises:
        RefusedError: the extension is not loaded here.
        UnknownNameError: no asset of the notebook has this key; names the nearest.
        UsageError: no asset of the notebook has partitions.
    """
    shell = get_ipython()
    session = None if shell is None else session_of(shell)
    if session is None:
        raise RefusedError("nbpipe.partition works in a notebook: run %load_ext nbpipe first")
    return session.choose_partition(key)
