"""`%backfill` in a person's kernel: a process of its own works on it, and it is watched while cells go on.

It goes on when this kernel is restarted; a button, or `%backfill cancel`, stops it. With `--wait` the cell lasts as
long as the backfill, and an interrupt of the cell cancels it.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from typing import TYPE_CHECKING

from nbpipe import clock
from nbpipe.commands.backfill import start as start_command
from nbpipe.commands.backfill_results import BackfillDraft, BackfillRow
from nbpipe.commands.invoke import invoke
from nbpipe.commands.surface import Surface
from nbpipe.commands.workspace import Workspace
from nbpipe.core.backfills.records import ACTIVE_BACKFILL, Backfill
from nbpipe.errors import ExecutionError, NbpipeError
from nbpipe.kernel.answers import Answer
from nbpipe.kernel.backfill_display import BackfillDisplay
from nbpipe.kernel.materializing import spawn
from nbpipe.kernel.started_runs import BACKFILL

if TYPE_CHECKING:
    from nbpipe.kernel.live import LiveSession

_PATIENCE = 0.5
"""Seconds without news after which the process is looked at."""
_REST = 0.2
"""Seconds between two looks: a backfill commits far more often than a person can look."""


def carry_out(name: str, words: list[str], session: LiveSession) -> Answer | None:
    """Start, resume or cancel a backfill of the saved notebooks; return what the cell shows besides.

    Without a selection, the assets of this notebook are meant.

    Raises:
        RefusedError: cells executed here differ from the saved ones, or it can't be run.
        ExecutionError: it was waited for, and failed or stopped.
    """
    session.refuse_unsaved()
    workspace = session.workspace
    workspace.reload()
    if name in ("backfill", "backfill start"):
        words = _selecting(words[1:] if words[:1] == ["start"] else words, session)

    def follow(workspace: Workspace, backfill: Backfill, wait: bool) -> None:  # noqa: FBT001 - of `Surface`
        _Watch(workspace, backfill).follow(wait=wait)
        session.follow(BACKFILL + backfill.id)
        found = workspace.store.backfills.backfill(backfill.id)
        if wait and found is not None and found.status == "queued":  # nobody works on it
            raise ExecutionError(
                f"backfill {found.id} stopped: its process has gone; `%backfill resume {found.id}` goes on with it"
            )

    surface = Surface(follow_backfill=follow, trigger="notebook")
    result = invoke("backfill", words, workspace, surface=surface)
    if isinstance(result, BackfillDraft) or name == "backfill cancel" or result.id is None:
        return Answer(name, result)
    _raise_failure(result)
    return None


def _selecting(words: list[str], session: LiveSession) -> list[str]:
    """Return the words of `start`, with the assets of this notebook where nothing is selected."""
    parameters = start_command.make_context("start", list(words), resilient_parsing=True).params
    if not parameters["selection"]:
        words = [*words, "--", *(session.notebook_assets() or ("*",))]
    return ["start", *words]


def _raise_failure(found: BackfillRow) -> None:
    if found.status not in ("failure", "canceled"):
        return
    troubles = ", ".join(f"{getattr(found, part):,} {part}" for part in ("failed", "lost") if getattr(found, part))
    raise ExecutionError(
        f"backfill {found.id}: {found.status}: {found.error or troubles}; `%backfill show {found.id}` tells more"
    )


class _Watch:
    """Shows a backfill on which another process works."""

    def __init__(self, workspace: Workspace, backfill: Backfill) -> None:
        self._workspace, self._id = workspace, backfill.id
        self._last = backfill
        self._process = spawn(workspace, ["_backfill", backfill.id], subprocess.DEVNULL)

    def follow(self, *, wait: bool) -> None:
        """Show it until it has ended: at once if `wait`, else while other cells run."""
        if not wait:
            shown = BackfillDisplay(self._last, self._cancel)
            shown.show()
            threading.Thread(target=self._quietly, args=(shown,), name="nbpipe-backfill", daemon=True).start()
            return
        shown = BackfillDisplay(self._last, None)
        shown.show()
        try:
            self._until_ended(shown)
        except KeyboardInterrupt:
            self._cancel()
            self._until_ended(shown)
        self._process.wait()

    def _quietly(self, shown: BackfillDisplay) -> None:
        with contextlib.suppress(NbpipeError):  # without a store, what is shown stays as it is
            self._until_ended(shown)
            self._process.wait()

    def _until_ended(self, shown: BackfillDisplay) -> None:
        store = self._workspace.store
        revision = store.revision()
        while True:
            found = store.backfills.backfill(self._id)
            shown.update(found or self._last)
            gone = self._process.poll() is not None
            if found is None or found.status not in ACTIVE_BACKFILL or gone:
                self._workspace.settle(backfills=True)
                found = store.backfills.backfill(self._id) or self._last
                shown.update(found, stopped=found.status in ACTIVE_BACKFILL)
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_REST)
            revision = store.wait_for_change(revision, _PATIENCE)

    def _cancel(self) -> None:
        self._workspace.store.backfills.request_cancel(self._id, at=clock.now())
