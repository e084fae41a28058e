"""`%materialize` in a person's kernel: a run of the saved notebooks, watched while it goes on.

The run is carried out by a process of its own, so that it goes on when this kernel is restarted; an interrupt
of the cell cancels it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from IPython.core.display_functions import display

from nbpipe import clock
from nbpipe.commands import materialize as command
from nbpipe.commands.workspace import Workspace
from nbpipe.core.plans import RunPlan
from nbpipe.core.records import ACTIVE_RUN, Run, RunAsset
from nbpipe.errors import ExecutionError
from nbpipe.kernel.live import LiveSession
from nbpipe.kernel.run_display import RunDisplay

_PATIENCE = 0.5
"""Seconds without news after which the process of the run is looked at."""


def materialize(session: LiveSession, selection: str, *, stale: bool, parameters: Mapping[str, Any]) -> None:
    """Run the saved notebooks of the selected assets, and bind what they computed where it is bound here.

    Without a selection the assets of this notebook are meant.

    Raises:
        RefusedError: cells executed here differ from the saved ones, or the selection can't be run.
        ExecutionError: the run failed.
    """
    session.refuse_unsaved()
    workspace = session.workspace
    workspace.reload()
    chosen = selection or " ".join(session.notebook_assets()) or "*"
    plan = command.prepare(workspace, chosen, stale=stale, parameters=parameters)
    if not plan.steps:
        print("everything selected is fresh: nothing to run")  # noqa: T201 - the cell's output
        return
    shown = RunDisplay(plan)
    shown.handle = display(shown, display_id=True)
    run = _carried_out(workspace, plan, shown.update)
    outcomes = workspace.store.run_assets(run.id)
    session.reloaded([each.asset for each in outcomes if each.outcome == "success"])
    if run.status != "success":
        raise ExecutionError(f"run {run.id}: {run.status}: {run.error or 'see its record'}")


def start_run(session: LiveSession, selection: str, *, stale: bool = False) -> str | None:
    """Start a run and return its id without waiting for it; None if there is nothing to do."""
    session.refuse_unsaved()
    workspace = session.workspace
    workspace.reload()
    plan = command.prepare(workspace, selection, stale=stale)
    if not plan.steps:
        return None
    run_id = command.start(workspace, plan, trigger="notebook")
    _spawn(workspace, run_id, subprocess.DEVNULL)
    return run_id


def _carried_out(
    workspace: Workspace, plan: RunPlan, tell: Callable[[Run, list[RunAsset], list[str]], None]
) -> Run:
    """Start the run of a plan and follow it to its end; cancel it on an interrupt."""
    run_id = command.start(workspace, plan, trigger="notebook")
    with tempfile.TemporaryFile() as said:
        process = _spawn(workspace, run_id, said)
        try:
            for run in _news(workspace, run_id, process, said):
                _tell(workspace, run, tell)
        except KeyboardInterrupt:
            workspace.store.request_cancel(run_id, at=clock.now())
            for run in _news(workspace, run_id, process, said):
                _tell(workspace, run, tell)
        process.wait()
    return _current(workspace, run_id)


def _tell(workspace: Workspace, run: Run, tell: Callable[[Run, list[RunAsset], list[str]], None]) -> None:
    records = [step.output for step in workspace.store.steps(run.id)]
    tell(run, workspace.store.run_assets(run.id), records)


def _news(workspace: Workspace, run_id: str, process: subprocess.Popen[bytes], said: IO[bytes]) -> Iterator[Run]:
    """Yield the run after each change of the store, the last time when it has ended."""
    store = workspace.store
    revision = store.revision()
    while True:
        run = _current(workspace, run_id)
        yield run
        if run.status not in ACTIVE_RUN:
            return
        changed = store.wait_for_change(revision, _PATIENCE)
        if changed == revision and process.poll() is not None:
            _end_abandoned(workspace, run_id, said)
        revision = changed


def _end_abandoned(workspace: Workspace, run_id: str, said: IO[bytes]) -> None:
    """End a run whose process has gone without ending it."""
    said.seek(0)
    last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    error = "the process that ran it ended early" + (f": {last[0]}" if last else "")
    workspace.store.advance_run(run_id, "failure", at=clock.now(), error=error)


def _current(workspace: Workspace, run_id: str) -> Run:
    run = workspace.store.run(run_id)
    if run is None:
        raise ExecutionError(f"run {run_id} has vanished from the state store")
    return run


def _spawn(workspace: Workspace, run_id: str, said: int | IO[bytes]) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "nbpipe.cli", "--env", workspace.env, "--project", str(workspace.root)]
    return subprocess.Popen(
        [*words, "_run", run_id],
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

