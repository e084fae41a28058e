"""Schedules, sensors, who leads; runs that wait by priority; what retention looks for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    """Make the tables; give runs what they wait by; index what is looked for by number or moment."""
    op.create_table(
        "leases",
        sa.Column("env", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("env", name="pk_leases"),
    )
    op.create_table(
        "automation_states",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("env", "source", "name")),
        sa.Column("switched", sa.Integer(), nullable=True),
        sa.Column("times", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("env", "source", "name", name="pk_automation_states"),
    )
    _ticks()
    op.create_table(
        "run_keys",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("env", "name", "key", "run_id")),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("env", "name", "key", name="pk_run_keys"),
    )
    _partial_index("ix_run_keys_expiry", "run_keys", ["env", "expires_at"], "expires_at IS NOT NULL")
    _runs()
    _partial_index(
        "ix_events_endings", "events", ["env", "id"], "kind IN ('run_succeeded', 'run_failed', 'run_canceled')"
    )
    with op.batch_alter_table("partition_values") as table:  # events that are kept are known by their kind
        table.drop_constraint("fk_partition_values_event_id", type_="foreignkey")
    op.create_index("ix_backfill_runs_event", "backfill_runs", ["event_id"])
    _partial_index("ix_backfills_ended", "backfills", ["ended_at"], "ended_at IS NOT NULL")


def _ticks() -> None:
    op.create_table(
        "ticks",
        sa.Column("id", _NUMBER, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("env", "source", "name")),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("status", "runs")),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ticks"),
    )
    op.create_index("ix_ticks_newest", "ticks", ["env", "source", "name", "id"])
    op.create_index("ix_ticks_at", "ticks", ["env", "at"])
    _partial_index(
        "ix_ticks_once", "ticks", ["env", "source", "name", "scheduled_at"], "source = 'schedule'", unique=True
    )


def _runs() -> None:
    op.add_column("runs", sa.Column("rank", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("pools", sa.Text(), server_default="[]", nullable=False))
    op.add_column("runs", sa.Column("not_before", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("timeout", sa.Float(), nullable=True))
    op.create_index("ix_runs_event", "runs", ["created_event"])
    op.create_index("ix_runs_trigger", "runs", ["trigger", "created_at", "id"])
    waiting = ["env", "rank", "created_event"]
    _partial_index("ix_runs_waiting", "runs", waiting, "status = 'queued' AND worker IS NULL")
    _partial_index("ix_runs_ended", "runs", ["ended_at"], "ended_at IS NOT NULL")
    _partial_index("ix_runs_job", "runs", ["job", "created_at", "id"], "job IS NOT NULL")
    _partial_index("ix_runs_parent", "runs", ["parent", "created_at", "id"], "parent IS NOT NULL")
