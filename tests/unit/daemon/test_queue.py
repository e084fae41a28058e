"""Queued runs get processes as places become free."""

from __future__ import annotations

import os
import subprocess

import msgspec
import pytest

from nbpipe import clock
from nbpipe.daemon.processes import Started
from nbpipe.daemon.queue import RunQueue
from nbpipe.errors import ConflictError
from nbpipe.execution.workers import this_worker
from nbpipe.loading.config import Config, Limits
from tests.stores import run as queued
from tests.unit.daemon.automation import NOON, FakeProcess, World, after, ended


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def limited(world, **limits):
    world.project.config = Config(limits=Limits(**limits))


def put(world, *runs):
    for index, (run_id, about) in enumerate(runs):
        world.store.create_run(queued(run_id, created_at=after(seconds=index), **about), [], [], b"")


def test_as_many_runs_start_as_there_are_places(world):
    limited(world, runs=2)
    put(world, ("r1", {}), ("r2", {}), ("r3", {}))
    part = RunQueue(world.lead())
    world.act(part)
    assert world.starter.runs == ["r1", "r2"]
    assert not part.idle
    world.act(part)
    assert world.starter.runs == ["r1", "r2"]
    ended(world.store, "r1", "success", NOON)
    world.starter.processes[0].code = 0
    world.act(part)
    assert world.starter.runs == ["r1", "r2", "r3"]


def test_between_a_few_starts_the_other_parts_have_their_turn(world):
    put(world, *((f"r{number}", {}) for number in range(5)))
    part = RunQueue(world.lead())
    assert part.act(NOON) <= NOON
    assert world.starter.runs == ["r0", "r1"]
    assert part.act(NOON) <= NOON
    assert world.starter.runs == ["r0", "r1", "r2", "r3"]
    assert part.act(NOON) > NOON
    assert world.starter.runs == ["r0", "r1", "r2", "r3", "r4"]


def test_a_claimed_run_holds_its_place_also_for_the_next_daemon(world):
    limited(world, runs=1)
    put(world, ("r1", {}), ("r2", {}))
    world.act(RunQueue(world.lead()))
    assert world.store.claim_run("r1", this_worker(), at=NOON)
    other = World(world.project.root)
    other.store, other.project.config = world.store, world.project.config
    part = RunQueue(other.lead())
    other.act(part)
    assert other.starter.runs == []
    world.store.advance_run("r1", "failure", at=NOON)
    other.act(part)
    assert other.starter.runs == ["r2"]


def other_leader(world):
    """Return the world of a daemon that takes over: it has started no process."""
    other = World(world.project.root)
    other.store, other.project.config = world.store, world.project.config
    return other


def test_a_run_that_is_about_to_be_claimed_holds_its_place_also_for_the_next_daemon(world):
    limited(world, runs=1)
    put(world, ("r1", {}), ("r2", {}))
    with subprocess.Popen(["sleep", "100"]) as process:
        world.starter.pid = process.pid
        world.act(RunQueue(world.lead()))
        other = other_leader(world)
        part = RunQueue(other.lead())
        assert other.act(part) is not None
        other.act(part)
        assert other.starter.runs == []
        process.kill()
    other.act(part)
    assert other.starter.runs == ["r1"], "it can't be claimed any more"


@pytest.mark.parametrize(("alive", "seconds"), [(None, 11), (True, 121)])
def test_a_process_of_another_leader_does_not_hold_a_place_for_ever(world, monkeypatch, alive, seconds):
    now = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    monkeypatch.setattr("nbpipe.daemon.launched.is_alive", lambda _: alive)
    put(world, ("r1", {}))
    world.starter.pid = os.getpid()
    world.act(RunQueue(world.lead()))
    other = other_leader(world)
    part = RunQueue(other.lead())
    other.act(part)
    now += seconds - 2
    other.act(part)
    assert other.starter.runs == []
    now += 2
    other.act(part)
    assert other.starter.runs == ["r1"]


def test_a_run_that_was_claimed_is_no_longer_noted(world):
    put(world, ("r1", {}), ("r2", {}))
    world.starter.pid = os.getpid()
    part = RunQueue(world.lead())
    world.act(part)
    folder = world.project.root / ".nbpipe" / "launched"
    assert sorted(file.name for file in folder.iterdir()) == ["r1", "r2"]
    assert world.store.claim_run("r1", this_worker(), at=NOON)
    world.act(part)
    assert [file.name for file in folder.iterdir()] == ["r2"]
    assert world.store.advance_run("r2", "canceled", at=NOON)
    world.act(RunQueue(other_leader(world).lead()))
    assert list(folder.iterdir()) == []


def test_priority_pools_and_delays_count(world):
    limited(world, runs=3, pools={"db": 1})
    put(
        world,
        ("low", {"priority": -1}),
        ("db1", {"pools": ("db",)}),
        ("db2", {"pools": ("db",)}),
        ("later", {"not_before": after(minutes=1), "priority": 9}),
        ("high", {"priority": 1}),
    )
    part = RunQueue(world.lead())
    world.act(part)
    assert world.starter.runs == ["high", "db1", "low"]


def test_it_wants_to_be_asked_when_a_delay_ends(world):
    put(world, ("later", {"not_before": after(minutes=1)}))
    part = RunQueue(world.lead())
    assert world.act(part) == after(minutes=1)
    world.act(part, after(minutes=1))
    assert world.starter.runs == ["later"]


def test_a_run_that_a_person_carries_out_is_not_taken_but_has_its_place(world):
    limited(world, runs=1)
    put(world, ("own", {"worker": this_worker()}), ("r2", {}))
    part = RunQueue(world.lead())
    world.act(part)
    assert world.starter.runs == ["r2"]


def test_many_that_wait_for_a_pool_hold_up_no_other(world):
    limited(world, pools={"db": 1})
    put(world, *((f"db{number:04}", {"pools": ("db",), "priority": 1}) for number in range(1_100)), ("free", {}))
    world.act(RunQueue(world.lead()))
    assert world.store.claim_run("db0000", this_worker(), at=NOON)
    part = RunQueue(world.lead())
    world.act(part)
    assert world.starter.runs == ["db0000", "free"]


def test_a_process_that_ends_before_it_begins_is_tried_three_times(world, monkeypatch):
    put(world, ("r1", {}))
    part = RunQueue(world.lead())
    now = 0.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    for number in (1, 2, 3):
        world.act(part)
        assert len(world.starter.processes) == number
        log = world.processes.runs["r1"].log
        log.write_text("Traceback\nImportError: no module\n")
        world.starter.processes[-1].code = 1
        world.act(part)
        now += 10
    found = world.store.run("r1")
    assert found.status == "failure"
    assert found.error == "its process ended before it began: ImportError: no module (3 times)"
    assert part.idle


def test_a_process_that_never_begins_is_killed(world, monkeypatch):
    put(world, ("r1", {}))
    part = RunQueue(world.lead())
    now = 0.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    world.act(part)
    now = 121.0
    world.act(part)
    assert world.starter.processes[0].code == -9


def test_runs_wait_while_no_process_can_be_started(world, monkeypatch):
    """The machine has no room: that is the fault of no run."""
    limited(world, runs=2)
    put(world, *((f"r{number}", {}) for number in range(5)))
    world.starter.error = OSError("no memory")
    part = RunQueue(world.lead())
    now = 0.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    for _ in range(10):
        assert world.act(part) is not None
        now += 10
    assert world.said == ["no process can be started: no memory: queued runs wait until one can be"]
    assert {run.status for run in world.store.runs()} == {"queued"}
    world.starter.error = None
    world.act(part)
    assert world.starter.runs == ["r0", "r1"]


def test_who_leads_no_more_starts_nothing(world):
    put(world, ("r1", {}))
    part = RunQueue(world.lead())
    world.lead()
    with pytest.raises(ConflictError):
        world.act(part)
    assert world.starter.runs == []


def test_only_the_end_of_a_long_log_is_read(tmp_path):
    started = Started(FakeProcess(("_run", "r1")), tmp_path / "log", 0.0)
    (tmp_path / "log").write_bytes(b"x" * 5_000_000 + "\nthe disk is full ä\n".encode())
    assert started.last_words() == "the disk is full ä"
    (tmp_path / "log").write_bytes("ä".encode() * 20_000)
    assert len(started.last_words()) == 500
    (tmp_path / "log").unlink()
    assert started.last_words() == ""


def test_logs_of_processes_that_ended_as_they_should_are_removed(world):
    put(world, ("good", {}), ("bad", {}))
    part = RunQueue(world.lead())
    world.act(part)
    logs = {run_id: started.log for run_id, started in world.processes.runs.items()}
    for run_id, log in logs.items():
        log.write_text("said")
        ended(world.store, run_id, "success", NOON)
    world.starter.processes[0].code = 0
    world.starter.processes[1].code = -11
    world.act(part)
    assert [log.exists() for log in logs.values()] == [False, True]
    assert world.processes.runs == {}


def test_the_limits_that_count_are_those_that_are_saved_now(world):
    limited(world, runs=1)
    put(world, ("r1", {}), ("r2", {}))
    part = RunQueue(world.lead())
    world.act(part)
    world.project.config = msgspec.structs.replace(world.project.config, limits=Limits(runs=2))
    world.act(part)
    assert world.starter.runs == ["r1", "r2"]


def test_it_is_idle_when_the_processes_of_its_runs_have_ended_and_that_is_known(world):
    put(world, ("r1", {}))
    part = RunQueue(world.lead())
    world.act(part)
    ended(world.store, "r1", "failure", NOON)
    world.act(part)
    assert not part.idle  # its process has not ended
    world.starter.processes[0].code = 1
    world.act(part)
    assert part.idle
    assert "run r1: failure" in world.said[-1]
