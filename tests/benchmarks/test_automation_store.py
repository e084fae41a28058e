"""What ticks, their runs and the queue cost the state store."""

from __future__ import annotations

import itertools
import sqlite3

import pytest

from nbpipe.core.automation.records import Tick
from nbpipe.core.ports import CursorChange, NewRun
from nbpipe.storage.open import open_store
from tests.benchmarks.figures import alternate, milliseconds, slowness
from tests.stores import NOON, WORKER, later, places, run, steps

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(300)]

MANY = 10_000
SENSORS = 200


@pytest.fixture
def store(tmp_path):
    opened = open_store("sqlite:///state.db", root=tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def lease(store):
    return store.automation.lead("default", WORKER, at=NOON)


def news(first, count, *, keyed=False):
    names = [f"r{number:07}" for number in range(first, first + count)]
    return [
        NewRun(run=run(name), steps=steps(name), assets=places(name), plan=b"plan", run_key=name if keyed else None)
        for name in names
    ]


def size(path):
    connection = sqlite3.connect(path)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()
    return pages


def test_a_tick_and_its_run_are_one_quick_transaction(tmp_path, store, lease, figures):
    bare = sqlite3.connect(tmp_path / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, content TEXT)")

    def transaction():
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO rows (content) VALUES (?)", ("x" * 500,))
        bare.execute("COMMIT")

    minutes = itertools.count(1)

    def tick():
        minute = next(minutes)
        due = Tick(source="schedule", name="s", scheduled_at=later(minute), status="launched", at=later(minute))
        assert store.automation.tick(lease, due, news(minute, 1))

    found = alternate({"tick": tick, "bare": transaction}, times=300)
    bare.close()
    figures.check("automation: a tick with its run, against 8 durable transactions", found["tick"], 8 * found["bare"])
    figures.check("automation: a tick with its run", found["tick"], 50 * slowness())


def test_skips_of_many_sensors_do_not_grow_the_store(tmp_path, store, lease, figures):
    cursors = itertools.count()

    def skips():
        number = next(cursors)
        change = CursorChange(old=str(number - 1) if number else None, new=str(number))
        for sensor in range(SENSORS):
            skip = Tick(source="sensor", name=f"s{sensor}", scheduled_at=NOON, status="skipped", at=NOON)
            assert store.automation.tick(lease, skip, cursor=change)

    skips()
    revision, pages = store.revision(), size(tmp_path / "state.db")
    took = milliseconds(skips, times=5)
    assert store.revision() == revision
    assert size(tmp_path / "state.db") == pages
    figures.check("automation: skips of 200 sensors", took, 1500 * slowness())


def test_ten_thousand_runs_are_queued_looked_at_and_removed(store, lease, figures):
    kept = store.automation
    queued, flooded = news(0, MANY), news(MANY, MANY, keyed=True)
    figures.check(
        "automation: queueing 10,000 runs", milliseconds(lambda: kept.enqueue(lease, queued)), 5000 * slowness()
    )
    flood = Tick(source="sensor", name="s", scheduled_at=NOON, status="launched", at=NOON)
    took = milliseconds(lambda: kept.tick(lease, flood, flooded, keys_until=later(9)))
    figures.check("automation: a tick with 10,000 keyed runs", took, 5000 * slowness())
    keys = [new.run_key for new in flooded]
    took = milliseconds(lambda: kept.seen_keys("default", "s", keys, at=NOON), times=3)
    figures.check("automation: looking up 10,000 run keys", took, 200 * slowness())
    took = milliseconds(lambda: kept.waiting("default", limit=1000), times=9)
    figures.check("automation: the first 1,000 of 20,000 waiting runs", took, 60 * slowness())
    for new in queued[:2000]:
        store.request_cancel(new.run.id, at=NOON)
    took = milliseconds(lambda: store.ended_after("default", 0, limit=100), times=9)
    figures.check("automation: 100 runs that ended", took, 15 * slowness())
    took = milliseconds(lambda: kept.prune(lease, before=later(60), kinds=["runs"], limit=2000), times=3)
    figures.check("automation: removing 2,000 rows of old runs", took, 500 * slowness())
    took = milliseconds(lambda: kept.prune(lease, before=later(60), kinds=["events"], limit=2000), times=2)
    figures.check("automation: removing 2,000 old events", took, 500 * slowness())
