"""Ticks of schedules: each once, and those that were missed by policy."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from nbpipe.core.automation.definitions import JobDef, ScheduleDef
from nbpipe.core.definitions import NotebookDef
from nbpipe.daemon import schedules
from nbpipe.daemon.schedules import Schedules
from nbpipe.errors import ConflictError, RefusedError, StateBusyError
from nbpipe.execution.records import RUNS
from tests.unit.daemon.automation import NOON, World, after, defined

MINUTELY = ScheduleDef(name="s", selection="x", crons=("* * * * *",))


def changed(**about):
    return ScheduleDef(**{**{name: getattr(MINUTELY, name) for name in MINUTELY.__struct_fields__}, **about})


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, defined(MINUTELY))


def test_a_new_schedule_has_no_past_and_ticks_when_its_time_comes(world):
    part = Schedules(world.lead())
    assert world.act(part) == after(seconds=57)  # then the run is prepared
    assert world.ticks("s") == []
    assert world.act(part, after(seconds=57)) == after(minutes=1)
    assert len(world.project.works) == 1
    assert world.act(part, after(seconds=60.01)) == after(seconds=117)
    assert world.ticks("s") == [("12:01:00", "launched")]
    assert len(world.project.works) == 1  # nothing was left to plan at the time
    (run,) = world.store.runs()
    assert (run.trigger, run.status, run.worker, run.created_at) == ("schedule:s", "queued", None, after(seconds=60.01))
    assert world.project.works[0].closed_at == after(minutes=1)
    assert (world.project.root / RUNS / run.id).is_dir()


def test_a_schedule_of_the_far_future_keeps_none_of_the_near_future_waiting(tmp_path):
    yearly = changed(name="z", crons=("0 0 1 1 *",))
    world = World(tmp_path, defined(MINUTELY, yearly))
    part = Schedules(world.lead())
    assert world.act(part) == after(seconds=57)
    asked_again = world.act(part, after(seconds=57))
    while asked_again == after(seconds=57):  # it plans one run each time
        asked_again = world.act(part, asked_again)
    assert asked_again == after(minutes=1)


def test_each_tick_is_recorded_once_however_often_it_is_asked(world):
    part = Schedules(world.lead())
    world.act(part)
    for _ in range(3):
        world.act(part, after(minutes=2))
    assert world.ticks("s") == [("12:01:00", "launched"), ("12:02:00", "launched")]
    again = Schedules(world.lead())
    world.act(again, after(minutes=2.5))
    assert len(world.store.runs()) == 2


@pytest.mark.parametrize(
    ("catchup", "launched"),
    [("none", 1), ("last", 1), (1, 1), (3, 3), ("all", 9), (100, 9)],
)
def test_ticks_without_a_daemon_are_made_up_for_or_recorded_as_missed(tmp_path, catchup, launched):
    world = World(tmp_path, defined(changed(catchup=catchup)))
    world.act(Schedules(world.lead()))
    part = Schedules(world.lead())
    world.act(part, after(minutes=9, seconds=30))
    statuses = [status for _, status in world.ticks("s")]
    assert statuses == ["missed"] * (9 - launched) + ["launched"] * launched
    assert len(world.store.runs()) == launched


def test_a_tick_that_is_late_by_less_than_a_minute_was_not_missed(tmp_path):
    world = World(tmp_path, defined(changed(crons=("*/10 * * * *",), catchup="none")))
    world.act(Schedules(world.lead()))
    world.act(Schedules(world.lead()), after(minutes=10, seconds=59))
    world.act(Schedules(world.lead()), after(minutes=21, seconds=1))
    assert world.ticks("s") == [("12:10:00", "launched"), ("12:20:00", "missed")]


def test_other_times_never_run_the_past_again(world):
    duty = world.lead()
    part = Schedules(duty)
    world.act(part)
    world.time = after(minutes=5)
    world.declare(duty, defined(changed(crons=("*/2 * * * *",))))
    world.act(part)
    assert world.ticks("s") == []
    world.act(part, after(minutes=6))
    assert world.ticks("s") == [("12:06:00", "launched")]


def test_one_that_is_stopped_settles_nothing_and_a_start_settles_what_was_before(world):
    part = Schedules(world.lead())
    world.act(part)
    automation = world.store.automation
    automation.switch("default", "schedule", "s", on=False, at=NOON)
    world.act(part, after(minutes=5))
    automation.switch("default", "schedule", "s", on=True, at=after(minutes=6))
    world.act(part, after(minutes=6, seconds=1))
    assert world.ticks("s") == []
    world.act(part, after(minutes=7))
    assert world.ticks("s") == [("12:07:00", "launched")]


def test_one_that_is_started_before_any_daemon_has_the_ticks_since_then(tmp_path):
    world = World(tmp_path, defined(changed(stopped=True)))
    world.store.automation.switch("default", "schedule", "s", on=True, at=NOON)
    part = Schedules(world.lead())
    world.act(part, after(minutes=1, seconds=5))
    assert world.ticks("s") == [("12:01:00", "launched")]
    world.act(part, after(minutes=2))
    assert world.ticks("s")[1:] == [("12:02:00", "launched")]


def test_one_that_is_no_longer_declared_as_stopped_ticks_from_now_on(tmp_path):
    world = World(tmp_path, defined(changed(stopped=True, catchup="all")))
    duty = world.lead()
    part = Schedules(duty)
    world.act(part)
    world.time = after(minutes=5, seconds=1)
    world.declare(duty, defined(changed(catchup="all")))
    world.act(part)
    assert world.ticks("s") == []
    world.act(part, after(minutes=6))
    assert world.ticks("s") == [("12:06:00", "launched")]


def declared(*found):
    return msgspec.structs.replace(defined(*found), notebooks={"n.ipynb": NotebookDef(path="n.ipynb")})


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_not_declared_has_no_ticks_and_makes_up_for_none_later(tmp_path, restarted):
    schedule = changed(catchup="all")
    world = World(tmp_path, declared(schedule))
    duty = world.lead()
    part = Schedules(duty)
    world.act(part)
    world.act(part, after(minutes=1))
    world.declare(duty, declared())
    world.act(part, after(minutes=1, seconds=1))
    assert "schedule s is not declared any more" in world.said
    if restarted:
        duty = world.lead()
        part = Schedules(duty)
        world.act(part, after(minutes=9))
    world.time = after(minutes=10, seconds=30)
    world.declare(duty, declared(schedule))
    world.act(part)
    assert world.ticks("s") == [("12:01:00", "launched"), ("12:10:00", "launched")]
    world.act(part, after(minutes=11))
    assert world.ticks("s")[2:] == [("12:11:00", "launched")]


@pytest.mark.parametrize("other", [{"crons": ("*/5 * * * *",)}, {"stopped": True}])
def test_one_that_comes_back_otherwise_begins_anew(tmp_path, other):
    world = World(tmp_path, declared(changed(catchup="all")))
    duty = world.lead()
    part = Schedules(duty)
    for moment, found in ((0, [changed(catchup="all")]), (1, []), (10.5, [changed(catchup="all", **other)])):
        world.time = after(minutes=moment)
        world.declare(duty, declared(*found))
        world.act(part)
    assert world.ticks("s") == []


def test_a_project_that_is_not_there_for_a_while_is_made_up_for(tmp_path):
    """Of a folder that is not mounted, nobody can tell what it declares."""
    schedule = changed(catchup="all")
    world = World(tmp_path, declared(schedule))
    duty = world.lead()
    part = Schedules(duty)
    world.act(part)
    world.declare(duty, defined())
    world.act(part, after(seconds=30))
    world.time = after(minutes=3, seconds=30)
    world.declare(duty, declared(schedule))
    world.act(part)
    assert [status for _, status in world.ticks("s")] == ["launched"] * 3


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (RefusedError("asset x is broken"), "failed", "asset x is broken"),
        (ZeroDivisionError("oh"), "failed", "ZeroDivisionError: oh: please report it"),
        (OSError(28, "No space left on device"), "failed", "[Errno 28] No space left on device"),
        (None, "skipped", "nothing to do"),
    ],
)
def test_a_tick_without_a_run_says_why_and_the_next_one_comes(world, answer, status, reason):
    world.project.answer = lambda _: answer
    part = Schedules(world.lead())
    world.act(part)
    world.act(part, after(minutes=1))
    (tick,) = world.store.automation.ticks("default", "schedule", "s")
    assert (tick.status, tick.reason, tick.runs) == (status, reason, ())
    world.project.answer = lambda _: True
    world.act(part, after(minutes=2))
    assert world.ticks("s")[1:] == [("12:02:00", "launched")]


def test_a_job_that_is_gone_fails_its_tick(tmp_path):
    world = World(tmp_path, defined(changed(selection=None, job="gone"), jobs=[JobDef(name="gnoe", selection="x")]))
    part = Schedules(world.lead())
    world.act(part)
    world.act(part, after(minutes=1))
    (tick,) = world.store.automation.ticks("default", "schedule", "s")
    assert tick.reason == "there is no job 'gone': did you mean 'gnoe'?"


def test_runs_have_what_their_job_says(tmp_path):
    job = JobDef(name="j", selection="x", tags=(("team", "a"),), priority=3, timeout=60)
    world = World(tmp_path, defined(changed(selection=None, job="j"), jobs=[job]))
    part = Schedules(world.lead())
    world.act(part)
    world.act(part, after(minutes=1))
    (run,) = world.store.runs()
    assert (run.job, dict(run.tags), run.priority, run.timeout) == ("j", {"team": "a"}, 3, 60)


def test_who_leads_no_more_records_nothing(world):
    part = Schedules(world.lead())
    world.act(part)
    Schedules(world.lead())
    with pytest.raises(ConflictError):
        world.act(part, after(minutes=1))
    assert (world.ticks("s"), world.store.runs()) == ([], [])


def test_a_busy_store_delays_a_tick_that_is_planned_once(world, monkeypatch):
    duty = world.lead()
    part = Schedules(duty)
    world.act(part)
    real, busy = duty.store.automation.tick, [StateBusyError("busy"), StateBusyError("busy")]

    class Busy:
        def __getattr__(self, name):
            return getattr(real.__self__, name)

        def tick(self, *given, **about):
            if busy:
                raise busy.pop()
            return real(*given, **about)

    monkeypatch.setattr(type(duty.store), "automation", Busy())
    for _ in range(2):
        with pytest.raises(StateBusyError):
            world.act(part, after(minutes=1))
    world.act(part, after(minutes=1, seconds=2))
    assert world.ticks("s") == [("12:01:00", "launched")]
    assert len(list((world.project.root / RUNS).iterdir())) == len(world.project.works) == 1


def test_a_run_whose_store_failed_after_it_was_queued_keeps_its_notebooks(world, monkeypatch):
    duty = world.lead()
    part = Schedules(duty)
    world.act(part)
    real = duty.store.automation.tick

    class Lost:
        """Does what it is asked for, and loses the answer."""

        def __getattr__(self, name):
            return getattr(real.__self__, name)

        def tick(self, *given, **about):
            if real(*given, **about) is not None:
                raise StateBusyError("the connection is gone")

    monkeypatch.setattr(type(duty.store), "automation", Lost())
    with pytest.raises(StateBusyError):
        world.act(part, after(minutes=1))
    world.act(part, after(minutes=1, seconds=1))
    (run,) = world.store.runs()
    assert [folder.name for folder in (world.project.root / RUNS).iterdir()] == [run.id]


def test_what_could_not_be_run_ahead_of_time_is_planned_again_when_the_time_has_come(world):
    answers = iter([RefusedError("x was never materialized")])
    world.project.answer = lambda _: next(answers, True)
    part = Schedules(world.lead())
    world.act(part)
    world.act(part, after(seconds=58))
    world.act(part, after(minutes=1))
    assert world.ticks("s") == [("12:01:00", "launched")]


def test_a_run_that_is_made_up_for_has_a_young_id(world):
    world.act(Schedules(world.lead()))
    world.act(Schedules(world.lead()), after(days=40))
    assert world.store.runs()
    assert all(int(run.id[:12], 16) >= after(days=40).timestamp() * 1000 for run in world.store.runs())


@pytest.mark.parametrize("where", ["upcoming", "due", "created_at"])
def test_a_schedule_that_is_beyond_this_program_stops_no_other(tmp_path, monkeypatch, where):
    """Ours to be sorry for: the others go on, and it is tried again."""
    world = World(tmp_path, defined(changed(name="a"), changed(name="b", selection="y")))
    real = getattr(schedules, where)
    moment, wrong = 0.0, True

    def sometimes(of, *given):
        if wrong and (getattr(of, "name", "") == "a" or (where == "created_at" and of.run.selection == "x")):
            raise OverflowError("date value out of range")
        return real(of, *given)

    monkeypatch.setattr(schedules, where, sometimes)
    monkeypatch.setattr(schedules.clock, "monotonic", lambda: moment)
    part = Schedules(world.lead())
    world.act(part)
    again = world.act(part, after(minutes=1))
    assert (world.ticks("a"), world.ticks("b")) == ([], [("12:01:00", "launched")])
    assert again is not None
    assert [text for text in world.said if "please report it" in text] != []
    moment, wrong = 61.0, False
    world.act(part, after(minutes=2))
    assert world.ticks("a")[-1] == ("12:02:00", "launched")


def test_what_was_planned_before_a_change_is_planned_again(world):
    duty = world.lead()
    part = Schedules(duty)
    world.act(part)
    world.act(part, after(seconds=58))
    world.declare(duty, defined(changed(selection="y")))
    world.act(part, after(minutes=1))
    assert [work.job.selection for work in world.project.works] == ["x", "y"]
    (run,) = world.store.runs()
    assert run.selection == "y"
    assert [folder.name for folder in (world.project.root / RUNS).iterdir()] == [run.id]


def test_nothing_that_was_only_prepared_is_left_behind(world):
    part = Schedules(world.lead())
    world.act(part)
    world.act(part, after(seconds=58))
    assert len(list((world.project.root / RUNS).iterdir())) == 1
    part.close()
    assert list((world.project.root / RUNS).iterdir()) == []


def test_a_clock_that_is_set_back_repeats_nothing_and_stops_nothing(world):
    part = Schedules(world.lead())
    world.act(part)
    for minute in (1, 2, 3):
        world.act(part, after(minutes=minute))
    world.act(part, after(minutes=0.5))
    for minute in (1, 2, 3, 4):
        world.act(part, after(minutes=minute))
    assert world.ticks("s") == [(f"12:0{minute}:00", "launched") for minute in (1, 2, 3, 4)]


def test_what_comes_again_is_asked_for_once(world):
    part = Schedules(world.lead())
    world.act(part)
    for minute in (1, 2, 3):
        world.act(part, after(minutes=minute))
    world.act(part, after(minutes=0.5))
    world.act(part, after(minutes=1))
    planned = len(world.project.works)
    for second in range(1, 20):
        world.act(part, after(minutes=1, seconds=second))
    assert len(world.project.works) == planned


def test_ticks_that_a_wrong_clock_missed_come_when_it_is_right_again(tmp_path):
    world = World(tmp_path, defined(changed(catchup="none")))
    part = Schedules(world.lead())
    world.act(part)
    world.act(part, after(minutes=10.5))
    assert [status for _, status in world.ticks("s")] == ["missed"] * 9 + ["launched"]
    assert "the clock was set ahead" in world.store.automation.ticks("default", "schedule", "s")[-1].reason
    for minute in range(12):
        world.act(part, after(minutes=minute))
    assert {status for _, status in world.ticks("s")} == {"launched"}
    assert sorted(time for time, _ in world.ticks("s")) == [f"12:{minute:02}:00" for minute in range(1, 12)]


@pytest.mark.parametrize("catchup", ["all", "last", "none"])
def test_a_clock_that_was_long_wrong_makes_up_for_nothing_that_was_done(tmp_path, catchup):
    world = World(tmp_path, defined(changed(catchup=catchup)))
    part = Schedules(world.lead())
    world.act(part)
    for minute in (1, 2, 3):
        world.act(part, after(minutes=minute))
    duty = part._duty
    world.store.automation.prune(duty.lease, before=after(minutes=2.5), kinds=("ticks",))
    world.act(part, NOON - timedelta(days=20_000))
    for minute in (5, 6):
        world.act(part, after(minutes=minute))
    # nothing between 1969 and now; of what is kept of the time before, nothing twice
    assert world.ticks("s") == [(f"12:0{minute}:00", "launched") for minute in (3, 4, 5, 6)]


def test_a_clock_that_jumps_ahead_misses_by_policy(world):
    part = Schedules(world.lead())
    world.act(part)
    world.act(part, NOON + timedelta(days=1))
    statuses = [status for _, status in world.ticks("s")]
    assert statuses == ["missed"] * 998 + ["launched"] * 2  # the two of the last minute were not late
    assert "not listed" in world.store.automation.ticks("default", "schedule", "s", limit=1_000)[-1].reason


def test_one_moment_ticks_once(tmp_path):
    world = World(tmp_path, defined(changed(crons=(), at=("2024-05-01T12:01", "2024-05-01T11:00"))))
    part = Schedules(world.lead())
    assert world.act(part) == after(seconds=57)
    assert world.act(part, after(minutes=1)) is None
    assert world.ticks("s") == [("12:01:00", "launched")]


def test_two_hundred_at_one_time_are_all_prepared_and_launched(tmp_path):
    schedules = [changed(name=f"s{number:03}") for number in range(200)]
    world = World(tmp_path, defined(*schedules))
    part = Schedules(world.lead())
    world.act(part)
    assert world.act(part, after(seconds=57.5)) == after(minutes=1)
    assert len(world.project.works) == 200
    assert world.act(part, after(minutes=1)) == after(seconds=117)
    assert len({run.trigger for run in world.store.runs(limit=1_000)}) == len(world.project.works) == 200


def test_nobody_waits_until_others_have_caught_up(tmp_path):
    behind = changed(name="behind", crons=("* * * * *",), catchup="all")
    after_it = changed(name="often", crons=("*/5 * * * * *",), catchup="none")
    world = World(tmp_path, defined(behind, changed(name="hourly", crons=("0 * * * *",)), after_it))
    world.act(Schedules(world.lead()))
    world.time = after(hours=1)
    part = Schedules(world.lead())
    for _ in range(3):
        assert part.act(world.time) == world.time, "there is more"
    assert world.ticks("hourly") == [("13:00:00", "launched")]
    assert world.ticks("often")[-1] == ("13:00:00", "launched")
    assert 0 < len(world.ticks("behind")) < 60
    world.act(part)
    assert len(world.ticks("behind")) == 60


def test_once_settles_what_is_due_and_no_more(world):
    world.act(Schedules(world.lead()))
    part = Schedules(world.lead(once=True))
    assert not part.idle
    assert world.act(part, after(minutes=1)) is None
    assert part.idle
    assert world.act(part, after(minutes=3)) is None
    assert world.ticks("s") == [("12:01:00", "launched")]
