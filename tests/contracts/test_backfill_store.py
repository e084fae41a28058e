"""What every state store promises about backfills."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from pyroaring import BitMap

from nbpipe.core.backfills.records import PARTS, Backfill, Portion
from nbpipe.core.records import RunAsset
from nbpipe.errors import ConflictError, UnknownNameError
from tests.stores import NOON, WORKER, later, places, run, steps

ENV = "default"
OTHER = msgspec.structs.replace(WORKER, pid=8)
WHOLE = {(): BitMap([0])}


def some(*inner, outer=()):
    return {outer: BitMap(inner)}


def backfill(number="b1", **changes):
    values = {"id": number, "env": ENV, "assets": ("day", "report"), "created_at": NOON}
    return Backfill(**(values | changes))


def requested(count=10):
    return {"day": Portion(requested=some(*range(count))), "report": Portion(requested=WHOLE)}


@pytest.fixture
def backfills(store):
    return store.backfills


@pytest.fixture
def claimed(backfills):
    """A backfill of ten days and a report, which a worker has."""
    backfills.create(backfill(), requested(), b"plan")
    assert backfills.claim("b1", WORKER, at=NOON)
    return backfills


def launch(backfills, number, *, worker=WORKER, backfill_id="b1"):
    backfills.launch(backfill_id, worker, run(number), steps(number), places(number), b"plan of " + number.encode())


def counts(found):
    return {name: getattr(found, name) for name in ("total", *PARTS)}


# --- creating and looking up --------------------------------------------------------------------


def test_a_backfill_is_read_as_it_was_created(store, backfills):
    asked = {"report": Portion(requested=WHOLE), "day": Portion(requested=some(1, 2**31) | some(3, outer=(4, 5)))}
    parameters = {"n": 20, "names": ["a", None]}
    new = backfill(selection="day+", partitions="1..3", parameters=parameters, assets=("day", "report"))
    revision = store.revision()
    backfills.create(new, asked, b"plan")
    assert backfills.backfill("b1") == msgspec.structs.replace(new, total=4)
    assert backfills.portions("b1") == asked
    assert list(backfills.portions("b1")) == ["day", "report"]
    assert backfills.plan("b1") == b"plan"
    assert backfills.open_runs("b1") == backfills.runs("b1") == []
    (event,) = store.events(after=revision)
    assert (event.kind, event.env, event.data) == ("backfill_created", ENV, {"backfill": "b1", "total": 4})


def test_counts_are_those_of_the_portions(backfills):
    asked = {"day": Portion(requested=some(1, 2, 3), done=some(1), lost=some(2, 9), failed={(): BitMap()})}
    backfills.create(backfill(total=99, done=98, assets=("day", "none"), status="running"), asked, b"")
    found = backfills.backfill("b1")
    assert counts(found) == {"total": 3, "done": 1, "failed": 0, "skipped": 0, "lost": 1}
    assert found.status == "queued"
    assert backfills.portions("b1") == {
        "day": Portion(requested=some(1, 2, 3), done=some(1), lost=some(2)),
        "none": Portion(requested={}),
    }


def test_an_id_is_used_once(backfills):
    backfills.create(backfill(), requested(), b"plan")
    with pytest.raises(ConflictError, match="b1"):
        backfills.create(backfill(), requested(3), b"other")
    assert backfills.backfill("b1").total == 11


def test_a_prefix_is_enough_unless_several_begin_with_it(backfills):
    for number in ("abc1", "abc2", "x_y", "x"):
        backfills.create(backfill(number), requested(), b"")
    assert backfills.backfill("x_").id == "x_y"
    assert backfills.backfill("x").id == "x"
    assert backfills.backfill("nobody") is backfills.backfill("") is backfills.backfill("%") is None
    with pytest.raises(UnknownNameError, match="several backfills begin with it: abc1, abc2"):
        backfills.backfill("abc")


def test_backfills_are_listed_newest_first(backfills):
    for minute, number in enumerate("cab"):
        backfills.create(backfill(number, created_at=later(minute)), requested(), b"")
    backfills.create(backfill("z", env="prod"), requested(), b"")
    backfills.claim("a", WORKER, at=NOON)
    backfills.advance("c", "success", at=NOON)
    assert [one.id for one in backfills.backfills()] == ["b", "a", "z", "c"]
    assert [one.id for one in backfills.backfills(env=ENV)] == ["b", "a", "c"]
    assert [one.id for one in backfills.backfills(limit=1)] == ["b"]
    assert [one.id for one in backfills.backfills(env=ENV, statuses=["queued", "running"])] == ["b", "a"]
    assert [one.id for one in backfills.backfills(statuses=["running"])] == ["a"]
    assert [one.id for one in backfills.backfills(statuses=["success", "queued"])] == ["b", "z", "c"]


def test_nothing_is_known_of_a_backfill_that_is_not_there(backfills):
    assert (backfills.portions("b1"), backfills.plan("b1"), backfills.runs("b1")) == ({}, None, [])
    assert backfills.open_runs("b1") == []
    calls = [
        lambda: backfills.claim("b1", WORKER, at=NOON),
        lambda: backfills.release("b1", WORKER, at=NOON),
        lambda: launch(backfills, "r1"),
        lambda: backfills.settle("b1", WORKER, "", {}, at=NOON),
        lambda: backfills.retry("b1", at=NOON),
        lambda: backfills.advance("b1", "success", at=NOON),
        lambda: backfills.request_cancel("b1", at=NOON),
    ]
    for call in calls:
        with pytest.raises(UnknownNameError, match="b1"):
            call()


# --- who works on it ----------------------------------------------------------------------------


def test_one_worker_has_it_until_it_is_released_or_taken_over(backfills):
    backfills.create(backfill(), requested(), b"")
    assert not backfills.claim("b1", OTHER, at=NOON, instead_of=WORKER)
    assert backfills.claim("b1", WORKER, at=later(1))
    assert not backfills.claim("b1", OTHER, at=NOON)
    found = backfills.backfill("b1")
    assert (found.status, found.worker, found.started_at) == ("running", WORKER, later(1))
    assert backfills.claim("b1", OTHER, at=later(2), instead_of=WORKER)
    assert not backfills.claim("b1", OTHER, at=later(2), instead_of=WORKER)
    backfills.release("b1", OTHER, at=later(3))
    found = backfills.backfill("b1")
    assert (found.status, found.worker, found.started_at) == ("queued", None, later(1))
    assert backfills.claim("b1", WORKER, at=later(4))


def test_of_many_that_claim_one_wins(backfills):
    backfills.create(backfill(), requested(), b"")
    workers = [msgspec.structs.replace(WORKER, pid=number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda worker: backfills.claim("b1", worker, at=NOON), workers))
    assert won.count(True) == 1
    assert backfills.backfill("b1").worker == workers[won.index(True)]


def test_who_was_taken_for_dead_can_not_harm(store, claimed):
    launch(claimed, "r1")
    assert claimed.claim("b1", OTHER, at=NOON, instead_of=WORKER)
    before, revision = claimed.portions("b1"), store.revision()
    calls = [
        lambda: claimed.release("b1", WORKER, at=NOON),
        lambda: launch(claimed, "r2"),
        lambda: claimed.settle("b1", WORKER, "r1", {"day": Portion(requested={}, done=some(1))}, at=NOON),
        lambda: claimed.settle("b1", WORKER, "", {"day": Portion(requested={}, lost=some(1))}, at=NOON),
        lambda: claimed.advance("b1", "failure", at=NOON, worker=WORKER),
    ]
    for call in calls:
        with pytest.raises(ConflictError, match=r"taken over by process 8 on h"):
            call()
    assert (claimed.portions("b1"), store.revision(), store.run("r2")) == (before, revision, None)
    assert claimed.open_runs("b1") == ["r1"]
    assert claimed.backfill("b1").worker == OTHER


def test_nobody_works_on_a_backfill_without_claiming_it(backfills):
    backfills.create(backfill(), requested(), b"")
    for call in (lambda: launch(backfills, "r1"), lambda: backfills.settle("b1", WORKER, "", {}, at=NOON)):
        with pytest.raises(ConflictError, match="claim it first"):
            call()


# --- runs ---------------------------------------------------------------------------------------


def test_a_launched_run_is_a_run_of_the_backfill(store, claimed):
    asked = [RunAsset(run_id="r1", asset="day", partition=str(number)) for number in range(3)]
    claimed.launch("b1", WORKER, run("r1", trigger="backfill:b1"), steps("r1"), asked, b"p")
    launch(claimed, "r0")
    store.create_run(run("r9"), steps("r9"), places("r9"), b"")
    assert store.run("r1").status == "queued"
    assert store.run_assets("r1") == asked
    assert (store.plan("r1"), len(store.steps("r1"))) == (b"p", 2)
    assert claimed.open_runs("b1") == ["r1", "r0"]
    assert claimed.runs("b1") == [store.run("r0"), store.run("r1")]
    assert claimed.runs("b1", limit=1) == [store.run("r0")]


def test_a_run_that_can_not_be_created_is_not_launched(store, claimed):
    store.create_run(run("r1"), steps("r1"), places("r1"), b"")
    with pytest.raises(ConflictError, match="r1"):
        launch(claimed, "r1")
    assert claimed.runs("b1") == []


def test_a_backfill_that_has_ended_launches_nothing(store, claimed):
    claimed.advance("b1", "success", at=NOON, worker=WORKER)
    with pytest.raises(ConflictError, match="has ended"):
        launch(claimed, "r1")
    assert store.run("r1") is None


# --- what became of partitions ------------------------------------------------------------------


def test_what_a_run_did_is_counted_once(store, claimed):
    launch(claimed, "r1")
    launch(claimed, "r2")
    ended = {"day": Portion(requested={}, done=some(0, 1), failed=some(2), skipped=some(3))}
    claimed.settle("b1", WORKER, "r1", ended, at=NOON)
    revision = store.revision()
    claimed.settle("b1", WORKER, "r1", {"day": Portion(requested={}, failed=some(0, 1))}, at=NOON)
    assert store.revision() == revision
    claimed.settle("b1", WORKER, "", {"report": Portion(requested={}, lost=WHOLE)}, at=NOON)
    assert claimed.open_runs("b1") == ["r2"]
    assert claimed.portions("b1") == {
        "day": Portion(requested=some(*range(10)), done=some(0, 1), failed=some(2), skipped=some(3)),
        "report": Portion(requested=WHOLE, lost=WHOLE),
    }
    assert counts(claimed.backfill("b1")) == {"total": 11, "done": 2, "failed": 1, "skipped": 1, "lost": 1}
    assert [event.kind for event in store.events(run_id="r1")] == ["run_queued", "backfill_progressed"]


def test_the_first_objection_is_kept_until_the_backfill_is_tried_again(claimed):
    for number, error in (("r1", None), ("r2", "odd\x00"), ("r3", "later"), ("r4", None)):
        launch(claimed, number)
        claimed.settle("b1", WORKER, number, {}, at=NOON, error=error)
        claimed.settle("b1", WORKER, number, {}, at=NOON, error="settled already")
    assert claimed.backfill("b1").error == "odd\ufffd"
    claimed.release("b1", WORKER, at=NOON)
    assert claimed.backfill("b1").error == "odd\ufffd"
    claimed.claim("b1", OTHER, at=NOON)
    claimed.advance("b1", "failure", at=NOON, worker=OTHER, error="odd")
    claimed.retry("b1", at=NOON)
    assert claimed.backfill("b1").error is None


def test_a_partition_is_in_one_place_only(claimed):
    for number, ended in enumerate(
        [
            Portion(requested={}, failed=some(1, 2), lost=some(3)),
            Portion(requested={}, done=some(1, 3, 77), failed=some(3, 4), skipped=some(4, 5), lost=some(2, 5)),
        ]
    ):
        launch(claimed, f"r{number}")
        claimed.settle("b1", WORKER, f"r{number}", {"day": ended}, at=NOON)
    found = claimed.portions("b1")["day"]
    assert found == Portion(requested=some(*range(10)), done=some(1, 3), failed=some(4), skipped=some(5), lost=some(2))
    assert counts(claimed.backfill("b1")) == {"total": 11, "done": 2, "failed": 1, "skipped": 1, "lost": 1}


@pytest.mark.parametrize(("run_id", "asset", "named"), [("r2", "day", "r2"), ("r1", "week", "week")])
def test_what_the_backfill_does_not_have_is_not_settled(claimed, run_id, asset, named):
    launch(claimed, "r1")
    with pytest.raises(UnknownNameError, match=named):
        claimed.settle("b1", WORKER, run_id, {asset: Portion(requested={}, done=some(1))}, at=NOON)
    assert claimed.open_runs("b1") == ["r1"]
    assert claimed.backfill("b1").done == 0


def test_renaming_and_wiping_assets_leave_a_backfill_whole(store, claimed):
    launch(claimed, "r1")
    store.record_failure(ENV, ["day"], "boom", at=NOON)
    store.rename(ENV, "day", "daily", at=NOON)
    store.wipe(ENV, "daily", at=NOON)
    claimed.settle("b1", WORKER, "r1", {"day": Portion(requested={}, done=some(1))}, at=NOON)
    assert claimed.backfill("b1").assets == ("day", "report")
    assert claimed.portions("b1")["day"].done == some(1)


# --- ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["success", "failure", "canceled"])
def test_a_backfill_ends_once(store, claimed, status):
    assert claimed.advance("b1", status, at=later(5), worker=WORKER, error="boom\x00")
    assert not claimed.advance("b1", "success", at=later(6))
    found = claimed.backfill("b1")
    assert (found.status, found.ended_at, found.error, found.worker) == (status, later(5), "boom\ufffd", WORKER)
    assert not claimed.claim("b1", OTHER, at=NOON)
    assert not claimed.claim("b1", OTHER, at=NOON, instead_of=WORKER)
    assert not claimed.request_cancel("b1", at=NOON)
    claimed.release("b1", WORKER, at=NOON)
    event = store.events()[-1]
    assert (event.kind, event.data["status"]) == ("backfill_ended", status)


def test_who_leads_gives_up_a_backfill_that_nobody_works_on(store, backfills):
    backfills.create(backfill(), requested(), b"")
    lease = store.automation.lead("default", WORKER, at=NOON)
    backfills.claim("b1", OTHER, at=NOON)
    assert not backfills.abandon(lease, "b1", at=NOON, error="boom")
    backfills.release("b1", OTHER, at=NOON)
    taken = store.automation.lead("default", OTHER, at=NOON, instead_of=lease)
    for old in (lease, msgspec.structs.replace(lease, env="other")):
        with pytest.raises(ConflictError, match="no longer leads"):
            backfills.abandon(old, "b1", at=NOON, error="boom")
    assert backfills.backfill("b1").status == "queued"
    assert backfills.abandon(taken, "b1", at=later(5), error="boom\x00")
    found = backfills.backfill("b1")
    assert (found.status, found.ended_at, found.error) == ("failure", later(5), "boom\ufffd")
    assert not backfills.abandon(taken, "b1", at=NOON, error="boom")


def test_what_failed_and_what_was_lost_can_be_tried_again(claimed):
    assert not claimed.retry("b1", at=NOON)
    launch(claimed, "r1")
    ended = {
        "day": Portion(requested={}, done=some(0, 1), failed=some(2), skipped=some(3)),
        "report": Portion(requested={}, lost=WHOLE),
    }
    claimed.settle("b1", WORKER, "r1", ended, at=NOON)
    claimed.advance("b1", "failure", at=NOON, worker=WORKER, error="1 of 11 failed")
    assert claimed.retry("b1", at=NOON)
    found = claimed.backfill("b1")
    assert counts(found) == {"total": 11, "done": 2, "failed": 0, "skipped": 1, "lost": 0}
    assert (found.status, found.worker, found.ended_at, found.error) == ("queued", None, None, None)
    assert claimed.portions("b1") == {
        "day": Portion(requested=some(*range(10)), done=some(0, 1), skipped=some(3)),
        "report": Portion(requested=WHOLE),
    }
    assert claimed.claim("b1", OTHER, at=NOON)


def test_a_cancellation_reaches_the_worker_and_the_runs(store, claimed):
    for number in ("r1", "r2", "r3"):
        launch(claimed, number)
    store.claim_run("r2", WORKER, at=NOON)
    claimed.settle("b1", WORKER, "r3", {}, at=NOON)
    assert claimed.request_cancel("b1", at=NOON)
    found = claimed.backfill("b1")
    assert (found.status, found.cancel_requested) == ("running", True)
    assert [store.run(number).status for number in ("r1", "r2", "r3")] == ["canceled", "starting", "queued"]
    assert store.run("r2").cancel_requested
    launch(claimed, "r4")
    assert store.run("r4").status == "canceled"
    claimed.settle("b1", WORKER, "r1", {}, at=NOON)
    assert claimed.advance("b1", "canceled", at=NOON, worker=WORKER)
    assert claimed.retry("b1", at=NOON)
    assert not claimed.backfill("b1").cancel_requested


def test_a_backfill_that_nobody_works_on_is_canceled_at_once(backfills):
    backfills.create(backfill(), requested(), b"")
    assert backfills.request_cancel("b1", at=later(1))
    found = backfills.backfill("b1")
    assert (found.status, found.ended_at, found.cancel_requested) == ("canceled", later(1), True)


def test_a_canceled_backfill_does_not_wait_for_another_worker(claimed):
    claimed.request_cancel("b1", at=NOON)
    claimed.release("b1", WORKER, at=later(1))
    assert claimed.backfill("b1").status == "canceled"


def test_every_change_wakes_those_who_wait(store, backfills):
    seen = []
    changes = [
        lambda: backfills.create(backfill(), requested(), b""),
        lambda: backfills.claim("b1", WORKER, at=NOON),
        lambda: launch(backfills, "r1"),
        lambda: backfills.settle("b1", WORKER, "r1", {}, at=NOON),
        lambda: backfills.release("b1", WORKER, at=NOON),
        lambda: backfills.claim("b1", OTHER, at=NOON),
        lambda: backfills.request_cancel("b1", at=NOON),
        lambda: backfills.advance("b1", "canceled", at=NOON),
        lambda: backfills.retry("b1", at=NOON),
    ]
    for change in changes:
        revision = store.revision()
        change()
        assert store.wait_for_change(revision, 5) > revision
        seen += [event.kind for event in store.events(after=revision)]
    assert seen == [
        *("backfill_created", "backfill_started", "run_queued", "backfill_progressed", "backfill_released"),
        *("backfill_resumed", "backfill_cancel_requested", "backfill_ended", "backfill_retried"),
    ]


# --- all together -------------------------------------------------------------------------------


class Model:
    """Does the same to a store and to a dictionary that knows of each partition what became of it."""

    def __init__(self, backfills, chance):
        self.backfills, self.chance = backfills, chance
        self.places = [("day", outer, n) for outer in ((), (1,), (2, 3)) for n in (0, 1, 70_000, 2**31)]
        self.became = {}
        self.status, self.worker, self.open, self.number = "queued", None, [], 0

    def create(self):
        portions = {"day": Portion(requested=self.families(self.places)), "report": Portion(requested=WHOLE)}
        self.places.append(("report", (), 0))
        self.backfills.create(backfill(), portions, b"")

    @staticmethod
    def families(places):
        found = {}
        for _, outer, inner in places:
            found.setdefault(outer, BitMap()).add(inner)
        return found

    def claim(self):
        other = self.chance.choice([WORKER, OTHER])
        won = self.backfills.claim("b1", other, at=NOON, instead_of=self.worker)
        assert won == (self.status in {"queued", "running"})
        if won:
            self.status, self.worker = "running", other

    def release(self):
        if self.status == "running":
            self.backfills.release("b1", self.worker, at=NOON)
            self.status, self.worker = "queued", None

    def launch(self):
        if self.status == "running":
            self.number += 1
            launch(self.backfills, f"r{self.number}", worker=self.worker)
            self.open.append(f"r{self.number}")

    def settle(self):
        if self.worker is None:
            return
        run_id = self.chance.choice([*self.open, ""])
        chosen = {place: self.chance.choice(PARTS) for place in self.chance.sample(self.places, 3)}
        ended = {}
        for asset in {place[0] for place in chosen}:
            parts = {
                name: self.families([place for place, part in chosen.items() if (place[0], part) == (asset, name)])
                for name in PARTS
            }
            ended[asset] = Portion(requested={}, **parts)
        self.backfills.settle("b1", self.worker, run_id, ended, at=NOON)
        self.became |= chosen
        if run_id:
            self.open.remove(run_id)
            self.backfills.settle("b1", self.worker, run_id, {}, at=NOON)

    def end(self):
        assert self.backfills.advance("b1", "failure", at=NOON) == (self.status in {"queued", "running"})
        self.status = "failure"

    def retry(self):
        again = self.backfills.retry("b1", at=NOON)
        assert again == (self.status == "failure")
        if again:
            self.became = {place: part for place, part in self.became.items() if part in {"done", "skipped"}}
            self.status, self.worker = "queued", None


@pytest.mark.parametrize("seed", range(4))
def test_after_any_sequence_of_changes_portions_are_those_of_a_plain_model(backfills, seed):
    chance = random.Random(seed)
    model = Model(backfills, chance)
    model.create()
    changes = [model.claim, model.claim, model.launch, model.launch, model.settle, model.settle, model.settle]
    for _ in range(60):
        chance.choice([*changes, model.release, model.end, model.retry])()
        portions, found = backfills.portions("b1"), backfills.backfill("b1")
        for asset, portion in portions.items():
            for name in PARTS:
                expected = [place for place, part in model.became.items() if (place[0], part) == (asset, name)]
                assert getattr(portion, name) == model.families(expected)
        assert {name: getattr(found, name) for name in PARTS} == {
            name: list(model.became.values()).count(name) for name in PARTS
        }
        assert (found.status, found.worker) == (model.status, model.worker)
        assert backfills.open_runs("b1") == model.open
        assert [one.id for one in backfills.runs("b1", limit=100)] == [f"r{n}" for n in range(model.number, 0, -1)]
