"""What `[retention]` does not keep goes, a little at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nbpipe.core.automation.definitions import SensorDef
from nbpipe.core.automation.records import Tick
from nbpipe.core.definitions import Definitions
from nbpipe.daemon.retention import RetentionPart
from nbpipe.errors import ConflictError
from nbpipe.execution.records import RUNS
from nbpipe.execution.workers import this_worker
from nbpipe.loading.automation_tables import Keep
from nbpipe.loading.config import Config, Retention
from tests.stores import run as queued
from tests.unit.daemon.automation import NOON, World, after, ended

DAYS = (400, 100, 60, 10, 1)
"""Days before noon."""


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def run_id(days: float) -> str:
    return f"{int(after(days=-days).timestamp() * 1000):012x}00000000"


def filled(world, **retention):
    """Record runs with records, and ticks, of some days; return the part."""
    world.project.config = Config(retention=Retention(**retention))
    duty = world.lead()
    for days in DAYS:
        at, number = after(days=-days), run_id(days)
        world.store.create_run(queued(number, created_at=at), [], [], b"")
        ended(world.store, number, "success", at)
        (world.project.root / RUNS / number).mkdir(parents=True)
        world.store.automation.begin(duty.lease, "schedule", "s", since=at - timedelta(seconds=1))
        tick = Tick(source="schedule", name="s", scheduled_at=at, status="skipped", at=at)
        assert world.store.automation.tick(duty.lease, tick) is not None
    return RetentionPart(duty)


def kept(world):
    runs = {run.id for run in world.store.runs()}
    folders = {path.name for path in (world.project.root / RUNS).iterdir()}
    return (
        tuple(days for days in DAYS if run_id(days) in runs),
        tuple(days for days in DAYS if run_id(days) in folders),
        tuple((NOON - tick.at).days for tick in reversed(world.store.automation.ticks("default", "schedule", "s"))),
    )


def tidied(world, part):
    """Let the hour come, and the part do all that it has to."""
    world.time = NOON
    part.act(NOON)
    at = after(minutes=2)
    for _ in range(100):
        again = part.act(at)
        if again > at + timedelta(minutes=1):
            return again
    raise AssertionError("it never comes to rest")


@pytest.mark.parametrize(
    ("retention", "runs", "folders", "ticks"),
    [
        ({}, DAYS[1:], DAYS[2:], DAYS[3:]),
        ({"runs": Keep(number=2)}, DAYS[3:], DAYS[3:], DAYS[3:]),
        ({"runs": Keep(), "records": Keep(), "ticks": Keep()}, DAYS, DAYS, DAYS),
        ({"runs": Keep(), "records": Keep(number=1), "ticks": Keep(number=4)}, DAYS, DAYS[4:], DAYS[1:]),
    ],
)
def test_what_is_old_or_too_much_goes(world, retention, runs, folders, ticks):
    part = filled(world, **retention)
    tidied(world, part)
    found = kept(world)
    assert found == (runs, folders, ticks)


def test_records_of_active_runs_and_young_folders_stay(world):
    part = filled(world)
    active = run_id(200)
    world.store.create_run(queued(active, created_at=after(days=-200)), [], [], b"")
    world.store.claim_run(active, this_worker(), at=NOON)
    names = [active, run_id(-0.001), "not-a-run"]
    for name in names:
        (world.project.root / RUNS / name).mkdir(parents=True)
    tidied(world, part)
    assert all((world.project.root / RUNS / name).is_dir() for name in names)


def test_old_values_are_removed_by_another_process_once_a_day(world):
    part = filled(world)
    tidied(world, part)
    assert world.starter.processes == []
    part.act(after(minutes=11))
    (process,) = world.starter.processes
    assert process.what == ("gc",)
    part.act(after(minutes=12))
    process.code = 2
    world.processes.cleaning.log.write_text("the disk is gone")
    part.act(after(minutes=13))
    assert world.said == ["old values could not be removed: the disk is gone"]
    assert world.processes.cleaning is None
    part.act(after(days=1, minutes=12))
    assert len(world.starter.processes) == 2


def test_a_number_of_ticks_is_kept_of_each_however_often_another_ticks(world):
    part = filled(world, ticks=Keep(number=3))
    duty = part._duty
    duty.declared.take(Definitions(sensors={"busy": SensorDef(name="busy", job="j")}))
    for minute in range(10):
        at = after(minutes=-10 + minute)
        tick = Tick(source="sensor", name="busy", scheduled_at=at, status="launched", at=at)
        assert world.store.automation.tick(duty.lease, tick) is not None
    tidied(world, part)
    assert kept(world)[2] == DAYS[2:]
    assert len(world.store.automation.ticks("default", "sensor", "busy")) == 3


def test_runs_that_wait_keep_their_notebooks_however_many_they_are(world, monkeypatch):
    part = filled(world, records=Keep(number=1))
    listed = world.store.runs
    monkeypatch.setattr(world.store, "runs", lambda **about: listed(**{**about, "limit": min(about["limit"], 2)}))
    waiting = [run_id(200 + number) for number in range(5)]
    for name in waiting:
        world.store.create_run(queued(name, created_at=after(days=-200)), [], [], b"")
        (world.project.root / RUNS / name).mkdir(parents=True)
    tidied(world, part)
    assert all((world.project.root / RUNS / name).is_dir() for name in waiting)


def test_a_clock_that_is_far_ahead_for_a_while_removes_nothing(world):
    part = filled(world)
    tidied(world, part)
    before = kept(world)
    leap = after(days=400)
    for minute in (0, 1, 59):
        part.act(leap + timedelta(minutes=minute))
        assert kept(world) == before
    part.act(after(minutes=5))  # it is right again
    part.act(after(minutes=10))
    assert kept(world) == before
    for minute in (0, 61, 62):
        part.act(leap + timedelta(minutes=minute))
    assert kept(world) != before, "it was right"


def test_who_leads_no_more_removes_nothing(world):
    part = filled(world)
    part.act(NOON)
    before = kept(world)
    world.lead()
    with pytest.raises(ConflictError):
        part.act(after(minutes=2))
    assert kept(world) == before


def test_a_process_that_can_not_be_started_is_told_and_tried_again(world):
    part = filled(world)
    tidied(world, part)
    world.starter.error = OSError("no memory")
    part.act(after(minutes=11))
    assert world.said == ["old values are not removed: no memory: it is tried again in an hour"]
    world.starter.error = None
    part.act(after(minutes=72))
    assert [process.what for process in world.starter.processes] == [("gc",)]


def ending(world):
    """Let a daemon that ends when nothing is left to do have its turn; it remembers nothing of another one."""
    part = RetentionPart(world.lead(once=True, until_idle=True))
    for _ in range(100):
        part.act(world.time)
        for process in world.starter.processes:
            process.code = 0
        if part.idle:
            return
    raise AssertionError("it never comes to rest")


def test_a_daemon_that_ends_soon_removes_what_is_old_if_it_was_not_done_for_an_hour(world):
    filled(world, runs=Keep(number=2), records=Keep(number=2))
    everything, left = kept(world), (DAYS[3:], DAYS[3:], DAYS[3:])
    world.time = NOON
    found = []
    for minutes in (0, 59, 61):
        world.time = after(minutes=minutes)
        ending(world)
        found.append(kept(world))
    assert found == [everything, everything, left], "the first one of a project notes when it began"


def test_a_daemon_that_ends_soon_removes_nothing_before_its_runs_have_ended(world):
    filled(world, runs=Keep(number=2))
    ending(world)
    world.time = after(hours=2)
    world.store.create_run(queued("new", created_at=world.time), [], [], b"")
    part = RetentionPart(world.lead(once=True, until_idle=True))
    before = kept(world)
    for _ in range(3):
        part.act(world.time)
        assert not part.idle
    assert kept(world) == before
    ended(world.store, "new", "success", world.time)
    while not part.idle:
        part.act(world.time)
    assert {run.id for run in world.store.runs()} == {"new", run_id(1)}


def test_what_a_daemon_that_goes_on_has_removed_is_not_looked_for_again_at_once(world):
    part = filled(world, runs=Keep(number=4))
    tidied(world, part)
    world.project.config = Config(retention=Retention(runs=Keep(number=2)))
    before = kept(world)
    world.time = after(minutes=30)
    ending(world)
    assert kept(world) == before


def test_a_daemon_that_ends_soon_waits_for_old_values_to_be_removed_once_a_day(world):
    filled(world)
    ending(world)
    world.time = after(days=1, minutes=1)
    part = RetentionPart(world.lead(once=True, until_idle=True))
    for _ in range(20):
        part.act(world.time)
    (process,) = world.starter.processes
    assert not part.idle
    process.code = 0
    part.act(world.time)
    assert part.idle
    world.time = after(days=1, hours=2)
    ending(world)
    assert len(world.starter.processes) == 1


def test_a_clock_that_is_far_ahead_removes_nothing_in_daemons_that_end_soon(world, monkeypatch):
    elapsed = 1_000.0
    monkeypatch.setattr("nbpipe.clock.elapsed", lambda: elapsed)
    filled(world)
    ending(world)
    before = kept(world)
    world.time = after(days=400)
    elapsed += 7_200
    ending(world)
    assert kept(world) == before
    world.time, elapsed = after(hours=4), elapsed + 7_200
    ending(world)
    assert kept(world) == before, "set right again: its time begins anew"
    world.time, elapsed = after(days=400), 10.0
    ending(world)
    assert kept(world) != before, "the machine was off for as long"


def test_marks_that_can_not_be_read_are_written_anew(world):
    filled(world, runs=Keep(number=2))
    ending(world)
    (file,) = (world.project.root / ".nbpipe").glob("retention-*")
    file.write_text("{")
    before = kept(world)
    world.time = after(days=3)
    ending(world)
    assert kept(world) == before
    world.time = after(days=3, hours=2)
    ending(world)
    assert kept(world) != before
