"""`%lineage` in a notebook: a widget where a person looks on, a picture in a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbpipe.commands.workspace import Workspace
from nbpipe.kernel.sessions import Session
from nbpipe.views.lineage import READABLE

if TYPE_CHECKING:
    from nbpipe.kernel.lineage.fallback import Picture
    from nbpipe.kernel.lineage.panel import LineagePanel


def show_lineage(session: Session, *, selection: str = "", limit: int = READABLE) -> LineagePanel | Picture:
    """Return what displays the lineage of the selected assets (all, for an empty selection).

    Args:
        session: of this kernel.
        selection: which assets.
        limit: how many nodes are drawn before assets are bundled, at most 300.

    Raises:
        SelectionError: the selection can't be read.
        UnknownNameError: it names an asset that does not exist.
    """
    from nbpipe.kernel.lineage.fallback import Picture
    from nbpipe.kernel.lineage.model import LineageModel

    session.workspace.reload()
    model = LineageModel(Workspace(session.workspace.project), selection=selection, limit=limit)
    if session.in_step or not _has_widgets(session):
        model.close()
        return Picture(model.view)
    from nbpipe.kernel.lineage.panel import LineagePanel

    return LineagePanel(session, model)


def _has_widgets(session: Session) -> bool:
    """Tell whether this is a kernel, with a frontend, and not a terminal."""
    return getattr(session.shell, "kernel", None) is not None
