"""The tables of backfills.

What became of a million partitions is a few bitmaps in one row for each backfill and asset. Assets are referred to by
the names that they had when the backfill was created, as its plan does: renaming one leaves the backfill whole.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from nbpipe.storage import partition_tables
from nbpipe.storage.schema import partial_index

TABLES = partition_tables.TABLES
"""All tables, those of `schema` and `partition_tables` too."""

#: Conditions of partial indexes, see `schema`.
ACTIVE_BACKFILLS = "status IN ('queued', 'running')"
OPEN_RUNS = "settled = 0"

_COMPRESSED = {"compressed": True}

backfills = Table(
    "backfills",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("env", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("selection", Text, nullable=False),
    Column("partitions", Text, nullable=False),
    Column("assets", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("lost", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("error", Text),
    Column("cancel_requested", Integer, nullable=False, server_default="0"),
    Column("worker", Text),
    Index("ix_backfills_newest", "created_at", "id"),
    partial_index("ix_backfills_ended", "ended_at", where="ended_at IS NOT NULL"),
    partial_index("ix_backfills_active", "status", where=ACTIVE_BACKFILLS),
)

backfill_plans = Table(
    "backfill_plans",  # apart from `backfills`: changing a count would rewrite it
    TABLES,
    Column("backfill_id", Text, ForeignKey("backfills.id"), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

backfill_portions = Table(
    "backfill_portions",
    TABLES,
    Column("backfill_id", Text, ForeignKey("backfills.id"), primary_key=True),
    Column("asset", Text, primary_key=True),
    Column("position", Integer, nullable=False),  # in topological order
    Column("requested", LargeBinary, nullable=False, info=_COMPRESSED),
    Column("done", LargeBinary, nullable=False, info=_COMPRESSED),
    Column("failed", LargeBinary, nullable=False, info=_COMPRESSED),
    Column("skipped", LargeBinary, nullable=False, info=_COMPRESSED),
    Column("lost", LargeBinary, nullable=False, info=_COMPRESSED),
)

backfill_runs = Table(
    "backfill_runs",
    TABLES,
    Column("backfill_id", Text, ForeignKey("backfills.id"), primary_key=True),
    Column("event_id", BigInteger, ForeignKey("events.id"), primary_key=True, autoincrement=False),  # of the launch
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
    Column("settled", Integer, nullable=False, server_default="0"),
    UniqueConstraint("run_id"),
    Index("ix_backfill_runs_event", "event_id"),
    partial_index("ix_backfill_runs_open", "backfill_id", "event_id", where=OPEN_RUNS),
)
