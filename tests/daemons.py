"""Daemons in processes of their own that can be killed, whose runs are forks that only pretend to work."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import MappingProxyType

from nbpipe import clock
from nbpipe.daemon.processes import Process
from nbpipe.errors import StateError
from nbpipe.execution.workers import this_worker
from nbpipe.storage.open import open_store

STATE = "sqlite:///.nbpipe/state.db"
MARK = "NBPIPE_TEST_DAEMONS"
"""Variable by which a test finds the processes that it has caused."""

_DAEMON = """
import sys
from pathlib import Path
from tests.daemons import serve
if __name__ == "__main__":
    serve(Path(sys.argv[1]))
"""


def daemon_process(
    root: Path, mark: str, variables: Mapping[str, str] = MappingProxyType({})
) -> subprocess.Popen[bytes]:
    """Start a daemon of the project at `root`; what it says is appended to `daemon.log`."""
    with (root / "daemon.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _DAEMON, str(root)],
            cwd=Path(__file__).parents[1],
            env={**os.environ, **variables, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def serve(root: Path) -> None:
    """Be a daemon until SIGTERM; runs of the job `real` are carried out by `nbpipe`, others only pretend."""
    from nbpipe.commands.daemon import lead
    from nbpipe.commands.workspace import Workspace
    from nbpipe.daemon.bell import Bell
    from nbpipe.daemon.log import LineLog
    from nbpipe.daemon.processes import Processes
    from nbpipe.execution.stop_signals import stop_signals

    bell = Bell()
    with Workspace.open(root) as workspace, stop_signals(lambda _: bell.ring("stop")):
        processes = Processes(_Starter(workspace))
        lead(workspace, processes, bell, LineLog(sys.stdout), once=False, until_idle=False)


class _Starter:
    def __init__(self, workspace) -> None:  # type: ignore[no-untyped-def]  # a Workspace: imported by the daemon alone
        from nbpipe.daemon.starting import CommandStarter

        self._workspace = workspace
        self._real = CommandStarter(root=workspace.root, env=workspace.env, warm=None)
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(["tests.daemons"])

    def start(self, what: Sequence[str], log: Path) -> Process:
        run = self._workspace.store.run(what[1]) if what[0] == "_run" else None
        if run is None or run.job == "real":
            return self._real.start(what, log)
        process = self._forks.Process(target=pretend, args=(str(self._workspace.root), run.id))
        process.start()
        return _Fork(process)


class _Fork:
    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid = process.pid or 0

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("fork", timeout or 0)
        return code

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


def pretend(root: str, run_id: str) -> None:
    """Claim a run and end it a moment later; who gets it writes its name into the file of the run."""
    store = open_store(STATE, root=Path(root))
    try:
        if not _patiently(lambda: store.claim_run(run_id, this_worker(), at=clock.now())):
            sys.exit(2)
        with (Path(root) / "carried_out" / run_id).open("a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
        _patiently(lambda: store.advance_run(run_id, "running", at=clock.now()))
        time.sleep(random.Random(run_id).uniform(0, 0.4))
        _patiently(lambda: store.advance_run(run_id, "success", at=clock.now()))
    finally:
        store.close()


def _patiently(change):  # type: ignore[no-untyped-def]
    for _ in range(20):
        try:
            return change()
        except StateError:
            time.sleep(0.05)
    return change()
