"""What goes wrong around a daemon that goes on: numbers of processes used again, a busy store, broken notebooks."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from nbpipe import clock
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Run, WorkerId
from nbpipe.core.runs.plans import RunPlan, StepPlan
from nbpipe.execution.reconcile import GONE
from nbpipe.execution.submit import submit
from nbpipe.execution.workers import worker_of
from tests.notebooks import write_notebook
from tests.runs import eventually, opened
from tests.ticking import REAL, check_runs, check_ticks, daemons, settled, stop_schedules, ticking_project, ticks_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]

_STATE = ".nbpipe/state.db"
_STEPS = {"fake": 1.0, REAL: 4.0}
_CONFIGURATION = f"""
[jobs.fake]
notebook = "n.ipynb"
[jobs.{REAL}]
notebook = "n.ipynb"
[schedules.fake]
cron = "* * * * * *"
job = "fake"
[schedules.{REAL}]
cron = "*/4 * * * * *"
job = "{REAL}"
"""


@contextmanager
def another_process() -> Iterator[tuple[subprocess.Popen[bytes], WorkerId]]:
    """Start a process that is none of ours; give what a worker was that had its number before."""
    with subprocess.Popen(["sleep", "600"]) as process:
        here = worker_of(process.pid)
        try:
            yield process, msgspec.structs.replace(here, started=here.started - 100)
        finally:
            process.kill()


def run_of(store: StateStore, project: Path, worker: WorkerId) -> Run:
    """Make a run that a worker has carried out to its first kernel, when it died."""
    plan = RunPlan(env="default", selection="", steps=(StepPlan(index=0, notebook="n.ipynb", whole=True),))
    run = submit(store, plan, root=project, run_id=clock.new_id(), at=clock.now())
    assert store.claim_run(run.id, worker, at=clock.now())
    assert store.advance_run(run.id, "running", at=clock.now())
    store.update_step(run.id, 0, "running", at=clock.now(), kernel=worker)
    store.beat(worker, "run", at=clock.now())
    return run


def test_a_number_that_another_process_has_now_ends_the_run_and_not_that_process(tmp_path: Path) -> None:
    project = ticking_project(tmp_path / "project", "")
    with opened(project) as store, another_process() as (process, gone), daemons(project) as found:
        run = run_of(store, project, gone)
        assert store.automation.lead("default", gone, at=clock.now())  # it led, too
        found.start()
        eventually(lambda: found.leader(store))
        ended = eventually(lambda: store.runs(statuses=("failure",)))
        assert [(each.id, each.error) for each in ended] == [(run.id, GONE)]
        assert process.poll() is None
        (step,) = store.steps(run.id)
        assert step.status not in ("running", "queued")


class _Holder:
    """Holds the state store again and again, as a program does that somebody has left open."""

    def __init__(self, root: Path, held: float, free: float) -> None:
        self._file, self._held, self._free = root / _STATE, held, free
        self.times = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def __enter__(self) -> _Holder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _hold(self) -> None:
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None, timeout=30)) as connection:
            while not self._over.is_set():
                connection.execute("BEGIN EXCLUSIVE")
                self._over.wait(self._held)
                connection.execute("COMMIT")
                self.times += 1
                self._over.wait(self._free)


def test_a_store_that_is_busy_for_seconds_loses_no_run_and_no_tick(tmp_path: Path) -> None:
    project = ticking_project(tmp_path / "project", _CONFIGURATION)
    with daemons(project) as found, opened(project) as store:
        for _ in range(2):
            found.start()
        eventually(lambda: ticks_of(store, REAL))
        leader = found.leader(store)
        with _Holder(project, held=4.0, free=0.3) as holder:
            eventually(lambda: holder.times >= 2)
        before = len(ticks_of(store, REAL))
        eventually(lambda: len(ticks_of(store, REAL)) > before)
        assert found.leader(store) is leader, "who leads goes on, and nobody takes over"
        assert len(found.living) == 2
        stop_schedules(project)
        ticks, runs = settled(project, _STEPS)
    check_ticks(ticks, _STEPS)
    check_runs(project, ticks, runs, {"fake": 0, REAL: 0})
    assert {run.status for run in runs.values()} == {"success"}
    assert {tick.status for each in ticks.values() for tick in each} == {"launched"}


def test_a_leader_that_is_frozen_is_followed_and_stands_by_when_it_wakes_up(tmp_path: Path) -> None:
    project = ticking_project(tmp_path / "project", _CONFIGURATION)
    with daemons(project) as found, opened(project) as store:
        frozen = found.start()
        eventually(lambda: found.leader(store) is frozen and ticks_of(store, REAL))
        other = found.start()
        eventually(lambda: "standing by" in found.said)
        with contextlib.closing(sqlite3.connect(project / _STATE, timeout=60, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # so that it does not hold the lock when it is stopped
            os.kill(frozen.pid, signal.SIGSTOP)
            connection.execute("ROLLBACK")
        try:
            eventually(lambda: found.leader(store) is other)
            before = len(ticks_of(store, REAL))
            eventually(lambda: len(ticks_of(store, REAL)) > before)
        finally:
            os.kill(frozen.pid, signal.SIGCONT)
        eventually(lambda: "not leading any more" in found.said and found.said.count("standing by") > 1)
        assert found.leader(store) is other
        found.kill(other)
        eventually(lambda: found.leader(store) is frozen)
        stop_schedules(project)
        ticks, runs = settled(project, _STEPS)
    check_ticks(ticks, _STEPS)
    check_runs(project, ticks, runs, {"fake": 0, REAL: 0})


_DECLARING = ["%schedule good '* * * * * *' --job fake\n%schedule own '* * * * * *' --select x", "%%asset x\nx = 1"]


def test_a_notebook_that_is_garbage_for_a_while_stops_nothing_also_for_a_daemon_that_begins(tmp_path: Path) -> None:
    project = ticking_project(tmp_path / "project", '[jobs.fake]\nnotebook = "n.ipynb"\n[limits]\nruns = 2\n')
    saved = write_notebook(project / "a.ipynb", _DECLARING).read_bytes()
    with daemons(project) as found, opened(project) as store:

        def goes_on() -> None:
            before = len(ticks_of(store, "good"))
            eventually(lambda: {tick.status for tick in ticks_of(store, "good")[before:]} == {"launched"})

        leader = found.start()
        goes_on()
        (project / "a.ipynb").write_bytes(b"garbage")
        failed = eventually(lambda: [tick for tick in ticks_of(store, "own") if tick.status == "failed"])
        assert "can't be looked for in a.ipynb" in failed[-1].reason
        goes_on()
        assert "a.ipynb" in found.said
        found.kill(leader)
        found.start()  # it has never seen what the notebook declared
        goes_on()
        before = len(ticks_of(store, "own"))
        eventually(lambda: len(ticks_of(store, "own")) > before + 1)
        assert {tick.status for tick in ticks_of(store, "own")[before + 1 :]} == {"failed"}
        (project / "a.ipynb").write_bytes(saved)
        before = len(ticks_of(store, "own"))
        eventually(lambda: ticks_of(store, "own")[before:] and ticks_of(store, "own")[-1].status == "launched")
        goes_on()
        for run in store.runs(statuses=("queued",), limit=1_000):
            store.request_cancel(run.id, at=clock.now())
