"""`%materialize` in a person's kernel: a run of the saved notebooks, watched while it goes on.

The run is carried out by a process of its own, so that it goes on when this kernel is restarted; an interrupt
of the cell cancels it.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from nbpipe import clock
from nbpipe.commands import materialize as command
from nbpipe.commands.invoke import Usage, invoke, parse
from nbpipe.commands.run_results import AssetProgress, RunResult, progress_of
from nbpipe.commands.surface import Surface
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import ACTIVE_RUN, Run
from nbpipe.core.runs.plans import RunPlan
from nbpipe.errors import ExecutionError, NbpipeError
from nbpipe.kernel.answers import Answer
from nbpipe.kernel.live import LiveSession
from nbpipe.kernel.run_display import RunDisplay

_PATIENCE = 0.5
"""Seconds without news after which the process of the run is looked at."""
_SHARE = 4.0
"""How much longer the run is left alone than showing it took."""


def carry_out(name: str, words: list[str], session: LiveSession) -> Answer | None:
    """Carry out a command that works on the saved notebooks; bind what it computed where that is bound here.

    `%materialize` without a selection means the assets of this notebook.

    Raises:
        RefusedError: cells executed here differ from the saved ones, or the selection can't be run.
        ExecutionError: the run failed.
    """
    session.refuse_unsaved()
    workspace = session.workspace
    workspace.reload()
    arguments = parse(name, words)
    if name == "materialize" and not isinstance(arguments, Usage) and not arguments["selection"]:
        words = [*words, "--", *(session.notebook_assets() or ("*",))]
    surface = Surface(follow=_follow, trigger="notebook")
    result = invoke(name.partition(" ")[0], words, workspace, surface=surface)
    if not isinstance(result, RunResult):
        return Answer(name, result)
    if result.run_id is None:
        print("everything selected is fresh: nothing to run")  # noqa: T201 - the cell's output
        return None
    outcomes = workspace.store.outcome_counts(result.run_id)
    session.reloaded([asset for asset, counts in outcomes.items() if counts.get("success")])
    if result.status != "success":
        run = _current(workspace, result.run_id)
        raise ExecutionError(f"run {run.id}: {run.status}: {run.error or 'see its record'}")
    return None


def start_run(
    session: LiveSession, selection: str, *, stale: bool = False, partitions: str | None = None
) -> str | None:
    """Start a run, of a range of partitions if given, and return its id; None if there is nothing to do.

    The session takes over what it makes when it has ended.
    """
    session.refuse_unsaved()
    workspace = session.workspace
    workspace.reload()
    plan = command.prepare(workspace, selection, stale=stale, partitions=partitions)
    return start_plan(session, plan)


def start_plan(session: LiveSession, plan: RunPlan) -> str | None:
    """Start the run of a plan of what is saved; see `start_run`."""
    workspace = session.workspace
    if not plan.steps:
        return None
    run_id = command.start(workspace, plan, trigger="notebook")
    session.follow(run_id)
    said = tempfile.TemporaryFile()  # noqa: SIM115 - the thread closes it
    process = spawn(workspace, ["_run", run_id], said)
    threading.Thread(target=_attend, args=(workspace, run_id, process, said), name="nbpipe-run", daemon=True).start()
    return run_id


def _attend(workspace: Workspace, run_id: str, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    """Wait for the process of a run; end the run if the process has gone without ending it."""
    with said, contextlib.suppress(NbpipeError):  # without a store, the next command ends it
        process.wait()
        if _current(workspace, run_id).status in ACTIVE_RUN:
            _end_abandoned(workspace, run_id, said)


def _follow(workspace: Workspace, plan: RunPlan, run_id: str) -> Run:
    """Let another process carry out a queued run; show it until it has ended; cancel it on an interrupt."""
    shown = RunDisplay(plan)
    shown.show()
    with tempfile.TemporaryFile() as said:
        process = spawn(workspace, ["_run", run_id], said)
        try:
            for run in _news(workspace, run_id, process, said):
                _tell(workspace, run, shown.update)
        except KeyboardInterrupt:
            workspace.store.request_cancel(run_id, at=clock.now())
            for run in _news(workspace, run_id, process, said):
                _tell(workspace, run, shown.update)
        process.wait()
    return _current(workspace, run_id)


def _tell(workspace: Workspace, run: Run, tell: Callable[[Run, list[AssetProgress], list[str]], None]) -> None:
    records = [step.output for step in workspace.store.steps(run.id)]
    tell(run, progress_of(workspace.store, run), records)


def _news(workspace: Workspace, run_id: str, process: subprocess.Popen[bytes], said: IO[bytes]) -> Iterator[Run]:
    """Yield the run after each change of the store, the last time when it has ended."""
    store = workspace.store
    revision = store.revision()
    while True:
        began = clock.monotonic()
        run = _current(workspace, run_id)
        yield run
        if run.status not in ACTIVE_RUN:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):  # showing many partitions must not take the run's time
            process.wait(_SHARE * (clock.monotonic() - began))
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


def spawn(workspace: Workspace, what: Sequence[str], said: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process of its own that carries out a command, and survives this kernel.

    Args:
        workspace: the project and environment to work in.
        what: the command with its arguments.
        said: where its output goes.
    """
    # -P: a file of the working folder must not be taken for a module that nbpipe needs
    words = [sys.executable, "-P", "-m", "nbpipe.cli", "--env", workspace.env, "--project", str(workspace.root)]
    return subprocess.Popen(
        [*words, *what],
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
