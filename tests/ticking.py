"""What must hold of ticks and their runs, whatever happened to the daemons that made them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from nbpipe.core.automation.records import Tick
from nbpipe.core.ports import StateStore
from nbpipe.core.records import ACTIVE_RUN, Run
from nbpipe.execution.processes import marked
from nbpipe.execution.workers import is_alive
from tests.daemons import MARK, daemon_process
from tests.notebooks import write_notebook
from tests.runs import eventually, opened

REAL = "real"
"""The job whose runs are not only pretended."""

Ticks = dict[str, list[Tick]]


def ticking_project(root: Path, configuration: str) -> Path:
    """Make a project whose runs of a job `fake` note who carried them out."""
    (root / "carried_out").mkdir(parents=True)
    write_notebook(root / "n.ipynb", ["1"])
    (root / "nbpipe.toml").write_text(configuration, encoding="ascii")
    return root


class Daemons:
    """Daemons of a project that a test may kill; others take their place."""

    def __init__(self, root: Path, mark: str, variables: Mapping[str, str] = MappingProxyType({})) -> None:
        """Begin with none."""
        self._root, self.mark, self._variables = root, mark, variables
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start another one."""
        self.processes.append(daemon_process(self._root, self.mark, self._variables))
        return self.processes[-1]

    @property
    def living(self) -> list[subprocess.Popen[bytes]]:
        """Return those that run."""
        return [each for each in self.processes if each.poll() is None]

    @property
    def said(self) -> str:
        """Return what all of them have said."""
        return (self._root / "daemon.log").read_text(encoding="utf-8")

    def leader(self, store: StateStore) -> subprocess.Popen[bytes] | None:
        """Return the one that leads, if it lives."""
        lease = store.automation.lease("default")
        return next((each for each in self.living if lease is not None and each.pid == lease.worker.pid), None)

    def kill(self, victim: subprocess.Popen[bytes]) -> None:
        """Kill one."""
        victim.kill()
        victim.wait()

    def end(self) -> None:
        """Stop all."""
        for each in self.living:
            each.terminate()
        for each in self.processes:
            try:
                each.wait(60)
            except subprocess.TimeoutExpired:
                self.kill(each)


@contextmanager
def daemons(root: Path, variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[Daemons]:
    """Stop all daemons at the end, and see to it that none has left a process behind."""
    found = Daemons(root, f"{os.getpid()}-{root}", variables)
    try:
        yield found
    finally:
        found.end()
    eventually(lambda: not marked({MARK: found.mark}), within=60)


def worker_pids(store: StateStore) -> list[int]:
    """Return the processes that carry out runs."""
    active = store.runs(statuses=("starting", "running"))
    return [run.worker.pid for run in active if run.worker and is_alive(run.worker)]


def stop_schedules(project: Path) -> None:
    """Take the schedules away, as a person does who edits the file; the daemons notice."""
    text = (project / "nbpipe.toml").read_text(encoding="ascii")
    (project / "nbpipe.toml").write_text(text.replace('"\njob', '"\nstopped = true\njob'), encoding="ascii")

    def all_stopped() -> bool:
        with opened(project) as store:
            states = store.automation.states("default").values()
            return all(state.times == "stopped" for state in states)

    eventually(all_stopped)


def settled(project: Path, names: Mapping[str, float]) -> tuple[Ticks, dict[str, Run]]:
    """Wait until the daemons that live have put everything in order; return all ticks and runs."""
    with opened(project) as store:
        eventually(lambda: not store.runs(statuses=tuple(ACTIVE_RUN)), within=90)
        ticks = {name: ticks_of(store, name) for name in names}
        return ticks, {run.id: run for run in store.runs(limit=100_000)}


def ticks_of(store: StateStore, name: str) -> list[Tick]:
    """Return the ticks of a schedule by their time."""
    found = store.automation.ticks("default", "schedule", name, limit=100_000)
    return sorted(found, key=lambda tick: tick.scheduled_at)


def check_ticks(ticks: Ticks, steps: Mapping[str, float]) -> None:
    """Every moment of a schedule has one tick: it was launched, or missed by policy."""
    for name, found in ticks.items():
        gaps = {later.scheduled_at - earlier.scheduled_at for earlier, later in pairwise(found)}
        assert gaps <= {timedelta(seconds=steps[name])}, (name, gaps)
        assert {tick.status for tick in found} <= {"launched", "missed"}
        assert all(len(tick.runs) == (tick.status == "launched") for tick in found)


def check_runs(project: Path, ticks: Ticks, runs: Mapping[str, Run], retries: Mapping[str, int]) -> None:
    """Every launched tick has one run, each is carried out once and ends, and what failed is tried again."""
    launched = Counter(run_id for found in ticks.values() for tick in found for run_id in tick.runs)
    assert not launched or set(launched.values()) == {1}
    assert {run.id for run in runs.values() if run.trigger.startswith("schedule:")} == set(launched)
    again = Counter(run.parent for run in runs.values() if run.parent)
    assert not again or set(again.values()) == {1}
    assert {run.status for run in runs.values()} <= {"success", "failure"}
    for run in runs.values():
        if run.status == "failure" and _attempt(run, runs) <= retries[run.job or ""]:
            assert run.id in again, run
        if run.job != REAL:
            path = project / "carried_out" / run.id
            with contextlib.suppress(FileNotFoundError):
                assert len(path.read_text(encoding="ascii").splitlines()) <= 1
            assert run.status == "failure" or path.exists()


def _attempt(run: Run, runs: Mapping[str, Run]) -> int:
    number = 1
    while run.parent is not None:
        run, number = runs[run.parent], number + 1
    return number
