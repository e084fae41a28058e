"""The tables of the state store.

Moments are microseconds since 1970 in UTC, structures are JSON text (see `codec`). Assets are referred to by
number, so that a rename changes one row. The state of partitions is kept in chunks, see `partition_tables`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

#: Revision of these tables: the number of the newest file in `migrations/versions`.
SCHEMA = "0003"

#: Conditions of partial indexes. A query uses such an index only if it repeats the condition literally.
ACTIVE_RUNS = "status IN ('queued', 'starting', 'running')"
ACTIVE_ASSETS = "outcome IN ('queued', 'running')"
KEPT = "expired = 0"
WAITING_RUNS = "status = 'queued' AND worker IS NULL"
RUN_ENDINGS = "kind IN ('run_succeeded', 'run_failed', 'run_canceled')"

NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows itself only for exactly INTEGER

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def partial_index(name: str, *columns: Column[object] | str, where: str, unique: bool = False) -> Index:
    """Return an index of the rows that meet a condition."""
    # not by SQLAlchemy's `postgresql_where`, which imports all drivers of PostgreSQL; see `Dialect.create`
    return Index(name, *columns, unique=unique, info={"where": where})


#: Alembic's own table; the store reads it without Alembic.
version_table = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

assets = Table(
    "assets",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("env", Text, nullable=False),
    Column("name", Text, nullable=False),
    UniqueConstraint("env", "name"),
)

code_versions = Table(
    "code_versions",
    metadata,
    Column("code_version", Text, primary_key=True),
    Column("components", Text, nullable=False),
)

sources = Table(
    "sources",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("env", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("asset_id", BigInteger, ForeignKey("assets.id")),
    Column("partition", Text),
    Column("run_id", Text),
    Column("data", Text, nullable=False),
    partial_index("ix_events_asset", "asset_id", "id", where="asset_id IS NOT NULL"),
    partial_index("ix_events_run", "run_id", "id", where="run_id IS NOT NULL"),
    partial_index("ix_events_endings", "env", "id", where=RUN_ENDINGS),
)

materializations = Table(
    "materializations",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("asset_id", BigInteger, ForeignKey("assets.id"), nullable=False),
    Column("partition", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("code_version", Text, ForeignKey("code_versions.code_version"), nullable=False),
    Column("run_id", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("superseded_event", BigInteger),  # the event since which it is not current; the store's own order of time
    Column("expired", Integer, nullable=False, server_default="0"),
    Column("facts", Text, nullable=False),
    UniqueConstraint("asset_id", "partition", "version"),
    partial_index("ix_materializations_kept", "asset_id", "partition", "version", where=KEPT),
)

details = Table(
    "details",
    metadata,
    Column("materialization_id", BigInteger, ForeignKey("materializations.id"), primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

asset_states = Table(
    "asset_states",
    metadata,
    Column("asset_id", BigInteger, ForeignKey("assets.id"), primary_key=True, autoincrement=False),
    Column("partition", Text, primary_key=True),
    Column("last_version", Integer, nullable=False, server_default="0"),  # counts on after a wipe
    Column("current_id", BigInteger, ForeignKey("materializations.id")),
    Column("failed_at", BigInteger),
    Column("error", Text),
    Column("failed_run", Text),
    Column("held", Integer, nullable=False, server_default="0"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("env", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("job", Text),
    Column("trigger", Text, nullable=False),
    Column("selection", Text, nullable=False),
    Column("assets", Text, nullable=False),
    Column("partition", Text),
    Column("parameters", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("parent", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("error", Text),
    Column("cancel_requested", Integer, nullable=False, server_default="0"),
    Column("worker", Text),
    Column("created_event", BigInteger, ForeignKey("events.id"), nullable=False),
    Column("rank", Integer, nullable=False, server_default="0"),  # minus the priority: an index has them in order
    Column("pools", Text, nullable=False, server_default="[]"),
    Column("not_before", BigInteger),
    Column("timeout", Float),
    Index("ix_runs_newest", "created_at", "id"),
    Index("ix_runs_event", "created_event"),
    Index("ix_runs_trigger", "trigger", "created_at", "id"),
    partial_index("ix_runs_active", "status", where=ACTIVE_RUNS),
    partial_index("ix_runs_waiting", "env", "rank", "created_event", where=WAITING_RUNS),
    partial_index("ix_runs_ended", "ended_at", where="ended_at IS NOT NULL"),
    partial_index("ix_runs_job", "job", "created_at", "id", where="job IS NOT NULL"),
    partial_index("ix_runs_parent", "parent", "created_at", "id", where="parent IS NOT NULL"),
)

plans = Table(
    "plans",  # apart from `runs`: changing a status would rewrite it
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

steps = Table(
    "steps",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("notebook", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("planned", Text, nullable=False),
    Column("executed", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("error", Text),
    Column("kernel", Text),
    Column("record_hash", Text),
)

run_assets = Table(
    "run_assets",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("asset_id", BigInteger, ForeignKey("assets.id"), primary_key=True, autoincrement=False),
    Column("partition", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("outcome", Text, nullable=False),  # `queued` and `running` only while the run is active
    Column("version", Integer),
    Column("error", Text),
    partial_index("ix_run_assets_active", "asset_id", "partition", where=ACTIVE_ASSETS),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("beats", BigInteger, nullable=False),
)


def literal(condition: str) -> TextClause:
    """Return one of the conditions above exactly as it stands in its index."""
    return text(condition)
