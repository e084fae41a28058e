"""Sensors: asked in time, recorded all or nothing, whatever they answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from nbpipe import clock
from nbpipe.core.automation.definitions import JobDef, SensorDef
from nbpipe.core.automation.evaluations import Evaluated, Evaluation, packed
from nbpipe.core.automation.requests import Answer, PartitionsRequest, RunRequest
from nbpipe.core.definitions import CellDef, CellRef, Definitions, NotebookDef
from nbpipe.core.reading.cells import CellText
from nbpipe.core.reading.notebooks import NotebookFacts, cell_facts
from nbpipe.daemon import sensor_launches
from nbpipe.daemon.parts import Duty
from nbpipe.daemon.sensors import Sensors
from nbpipe.errors import ConflictError, RefusedError, StateBusyError
from nbpipe.loading.automation_tables import Notify
from nbpipe.loading.config import Config
from tests.runs import eventually
from tests.stores import new, run
from tests.unit.daemon.automation import NOON, World, after, ended

TEXT = "%%sensor inbox --job work\nTrue"
FACTS = NotebookFacts(path="n.ipynb", cells=(cell_facts(CellText(index=0, cell_id="c", source=TEXT)),))
CELL = CellRef("n.ipynb", 0, "c")
INBOX = SensorDef(name="inbox", job="work", every=10.0, source_hash=FACTS.cells[0].source_hash, cell=CELL)
NOTEBOOK = NotebookDef(
    path="n.ipynb",
    content_hash="1",
    cells=(CellDef(ref=CELL, kind="other", source_hash=INBOX.source_hash),),
)
WORK = JobDef(name="work", selection="x", tags=(("team", "data"),), priority=3)


class FakeEvaluator:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Evaluation] = []
        self.closed = False
        self.done: Any = None

    def make(self, done: Any) -> FakeEvaluator:
        self.done = done
        return self

    def ask(self, evaluation: Evaluation) -> None:
        self.asked.append(evaluation)

    def close(self) -> None:
        self.closed = True


class Watch:
    """The part, on a world."""

    def __init__(self, world: World, *sensors: SensorDef, **about: Any) -> None:
        self.world = world
        self.moment = 0.0
        self.evaluator = FakeEvaluator()
        self.told: list[tuple[str, Any]] = []
        self.problem = ""
        definitions = Definitions(
            jobs={"work": WORK},
            sensors={sensor.name: sensor for sensor in sensors or (INBOX,)},
            notebooks={"n.ipynb": NOTEBOOK},
        )
        world.project.definitions = world.project.saved = definitions
        world.project.facts = lambda path: FACTS if path == "n.ipynb" else None  # type: ignore[attr-defined]
        self.duty: Duty = world.lead(**about)
        self.part = Sensors(self.duty, self.evaluator.make, told_by=self._tell)

    def _tell(self, name: str, notify: Notify, news: Any) -> str:  # noqa: ARG002 - the signature of `tell`
        self.told.append((name, news))
        return self.problem

    def pass_(self, seconds: float) -> None:
        """Let time pass, and ask the part."""
        self.moment += seconds
        self.world.act(self.part, self.world.time + timedelta(seconds=seconds))

    def answer(self, answer: Answer = Answer(), cursor: str | None = None, **about: Any) -> None:  # noqa: B008
        """Answer the latest question."""
        said = {"status": "answered", "answer": packed(answer), "cursor": cursor, **about}
        self.evaluator.done(Evaluated(id=self.evaluator.asked[-1].id, **said))
        self.pass_(0)

    def ticks(self, name: str = "inbox") -> list[Any]:
        found = self.world.store.automation.ticks("default", "sensor", name, limit=1000)
        return list(reversed(found))

    @property
    def runs(self) -> list[Any]:
        return self.world.store.automation.waiting("default", limit=100_000)

    @property
    def cursor(self) -> str | None:
        state = self.world.store.automation.states("default").get(("sensor", "inbox"))
        return None if state is None else state.cursor


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The clock that never jumps, as a test moves it."""
    watches: list[Watch] = []
    monkeypatch.setattr(clock, "monotonic", lambda: watches[0].moment if watches else 0.0)
    return watches


@pytest.fixture
def watch(tmp_path, moment):
    def begin(*sensors: SensorDef, **about: Any) -> Watch:
        found = Watch(World(tmp_path), *sensors, **about)
        moment[:] = [found]
        return found

    return begin


def test_is_asked_at_once_and_then_at_its_interval(watch):
    found = watch()
    assert not found.part.idle
    found.pass_(0)
    (first,) = found.evaluator.asked
    assert (first.cursor, first.timeout, first.program.source) == (None, 60.0, TEXT)
    found.pass_(100)
    assert len(found.evaluator.asked) == 1  # it has not answered yet
    found.answer(Answer(reason="no"))
    assert found.part.idle or len(found.evaluator.asked) == 2
    found.answer(Answer(reason="no"))
    found.pass_(9)
    assert len(found.evaluator.asked) == 2
    found.pass_(1)
    assert len(found.evaluator.asked) == 3


def test_runs_cursor_and_tick_are_recorded_together(watch):
    found = watch()
    found.pass_(0)
    requests = (RunRequest(run_key="a", tags={"file": "a"}, parameters={"n": (1, "x")}), RunRequest(priority=9))
    found.answer(Answer(runs=requests), cursor="1", output="hello")
    (tick,) = found.ticks()
    assert (tick.status, len(tick.runs), tick.reason) == ("launched", 2, "hello")
    assert found.cursor == "1"
    by_priority = {each.priority: each for each in found.runs}
    assert by_priority[3].tags == {"team": "data", "file": "a"}
    assert (by_priority[9].job, by_priority[9].trigger) == ("work", "sensor:inbox")
    assert found.world.project.works[0].parameters == {"n": (1, "x")}
    found.pass_(10)
    assert found.evaluator.asked[-1].cursor == "1"


def test_skips_in_a_row_are_one_tick_and_keep_the_cursor_that_they_set(watch):
    found = watch()
    for number in range(5):
        found.pass_(10)
        found.answer(Answer(reason=f"nothing at {number}"), cursor=str(number))
    (tick,) = found.ticks()
    assert (tick.count, tick.reason, found.cursor) == (5, "nothing at 4", "4")


def test_a_key_that_was_seen_starts_nothing_and_is_named(watch):
    found = watch()
    found.pass_(0)
    found.answer(Answer(runs=(RunRequest(run_key="a"),)))
    found.pass_(10)
    found.answer(Answer(runs=(RunRequest(run_key="a"), RunRequest(run_key="b"))))
    found.pass_(10)
    found.answer(Answer(runs=(RunRequest(run_key="a"),)))
    assert [tick.status for tick in found.ticks()] == ["launched", "launched", "skipped"]
    assert len(found.runs) == 2
    assert "a" in found.ticks()[1].reason
    assert len(found.world.project.works) == 2  # what was seen is not planned


def test_a_failure_keeps_the_cursor_and_is_asked_less_and_less_often(watch):
    found = watch()
    found.pass_(0)
    found.answer(Answer(reason="no"), cursor="kept")
    pauses = []
    for _ in range(7):
        asked, waited = len(found.evaluator.asked), 0
        while len(found.evaluator.asked) == asked:
            found.pass_(10)
            waited += 10
        pauses.append(waited)
        found.answer(status="failed", error="n.ipynb, cell 1, line 2: ZeroDivisionError: no", cursor="lost", output="x")
    assert pauses == [10, 10, 20, 40, 80, 100, 100]
    assert found.cursor == "kept"
    failed = found.ticks()[-1]
    assert (failed.status, failed.reason) == ("failed", "n.ipynb, cell 1, line 2: ZeroDivisionError: no\nx")
    found.pass_(100)
    found.answer(Answer(reason="better"), cursor="new")
    found.pass_(10)
    assert found.evaluator.asked[-1].cursor == "new"


def test_one_run_that_can_not_be_planned_launches_none(watch):
    found = watch()
    found.world.project.answer = lambda work: RefusedError("no such key") if work.partition == "b" else True
    found.pass_(0)
    found.answer(Answer(runs=(RunRequest(partition_key="a"), RunRequest(partition_key="b"))), cursor="1")
    (tick,) = found.ticks()
    assert (tick.status, tick.reason, found.runs, found.cursor) == ("failed", "no such key", [], None)
    assert list((found.world.project.root / ".nbpipe" / "runs").glob("*")) == []


def test_a_store_that_is_busy_while_runs_are_planned_loses_none_of_them(watch):
    found = watch()
    busy = iter([False, True, False, True])

    def plan(work: Any) -> object:
        return StateBusyError("busy") if next(busy, False) else work.partition is not None

    found.world.project.answer = plan
    found.pass_(0)
    with pytest.raises(StateBusyError):
        found.answer(Answer(runs=tuple(RunRequest(partition_key=key) for key in "abc")), cursor="1")
    with pytest.raises(StateBusyError):
        found.pass_(1)
    found.pass_(1)
    (tick,) = found.ticks()
    assert (tick.status, len(tick.runs), found.cursor) == ("launched", 3, "1")
    assert [work.partition for work in found.world.project.works] == ["a", "b", "b", "c", "c"]
    for run_id in tick.runs:
        assert (found.world.project.root / ".nbpipe" / "runs" / run_id).is_dir()


@pytest.mark.parametrize("cursor", [None, "1"])
def test_runs_whose_store_failed_after_they_were_queued_are_not_queued_twice(watch, monkeypatch, cursor):
    found = watch()
    real, lost = found.world.store.automation.tick, iter([True])

    class Lost:
        """Does what it is asked for, and loses the first answer."""

        def __getattr__(self, name: str) -> Any:
            return getattr(real.__self__, name)

        def tick(self, *given: Any, **about: Any) -> Any:
            recorded = real(*given, **about)
            if next(lost, False):
                raise StateBusyError("the connection is gone")
            return recorded

    monkeypatch.setattr(type(found.world.store), "automation", Lost())
    found.pass_(0)
    with pytest.raises(StateBusyError):
        found.answer(Answer(runs=(RunRequest(), RunRequest())), cursor=cursor)
    found.pass_(1)
    assert (len(found.ticks()), len(found.runs), found.cursor) == (1, 2, cursor)
    folders = {folder.name for folder in (found.world.project.root / ".nbpipe" / "runs").iterdir()}
    assert folders == {run.id for run in found.runs}
    found.pass_(10)
    assert len(found.evaluator.asked) == 2


ONE_RUN = packed(Answer(runs=(RunRequest(),)))


def assert_other_goes_on(found: Watch) -> None:
    """See to it that a sensor failed, through our fault, and that one after it did not."""
    asked = {each.program.sensor: each for each in found.evaluator.asked}
    found.evaluator.done(Evaluated(id=asked["other"].id, status="answered", answer=ONE_RUN))
    found.pass_(0)
    (tick,) = found.ticks()
    assert tick.status == "failed"
    assert tick.reason.endswith("please report it")
    assert [tick.status for tick in found.ticks("other")] == ["launched"]
    assert len(found.runs) == 1


@pytest.mark.parametrize("where", ["plan", "record", "answer"])
def test_an_answer_that_is_beyond_this_program_stops_no_other_sensor(watch, monkeypatch, where):
    found = watch(INBOX, msgspec.structs.replace(INBOX, name="other"))
    found.pass_(0)
    wrong = iter([OverflowError("too large")])
    if where == "plan":
        found.world.project.answer = lambda _: 1 / 0 if next(wrong, None) else True
    if where == "record":
        real = sensor_launches.created_at
        monkeypatch.setattr(sensor_launches, "created_at", lambda *given: 1 / 0 if next(wrong, None) else real(*given))
    nonsense = Answer(runs=(RunRequest(parameters={"n": "nan"}),))
    (asked,) = [each for each in found.evaluator.asked if each.program.sensor == "inbox"]
    answer = nonsense if where == "answer" else ONE_RUN
    found.evaluator.done(Evaluated(id=asked.id, status="answered", answer=answer))
    found.pass_(0)
    assert_other_goes_on(found)


def test_a_question_that_can_not_be_asked_stops_no_other_sensor(watch):
    found = watch(INBOX, msgspec.structs.replace(INBOX, name="other"))
    real = found.evaluator.ask

    def ask(evaluation: Evaluation) -> None:
        if evaluation.program.sensor == "inbox":
            raise RuntimeError("can't start new thread")
        real(evaluation)

    found.evaluator.ask = ask
    found.pass_(0)
    assert_other_goes_on(found)


def test_keys_of_partitions_are_there_before_runs_are_planned(watch):
    found = watch()
    store = found.world.store
    seen: list[tuple[str, ...]] = []

    def plan(_work: Any) -> bool:
        seen.append(store.partitions.add_keys("default", "customers", ("x", "y"), at=NOON))
        return True

    found.world.project.answer = plan
    found.pass_(0)
    found.answer(Answer(partitions=(PartitionsRequest("customers", add=("x", "y")),), runs=(RunRequest(),)))
    assert found.ticks()[0].status == "launched"
    assert seen == [()]  # none was missing


def test_a_cursor_that_a_person_sets_meanwhile_wins(watch):
    found = watch()
    found.pass_(0)
    found.world.store.automation.set_cursor("default", "inbox", "mine", at=NOON)
    found.answer(Answer(runs=(RunRequest(),)), cursor="theirs")
    assert (found.ticks(), found.runs, found.cursor) == ([], [], "mine")
    found.pass_(0)
    assert found.evaluator.asked[-1].cursor == "mine"


def test_one_that_is_stopped_is_not_asked_and_its_late_answer_does_not_count(watch):
    found = watch()
    found.pass_(0)
    found.world.store.automation.switch("default", "sensor", "inbox", on=False, at=NOON)
    found.answer(Answer(runs=(RunRequest(),)))
    found.pass_(100)
    assert (len(found.evaluator.asked), found.runs) == (1, [])
    found.world.store.automation.switch("default", "sensor", "inbox", on=True, at=NOON)
    found.pass_(1)
    assert len(found.evaluator.asked) == 2


def test_a_daemon_that_does_not_lead_any_more_records_nothing(watch):
    found = watch()
    found.pass_(0)
    found.world.lead()
    with pytest.raises(ConflictError):
        found.answer(Answer(runs=(RunRequest(),)), cursor="1")
    assert (found.runs, found.cursor) == ([], None)
    found.part.close()
    assert found.evaluator.closed
    assert list((found.world.project.root / ".nbpipe" / "runs").glob("*")) == []


def test_ten_thousand_runs_are_planned_in_turns_and_recorded_at_once(watch, monkeypatch):
    found = watch()
    found.pass_(0)
    requests = tuple(RunRequest(run_key=str(number)) for number in range(10_000))
    ticking = iter(range(10**9))
    monkeypatch.setattr(clock, "monotonic", lambda: found.moment + next(ticking) * 1e-4)
    found.evaluator.done(
        Evaluated(id=found.evaluator.asked[-1].id, status="answered", answer=packed(Answer(runs=requests)))
    )
    turns = 1
    while (again := found.part.act(found.world.time)) is not None and again <= found.world.time:
        assert found.runs == []
        turns += 1
    assert turns > 5
    assert len(found.runs) == 10_000
    assert len(found.world.project.works) == 1  # they differ in nothing but their keys


def test_with_once_each_is_asked_once(watch):
    found = watch(once=True)
    found.pass_(0)
    assert not found.part.idle
    found.answer(Answer(reason="no"))
    found.pass_(100)
    assert found.part.idle
    assert len(found.evaluator.asked) == 1


def test_a_broken_notebook_leaves_the_sensor_as_it_was(watch):
    found = watch()
    found.pass_(0)
    found.answer(Answer(reason="no"))
    broken = msgspec.structs.replace(found.world.project.definitions, notebooks={})
    found.world.project.facts = lambda _: None  # type: ignore[attr-defined]
    found.world.declare(found.duty, broken)
    found.pass_(10)
    assert len(found.evaluator.asked) == 2
    assert found.evaluator.asked[-1].program.source == TEXT


# --- assets and runs ---

FRESH = SensorDef(name="inbox", kind="asset", job="work", assets=("a",), every=1.0)
FAILED = SensorDef(name="inbox", kind="run", job="work", statuses=("failure",), every=1.0)


def test_a_materialization_launches_once_and_not_for_the_past(watch):
    found = watch(FRESH)
    store = found.world.store
    store.commit([new("a")])
    found.pass_(0)
    assert [tick.status for tick in found.ticks()] == ["skipped"]
    found.pass_(5)
    assert found.runs == []
    store.commit([new("b", "b/2")])
    found.pass_(5)
    assert found.runs == []
    store.commit([new("a", "a/2")])
    store.commit([new("a", "a/3")])
    found.pass_(5)
    assert len(found.runs) == 1
    found.pass_(5)
    assert len(found.runs) == 1


def test_a_cursor_that_is_set_back_counts(watch):
    """What the sensor has seen before is seen again."""
    found = watch(SensorDef(name="inbox", kind="run", statuses=("failure",), job="work", every=1.0))
    found.pass_(0)
    begin = found.cursor
    failures(found, 2)
    found.pass_(1)
    assert [len(tick.runs) for tick in found.ticks()] == [0, 2]
    state = found.world.store.automation
    assert found.cursor != begin
    state.set_cursor("default", "inbox", begin, at=found.world.time)
    found.pass_(1)
    assert found.ticks()[-1].reason.startswith("run keys seen before: run r0-0 (run ")


def failures(found: Watch, count: int, **about: Any) -> None:
    store = found.world.store
    for number in range(count):
        run_id = f"r{len(store.runs(limit=10_000))}-{number}"
        store.create_run(run(run_id, env="default", **about), (), (), b"")
        ended(store, run_id, "failure", after(seconds=number), error="it broke")


def test_every_failed_run_is_drained(watch):
    found = watch(FAILED)
    found.pass_(0)
    failures(found, 250, job="other")
    failures(found, 3, job="work")  # its own job: that would go on for ever
    for _ in range(10):
        found.pass_(1)
    launched = [each for each in found.runs if each.trigger == "sensor:inbox"]
    assert len(launched) == 250
    assert len({each.tags["after"] for each in launched}) == 250


@pytest.mark.parametrize(("once", "waits"), [(False, True), (True, False)])
def test_it_is_not_idle_before_it_has_seen_all_that_has_happened(watch, once, waits):
    found = watch(FRESH, once=once)
    found.pass_(0)
    found.world.store.commit([new("b", "b/1")])
    found.pass_(1)
    assert found.part.idle
    found.world.store.commit([new("a")])
    found.pass_(0)  # its interval has not passed
    assert found.part.idle is not waits
    found.pass_(1)
    assert len(found.runs) == waits
    found.pass_(1)
    found.pass_(1)
    assert found.part.idle


def test_a_sensor_that_reaches_nobody_does_not_keep_a_daemon_from_being_idle(watch):
    found = watch(SensorDef(name="inbox", kind="run", statuses=("failure",), notify=("ops",), every=1.0))
    found.world.project.config = Config(notify={"ops": Notify(url="http://localhost")})
    found.problem = "ops could not be told"
    found.pass_(0)
    failures(found, 1)
    found.pass_(1)
    eventually(lambda: found.pass_(0) or len(found.ticks()) == 2)
    assert found.part.idle


def test_people_are_told_and_the_cursor_moves_after_that(watch):
    notified = SensorDef(name="inbox", kind="run", statuses=("failure",), notify=("ops",), every=1.0)
    found = watch(notified)
    found.world.project.config = Config(notify={"ops": Notify(url="http://localhost")})
    found.pass_(0)
    before = found.cursor
    failures(found, 2)
    found.problem = "ops could not be told"
    found.pass_(1)
    eventually(lambda: found.pass_(0) or len(found.ticks()) == 2)
    assert (found.ticks()[-1].status, found.ticks()[-1].reason) == ("failed", "ops could not be told")
    assert found.cursor == before
    found.problem = ""
    found.pass_(2)
    eventually(lambda: found.pass_(0) or found.cursor != before)
    assert [len(news.runs) for _, news in found.told] == [2, 2]
    assert (found.ticks()[-1].status, found.ticks()[-1].reason) == ("launched", "told ops")
    assert "sensor inbox told ops" in found.world.said


def test_each_notice_is_a_tick_of_its_own(watch):
    found = watch(SensorDef(name="inbox", kind="run", statuses=("failure",), notify=("ops", "none"), every=1.0))
    found.world.project.config = Config(notify={"ops": Notify(url="http://localhost")})
    found.pass_(0)
    for number in range(3):
        failures(found, 1)
        found.pass_(1)
        eventually(lambda number=number: found.pass_(0) or len(found.ticks()) == number + 2)
    told = ("launched", 1, "told ops\nthere is no [notify.none]")
    assert [(tick.status, tick.count, tick.reason) for tick in found.ticks()[1:]] == [told] * 3


def test_who_was_told_stands_beside_the_runs(watch):
    found = watch(SensorDef(name="inbox", kind="run", statuses=("failure",), notify=("ops",), job="work", every=1.0))
    found.world.project.config = Config(notify={"ops": Notify(url="http://localhost")})
    found.pass_(0)
    failures(found, 1)
    found.pass_(1)
    eventually(lambda: found.pass_(0) or len(found.ticks()) == 2)
    assert (len(found.ticks()[-1].runs), found.ticks()[-1].reason) == (1, "told ops")


def test_the_log_says_who_could_not_be_told(watch):
    found = watch(SensorDef(name="inbox", kind="run", statuses=("failure",), notify=("ops", "none"), every=1.0))
    found.world.project.config = Config(notify={"ops": Notify(url="http://localhost")})
    found.pass_(0)
    failures(found, 1)
    found.pass_(1)
    eventually(lambda: found.pass_(0) or found.world.said)
    assert found.world.said == ["sensor inbox told ops; there is no [notify.none]"]
