"""What every state store promises about schedules, sensors and who leads."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta

import msgspec
import pytest
from pyroaring import BitMap

from nbpipe.core.automation.records import AutomationState, Lease, Tick
from nbpipe.core.backfills.records import Backfill, Portion
from nbpipe.core.partitions.records import NewPartition
from nbpipe.core.ports import CursorChange, NewRun
from nbpipe.core.records import RunAsset
from nbpipe.errors import ConflictError
from tests.stores import NOON, WORKER, later, new, places, run, steps

ENV = "default"
OTHER = msgspec.structs.replace(WORKER, pid=8)
LONG_AFTER = later(100)


@pytest.fixture
def kept(store):
    return store.automation


@pytest.fixture
def lease(kept):
    found = kept.lead(ENV, WORKER, at=NOON)
    assert found is not None
    return found


def tick(source="schedule", name="s", minute=0.0, **changes):
    values = {"scheduled_at": later(minute), "status": "launched", "at": later(minute)}
    return Tick(source=source, name=name, **(values | changes))


def asked(number, key=None, **changes):
    return NewRun(
        run=run(number, **changes),
        steps=steps(number),
        assets=places(number),
        plan=b"plan of " + number.encode(),
        run_key=key,
    )


def skip(minute=0.0, **changes):
    return tick("sensor", minute=minute, **({"status": "skipped", "reason": "nothing new"} | changes))


def kinds(store, after):
    return [event.kind for event in store.events(after=after, limit=1000)]


# --- who leads ----------------------------------------------------------------------------------


def test_one_process_leads_an_environment(store, kept):
    assert kept.lease(ENV) is None
    revision = store.revision()
    first = kept.lead(ENV, WORKER, at=NOON)
    assert first == Lease(env=ENV, worker=WORKER, token=1)
    assert kept.lease(ENV) == first
    assert kept.lead(ENV, OTHER, at=NOON) is None
    assert kept.lead("prod", OTHER, at=NOON) == Lease(env="prod", worker=OTHER, token=1)
    found = store.events(after=revision)
    assert [(event.kind, event.env) for event in found] == [("lease_taken", ENV), ("lease_taken", "prod")]
    assert found[0].data == {"worker": WORKER.id, "token": 1}


def test_a_lease_is_taken_over_only_from_the_one_whose_beats_stand_still(kept, lease):
    renewed = kept.renew(lease, at=later(1))
    assert (renewed.beats, kept.lease(ENV)) == (1, renewed)
    assert kept.renew(lease, at=later(1)).beats == 2
    assert kept.lead(ENV, OTHER, at=later(1), instead_of=renewed) is None
    mine = kept.lead(ENV, OTHER, at=later(1), instead_of=kept.lease(ENV))
    assert mine == kept.lease(ENV) == Lease(env=ENV, worker=OTHER, token=2)
    assert kept.lead(ENV, WORKER, at=later(1), instead_of=renewed) is None


def test_a_token_is_never_used_again(store, kept, lease):
    kept.resign(lease, at=later(1))
    assert kept.lease(ENV) is None
    with pytest.raises(ConflictError, match="nobody"):
        kept.renew(lease, at=later(1))
    assert kept.lead(ENV, OTHER, at=later(1), instead_of=lease) is None
    assert kept.lead(ENV, OTHER, at=later(1)).token == 2
    revision = store.revision()
    kept.resign(lease, at=later(1))
    assert kept.lease(ENV).worker == OTHER
    assert store.revision() == revision


def test_a_sign_of_life_is_no_change(store, kept, lease):
    revision = store.revision()
    kept.renew(lease, at=later(1))
    assert store.revision() == revision


def test_who_lost_the_lease_changes_nothing(store, kept, lease):
    kept.begin(lease, "schedule", "s", times="t", since=NOON)
    store.create_run(run("old"), steps("old"), places("old"), b"")
    store.advance_run("old", "success", at=NOON)
    kept.lead(ENV, OTHER, at=NOON, instead_of=lease)
    before = (store.revision(), kept.states(ENV), kept.lease(ENV))
    calls = [
        lambda: kept.renew(lease, at=NOON),
        lambda: kept.begin(lease, "schedule", "s", times="u", since=later(9)),
        lambda: kept.tick(lease, tick(minute=1), [asked("r1", "k")]),
        lambda: kept.tick(lease, skip(), cursor=CursorChange(old=None, new="c")),
        lambda: kept.missed(lease, [tick(minute=2, status="missed")]),
        lambda: kept.enqueue(lease, [asked("r2")]),
        lambda: kept.prune(lease, before=later(99), kinds=["ticks", "runs", "events", "backfills", "run_keys"]),
    ]
    for call in calls:
        with pytest.raises(ConflictError, match="no longer leads"):
            call()
    assert (store.revision(), kept.states(ENV), kept.lease(ENV)) == before
    assert kept.ticks(ENV, "schedule", "s") == kept.ticks(ENV, "sensor", "s") == []
    assert [found.id for found in store.runs()] == ["old"]


# --- what is on ---------------------------------------------------------------------------------


def test_what_is_kept_of_schedules_and_sensors(store, kept, lease):
    assert kept.states(ENV) == {}
    revision = store.revision()
    kept.begin(lease, "schedule", "s", times="0 * * * *", since=NOON)
    kept.switch(ENV, "sensor", "s", on=False, at=later(1))
    kept.switch("prod", "sensor", "s", on=True, at=later(2))
    assert kept.states(ENV) == {
        ("schedule", "s"): AutomationState(source="schedule", name="s", times="0 * * * *", since=NOON, changed_at=NOON),
        ("sensor", "s"): AutomationState(source="sensor", name="s", on=False, changed_at=later(1)),
    }
    told = [(event.kind, event.data) for event in store.events(after=revision)]
    assert told == [
        ("automation_begun", {"source": "schedule", "name": "s"}),
        ("automation_switched", {"source": "sensor", "name": "s", "on": False}),
        ("automation_switched", {"source": "sensor", "name": "s", "on": True}),
    ]


@pytest.mark.parametrize(("on", "since"), [(True, later(5)), (None, later(5)), (False, NOON)])
def test_a_start_settles_what_came_before(kept, lease, on, since):
    kept.begin(lease, "schedule", "s", times="t", since=NOON)
    kept.switch(ENV, "schedule", "s", on=on, at=later(5))
    state = kept.states(ENV)["schedule", "s"]
    assert (state.on, state.since, state.times) == (on, since, "t")


def test_a_clock_that_was_set_back_begins_anew_without_doing_anything_twice(kept, lease):
    assert kept.tick(lease, tick(minute=60), [asked("r1")])
    kept.begin(lease, "schedule", "s", since=later(30))
    assert kept.tick(lease, tick(minute=45), [asked("r2")])
    assert kept.tick(lease, tick(minute=60), [asked("r3")]) is None
    assert kept.states(ENV)["schedule", "s"].since == later(60), "nobody has to ask again"
    assert kept.tick(lease, tick(minute=61), [asked("r4")])


def test_what_a_wrong_clock_has_missed_is_done_when_its_time_comes(store, kept, lease):
    kept.missed(lease, [tick(minute=minute, status="missed", reason="late") for minute in (50, 60)])
    assert kept.tick(lease, tick(minute=60), [asked("r1")]) is None, "settled"
    kept.begin(lease, "schedule", "s", since=later(30))
    done = kept.tick(lease, tick(minute=60), [asked("r1")])
    assert (done.status, done.runs, done.reason) == ("launched", ("r1",), None)
    assert kept.ticks(ENV, "schedule", "s")[0] == done, "it is the newest"
    assert [found.status for found in kept.ticks(ENV, "schedule", "s")] == ["launched", "missed"]
    kept.begin(lease, "schedule", "s", since=later(30))
    assert kept.tick(lease, tick(minute=60), [asked("r2")]) is None, "once"


# --- ticks of schedules -------------------------------------------------------------------------


def test_a_tick_comes_with_its_runs(store, kept, lease):
    revision = store.revision()
    done = kept.tick(lease, tick(minute=1, at=later(1.5)), [asked("r1"), asked("r2", priority=3)])
    assert done == tick(minute=1, at=later(1.5), id=done.id, runs=("r1", "r2"))
    assert kept.ticks(ENV, "schedule", "s") == [done]
    assert kept.states(ENV)["schedule", "s"].since == later(1)
    assert store.run("r2") == run("r2", priority=3)
    assert store.steps("r1") == steps("r1")
    assert store.run_assets("r1") == places("r1")
    assert store.plan("r2") == b"plan of r2"
    found = store.events(after=revision)
    assert sorted(event.kind for event in found) == ["run_queued", "run_queued", "tick_launched"]
    told = next(event for event in found if event.kind == "tick_launched")
    assert told.data == {"source": "schedule", "name": "s", "tick": done.id, "runs": 2}
    assert [event.kind for event in store.events(run_id="r1")] == ["run_queued"]


def test_there_is_one_tick_of_a_schedule_at_a_time(store, kept, lease):
    assert kept.tick(lease, tick(minute=1), [asked("r1")])
    revision = store.revision()
    assert kept.tick(lease, tick(minute=1), [asked("r2")]) is None
    assert kept.tick(lease, tick(minute=0), [asked("r2")]) is None, "settled"
    assert store.revision() == revision
    assert store.run("r2") is None
    assert kept.tick(lease, tick(name="t", minute=1), [asked("r2")])
    prod = kept.lead("prod", WORKER, at=NOON)
    assert kept.tick(prod, tick(minute=1), [asked("r3", env="prod")])
    assert [found.runs for found in kept.ticks("prod", "schedule", "s")] == [("r3",)]


def test_what_was_stopped_meanwhile_has_no_tick(store, kept, lease):
    for source in ("schedule", "sensor"):
        kept.switch(ENV, source, "s", on=False, at=NOON)
        assert kept.tick(lease, tick(source, minute=1), [asked("r1")]) is None
    assert store.run("r1") is None
    kept.switch(ENV, "schedule", "s", on=None, at=NOON)
    assert kept.tick(lease, tick(minute=1), [asked("r1")])


@pytest.mark.parametrize(("status", "reason"), [("skipped", "job is gone"), ("failed", "boom"), ("missed", "late")])
def test_a_tick_without_runs_says_why(store, kept, lease, status, reason):
    revision = store.revision()
    for minute in (1, 2):
        kept.tick(lease, tick(minute=minute, status=status, reason=reason))
    found = kept.ticks(ENV, "schedule", "s")
    assert [(one.status, one.reason, one.runs, one.count) for one in found] == [(status, reason, (), 1)] * 2
    assert kinds(store, revision) == [f"tick_{status}"] * 2


def test_a_tick_and_its_runs_are_recorded_all_or_none(store, kept, lease):
    store.create_run(run("r2"), [], [], b"")
    before = store.revision(), kept.states(ENV)
    for runs in ([asked("r1"), asked("r2")], [asked("r1"), asked("r1")]):
        with pytest.raises(ConflictError, match=r"there is a run r[12] already"):
            kept.tick(lease, tick(minute=1), runs)
    assert (store.revision(), kept.states(ENV)) == before
    assert kept.ticks(ENV, "schedule", "s") == []
    assert store.run("r1") is None


def test_missed_ticks_are_recorded_and_settled(store, kept, lease):
    assert kept.tick(lease, tick(minute=2), [asked("r1")])
    revision = store.revision()
    missed = [tick(minute=minute, at=later(9), status="missed", reason="no daemon") for minute in (1, 2, 3)]
    kept.missed(lease, [msgspec.structs.replace(missed[0], count=40), *missed[1:]])
    kept.missed(lease, missed)
    found = kept.ticks(ENV, "schedule", "s")
    assert [(one.scheduled_at, one.status, one.count) for one in found] == [
        (later(3), "missed", 1),
        (later(1), "missed", 40),
        (later(2), "launched", 1),
    ]
    assert kept.states(ENV)["schedule", "s"].since == later(3)
    assert kinds(store, revision) == ["ticks_missed"] * 2
    kept.missed(lease, [])
    kept.missed(lease, missed[:1])
    assert kept.states(ENV)["schedule", "s"].since == later(3)


def test_ticks_are_listed_newest_first_in_pages(kept, lease):
    done = [kept.tick(lease, tick(minute=minute), [asked(f"r{minute}")]) for minute in range(1, 6)]
    kept.tick(lease, tick("sensor", minute=9), [asked("r9")])
    assert kept.ticks(ENV, "schedule", "s") == done[::-1]
    assert kept.ticks(ENV, "schedule", "s", limit=2) == [done[4], done[3]]
    assert kept.ticks(ENV, "schedule", "s", limit=2, before=done[3].id) == [done[2], done[1]]
    assert kept.ticks(ENV, "schedule", "t") == kept.ticks("prod", "schedule", "s") == []


# --- ticks of sensors ---------------------------------------------------------------------------


def test_skips_in_a_row_are_one_tick_and_wake_nobody(store, kept, lease):
    first = kept.tick(lease, skip(1))
    revision = store.revision()
    for minute in range(2, 5):
        kept.tick(lease, skip(minute, reason=f"still nothing at {minute}"))
    last = kept.tick(lease, skip(5, reason=None), cursor=CursorChange(old=None, new="c"))
    assert last == msgspec.structs.replace(first, count=5, at=later(5), reason=None)
    assert kept.ticks(ENV, "sensor", "s") == [last]
    assert kept.states(ENV)["sensor", "s"].cursor == "c"
    assert store.revision() == revision


def test_what_comes_between_begins_another_row_of_skips(kept, lease):
    for minute, status in enumerate(["skipped", "skipped", "failed", "failed", "skipped", "launched", "skipped"]):
        kept.tick(lease, skip(minute, status=status), [asked(f"r{minute}")] if status == "launched" else ())
        kept.tick(lease, skip(minute, name="t"))
    found = [(one.status, one.count) for one in kept.ticks(ENV, "sensor", "s")]
    assert found == [("skipped", 1), ("launched", 1), ("skipped", 1), ("failed", 1), ("failed", 1), ("skipped", 2)]
    assert [one.count for one in kept.ticks(ENV, "sensor", "t")] == [7]


def test_two_evaluations_at_one_moment_are_two(kept, lease):
    assert kept.tick(lease, tick("sensor"), [asked("r1")])
    assert kept.tick(lease, tick("sensor"), [asked("r2")])
    assert len(kept.ticks(ENV, "sensor", "s")) == 2


def test_a_cursor_moves_with_the_runs_and_only_from_where_it_stood(store, kept, lease):
    assert kept.tick(lease, tick("sensor"), [asked("r1")], cursor=CursorChange(old=None, new="1"))
    revision = store.revision()
    assert kept.tick(lease, tick("sensor"), [asked("r2")], cursor=CursorChange(old=None, new="2")) is None
    assert (store.revision(), store.run("r2")) == (revision, None)
    kept.set_cursor(ENV, "s", "by hand", at=later(1))
    assert kept.tick(lease, skip(), cursor=CursorChange(old="1", new="1")) is None
    assert kept.tick(lease, skip(), cursor=CursorChange(old="by hand", new=None))
    state = kept.states(ENV)["sensor", "s"]
    assert (state.cursor, state.since, state.times) == (None, None, "")
    assert kinds(store, revision) == ["cursor_set", "tick_skipped"]


def test_a_run_key_starts_one_run(store, kept, lease):
    first = kept.tick(lease, tick("sensor"), [asked("r1", "a"), asked("r2", "b"), asked("r3")])
    assert (first.status, first.runs, first.reason) == ("launched", ("r1", "r2", "r3"), None)
    second = kept.tick(lease, tick("sensor"), [asked("r4", "a"), asked("r5", "c"), asked("r6", "c")])
    assert (second.status, second.runs) == ("launched", ("r5",))
    assert second.reason == "run key seen before: a (run r1)"
    third = kept.tick(lease, tick("sensor", reason="polled"), [asked("r7", "b")], seen=["c", "a", "unknown"])
    assert (third.status, third.runs) == ("skipped", ())
    assert third.reason == "polled; run keys seen before: b (run r2), c (run r5), a (run r1)"
    assert {found.id for found in store.runs()} == {"r1", "r2", "r3", "r5"}
    other = kept.tick(lease, tick("sensor", name="t"), [asked("r8", "a")])
    assert other.runs == ("r8",), "keys are those of a sensor"


def test_of_many_seen_keys_a_reason_names_some(kept, lease):
    kept.tick(lease, tick("sensor"), [asked(f"r{n}", f"k{n}") for n in range(9)])
    found = kept.tick(lease, skip(reason=None), seen=[f"k{n}" for n in range(9)])
    assert found.reason == "run keys seen before: k0 (run r0), k1 (run r1), k2 (run r2) and 6 more"


def test_run_keys_expire_unless_they_are_asked_for_again(kept, lease):
    day = timedelta(days=1)
    kept.tick(lease, tick("sensor"), [asked("r1", "a"), asked("r2", "b")], keys_until=NOON + day)
    kept.tick(lease, tick("sensor"), [asked("r3", "for ever")])
    every = ["a", "b", "for ever", "c"]
    assert kept.seen_keys(ENV, "s", every, at=NOON) == {"a": "r1", "b": "r2", "for ever": "r3"}
    assert kept.seen_keys(ENV, "t", every, at=NOON) == kept.seen_keys("prod", "s", every, at=NOON) == {}
    kept.tick(lease, skip(60), seen=["a"], keys_until=later(60) + day)
    assert kept.seen_keys(ENV, "s", every, at=NOON + day) == {"a": "r1", "for ever": "r3"}
    again = kept.tick(lease, tick("sensor", at=NOON + day), [asked("r4", "b"), asked("r5", "a")])
    assert again.runs == ("r4",)
    assert kept.seen_keys(ENV, "s", every, at=NOON + 999 * day) == {"a": "r1", "b": "r4", "for ever": "r3"}


def test_a_key_that_is_asked_for_often_is_written_rarely(kept, lease):
    day = timedelta(days=1)
    kept.tick(lease, tick("sensor"), [asked("r1", "a")], keys_until=NOON + day)
    kept.tick(lease, skip(1), seen=["a"], keys_until=later(1) + day)
    assert kept.seen_keys(ENV, "s", ["a"], at=NOON + day) == {}
    kept.tick(lease, skip(20), seen=["a"], keys_until=later(20) + day)
    assert kept.seen_keys(ENV, "s", ["a"], at=NOON + day) == {"a": "r1"}


def test_text_that_no_database_can_hold_is_no_reason_to_fail(kept, lease):
    wild = "a\x00\udc80"
    done = kept.tick(lease, tick("sensor", reason=wild), [asked("r1", wild)], cursor=CursorChange(old=None, new=wild))
    assert done.reason == kept.states(ENV)["sensor", "s"].cursor == "a\ufffd?"
    assert kept.seen_keys(ENV, "s", [wild], at=NOON) == {wild: "r1"}
    assert kept.tick(lease, tick("sensor"), [asked("r2", wild)]).status == "skipped"


# --- the queue ----------------------------------------------------------------------------------


def test_runs_keep_what_they_wait_by(store):
    asked_for = run("r1", priority=-2, pools=("warehouse", "x"), not_before=later(3), timeout=1.5)
    store.create_run(asked_for, steps(), places(), b"")
    assert store.run("r1") == asked_for
    assert store.runs() == [asked_for]


def test_waiting_runs_come_by_priority_and_then_by_age(store, kept, lease):
    store.create_run(run("z"), [], [], b"")
    kept.enqueue(lease, [asked("low", priority=-1), asked("b"), asked("a"), asked("high", priority=5)])
    store.create_run(run("high2", priority=5), [], [], b"")
    store.create_run(run("elsewhere", env="prod"), [], [], b"")
    assert [found.id for found in kept.waiting(ENV)] == ["high", "high2", "z", "b", "a", "low"]
    assert store.claim_run("high", WORKER, at=NOON)
    store.request_cancel("z", at=NOON)
    assert [found.id for found in kept.waiting(ENV, limit=2)] == ["high2", "b"]


def test_runs_that_are_known_are_not_queued_again(store, kept, lease):
    assert kept.enqueue(lease, [asked("r1")]) == ["r1"]
    store.advance_run("r1", "failure", at=NOON)
    revision = store.revision()
    assert kept.enqueue(lease, [asked("r1"), asked("r2", parent="r1")]) == ["r2"]
    assert kept.enqueue(lease, [asked("r1")]) == kept.enqueue(lease, []) == []
    assert store.run("r1").status == "failure"
    assert [found.id for found in store.runs(parent="r1")] == ["r2"]
    assert kinds(store, revision) == ["run_queued"]


def test_a_run_of_very_many_partitions_can_be_queued_with_others(store, kept, lease):
    many = [RunAsset(run_id="r1", asset="a", partition=f"{n}") for n in range(50)]
    runs = [NewRun(run=run("r1"), assets=[*places("r1", "b"), *many]), asked("r2")]
    kept.tick(lease, tick(minute=1), runs)
    assert store.run_assets("r1") == runs[0].assets
    assert store.run_assets("r2") == places("r2")


def test_runs_are_found_by_what_started_them(store):
    for number, changes in {
        "r1": {"job": "j", "trigger": "schedule:s"},
        "r2": {"job": "j", "trigger": "manual"},
        "r3": {"job": "k", "trigger": "schedule:s", "parent": "r1"},
        "r4": {"trigger": "schedule:s", "env": "prod"},
    }.items():
        store.create_run(run(number, created_at=later(int(number[1])), **changes), [], [], b"")
    store.advance_run("r1", "success", at=NOON)

    def found(**narrow):
        return [one.id for one in store.runs(**narrow)]

    assert found(job="j") == ["r2", "r1"]
    assert found(trigger="schedule:s") == ["r4", "r3", "r1"]
    assert found(trigger="schedule:s", env=ENV) == ["r3", "r1"]
    assert found(trigger="schedule:s", job="k") == found(parent="r1") == ["r3"]
    assert found(job="j", statuses=["queued"]) == ["r2"]
    assert found(job="j", statuses=["success", "failure"]) == ["r1"]
    assert found(trigger="schedule:s", limit=1, before="r4") == ["r3"]
    assert found(job="none") == []
    assert store.known_runs(["r1", "r4", "r9"]) == {"r1", "r4"}


# --- what sensors look at -----------------------------------------------------------------------


def test_every_run_that_ends_is_told_once_in_order(store):
    for number in ("r1", "r2", "r3", "r4", "r5"):
        store.create_run(run(number, env="prod" if number == "r5" else ENV), [], [], b"")
    begin = store.revision()
    for number, status in {"r3": "success", "r5": "success", "r1": "failure"}.items():
        store.claim_run(number, WORKER, at=NOON)
        store.advance_run(number, status, at=NOON)
    store.request_cancel("r2", at=NOON)
    found = store.ended_after(ENV, begin)
    assert [(one.id, one.status) for _, one in found] == [("r3", "success"), ("r1", "failure"), ("r2", "canceled")]
    assert [one.id for _, one in store.ended_after(ENV, found[0][0], limit=1)] == ["r1"]
    assert store.ended_after(ENV, found[-1][0]) == []
    assert [one.id for _, one in store.ended_after("prod", 0)] == ["r5"]


def test_new_values_are_told_in_order(store):
    store.commit([new("a"), new("b")])
    begin = store.revision()
    store.record_failure(ENV, ["a"], "boom", at=NOON)
    store.commit([new("b"), new("a"), new("c"), new("a", env="prod")])
    value = NewPartition(value=new("p", partition="3"), position=((), 3), inputs=0)
    store.partitions.commit([value])
    store.commit([new("a")])
    found = store.materialized_after(ENV, ["a", "p", "b", "none"], begin)
    assert [(event.asset, event.partition) for event in found] == [("b", ""), ("a", ""), ("p", "3"), ("a", "")]
    assert store.materialized_after(ENV, ["p", "a"], found[1].id, limit=1) == found[2:3]
    assert store.materialized_after(ENV, ["a"], found[-1].id) == store.materialized_after(ENV, [], 0) == []


# --- retention ----------------------------------------------------------------------------------


def drained(kept, lease, *kinds, before=LONG_AFTER, limit=2_000):
    """Remove what is old; return how often there was something."""
    calls = 0
    while kept.prune(lease, before=before, kinds=kinds, limit=limit):
        calls += 1
        assert calls < 1000
    return calls


def test_old_ticks_are_removed_a_little_at_a_time(kept, lease):
    for minute in range(1, 11):
        kept.tick(lease, tick(minute=minute), [asked(f"r{minute}")])
    assert kept.prune(lease, before=later(6), kinds=["ticks"], limit=2) == 2
    assert drained(kept, lease, "ticks", before=later(6), limit=2) == 2
    assert [one.scheduled_at for one in kept.ticks(ENV, "schedule", "s")] == [later(m) for m in range(10, 5, -1)]
    assert kept.tick(lease, tick(minute=3), [asked("r11")]) is None, "it is settled"


def test_old_ticks_of_one_schedule_or_sensor_are_removed_alone(kept, lease):
    for minute in range(1, 6):
        kept.tick(lease, tick(minute=minute), [asked(f"r{minute}")])
        kept.tick(lease, tick("sensor", minute=minute), [asked(f"s{minute}")])
    mine = {"kinds": ["ticks"], "of": ("sensor", "s")}
    assert kept.prune(lease, before=later(4), limit=2, **mine) == 2
    assert kept.prune(lease, before=later(4), **mine) == 1
    assert kept.prune(lease, before=later(4), **mine) == 0
    assert len(kept.ticks(ENV, "schedule", "s")) == 5
    assert [one.at for one in kept.ticks(ENV, "sensor", "s")] == [later(5), later(4)]


def test_expired_run_keys_are_removed(kept, lease):
    kept.tick(lease, tick("sensor"), [asked("r1", "a")], keys_until=later(5))
    kept.tick(lease, tick("sensor"), [asked("r2", "b")], keys_until=later(9))
    kept.tick(lease, tick("sensor"), [asked("r3", "c")])
    assert kept.prune(lease, before=later(6), kinds=["run_keys"]) == 1
    assert kept.seen_keys(ENV, "s", "abc", at=NOON) == {"b": "r2", "c": "r3"}


def test_ended_runs_are_removed_with_all_their_parts(store, kept, lease):
    for number in ("r1", "r2", "r3", "r4"):
        store.create_run(run(number), steps(number), places(number), b"plan")
    store.create_run(run("r5", env="prod"), [], [], b"")
    store.claim_run("r1", WORKER, at=NOON)
    made = store.commit([new("a", run_id="r1")])
    store.partitions.start(ENV, "p", {(): BitMap([1])}, run_id="r1", at=NOON, label="1")
    store.record_failure(ENV, ["b"], "boom", at=NOON, run_id="r1")
    for number, minute in {"r1": 1, "r2": 50, "r3": 2, "r5": 1}.items():
        store.advance_run(number, "failure", at=later(minute))
    assert drained(kept, lease, "runs", before=later(10)) == 1
    assert {found.id for found in store.runs()} == {"r2", "r4", "r5"}
    assert (store.steps("r1"), store.run_assets("r1"), store.plan("r1")) == ([], [], None)
    assert store.known_runs(["r1", "r2"]) == {"r2"}
    state = store.states(ENV)
    assert (state["a"].current, state["b"].failed_run) == (made[0], "r1")
    assert store.run("r1") is None
    assert [found.id for _, found in store.ended_after(ENV, 0)] == ["r2"]


def test_a_run_of_very_many_partitions_is_removed_a_little_at_a_time(store, kept, lease):
    many = [RunAsset(run_id="r1", asset="a", partition=f"{n}") for n in range(50)]
    store.create_run(run("r1"), [], many, b"")
    store.create_run(run("r2"), [], places("r2"), b"")
    for number in ("r1", "r2"):
        store.request_cancel(number, at=NOON)
    drained(kept, lease, "runs", limit=20)
    assert store.runs() == []
    assert store.run_assets("r1") == []


def test_what_a_backfill_needs_stays_until_it_has_ended(store, kept, lease):
    backfills = store.backfills
    backfills.create(Backfill(id="b1", env=ENV, created_at=NOON), {"a": Portion(requested={(): BitMap([0])})}, b"")
    backfills.claim("b1", WORKER, at=NOON)
    for number in ("r1", "r2"):
        backfills.launch("b1", WORKER, run(number), [], [], b"")
    store.request_cancel("r1", at=NOON)
    backfills.settle("b1", WORKER, "r1", {}, at=NOON)
    assert drained(kept, lease, "runs", "backfills", "events") <= 1
    assert [found.id for found in backfills.runs("b1")] == ["r2", "r1"]
    backfills.advance("b1", "canceled", at=later(1))
    drained(kept, lease, "backfills")
    assert backfills.backfill("b1") is not None, "a run of it is active"
    drained(kept, lease, "runs")
    assert [found.id for found in backfills.runs("b1")] == ["r2"]
    store.request_cancel("r2", at=later(2))
    drained(kept, lease, "backfills", "runs", before=later(1))
    assert backfills.backfill("b1") is not None, "it is not that old"
    drained(kept, lease, "backfills")
    assert (backfills.backfill("b1"), backfills.plan("b1"), backfills.portions("b1")) == (None, None, {})
    drained(kept, lease, "runs", "events")
    assert store.runs() == []


def test_old_events_are_removed_but_those_that_something_needs(store, kept, lease):
    value = NewPartition(value=new("p", partition="3"), position=((), 3), inputs=0)
    store.partitions.commit([value])
    store.partitions.fail(ENV, "p", {(): BitMap([4])}, "boom", at=NOON, label="4")
    store.create_run(run(), [], [], b"")
    store.commit([new("a"), new("b", env="prod"), new("c", created_at=later(200))])
    for minute in range(30):
        store.record_failure(ENV, ["a"], "boom", at=later(minute))
    revision = store.revision()
    detail = store.partitions.detail(ENV, "p", "3", ((), 3))
    needed = ["partitions_materialized", "partitions_failed", "run_queued"]

    def left():
        return [event.kind for event in store.events(limit=100, env=ENV) if event.kind != "lease_taken"]

    assert drained(kept, lease, "events", before=later(15), limit=6) > 1
    assert left() == [*needed, "asset_materialized", *["asset_failed"] * 15]
    drained(kept, lease, "events", before=later(300), limit=6)
    assert left() == [*needed, "asset_failed"]
    assert [event.kind for event in store.events(env="prod")] == ["asset_materialized"]
    assert store.revision() == revision, "the newest one stays"
    assert store.partitions.detail(ENV, "p", "3", ((), 3)) == detail
    assert store.partitions.detail(ENV, "p", "4", ((), 4)).error == "boom"
    store.commit([new("a")])
    assert store.revision() == revision + 1
    drained(kept, lease, "events", before=later(300))
    assert [event.id for event in store.events(limit=100)][-1] == revision + 1


# --- any sequence -------------------------------------------------------------------------------


class Model:
    """What two daemons and a person do with a schedule and a sensor, and what must come of it, kept plainly."""

    def __init__(self, store, chance):
        self.store, self.kept, self.chance = store, store.automation, chance
        self.leases = [self.kept.lead(ENV, WORKER, at=NOON)]
        self.on = {"schedule": None, "sensor": None}
        self.since = None
        self.cursor = None
        self.scheduled = {}
        self.evaluated = []
        self.keys = {}
        self.now = 0
        self.runs = []
        self.numbers = itertools.count()

    def holds(self, call, *arguments, **named):
        """Call for a random daemon; whether it leads."""
        lease = self.chance.choice(self.leases[-2:])
        if lease is self.leases[-1]:
            return True, call(lease, *arguments, **named)
        with pytest.raises(ConflictError):
            call(lease, *arguments, **named)
        return False, None

    def news(self, keys):
        runs = [asked(f"r{next(self.numbers)}", key) for key in keys]
        return runs, [new.run.id for new in runs]

    def lead(self):
        worker = self.chance.choice([WORKER, OTHER])
        self.leases.append(self.kept.lead(ENV, worker, at=NOON, instead_of=self.kept.lease(ENV)))

    def switch(self):
        source, on = self.chance.choice(["schedule", "sensor"]), self.chance.choice([None, True, False])
        self.now += 1
        self.kept.switch(ENV, source, "s", on=on, at=later(self.now))
        self.on[source] = on
        if source == "schedule" and on is not False:
            self.since = self.now

    def begin(self):
        since = self.chance.randrange(self.now + 1)
        if self.holds(self.kept.begin, "schedule", "s", times=f"t{since}", since=later(since))[0]:
            self.since = since

    def schedule(self):
        minute = self.chance.randrange(self.now + 4)
        runs, ids = self.news([None] * self.chance.randrange(3))
        leads, done = self.holds(self.kept.tick, tick(minute=minute), runs)
        to_come = leads and self.on["schedule"] is not False and (self.since is None or minute > self.since)
        expected = to_come and self.scheduled.get(minute, ("missed",))[0] == "missed"
        assert (done is not None) == expected
        if to_come:
            self.since = minute
        if expected:
            self.scheduled[minute] = ("launched", tuple(ids))
            self.runs += ids

    def missed(self):
        minutes = sorted({self.chance.randrange(self.now + 4) for _ in range(3)})
        if self.holds(self.kept.missed, [tick(minute=minute, status="missed") for minute in minutes])[0]:
            for minute in minutes:
                self.scheduled.setdefault(minute, ("missed", ()))
            self.since = max(minutes[-1], minutes[-1] if self.since is None else self.since)

    def sensor(self):
        self.now += 1
        keys = [self.chance.choice(["a", "b", "c", None]) for _ in range(self.chance.randrange(3))]
        change = CursorChange(old=self.chance.choice([self.cursor, self.cursor, "x"]), new=f"c{self.now}")
        runs, ids = self.news(keys)
        status = "launched" if keys else self.chance.choice(["skipped", "skipped", "failed"])
        leads, done = self.holds(
            self.kept.tick,
            tick("sensor", minute=self.now, status=status),
            runs,
            cursor=change,
            keys_until=later(self.now + 5),
        )
        expected = leads and self.on["sensor"] is not False and change.old == self.cursor
        assert (done is not None) == expected
        if not expected:
            return
        known = {key for key, until in self.keys.items() if until > self.now}
        started = []
        for key, number in zip(keys, ids, strict=True):
            if key is None or key not in known:
                started.append(number)
            if key is not None:
                known.add(key)
        self.keys |= {key: self.now + 5 for key in keys if key is not None}
        self.runs += started
        self.cursor = change.new
        kind = "skipped" if keys and not started else status
        if kind == "skipped" and self.evaluated and self.evaluated[-1][0] == "skipped":
            self.evaluated[-1] = ("skipped", (), self.evaluated[-1][2] + 1)
        else:
            self.evaluated.append((kind, tuple(started), 1))

    def set_cursor(self):
        self.cursor = self.chance.choice([None, "x", "y"])
        self.kept.set_cursor(ENV, "s", self.cursor, at=NOON)

    def check(self):
        found = self.kept.ticks(ENV, "schedule", "s", limit=1000)
        assert {
            round((one.scheduled_at - NOON).seconds / 60): (one.status, one.runs) for one in found
        } == self.scheduled
        assert len(found) == len(self.scheduled)
        found = self.kept.ticks(ENV, "sensor", "s", limit=1000)
        assert [(one.status, one.runs, one.count) for one in found] == self.evaluated[::-1]
        states = self.kept.states(ENV)
        schedule = states.get(("schedule", "s"), AutomationState(source="schedule", name="s"))
        sensor = states.get(("sensor", "s"), AutomationState(source="sensor", name="s"))
        assert (schedule.on, sensor.on, sensor.cursor) == (self.on["schedule"], self.on["sensor"], self.cursor)
        assert schedule.since == (None if self.since is None else later(self.since))
        alive = {key for key, until in self.keys.items() if until > self.now}
        assert self.kept.seen_keys(ENV, "s", ["a", "b", "c"], at=later(self.now)).keys() == alive
        assert sorted(one.id for one in self.kept.waiting(ENV)) == sorted(self.runs)
        assert self.kept.lease(ENV) == self.leases[-1]


@pytest.mark.parametrize("seed", range(4))
def test_after_any_sequence_of_changes_ticks_and_runs_are_those_of_a_plain_model(store, seed):
    chance = random.Random(seed)
    model = Model(store, chance)
    often = [model.schedule, model.sensor, model.sensor, model.sensor, model.missed]
    for _ in range(60):
        chance.choice([*often, *often, model.lead, model.switch, model.begin, model.set_cursor])()
        model.check()
