"""What is particular to the SQLite file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nbpipe.errors import ConfigError, StateBusyError, StateError, StateSchemaError
from nbpipe.storage import sqlite
from nbpipe.storage.open import open_store
from nbpipe.storage.sql import SqlStateStore
from nbpipe.storage.sqlite import SQLiteDatabase
from nbpipe.storage.versions import prepare
from tests.stores import new

URL = "sqlite:///.nbpipe/state.db"


@pytest.fixture
def store(tmp_path):
    opened = open_store(URL, root=tmp_path)
    yield opened
    opened.close()


def pragma(store, name):
    with store._database.write() as transaction:
        return transaction._cursor.execute(f"PRAGMA {name}").fetchone()[0]


def test_what_is_committed_survives_a_power_cut(store):
    assert (pragma(store, "journal_mode"), pragma(store, "synchronous"), pragma(store, "foreign_keys")) == ("wal", 2, 1)


def test_the_folder_ignores_itself_in_git(store, tmp_path):
    assert (tmp_path / ".nbpipe" / ".gitignore").read_text() == "*\n"


def test_a_second_process_sees_changes_and_is_woken_by_them(store, tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from nbpipe.storage.open import open_store\n"
        f"store = open_store({URL!r}, root=Path(sys.argv[1]))\n"
        "since = store.revision(); print('ready', flush=True)\n"
        "store.wait_for_change(since, 60); print(*store.states('default'))\n"
        "store.close()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        store.commit([new("a")])
        assert process.communicate(timeout=60)[0] == "a\n"


def test_only_those_who_wait_look_for_changes(store, monkeypatch):
    looks = []
    look = SQLiteDatabase.data_version
    monkeypatch.setattr(SQLiteDatabase, "data_version", lambda self: looks.append(1) or look(self))
    store.commit([new("a")])
    store.revision()
    assert looks == []
    store.wait_for_change(store.revision(), 0.01)
    assert looks


def test_another_writer_is_waited_for(store, tmp_path):
    other = sqlite3.connect(tmp_path / ".nbpipe/state.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.2, lambda: other.execute("COMMIT")).start()
    assert store.commit([new("a")])[0].version == 1
    other.close()


def test_a_writer_that_never_ends_is_reported_with_the_remedy(tmp_path):
    path = tmp_path / "state.db"
    store = SqlStateStore(SQLiteDatabase(path, prepare=prepare, busy_seconds=0.05))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateBusyError, match=r"state\.db.*Close the program"):
        store.commit([new("a")])
    assert store.states("default") == {}
    other.execute("COMMIT")
    assert store.commit([new("a")])[0].version == 1
    other.close()
    store.close()


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_a_store_whose_file_was_removed_starts_anew_where_others_will_look(store, tmp_path, change):
    store.commit([new("old")])
    shutil.rmtree(tmp_path / ".nbpipe")
    if change == "replaced":
        other = open_store(URL, root=tmp_path)
        other.commit([new("other")])
        other.close()
    expected = {"other", "a"} if change == "replaced" else {"a"}
    assert set(store.states("default")) == expected - {"a"}
    store.commit([new("a")])
    assert set(store.states("default")) == expected
    again = open_store(URL, root=tmp_path)
    assert set(again.states("default")) == expected
    again.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other threads are the point
def test_a_forked_child_uses_connections_of_its_own(store):
    """The child commits while the parent's connections and even its locks are in use."""
    store.commit([new("a")])
    with store._database.read(), store._database._own.writing:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                inherited = sqlite._inherited[-1]
                code = 0 if store.commit([new("a")])[0].version == 2 and inherited is not store._database._own else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.materialization("default", "a").version == 2
    assert store.commit([new("a")])[0].version == 3
    assert pragma(store, "integrity_check") == "ok"


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "state.db"
    path.write_bytes(b"my thesis" * 1000)
    with pytest.raises(StateError, match="not a database"):
        open_store("sqlite:///state.db", root=tmp_path)
    assert path.read_bytes() == b"my thesis" * 1000


def test_a_database_of_another_program_is_left_alone(tmp_path):
    other = sqlite3.connect(tmp_path / "state.db")
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(StateSchemaError, match="recipes"):
        open_store("sqlite:///state.db", root=tmp_path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mysql://host/db", "sqlite or postgresql"),
        ("no url", "is not a URL"),
        ("sqlite:///${NBPIPE_TEST_UNSET}", "NBPIPE_TEST_UNSET"),
    ],
)
def test_urls_that_lead_nowhere(tmp_path, url, message):
    with pytest.raises(ConfigError, match=message):
        open_store(url, root=tmp_path)


@pytest.mark.parametrize("name", ["with space", "größe", "a%20b", "a#b?c"])
def test_folders_may_be_called_anything(tmp_path, name):
    root = tmp_path / name
    root.mkdir()
    store = open_store(URL, root=root)
    store.commit([new("a")])
    store.close()
    assert (root / ".nbpipe" / "state.db").exists()


def test_an_absolute_path_is_taken_as_it_is(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/elsewhere/s.db", root=Path("/nowhere"))
    store.close()
    assert (tmp_path / "elsewhere" / "s.db").exists()


def test_opening_a_store_imports_neither_alembic_nor_a_driver_of_postgresql(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from nbpipe.storage.open import open_store\n"
        f"open_store({URL!r}, root=Path(sys.argv[1])).close()\n"
        "print(sorted({'alembic', 'psycopg', 'sqlalchemy.dialects.postgresql'} & set(sys.modules)))\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"


@pytest.fixture
def plan(store):
    """How SQLite executes a query."""

    def found(query, **values):
        sql, constants = store._database.dialect.compiled(query)
        with store._database.read() as transaction:
            rows = transaction._cursor.execute("EXPLAIN QUERY PLAN " + sql, constants | values).fetchall()
        return [row[3] for row in rows]

    return found


def test_backfills_find_their_runs_by_index(plan):
    from nbpipe.storage import backfill_queries as queries

    open_runs = plan(queries.select_open_runs, backfill="b")
    assert [step.split("INDEX ")[-1].split(" ")[0] for step in open_runs] == ["ix_backfill_runs_open"]
    steps = plan(queries.select_runs, backfill="b", limit=1) + plan(queries.find_run, backfill="b", run="r")
    steps += plan(queries.select_portions, backfill="b") + plan(queries.select_portion, backfill="b", asset="a")
    assert [step for step in steps if step.startswith("SCAN")] == []
    assert "TEMP B-TREE" not in str(plan(queries.select_runs, backfill="b", limit=1))
    active = plan(queries.select_active_backfills, env=None, statuses="[]", limit=1)
    assert "ix_backfills_active" in str(active)


def test_partitions_of_a_run_are_found_by_index(plan):
    from nbpipe.storage import run_queries as queries

    many = {"run": "r", "asset": 1, "new": "failed", "number": None, "message": None, "keys": "[]"}
    steps = plan(queries.set_outcomes, **many) + plan(queries.select_outcomes, run="r", names="[]", part="")
    assert [step for step in steps if step.startswith("SCAN run_assets")] == []
    assert "run_id=? AND asset_id=? AND partition=?" in str(steps[0])


def test_states_and_active_runs_are_read_by_index(plan):
    from nbpipe.storage import asset_queries, run_lists, run_queries

    steps = plan(asset_queries.select_states, env="e") + plan(asset_queries.select_named_states, env="e", names="[]")
    steps += plan(run_queries.select_run_events, env=None, asset=None, run="r", after=0, limit=1)
    steps += plan(run_queries.select_asset_events, env=None, asset="a", after=0, limit=1)
    growing = ("events", "materializations", "run_assets", "asset_states", "code_versions")
    assert [step for step in steps if step.startswith(tuple(f"SCAN {table}" for table in growing))] == []
    assert any("ix_run_assets_active" in step for step in steps)
    kept = plan(asset_queries.select_kept_of_asset, asset=1, partition="")
    assert any("ix_materializations_kept" in step for step in kept)
    narrow = {"env": None, "job": None, "trigger": None, "parent": None, "statuses": "[]", "before": None, "limit": 1}
    narrow["taken"] = 1
    active = plan(run_lists.select_active_runs, **narrow)
    assert [step for step in active if step.startswith("SCAN runs")] == []
    for query in (run_lists.select_active_runs, asset_queries.oldest_active_run):
        assert "ix_runs_active" in str(plan(query, **narrow))


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("select_runs_of_job", "ix_runs_job"),
        ("select_triggered_runs", "ix_runs_trigger"),
        ("select_retries", "ix_runs_parent"),
        ("select_runs", "ix_runs_newest"),
    ],
)
def test_runs_are_listed_newest_first_by_index(plan, query, index):
    from nbpipe.storage import run_lists

    narrow = {"env": None, "job": "j", "trigger": "t", "parent": "p", "statuses": None, "before": None, "limit": 1}
    narrow["taken"] = 0
    steps = plan(getattr(run_lists, query), **narrow)
    assert index in str(steps)
    assert "TEMP B-TREE" not in str(steps)


def test_what_the_daemon_asks_for_again_and_again_is_read_by_index(plan):
    from nbpipe.storage import automation_queries, run_lists, run_queries

    waiting = plan(run_lists.select_waiting, env="e", limit=1)
    ended = plan(run_lists.select_ended, env="e", after=0, limit=1)
    values = plan(run_queries.select_values_after, of_env="e", env=None, asset="a", after=0, limit=1)
    latest = plan(automation_queries.select_ticks, env="e", source="sensor", name="s", before=None, limit=1)
    found = {"ix_runs_waiting": waiting, "ix_events_endings": ended, "ix_events_asset": values}
    for index, steps in {**found, "ix_ticks_newest": latest}.items():
        assert index in str(steps)
        assert "TEMP B-TREE" not in str(steps)
    keys = plan(automation_queries.select_keys, env="e", name="s", keys="[]", now=0)
    known = plan(run_lists.select_known, ids="[]")
    every = [*waiting, *ended, *values, *latest, *keys, *known]
    tables = ("SCAN runs", "SCAN events", "SCAN ticks", "SCAN run_keys")
    assert [step for step in every if step.startswith(tables)] == []


def test_what_is_old_is_found_by_index(plan):
    from nbpipe.storage import retention_queries

    for query, index in {
        retention_queries.remove_ticks: "ix_ticks_at",
        retention_queries.remove_keys: "ix_run_keys_expiry",
        retention_queries.select_old_runs: "ix_runs_ended",
        retention_queries.select_old_backfills: "ix_backfills_ended",
    }.items():
        steps = plan(query, of_env="e", before=1, limit=1)
        assert index in str(steps)
        assert [step for step in steps if step.startswith("SCAN") and "json_each" not in step] == []


def test_an_event_is_removed_without_reading_what_might_refer_to_it(tmp_path):
    open_store("sqlite:///state.db", root=tmp_path).close()
    connection = sqlite3.connect(tmp_path / "state.db")
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _, _, parent, column, *_ in connection.execute(f"PRAGMA foreign_key_list({table})").fetchall():
            if parent in {"events", "runs", "backfills"}:
                indexes = connection.execute(f"PRAGMA index_list({table})").fetchall()
                first = [connection.execute(f"PRAGMA index_info({row[1]})").fetchone()[2] for row in indexes]
                assert column in first, (table, column)
    connection.close()
