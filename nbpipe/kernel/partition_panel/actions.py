"""What the buttons do: the same as the commands, for some partitions of one asset."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from nbpipe.commands.invoke import invoke
from nbpipe.commands.surface import Surface
from nbpipe.errors import RefusedError
from nbpipe.kernel.lineage.model import as_selection
from nbpipe.kernel.live import LiveSession
from nbpipe.kernel.materializing import spawn, start_plan
from nbpipe.kernel.partition_panel.model import PARTS, PartitionsModel

if TYPE_CHECKING:
    from nbpipe.commands.workspace import Workspace
    from nbpipe.core.backfills.records import Backfill


def materialize(session: LiveSession, model: PartitionsModel) -> str | None:
    """Start a run of what is meant and return its id; None if there is nothing to do.

    Raises:
        RefusedError: nothing is meant, or it can't be run as things stand.
    """
    from nbpipe.commands.partition_runs import prepare_partitions

    meant = model.meant
    if not meant:
        raise RefusedError("none of the selected partitions is meant: select others, or choose others of these")
    session.refuse_unsaved()
    session.workspace.reload()
    return start_plan(session, prepare_partitions(session.workspace, model.asset, meant))


def backfill(session: LiveSession, model: PartitionsModel) -> str | None:
    """Start a backfill of what is meant and return its id; None if there is nothing to do.

    Raises:
        RefusedError: it can't be run as things stand.
    """
    session.refuse_unsaved()
    session.workspace.reload()
    started: list[str] = []

    def hand_over(workspace: Workspace, backfill: Backfill, wait: bool) -> None:  # noqa: ARG001, FBT001 - of `Surface`
        started.append(backfill.id)
        spawn(workspace, ["_backfill", backfill.id], subprocess.DEVNULL)

    words = [f"--{status}" for status in PARTS[model.part]]
    if model.text:
        words += ["--partitions", model.text]
    surface = Surface(follow_backfill=hand_over, trigger="notebook", say=lambda text: None)  # noqa: ARG005
    invoke("backfill", ["start", *words, "--", as_selection(model.asset)], session.workspace, surface=surface)
    return started[0] if started else None
