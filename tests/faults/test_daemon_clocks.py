"""Somebody sets the clock while daemons work: nothing runs twice, nothing is lost, nobody waits for the old time."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nbpipe.core.automation.records import TickStatus
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Run
from nbpipe.testing import ClockFile
from tests.runs import eventually, opened
from tests.ticking import (
    check_runs,
    check_ticks,
    daemons,
    settled,
    stop_schedules,
    ticking_project,
    ticks_of,
    worker_pids,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]

_HOUR = 3600.0
#: How fast time goes.
_RATE = 4.0
_STEPS = {"all": 600.0, "last": 600.0, "none": 600.0, "often": 5.0}

_CONFIGURATION = f"""
[jobs.fake]
notebook = "n.ipynb"
retries = 2
{
    "".join(
        f'''[schedules.{name}]
cron = "{"*/5 * * * * *" if name == "often" else "*/10 * * * *"}"
catchup = "{"none" if name == "often" else name}"
job = "fake"
'''
        for name, step in _STEPS.items()
    )
}
[limits]
runs = 12
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return ticking_project(tmp_path / "project", _CONFIGURATION)


@pytest.fixture
def clock(tmp_path: Path) -> ClockFile:
    made = ClockFile(tmp_path / "clock")
    made.go(_RATE)
    return made


def times(store: StateStore, name: str, status: TickStatus = "launched") -> list[datetime]:
    return [tick.scheduled_at for tick in ticks_of(store, name) if tick.status == status]


def goes_on(store: StateStore, clock: ClockFile) -> None:
    """Wait until ticks of the time that it is now are launched, and their runs carried out."""
    now = clock.now()
    found = eventually(
        lambda: [
            tick
            for tick in ticks_of(store, "often")
            if tick.status == "launched" and now <= tick.scheduled_at <= now + timedelta(minutes=9)
        ][1:],
        within=120,
    )
    eventually(lambda: run_of(store, found[0].runs[0]).status in ("success", "failure"), within=120)


def run_of(store: StateStore, run_id: str) -> Run:
    run = store.run(run_id)
    assert run is not None
    return run


def number_of_ticks(store: StateStore, name: str) -> int:
    return len(ticks_of(store, name))


def test_an_hour_ahead_misses_by_policy_and_an_hour_back_repeats_nothing(project: Path, clock: ClockFile) -> None:
    with daemons(project, clock.variables) as found, opened(project) as store:
        found.start()
        eventually(lambda: found.leader(store))
        found.start()
        goes_on(store, clock)
        clock.jump(_HOUR)
        eventually(lambda: min(number_of_ticks(store, name) for name in ("all", "last", "none")) >= 6)
        goes_on(store, clock)
        ahead = {name: times(store, name) for name in _STEPS}
        assert not times(store, "all", "missed")
        assert len(times(store, "last", "missed")) >= 5
        assert len(times(store, "none", "missed")) >= 5
        assert "the clock was set ahead" in str(ticks_of(store, "last")[0].reason)

        clock.jump(-_HOUR)
        eventually(lambda: "the clock has jumped by -3,600" in found.said)
        goes_on(store, clock)
        os.kill(eventually(lambda: worker_pids(store))[0], signal.SIGKILL)
        eventually(lambda: any(run.trigger == "retry" and run.status == "success" for run in store.runs(limit=1_000)))
        leader = found.leader(store)
        assert leader is not None
        found.kill(leader)
        eventually(lambda: found.leader(store) not in (None, leader))  # nobody waits for an hour
        goes_on(store, clock)
        assert all(set(before) <= set(times(store, name)) for name, before in ahead.items())
        stop_schedules(project)
        ticks, runs = settled(project, _STEPS)
    check_ticks({name: ticks[name] for name in ("all", "last", "none")}, _STEPS)
    check_runs(project, ticks, runs, {"fake": 2})


@pytest.mark.parametrize("seed", [3])
def test_two_daemons_compete_while_the_clock_jumps(project: Path, clock: ClockFile, seed: int) -> None:
    chance, done = random.Random(seed), Counter[str]()
    with daemons(project, clock.variables) as found, opened(project) as store:
        for _ in range(2):
            found.start()
        goes_on(store, clock)
        end = time.monotonic() + 240
        while done["jumps"] < 10 or done["killed"] < 3:
            assert time.monotonic() < end, done
            time.sleep(chance.uniform(0.2, 0.6))
            clock.jump(chance.choice([-1, 1]) * chance.choice([5, 45, 600, _HOUR, 10 * _HOUR]))
            done["jumps"] += 1
            leader = found.leader(store)
            if leader is not None and chance.random() < 0.4:
                found.kill(leader)
                found.start()
                done["killed"] += 1
        goes_on(store, clock)
        stop_schedules(project)
        ticks, runs = settled(project, _STEPS)
    for name, each in ticks.items():
        assert len({tick.scheduled_at for tick in each}) == len(each), name
        assert {tick.status for tick in each} <= {"launched", "missed"}
    check_runs(project, ticks, runs, {"fake": 2})
