"""What the state store costs beside a durable transaction and the import of SQLAlchemy; and long histories."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys

import pytest

from nbpipe.commands.status import status_rows
from nbpipe.commands.workspace import Workspace
from nbpipe.storage.open import open_store
from tests.benchmarks.figures import alternate, milliseconds, slowness
from tests.benchmarks.projects import write_project
from tests.stores import new, places, run, steps

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

ASSETS = 1_000
HISTORIES = (10_000, 100_000, 1_000_000)


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


def test_a_commit_costs_little_more_than_one_durable_transaction(tmp_path, figures):
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
    found = alternate({"commit": lambda: store.commit([value]), "bare": transaction}, times=300)
    store.close()
    bare.close()
    figures.check("store: a commit, against 3 durable transactions", found["commit"], 3 * found["bare"])


def test_states_cost_what_is_asked_for_whatever_has_happened(tmp_path, figures):
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
    all_of, some = {}, {}
    for events in HISTORIES:
        add_events(tmp_path / "state.db", events)
        states()
        all_of[events] = milliseconds(states, times=15)
        some[events] = milliseconds(lambda: store.states("default", few), times=15)
        figures.note(f"store: states of 1,000 assets, {events:,} events", all_of[events])
        figures.note(f"store: states of 10 named assets, {events:,} events", some[events])
    store.close()
    short, long = HISTORIES[0], HISTORIES[-1]
    figures.check("store: states, long history against 3x a short one", all_of[long], 3 * all_of[short])
    figures.check("store: states of 10 assets, against a fifth of all", some[long], all_of[long] / 5)


def test_status_of_1000_assets_takes_a_tenth_of_a_second_whatever_has_happened(tmp_path, figures):
    write_project(tmp_path, notebooks=50, assets=20)
    with Workspace.open(tmp_path) as workspace:
        for spec in workspace.definitions.assets.values():
            inputs = {key: f"d:{key}/x" for key in spec.inputs}
            about = {"code": spec.code, "code_version": spec.code_version, "inputs": inputs}
            workspace.store.commit([new(spec.key, **about, input_versions=dict.fromkeys(inputs, 1))])

        def status():
            # a command of its own would load the project as well: `nbpipe list` is measured elsewhere
            assert {row.status for row in status_rows(workspace)} <= {"fresh", "stale"}

        for events in HISTORIES[1:]:
            add_events(tmp_path / ".nbpipe" / "state.db", events)
            status()
            limit = 100 * slowness()
            figures.check(f"status of 1,000 assets, {events:,} events", milliseconds(status, times=9), limit)


def test_opening_a_store_costs_little_beside_importing_sqlalchemy(tmp_path, figures):
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
    opened, asked, imported = [], [], []
    for _ in range(7):
        at_opening, at_asking = seconds(program, str(tmp_path))
        opened.append(at_opening * 1000)
        asked.append(at_asking * 1000)
        imported.append(seconds(imports)[0] * 1000)
    limit = statistics.median(imported) / 2
    figures.check("store: opening, against half the import of SQLAlchemy", statistics.median(opened), limit)
    figures.note("store: the first question", statistics.median(asked))
