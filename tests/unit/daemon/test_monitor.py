"""Failed runs of jobs are tried again, once each."""

from __future__ import annotations

import pytest

from nbpipe.core.automation.definitions import JobDef
from nbpipe.core.records import WorkerId
from nbpipe.daemon.monitor import Monitor, Retries, retry_id
from nbpipe.errors import ConflictError, RefusedError
from nbpipe.execution.reconcile import GONE
from nbpipe.execution.workers import this_worker
from tests.stores import run as queued
from tests.unit.daemon.automation import NOON, World, after, defined, ended

JOB = JobDef(name="j", selection="x", retries=2, retry_delay=60, backoff="linear", timeout=9)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, defined(jobs=[JOB]))


def put(world, run_id="r1", **about):
    about = {"job": "j", "trigger": "schedule:s", "tags": {"a": "b"}, "priority": 4, **about}
    world.store.create_run(queued(run_id, **about), [], [], b"")


def test_a_failed_run_is_tried_again_with_a_growing_delay(world):
    part = Retries(world.lead())
    world.act(part)
    put(world)
    ended(world.store, "r1", "failure", NOON)
    world.act(part)
    (first,) = world.store.runs(statuses=("queued",))
    assert (first.id, first.parent, first.trigger) == (retry_id(world.store.run("r1")), "r1", "retry")
    assert (first.job, dict(first.tags), first.priority, first.timeout) == ("j", {"a": "b"}, 4, 9)
    assert first.not_before == after(seconds=60)
    world.act(part)
    ended(world.store, first.id, "failure", after(minutes=2))
    world.act(part, after(minutes=2))
    (second,) = world.store.runs(statuses=("queued",))
    assert (second.parent, second.not_before) == (first.id, after(minutes=4))
    ended(world.store, second.id, "failure", after(minutes=5))
    world.act(part, after(minutes=5))
    assert world.store.runs(statuses=("queued",)) == []


@pytest.mark.parametrize(
    "about",
    [
        {"status": "success"},
        {"status": "canceled"},
        {"trigger": "manual"},
        {"trigger": "notebook"},
        {"trigger": "backfill:b"},
        {"job": None},
        {"job": "other"},
    ],
)
def test_these_are_left_alone(world, about):
    status = about.pop("status", "failure")
    part = Retries(world.lead())
    world.act(part)
    put(world, **about)
    ended(world.store, "r1", status, NOON)
    world.act(part)
    assert len(world.store.runs()) == 1


def test_what_failed_while_no_daemon_was_there_is_found(world):
    put(world)
    put(world, "old")
    ended(world.store, "old", "failure", after(days=-3))
    ended(world.store, "r1", "failure", NOON, GONE)
    world.act(Retries(world.lead()), after(minutes=10))
    (found,) = world.store.runs(statuses=("queued",))
    assert (found.parent, found.not_before) == ("r1", None)
    world.act(Retries(world.lead()), after(minutes=11))
    assert len(world.store.runs()) == 3


def test_one_that_a_person_has_tried_again_is_not_tried_twice(world):
    put(world)
    ended(world.store, "r1", "failure", NOON)
    put(world, "r2", parent="r1", trigger="retry", job=None)
    world.act(Retries(world.lead()))
    assert len(world.store.runs()) == 2


def test_who_leads_no_more_tries_nothing_again(world):
    part = Retries(world.lead())
    world.act(part)
    put(world)
    ended(world.store, "r1", "failure", NOON)
    world.lead()
    with pytest.raises(ConflictError):
        world.act(part)
    assert len(world.store.runs()) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [(RefusedError("asset x is gone"), "asset x is gone"), (TypeError("oh"), "TypeError: oh: please report it")],
)
@pytest.mark.parametrize("there", [True, False])
def test_what_can_not_be_tried_again_is_said_once_and_stops_no_other(world, monkeypatch, error, words, there):
    real = world.project.plan_retry

    def plan(run):
        if run.id == "r1":
            raise error
        return real(run)

    monkeypatch.setattr(world.project, "plan_retry", plan)
    part = Retries(world.lead())
    if there:
        world.act(part)
    for run_id in ("r1", "r2"):
        put(world, run_id)
        ended(world.store, run_id, "failure", NOON)
    world.act(part)
    world.act(part)
    assert [text for text in world.said if "can't" in text] == [f"run r1 can't be tried again: {words}"]
    assert [run.parent for run in world.store.runs(statuses=("queued",))] == ["r2"]


def test_a_run_whose_process_is_gone_is_ended(world):
    gone = WorkerId(**{**{name: getattr(this_worker(), name) for name in WorkerId.__struct_fields__}, "started": 1.0})
    put(world)
    world.store.claim_run("r1", gone, at=NOON)
    world.act(Monitor(world.lead()))
    assert (world.store.run("r1").status, world.store.run("r1").error) == ("failure", GONE)
