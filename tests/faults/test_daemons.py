"""Several daemons on one state store, killed again and again with what they start: each tick counts once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from nbpipe.core.ports import StateStore
from nbpipe.execution.workers import is_alive
from nbpipe.testing import ClockFile
from tests.notebooks import write_notebook
from tests.runs import eventually, opened
from tests.ticking import (
    REAL,
    Daemons,
    check_runs,
    check_ticks,
    daemons,
    settled,
    stop_schedules,
    ticking_project,
    ticks_of,
    worker_pids,
)

pytestmark = pytest.mark.faults

_FAKES = [f"s{number}" for number in range(7)]
#: Seconds between the ticks of each schedule.
_STEPS = {**dict.fromkeys(_FAKES, 1.0), REAL: 6.0}
#: How fast time goes.
_RATE = 2.0
_TICKS = 200
#: Of daemons, and of processes that carry out runs.
_KILLED = 4

_CONFIGURATION = f"""
[jobs.fake]
notebook = "n.ipynb"
retries = 1
[jobs.{REAL}]
notebook = "long.ipynb"
retries = 3
{
    "".join(
        f'''[schedules.{name}]
cron = "* * * * * *"
job = "fake"
'''
        for name in _FAKES
    )
}
[schedules.{REAL}]
cron = "*/6 * * * * *"
job = "{REAL}"
[limits]
runs = 8
"""


@pytest.mark.parametrize(("number", "seed"), [(2, 1), (3, 2)])
@pytest.mark.timeout(420)
def test_every_tick_counts_once_whatever_dies(tmp_path: Path, number: int, seed: int) -> None:
    project = ticking_project(tmp_path / "project", _CONFIGURATION)
    write_notebook(project / "long.ipynb", ["import time\ntime.sleep(1)"])
    clock = ClockFile(tmp_path / "clock")
    clock.go(_RATE)
    with daemons(project, clock.variables) as found:
        for _ in range(number):
            found.start()
        hunt = _Hunt(found, random.Random(seed))
        with opened(project) as store:
            hunt.go_on(store)
        stop_schedules(project)
        ticks, runs = settled(project, _STEPS)  # whatever had died, the daemons that live put in order
    check_ticks(ticks, _STEPS)
    check_runs(project, ticks, runs, {"fake": 1, REAL: 3})
    assert sum(map(len, ticks.values())) >= _TICKS


class _Hunt:
    """Keeps so many daemons running, and kills what there is."""

    def __init__(self, found: Daemons, chance: random.Random) -> None:
        self._daemons, self._chance = found, chance
        self._killed: Counter[str] = Counter()
        self._ended = 0

    def go_on(self, store: StateStore) -> None:
        """Kill until there were enough ticks and deaths."""
        eventually(lambda: store.automation.ticks("default", "schedule", "s0"), within=60)
        end = time.monotonic() + 240
        while not self._enough(store):
            assert time.monotonic() < end, self._killed
            time.sleep(self._chance.uniform(0.2, 0.8))
            match self._chance.choice(["leader", "daemon", "worker", "worker", "kernel"]):
                case "leader":
                    leader = self._daemons.leader(store)
                    self._kill_daemon(store, [] if leader is None else [leader])
                case "daemon":
                    self._kill_daemon(store, self._daemons.living)
                case "worker":
                    self._kill("worker", self._workers(store))
                case "kernel":
                    active = [run for run in store.runs(statuses=("running",)) if run.job == REAL]
                    steps = [step for run in active for step in store.steps(run.id)]
                    self._kill("kernel", [s.kernel.pid for s in steps if s.kernel and is_alive(s.kernel)])

    @staticmethod
    def _workers(store: StateStore) -> list[int]:
        """Return the processes that carry out runs; wait a moment for one: most of them end soon."""
        end = time.monotonic() + 1
        while not (found := worker_pids(store)) and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def _enough(self, store: StateStore) -> bool:
        if min(self._killed["daemon"], self._killed["worker"]) < _KILLED:
            return False
        return sum(len(ticks_of(store, name)) for name in _STEPS) >= _TICKS

    def _kill_daemon(self, store: StateStore, among: list[subprocess.Popen[bytes]]) -> None:
        # the one that has just come must have a chance, or nothing would ever be done on a slow machine
        ended = len(store.runs(statuses=("success", "failure"), limit=100_000))
        if among and ended > self._ended:
            self._daemons.kill(self._chance.choice(among))
            self._killed["daemon"] += 1
            self._ended = ended
            self._daemons.start()

    def _kill(self, what: str, pids: list[int]) -> None:
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._chance.choice(pids), signal.SIGKILL)
                self._killed[what] += 1
