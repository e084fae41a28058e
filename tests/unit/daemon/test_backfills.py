"""The driver of backfills, with runs that need no kernel."""

from __future__ import annotations

import random

import pytest

from nbpipe import clock
from nbpipe.errors import ConflictError, RefusedError, UnknownNameError
from nbpipe.execution.reconcile import GONE
from nbpipe.execution.workers import this_worker
from nbpipe.storage.memory import InMemoryStateStore
from tests.runs import opened
from tests.stores import WORKER
from tests.unit.core.backfills.models import asset
from tests.unit.daemon.fakes import Died, driver, keys, made

DAY, WEEK, HALVES = "daily:2023-01-01", "weekly:2023-01-02", "static:a,b"
WEEKS = "2023-01-02..2023-01-09"
DAYS = "2023-01-02..2023-01-15"


@pytest.fixture(params=["memory", "sqlite"])
def store(request, project):
    if request.param == "memory":
        yield InMemoryStateStore()
        return
    with opened(project) as found:
        yield found


def test_everything_is_done_once_in_the_order_of_the_mappings(store, project):
    specs = [asset("day", "", DAY), asset("week", "day", WEEK), asset("total", "week")]
    backfill = made(store, specs, {"day": DAYS, "week": WEEKS, "total": ""})
    heard = []
    work, runs = driver(store, project, specs, news=heard.append)
    found = work.work(backfill.id)
    assert (found.status, found.total, found.done, found.failed, found.lost) == ("success", 17, 17, 0, 0)
    assert len(runs.executed) == len(set(runs.executed)) == 17
    assert runs.executed[-1] == ("total", "")
    assert runs.executed.index(("week", "2023-01-02")) > runs.executed.index(("day", "2023-01-08"))
    assert [news.backfill.done for news in heard] == sorted(news.backfill.done for news in heard)
    assert heard[1].running > 0, "what was started is told before it ends"
    assert heard[-1].running == 0
    assert not store.backfills.open_runs(backfill.id)
    run = store.backfills.runs(backfill.id)[0]
    assert (run.trigger, run.status) == (f"backfill:{backfill.id}", "success")


def test_hundreds_of_partitions_that_fail_by_chance_and_then_only_those(store, project):
    specs = [asset("day", "", DAY), asset("week", "day", WEEK)]
    days, weeks = "2023-01-02..2023-12-31", "2023-01-02..2023-12-25"
    backfill = made(store, specs, {"day": days, "week": weeks})
    rng = random.Random(7)
    failing = {}

    def outcome(asset, key):
        return failing.setdefault((asset, key), "failed" if rng.random() < 0.1 else "success")

    work, runs = driver(store, project, specs, outcome, parallel=4)
    found = work.work(backfill.id)
    assert found.status == "failure"
    failed = {part for part, became in failing.items() if became == "failed"}
    assert {tuple(text.split("@")) for text in keys(store, specs, backfill.id, "failed")} == failed
    assert found.failed == len(failed)
    assert found.done + found.failed + found.lost == found.total
    tried = set(runs.executed)
    assert len(runs.executed) == len(tried)
    lost = {tuple(text.split("@")) for text in keys(store, specs, backfill.id, "lost")}
    assert {asset for asset, _ in lost} == {"week"}
    assert not lost & tried
    assert store.backfills.retry(backfill.id, at=clock.now())
    work, runs = driver(store, project, specs, parallel=4)
    assert work.work(backfill.id).status == "success"
    assert set(runs.executed) == failed | lost


def test_a_run_may_take_many_partitions_and_what_failed_in_it_is_told(store, project):
    specs = [asset("day", "", DAY, backfill="single"), asset("copy", "day", DAY, backfill="single")]
    backfill = made(store, specs, {"day": DAYS, "copy": DAYS})
    heard = []
    work, runs = driver(
        store,
        project,
        specs,
        lambda asset, key: "failed" if (asset, key) == ("day", "2023-01-05") else "success",
        news=heard.append,
    )
    found = work.work(backfill.id)
    assert len(runs.runs) == 1
    assert (found.status, found.done, found.failed, found.lost) == ("failure", 26, 1, 1)
    assert keys(store, specs, backfill.id, "lost") == ["copy@2023-01-05"]
    assert [(row.asset, row.partition) for news in heard for row in news.failures] == [("day", "2023-01-05")]


def test_a_run_that_got_nowhere_has_failed(store, project):
    specs = [asset("day", "", DAY, backfill="single")]
    backfill = made(store, specs, {"day": DAYS})
    work, runs = driver(store, project, specs, lambda *_: "skipped")
    found = work.work(backfill.id)
    assert (found.status, found.failed, len(runs.runs)) == ("failure", 14, 1)


@pytest.mark.parametrize("dies", [False, True])
def test_a_run_that_fails_after_all_was_stored_fails_the_backfill_and_nothing_is_repeated(store, project, dies):
    specs = [asset("day", "", DAY)]
    backfill = made(store, specs, {"day": "2023-01-02..2023-01-05"})
    special = {"2023-01-03": "late", "2023-01-05": "die" if dies else "success"}
    work, runs = driver(store, project, specs, lambda _, key: special.get(key, "success"), parallel=1)
    executed = runs.executed
    if dies:
        with pytest.raises(Died):
            work.work(backfill.id)
        for run_id in store.backfills.open_runs(backfill.id):
            store.advance_run(run_id, "failure", at=clock.now(), error=GONE)
        work, runs = driver(store, project, specs, parallel=1)
        runs.executed = executed
    found = work.work(backfill.id)
    assert (found.status, found.done, found.failed) == ("failure", 4, 0)
    assert found.error.endswith("failed, though all of its partitions are stored: x")
    assert len(executed) == 4
    assert store.backfills.retry(backfill.id, at=clock.now())
    work, runs = driver(store, project, specs)
    found = work.work(backfill.id)
    assert (found.status, found.error, runs.executed) == ("success", None, [])


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_process_that_dies_repeats_nothing_when_it_goes_on(store, project, parallel):
    specs = [asset("day", "", DAY), asset("week", "day", WEEK), asset("total", "week")]
    backfill = made(store, specs, {"day": DAYS, "week": WEEKS, "total": ""})
    executed = []
    for dies_at in (5, 4, 3, None):
        count = 0

        def outcome(asset, key, dies_at=dies_at):
            nonlocal count
            count += 1
            return "die" if count == dies_at else "success"

        work, runs = driver(store, project, specs, outcome, parallel=parallel)
        if dies_at is None:
            assert work.work(backfill.id).status == "success"
        else:
            with pytest.raises(Died):
                work.work(backfill.id)
            assert store.backfills.backfill(backfill.id).status == "queued"
            for run_id in store.backfills.open_runs(backfill.id):
                store.advance_run(run_id, "failure", at=clock.now(), error=GONE)
        executed += runs.executed
    assert len(executed) == len(set(executed)) == 17


def test_a_notebook_that_breaks_meanwhile_stops_it_and_leaves_the_rest_undone(store, project):
    specs = [asset("day", "", DAY)]
    backfill = made(store, specs, {"day": DAYS})
    work, runs = driver(store, project, specs, parallel=1)

    def outcome(asset, key):
        work.project.refusing = len(runs.executed) == 2
        return "success"

    runs._outcome = outcome
    found = work.work(backfill.id)
    assert (found.status, found.error, found.done, found.failed) == ("failure", "the notebook is broken", 3, 0)
    assert store.backfills.retry(backfill.id, at=clock.now())
    work, again = driver(store, project, specs)
    assert work.work(backfill.id).status == "success"
    assert not set(again.executed) & set(runs.executed)


def test_a_canceled_backfill_ends_its_runs_and_starts_no_more(store, project):
    specs = [asset("day", "", DAY)]
    backfill = made(store, specs, {"day": DAYS})
    work, runs = driver(store, project, specs, parallel=1)

    def outcome(asset, key):
        if len(runs.executed) == 2:
            store.backfills.request_cancel(backfill.id, at=clock.now())
        return "success"

    runs._outcome = outcome
    found = work.work(backfill.id)
    assert found.status == "canceled"
    assert (found.done, len(store.backfills.runs(backfill.id))) == (3, 4)
    assert found.failed == found.lost == 0
    assert not store.backfills.open_runs(backfill.id)
    assert store.backfills.retry(backfill.id, at=clock.now())
    work, again = driver(store, project, specs)
    assert work.work(backfill.id).status == "success"
    assert not set(again.executed) & set(runs.executed)


def test_what_somebody_else_works_on_has_ended_or_has_other_partitions_now_is_refused(store, project):
    specs = [asset("day", "", DAY)]
    backfill = made(store, specs, {"day": DAYS})
    with pytest.raises(UnknownNameError):
        driver(store, project, specs)[0].work("nothing")
    assert store.backfills.claim(backfill.id, WORKER, at=clock.now())
    with pytest.raises(RefusedError, match="another process"):
        driver(store, project, specs)[0].work(backfill.id)
    store.backfills.release(backfill.id, WORKER, at=clock.now())
    with pytest.raises(RefusedError, match="had the partitions"):
        driver(store, project, [asset("day", "", "hourly:2023-01-01T00")])[0].work(backfill.id)
    longer, _ = driver(store, project, [asset("day", "", "daily:2022-01-01")])
    assert longer.work(backfill.id).status == "success"
    with pytest.raises(RefusedError, match="ended"):
        driver(store, project, specs)[0].work(backfill.id)


def test_who_was_taken_for_dead_stops(store, project):
    specs = [asset("day", "", DAY)]
    backfill = made(store, specs, {"day": DAYS})
    work, runs = driver(store, project, specs, parallel=1)

    def outcome(asset, key):
        if len(runs.executed) == 2:
            me = store.backfills.backfill(backfill.id).worker
            store.backfills.claim(backfill.id, WORKER, at=clock.now(), instead_of=me)
        return "success"

    runs._outcome = outcome
    with pytest.raises(ConflictError):
        work.work(backfill.id)
    assert store.backfills.backfill(backfill.id).worker == WORKER


@pytest.mark.parametrize("queued", [True, False])
def test_one_that_was_taken_over_cancels_its_own_runs_and_none_that_others_wait_for(
    store, project, monkeypatch, queued
):
    specs = [asset("day", "", DAY)]
    backfill = made(store, specs, {"day": DAYS})
    work, runs = driver(store, project, specs, queued=queued)

    def start(run_id, *, parallel, done):
        runs.runs.append(run_id)  # and stays in the queue
        if len(runs.runs) == 2:
            assert store.backfills.claim(backfill.id, WORKER, at=clock.now(), instead_of=this_worker())

    monkeypatch.setattr(runs, "start", start)
    with pytest.raises(ConflictError):
        work.work(backfill.id)
    assert {store.run(run_id).status for run_id in runs.runs} == {"queued" if queued else "canceled"}
