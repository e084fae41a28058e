"""The tables: made at once, or by migrations from every released version, they are the same."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import ChunkFacts, number_of
from nbpipe.core.partitions.recipes import Recipe
from nbpipe.core.partitions.registries import KeyRegistry
from nbpipe.core.partitions.sets import CHUNK
from nbpipe.core.ports import NewRun
from nbpipe.errors import StateSchemaError
from nbpipe.storage import schema, versions
from nbpipe.storage.open import open_store
from nbpipe.storage.partition_chunks import KeptChunk
from nbpipe.storage.sqlite import SQLiteDatabase
from nbpipe.storage.versions import MIGRATIONS, run_migrations, upgrade
from tests.databases import fresh_schema, postgresql_programs
from tests.stores import NOON, WORKER, later, new, places, run, steps

RELEASED = sorted(Path(__file__).with_name("released").glob("*.sql"))

LATER = """
import sqlalchemy as sa
from alembic import op
revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

def upgrade() -> None:
    with op.batch_alter_table("assets") as table:
        table.add_column(sa.Column("colour", sa.Text(), server_default="grey"))
"""


def tables(path):
    """Return what defines the tables and indexes, however it is laid out."""
    connection = sqlite3.connect(path)
    found = {}
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        found[name] = (
            [row[1:] for row in connection.execute(f"PRAGMA table_info({name})")],
            sorted(row[2:5] for row in connection.execute(f"PRAGMA foreign_key_list({name})")),
            sorted(
                (partial, unique, [row[2] for row in connection.execute(f"PRAGMA index_info({index})")])
                for _, index, unique, _, partial in connection.execute(f"PRAGMA index_list({name})").fetchall()
            ),
        )
    statements = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"
    ).fetchall()
    connection.close()
    return found, {name: " ".join(sql.split()) for name, sql in statements}


def migrated(path):
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        run_migrations(connection)
    engine.dispose()


def test_a_new_database_is_what_the_migrations_make(tmp_path):
    open_store("sqlite:///new.db", root=tmp_path).close()
    migrated(tmp_path / "migrated.db")
    assert tables(tmp_path / "new.db") == tables(tmp_path / "migrated.db")


def test_the_migrations_make_what_the_schema_says(tmp_path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrated(tmp_path / "migrated.db")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_the_schema_is_the_newest_migration():
    revisions = sorted(file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("*.py"))
    assert revisions[-1] == schema.SCHEMA
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]


def test_there_is_a_store_of_every_released_version():
    assert [file.stem for file in RELEASED] == ["0.1"]


@pytest.mark.parametrize("released", RELEASED, ids=lambda file: file.stem)
def test_a_store_of_a_released_version_opens_with_all_it_holds(tmp_path, released):
    old = sqlite3.connect(tmp_path / "old.db")
    old.executescript(released.read_text())
    old.close()
    store = open_store("sqlite:///old.db", root=tmp_path)
    assert store.states("default")["a"].current.version == 2
    assert store.states("default")["b"].error == "boom"
    assert [made.stored.path for made in store.history("default", "a")] == ["a/2", "a/1"]
    assert store.details(store.materialization("default", "a").id).displays == ({"text/plain": "hi"},)
    assert store.sources(["h1"]) == {"h1": "x = 1"}
    kept = store.run("r1")
    assert (kept.status, kept.priority, kept.pools, kept.not_before, kept.timeout) == ("success", 0, (), None, None)
    assert [place.outcome for place in store.run_assets("r1")] == ["success", "failed"]
    assert len(store.steps("r1")) == 2
    assert store.plan("r1") == b"plan"
    assert store.partitions.detail("default", "p", "3", ((), 3)).current.stored.path == "default/p/3/2.json"
    assert store.partitions.detail("default", "p", "4", ((), 4)).error == "boom"
    assert store.partitions.facts("default", "p").chunk(((), 1)).materialized == BitMap([5000 - CHUNK])
    recipes = store.partitions.recipes("default", "p")
    assert [recipe.code_version for recipe in recipes.values()] == ["c1"]
    assert recipes.keys() == {recipe.number for recipe in recipes.values()}
    facts = store.partitions.facts("default", "p")
    assert {code for chunk in facts.chunks.values() for code, _ in chunk.codes} == recipes.keys()
    assert store.backfills.backfills() == []
    assert store.partitions.keys("default", "customers") == KeyRegistry(("x", "y"), frozenset({"x"}))
    assert len(store.events()) == store.revision() > 5
    assert store.commit([new("a")])[0].version == 3
    store.close()
    open_store("sqlite:///new.db", root=tmp_path).close()
    assert tables(tmp_path / "old.db")[0].keys() == tables(tmp_path / "new.db")[0].keys()


@pytest.mark.parametrize("released", RELEASED, ids=lambda file: file.stem)
def test_a_store_of_a_released_version_knows_schedules_and_the_queue(tmp_path, released):
    old = sqlite3.connect(tmp_path / "old.db")
    old.executescript(released.read_text())
    old.close()
    store = open_store("sqlite:///old.db", root=tmp_path)
    kept, ended = store.automation, [run.id for _, run in store.ended_after("default", 0)]
    assert ended == ["r1"]
    made = [event.asset for event in store.materialized_after("default", ["a", "p"], 0)]
    assert (made.count("a"), made[-1]) == (2, "p")
    lease = kept.lead("default", WORKER, at=NOON)
    assert kept.enqueue(lease, [NewRun(run=run("r9", priority=2))]) == ["r9"]
    assert kept.waiting("default")[0].id == "r9"
    assert kept.prune(lease, before=later(10**6), kinds=["runs", "events"]) > 5
    assert {run.id for run in store.runs()} & {"r1", "r9"} == {"r9"}
    assert store.states("default")["a"].current.version == 2
    assert store.partitions.detail("default", "p", "4", ((), 4)).error == "boom"
    store.close()


def test_partitions_that_were_skipped_have_a_recipe_after_the_migration_if_their_code_is_known(tmp_path):
    facts = ChunkFacts(skipped=BitMap([1, 2]), codes=((7, BitMap([2])), (number_of("c1"), BitMap([1]))))
    old = sqlite3.connect(tmp_path / "old.db")
    old.executescript(RELEASED[0].read_text())
    old.execute(
        "INSERT INTO partition_chunks (asset_id, family, block, revision, facts, places) VALUES (2, '', 0, 1, ?, ?)",
        (facts.to_bytes(), KeptChunk().places()),
    )
    old.commit()
    old.close()
    store = open_store("sqlite:///old.db", root=tmp_path)
    made = Recipe(code=(("body", "h1"),), code_version="c1")
    assert store.partitions.recipes("default", "b") == {made.number: made}
    codes = store.partitions.facts("default", "b").chunk(((), 0)).codes
    assert codes == ((7, BitMap([2])), (made.number, BitMap([1])))
    store.close()


@pytest.fixture
def newer_program(tmp_path, monkeypatch):
    """Make this the nbpipe of tomorrow, whose tables have one migration more."""
    scripts = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, scripts)
    (scripts / "versions" / "0004_colour.py").write_text(LATER)
    monkeypatch.setattr(schema, "SCHEMA", "0004")
    monkeypatch.setattr(upgrade, "__kwdefaults__", {"scripts": scripts})


def test_an_older_store_is_migrated_in_place(tmp_path, request):
    store = open_store("sqlite:///state.db", root=tmp_path)
    store.create_run(run(), steps(), places(), b"plan")
    store.commit([new("a"), new("b")])
    store.close()
    request.getfixturevalue("newer_program")
    store = open_store("sqlite:///state.db", root=tmp_path)
    assert set(store.states("default")) == {"a", "b"}
    store.close()
    connection = sqlite3.connect(tmp_path / "state.db")
    assert connection.execute("SELECT colour FROM assets").fetchall() == [("grey",)] * 2
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0004",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    open_store("sqlite:///state.db", root=tmp_path).close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path, request, monkeypatch):
    store = open_store("sqlite:///state.db", root=tmp_path)
    store.commit([new("a")])
    store.close()
    before = tables(tmp_path / "state.db")
    request.getfixturevalue("newer_program")
    script = tmp_path / "migrations" / "versions" / "0004_colour.py"
    script.write_text(LATER + "    raise RuntimeError('half way')\n")
    with pytest.raises(RuntimeError, match="half way"):
        open_store("sqlite:///state.db", root=tmp_path)
    assert tables(tmp_path / "state.db") == before
    monkeypatch.setattr(schema, "SCHEMA", "0003")
    store = open_store("sqlite:///state.db", root=tmp_path)
    assert set(store.states("default")) == {"a"}
    store.close()


def test_a_store_of_a_newer_program_is_refused_and_left_alone(tmp_path):
    open_store("sqlite:///state.db", root=tmp_path).close()
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("UPDATE alembic_version SET version_num = '0999'")
    connection.commit()
    connection.close()
    with pytest.raises(StateSchemaError, match=r"newer nbpipe.*0999.*Upgrade"):
        open_store("sqlite:///state.db", root=tmp_path)
    connection = sqlite3.connect(tmp_path / "state.db")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0999",)]
    connection.close()


def test_of_two_that_make_the_tables_one_finds_them_made(tmp_path):
    made = []

    def late(database):
        other = SQLiteDatabase(database.path, prepare=versions.prepare)
        other.close()
        versions.create(database)
        made.append(database)

    SQLiteDatabase(tmp_path / "state.db", prepare=late).close()
    assert len(made) == 1


if postgresql_programs():

    def test_in_postgresql_too_the_migrations_make_what_a_new_store_has(postgresql, tmp_path):
        def shape(name):
            engine = sa.create_engine(url(name).replace("postgresql:", "postgresql+psycopg:"))
            inspector = sa.inspect(engine)
            found = {
                table: (
                    [(c["name"], str(c["type"]), c["nullable"], c["default"] and c["default"][:9]) for c in columns],
                    inspector.get_pk_constraint(table)["constrained_columns"],
                    sorted(str(key["constrained_columns"]) for key in inspector.get_foreign_keys(table)),
                    sorted((i["name"], str(i["dialect_options"])) for i in inspector.get_indexes(table)),
                )
                for table in inspector.get_table_names()
                for columns in [inspector.get_columns(table)]
            }
            engine.dispose()
            return found

        def url(name):
            return f"{postgresql}&options=-csearch_path%3D{name}"

        open_store(fresh_schema(postgresql, "made"), root=tmp_path).close()
        engine = sa.create_engine(fresh_schema(postgresql, "migrated").replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            run_migrations(connection)
        engine.dispose()
        assert shape("made") == shape("migrated")

    @pytest.mark.parametrize("released", RELEASED, ids=lambda file: file.stem)
    def test_in_postgresql_too_what_a_released_version_kept_is_migrated(postgresql, tmp_path, released):
        url = fresh_schema(postgresql, f"released_{released.stem.replace('.', '_')}")
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        content = re.sub(r"X'([0-9A-F]*)'", r"'\\x\1'", released.read_text())
        rows = re.findall(r'^INSERT INTO "(?!alembic).*?\);$', content, re.MULTILINE | re.DOTALL)
        with engine.begin() as connection:
            run_migrations(connection, target="0001")
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # rows in any order
            for row in rows:
                connection.exec_driver_sql(row.replace("%", "%%"))
        engine.dispose()
        store = open_store(url, root=tmp_path)
        assert store.states("default")["a"].current.version == 2
        recipes = store.partitions.recipes("default", "p")
        assert [recipe.code_version for recipe in recipes.values()] == ["c1"]
        facts = store.partitions.facts("default", "p")
        assert {code for chunk in facts.chunks.values() for code, _ in chunk.codes} == recipes.keys()
        assert facts.chunk(((), 1)).materialized == BitMap([5000 - CHUNK])
        assert store.backfills.backfills() == []
        assert store.run("r1").priority == 0
        assert [run.id for _, run in store.ended_after("default", 0)] == ["r1"]
        assert store.automation.states("default") == {}
        store.close()
