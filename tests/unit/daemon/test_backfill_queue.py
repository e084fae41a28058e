"""Backfills that wait get a process; their runs wait in the queue."""

from __future__ import annotations

import threading

import pytest

from nbpipe.core.backfills.records import Backfill, Portion
from nbpipe.core.partitions.subsets import families_of
from nbpipe.daemon.backfill_queue import Backfills, QueuedRuns
from nbpipe.daemon.backfills import BackfillDriver
from nbpipe.errors import ConflictError
from nbpipe.execution.workers import this_worker
from tests.runs import eventually
from tests.stores import run as queued
from tests.unit.core.backfills.models import asset
from tests.unit.daemon.automation import NOON, World
from tests.unit.daemon.fakes import FakeProject, made


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def put(world, *numbers: str):
    for number in numbers:
        world.store.backfills.create(Backfill(id=number, env="default", created_at=NOON), {}, b"")


def what(world):
    return [process.what for process in world.starter.processes]


def test_four_are_worked_on_at_once_the_oldest_first(world):
    put(world, "b1", "b2", "b3", "b4", "b5")
    part = Backfills(world.lead())
    world.act(part)
    assert what(world) == [("_backfill", f"b{number}", "--queued") for number in (1, 2, 3, 4)]
    world.act(part)
    assert len(what(world)) == 4
    world.store.backfills.claim("b2", this_worker(), at=NOON)
    world.store.backfills.advance("b2", "success", at=NOON, worker=this_worker())
    world.starter.processes[1].code = 0
    world.act(part)
    assert what(world)[4] == ("_backfill", "b5", "--queued")
    assert not part.idle


def test_one_that_nobody_can_work_on_fails(world):
    put(world, "b1")
    part = Backfills(world.lead())
    for _ in range(3):
        world.act(part)
        world.processes.backfills["b1"].log.write_text("its partitions are others now")
        world.starter.processes[-1].code = 2
    world.act(part)
    found = world.store.backfills.backfill("b1")
    assert (found.status, found.error) == ("failure", "no process could work on it: its partitions are others now")
    assert len(what(world)) == 3


def failing(world, part, times=3):
    for _ in range(times):
        world.act(part)
        world.processes.backfills["b1"].log.write_text("boom")
        world.starter.processes[-1].code = 2


def test_one_that_is_tried_again_by_hand_gets_as_many_attempts(world):
    put(world, "b1")
    part = Backfills(world.lead())
    failing(world, part)
    world.act(part)
    assert world.store.backfills.retry("b1", at=NOON)
    failing(world, part)
    assert world.store.backfills.backfill("b1").status == "queued"
    world.act(part)
    assert world.store.backfills.backfill("b1").status == "failure"
    assert len(what(world)) == 6


def test_who_leads_no_more_ends_none(world):
    put(world, "b1")
    part = Backfills(world.lead())
    failing(world, part)
    world.lead()
    with pytest.raises(ConflictError, match="no longer leads"):
        world.act(part)
    assert world.store.backfills.backfill("b1").status == "queued"


@pytest.mark.parametrize("meanwhile", ["running", "canceled"])
def test_one_that_somebody_took_or_canceled_meanwhile_is_left_alone(world, monkeypatch, meanwhile):
    put(world, "b1")
    part = Backfills(world.lead())
    failing(world, part)
    abandon = type(world.store.backfills).abandon

    def late(backfills, *args, **about):
        if meanwhile == "running":
            assert backfills.claim("b1", this_worker(), at=NOON)
        else:
            assert backfills.request_cancel("b1", at=NOON)
        return abandon(backfills, *args, **about)

    monkeypatch.setattr(type(world.store.backfills), "abandon", late)
    world.act(part)
    found = world.store.backfills.backfill("b1")
    assert (found.status, found.error) == (meanwhile, None)


@pytest.mark.parametrize("progress", [False, True])
def test_one_whose_process_is_killed_each_time_fails_unless_it_gets_on(world, progress):
    backfill = Backfill(id="b1", env="default", created_at=NOON)
    requested = families_of(((), number) for number in range(9))
    world.store.backfills.create(backfill, {"day": Portion(requested=requested)}, b"")
    part = Backfills(world.lead())
    worker = this_worker()
    for number in range(5):
        world.act(part)
        if world.store.backfills.backfill("b1").status != "queued":
            break
        assert world.store.backfills.claim("b1", worker, at=NOON)
        if progress:
            done = {"day": Portion(requested={}, lost=families_of([((), number)]))}
            world.store.backfills.settle("b1", worker, "", done, at=NOON)
        world.starter.processes[-1].code = -9
        world.act(part)
        world.store.backfills.release("b1", worker, at=NOON)
    found = world.store.backfills.backfill("b1")
    if progress:
        assert (found.status, len(what(world))) == ("queued", 5)
    else:
        assert (found.status, len(what(world))) == ("failure", 3)
        assert found.error == "no process could work on it: it was killed each time"


def test_they_wait_while_no_process_can_be_started(world):
    put(world, "b1")
    world.starter.error = OSError("no memory")
    part = Backfills(world.lead())
    for _ in range(5):
        assert world.act(part) > world.time
    assert world.said == ["no process can be started: no memory: queued backfills wait until one can be"]
    world.starter.error = None
    world.act(part)
    assert len(what(world)) == 1


def test_who_leads_no_more_lets_them_go(world):
    put(world, "b1")
    part = Backfills(world.lead())
    world.act(part)
    part.close()
    assert world.starter.processes[0].code == -9
    assert part.idle


def test_ends_of_queued_runs_are_told_once(world):
    ends: list[str] = []
    carrier = QueuedRuns(world.store)
    for number in ("r1", "r2"):
        world.store.create_run(queued(number), [], [], b"")
        carrier.start(number, parallel=1, done=ends.append)
    assert ends == []
    world.store.claim_run("r2", this_worker(), at=NOON)
    world.store.advance_run("r2", "success", at=NOON)
    eventually(lambda: ends == ["r2"])
    world.store.request_cancel("r1", at=NOON)
    eventually(lambda: ends == ["r2", "r1"])
    carrier.close()


def test_a_backfill_leaves_its_runs_in_the_queue(world):
    specs = (asset("day", partitions="daily:2024-01-01"),)
    backfill = made(world.store, specs, {"day": "2024-01-01..2024-01-03"})
    carrier = QueuedRuns(world.store)
    driver = BackfillDriver(
        world.store, FakeProject(world.project.root, specs), carrier, root=world.project.root, parallel=2, queued=True
    )
    thread = threading.Thread(target=driver.work, args=(backfill.id,))
    thread.start()
    for _ in range(3):
        eventually(lambda: world.store.automation.waiting("default"))
        run = world.store.automation.waiting("default")[0]
        assert run.worker is None
        world.store.claim_run(run.id, this_worker(), at=NOON)
        world.store.end_partitions(run.id, "day", "success", at=NOON)
        world.store.advance_run(run.id, "success", at=NOON)
    thread.join(20)
    assert world.store.backfills.backfill(backfill.id).status == "success"
