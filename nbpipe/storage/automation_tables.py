"""The tables of schedules and sensors, and of who leads."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from nbpipe.storage import backfill_tables
from nbpipe.storage.schema import NUMBER, partial_index

TABLES = backfill_tables.TABLES
"""All tables, those of the other modules too."""

#: Condition of a partial index, see `schema`.
SCHEDULED = "source = 'schedule'"

leases = Table(
    "leases",
    TABLES,
    Column("env", Text, primary_key=True),
    Column("worker", Text),  # nobody, once it was given back
    Column("token", BigInteger, nullable=False),
    Column("beats", BigInteger, nullable=False),
)

automation_states = Table(
    "automation_states",
    TABLES,
    Column("env", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("switched", Integer),
    Column("times", Text, nullable=False),
    Column("since", BigInteger),
    Column("cursor", Text),
    Column("changed_at", BigInteger),
)

ticks = Table(
    "ticks",
    TABLES,
    Column("id", NUMBER, primary_key=True),
    Column("env", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("scheduled_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("runs", Text, nullable=False),
    Column("reason", Text),
    Column("at", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Index("ix_ticks_newest", "env", "source", "name", "id"),
    Index("ix_ticks_at", "env", "at"),
    partial_index("ix_ticks_once", "env", "source", "name", "scheduled_at", where=SCHEDULED, unique=True),
)

run_keys = Table(
    "run_keys",
    TABLES,
    Column("env", Text, primary_key=True),
    Column("name", Text, primary_key=True),  # of the sensor
    Column("key", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("expires_at", BigInteger),
    partial_index("ix_run_keys_expiry", "env", "expires_at", where="expires_at IS NOT NULL"),
)
