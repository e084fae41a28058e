"""Several daemons on one state store, killed again and again with what they start: each tick counts once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from nbpipe.core.automation.records import Tick
from nbpipe.core.records import ACTIVE_RUN, Run
from nbpipe.execution.processes import marked
from nbpipe.execution.workers import is_alive
from tests.daemons import MARK, daemon_process
from tests.notebooks import write_notebook
from tests.runs import eventually, opened

pytestmark = pytest.mark.faults

_SCHEDULES = 7
_REAL = "real"
#: Seconds of killing, and ticks of each schedule that there are at least.
_TIME = 15.0

_CONFIGURATION = f"""
[jobs.fake]
notebook = "n.ipynb"
retries = 1
[jobs.{_REAL}]
notebook = "long.ipynb"
retries = 3
{
    "".join(
        f'''[schedules.s{number}]
cron = "* * * * * *"
job = "fake"
'''
        for number in range(_SCHEDULES)
    )
}
[schedules.{_REAL}]
cron = "*/6 * * * * *"
job = "{_REAL}"
[limits]
runs = 8
"""


@pytest.mark.parametrize(("daemons", "seed"), [(2, 1), (3, 2)])
@pytest.mark.timeout(170)
def test_every_tick_counts_once_whatever_dies(tmp_path: Path, daemons: int, seed: int) -> None:
    project = tmp_path / "project"
    (project / "carried_out").mkdir(parents=True)
    write_notebook(project / "n.ipynb", ["1"])
    write_notebook(project / "long.ipynb", ["import time\ntime.sleep(1)"])
    (project / "nbpipe.toml").write_text(_CONFIGURATION, encoding="ascii")
    mark = f"{os.getpid()}-{seed}"
    hunt = _Hunt(project, daemons, mark, random.Random(seed))
    try:
        hunt.go_on(_TIME)
        stop_schedules(project)
        with opened(project) as store:  # whatever had died, the daemons that live put in order
            eventually(lambda: not store.runs(statuses=tuple(ACTIVE_RUN)), within=45)
            ticks = {name: ticks_of(store, name) for name in (*(f"s{n}" for n in range(_SCHEDULES)), _REAL)}
            runs = {run.id: run for run in store.runs(limit=100_000)}
        check_ticks(ticks)
        check_runs(project, ticks, runs)
    finally:
        hunt.end()
    eventually(lambda: not marked({MARK: mark}), within=20)
    assert hunt.killed["daemon"] >= 3
    assert hunt.killed["worker"] >= 3


class _Hunt:
    """Keeps so many daemons running, and kills what there is."""

    def __init__(self, project: Path, number: int, mark: str, chance: random.Random) -> None:
        self._project, self._mark, self._chance = project, mark, chance
        self._daemons = [daemon_process(project, mark) for _ in range(number)]
        self.killed: Counter[str] = Counter()

    def go_on(self, seconds: float) -> None:
        with opened(self._project) as store:
            eventually(lambda: store.automation.ticks("default", "schedule", "s0"), within=60)
            end = time.monotonic() + seconds
            while time.monotonic() < end or (not self._has_killed and time.monotonic() < end + 30):
                time.sleep(self._chance.uniform(0.2, 0.8))
                match self._chance.choice(["leader", "daemon", "worker", "worker", "kernel"]):
                    case "leader":
                        lease = store.automation.lease("default")
                        self._kill_daemon([each for each in self._daemons if lease and each.pid == lease.worker.pid])
                    case "daemon":
                        self._kill_daemon(self._daemons)
                    case "worker":
                        active = store.runs(statuses=("starting", "running"))
                        self._kill("worker", [run.worker.pid for run in active if run.worker and is_alive(run.worker)])
                    case "kernel":
                        active = [run for run in store.runs(statuses=("running",)) if run.job == _REAL]
                        steps = [step for run in active for step in store.steps(run.id)]
                        self._kill("kernel", [s.kernel.pid for s in steps if s.kernel and is_alive(s.kernel)])

    @property
    def _has_killed(self) -> bool:
        return self.killed["daemon"] >= 3 and self.killed["worker"] >= 3

    def _kill_daemon(self, among: list[subprocess.Popen[bytes]]) -> None:
        # the one that has just come must have a chance, or there would never be a daemon
        among = [each for each in among if each.poll() is None]
        if not among or self._chance.random() < 0.4:
            return
        victim = self._chance.choice(among)
        victim.kill()
        victim.wait()
        self.killed["daemon"] += 1
        self._daemons[self._daemons.index(victim)] = daemon_process(self._project, self._mark)

    def _kill(self, what: str, pids: list[int]) -> None:
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._chance.choice(pids), signal.SIGKILL)
                self.killed[what] += 1

    def end(self) -> None:
        for each in self._daemons:
            each.terminate()
        for each in self._daemons:
            try:
                each.wait(30)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()


def stop_schedules(project: Path) -> None:
    """Take the schedules away, as a person does who edits the file; the daemons notice."""
    text = (project / "nbpipe.toml").read_text(encoding="ascii")
    (project / "nbpipe.toml").write_text(text.replace('"\njob', '"\nstopped = true\njob'), encoding="ascii")

    def all_stopped() -> bool:
        with opened(project) as store:
            states = store.automation.states("default").values()
            return all(state.times == "stopped" for state in states)

    eventually(all_stopped, within=30)


def ticks_of(store, name: str) -> list[Tick]:  # type: ignore[no-untyped-def]
    return list(reversed(store.automation.ticks("default", "schedule", name, limit=10_000)))


def check_ticks(ticks: dict[str, list[Tick]]) -> None:
    """Every moment of a schedule has one tick, and none of so short a time counts as missed."""
    for name, found in ticks.items():
        step = timedelta(seconds=6 if name == _REAL else 1)
        gaps = {later.scheduled_at - earlier.scheduled_at for earlier, later in pairwise(found)}
        assert gaps <= {step}, (name, gaps)
        assert {tick.status for tick in found} == {"launched"}
    assert min(len(found) for name, found in ticks.items() if name != _REAL) >= _TIME - 10


def check_runs(project: Path, ticks: dict[str, list[Tick]], runs: dict[str, Run]) -> None:
    launched = Counter(run_id for found in ticks.values() for tick in found for run_id in tick.runs)
    assert set(launched.values()) == {1}
    assert sum(len(found) for found in ticks.values()) == len(launched)
    assert {run.id for run in runs.values() if run.trigger.startswith("schedule:")} == set(launched)
    retries = Counter(run.parent for run in runs.values() if run.parent)
    assert not retries or set(retries.values()) == {1}
    assert {run.status for run in runs.values()} <= {"success", "failure"}
    for run in runs.values():
        if run.status == "failure" and attempt(run, runs) <= (3 if run.job == _REAL else 1):
            assert run.id in retries, run
        if run.job != _REAL and run.started_at is not None:
            path = project / "carried_out" / run.id
            assert not path.exists() or len(path.read_text(encoding="ascii").splitlines()) == 1
            assert run.status == "failure" or path.exists()


def attempt(run: Run, runs: dict[str, Run]) -> int:
    number = 1
    while run.parent is not None:
        run, number = runs[run.parent], number + 1
    return number
