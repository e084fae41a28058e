"""The state store: figures are printed, and compared with a limit measured in the same run."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import time

import pytest

from nbpipe.storage.open import open_store
from tests.stores import new, places, run, steps

pytestmark = pytest.mark.benchmarks

ASSETS = 1_000


def milliseconds(work, times):
    """Return the median duration of calls."""
    durations = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        durations.append(time.perf_counter() - begin)
    return statistics.median(durations) * 1000


def report(capsys, name, figure, limit):
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {figure:.2f} (limit {limit:.2f})\n")


def add_events(path, upto):
    """Write history directly: what matters is that it is there."""
    connection = sqlite3.connect(path)
    (first,) = connection.execute("SELECT max(id) + 1 FROM events").fetchone()
    rows = ((number, number % ASSETS + 1) for number in range(first, upto + 1))
    connection.executemany(
        "INSERT INTO events (id, at, env, kind, asset_id, partition, data) "
        "VALUES (?, 0, 'default', 'asset_materialized', ?, '', '{\"version\": 1, \"data_version\": \"d\"}')",
        rows,
    )
    connection.commit()
    connection.close()


def test_a_commit_costs_little_more_than_one_durable_transaction(tmp_path, capsys):
    bare = sqlite3.connect(tmp_path / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, content TEXT)")

    def transaction():
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO rows (content) VALUES (?)", ("x" * 500,))
        bare.execute("COMMIT")

    store = open_store("sqlite:///state.db", root=tmp_path)
    value = new("a", sources={"h1": "x = 1"})
    store.commit([value])
    figures = [(milliseconds(lambda: store.commit([value]), 100), milliseconds(transaction, 100)) for _ in range(5)]
    store.close()
    bare.close()
    ratio = statistics.median(commit / plain for commit, plain in figures)
    report(capsys, "commit, in durable transactions", ratio, 3.0)
    report(capsys, "commit, ms", statistics.median(commit for commit, _ in figures), float("inf"))
    assert ratio < 3.0


def test_states_cost_what_is_asked_for_whatever_has_happened(tmp_path, capsys):
    store = open_store("sqlite:///state.db", root=tmp_path)
    code = tuple((f"helper:f{number}", "0123456789abcdef") for number in range(5))
    for first in range(0, ASSETS, 100):
        store.commit(
            [new(f"a{n}", code=code, code_version=f"c{n}", inputs={"up": "d"}) for n in range(first, first + 100)]
        )
    store.create_run(run(), steps(), places("r1", *(f"a{n}" for n in range(100))), b"")

    def states():
        assert len(store.states("default")) == ASSETS

    few = [f"a{n}" for n in range(10)]
    figures, named = {}, {}
    for events in (10_000, 100_000, 1_000_000):
        add_events(tmp_path / "state.db", events)
        states()
        figures[events] = milliseconds(states, 15)
        named[events] = milliseconds(lambda: store.states("default", few), 15)
        report(capsys, f"states of 1,000 assets with {events:,} events, ms", figures[events], 50)
        report(capsys, f"states of 10 named assets with {events:,} events, ms", named[events], 5)
    store.close()
    assert figures[1_000_000] < 50
    assert figures[1_000_000] < 3 * figures[10_000]
    assert named[1_000_000] < figures[1_000_000] / 5


def test_opening_a_store_costs_little_beside_importing_sqlalchemy(tmp_path, capsys):
    program = (
        "import sys, time; from pathlib import Path; import sqlalchemy, msgspec\n"
        "begin = time.perf_counter()\n"
        "from nbpipe.storage.open import open_store\n"
        "store = open_store('sqlite:///state.db', root=Path(sys.argv[1])); opened = time.perf_counter()\n"
        "store.states('default')\n"
        "print(opened - begin, time.perf_counter() - opened)\n"
    )
    imports = "import time; begin = time.perf_counter(); import sqlalchemy; print(time.perf_counter() - begin)"

    def seconds(*command):
        done = subprocess.run([sys.executable, "-c", *command], capture_output=True, text=True, check=True)
        return [float(word) for word in done.stdout.split()]

    seconds(program, str(tmp_path))
    opened, asked = zip(*(seconds(program, str(tmp_path)) for _ in range(7)), strict=True)
    limit = statistics.median(seconds(imports)[0] for _ in range(7)) * 1000 / 2
    figure = statistics.median(opened) * 1000
    report(capsys, "importing and opening the store, ms", figure, limit)
    report(capsys, "first question, ms", statistics.median(asked) * 1000, float("inf"))
    assert figure < limit
