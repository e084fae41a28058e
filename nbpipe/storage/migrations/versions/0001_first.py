"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "assets",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("env", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_assets"),
        sa.UniqueConstraint("env", "name", name="uq_assets_env_name"),
    )
    op.create_table(
        "code_versions",
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("components", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code_version", name="pk_code_versions"),
    )
    op.create_table(
        "sources",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_sources"),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "events",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("env", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.BigInteger(), nullable=True),
        sa.Column("partition", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name="fk_events_asset_id"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    _partial_index("ix_events_asset", "events", ["asset_id", "id"], "asset_id IS NOT NULL")
    _partial_index("ix_events_run", "events", ["run_id", "id"], "run_id IS NOT NULL")
    op.create_table(
        "materializations",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("superseded_event", sa.BigInteger(), nullable=True),
        sa.Column("expired", sa.Integer(), server_default="0", nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name="fk_materializations_asset_id"),
        sa.ForeignKeyConstraint(
            ["code_version"], ["code_versions.code_version"], name="fk_materializations_code_version"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_materializations"),
        sa.UniqueConstraint("asset_id", "partition", "version", name="uq_materializations_asset_id_partition_version"),
    )
    _partial_index("ix_materializations_kept", "materializations", ["asset_id", "partition", "version"], "expired = 0")
    op.create_table(
        "asset_states",
        sa.Column("asset_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("last_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("current_id", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("failed_run", sa.Text(), nullable=True),
        sa.Column("held", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name="fk_asset_states_asset_id"),
        sa.ForeignKeyConstraint(["current_id"], ["materializations.id"], name="fk_asset_states_current_id"),
        sa.PrimaryKeyConstraint("asset_id", "partition", name="pk_asset_states"),
    )
    op.create_table(
        "details",
        sa.Column("materialization_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["materialization_id"], ["materializations.id"], name="fk_details_materialization_id"),
        sa.PrimaryKeyConstraint("materialization_id", name="pk_details"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("env", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=True),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("selection", sa.Text(), nullable=False),
        sa.Column("assets", sa.Text(), nullable=False),
        sa.Column("partition", sa.Text(), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("cancel_requested", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("created_event", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["created_event"], ["events.id"], name="fk_runs_created_event"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    _partial_index("ix_runs_active", "runs", ["status"], "status IN ('queued', 'starting', 'running')")
    op.create_index("ix_runs_newest", "runs", ["created_at", "id"])
    op.create_table(
        "plans",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_plans_run_id"),
        sa.PrimaryKeyConstraint("run_id", name="pk_plans"),
    )
    op.create_table(
        "run_assets",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name="fk_run_assets_asset_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_assets_run_id"),
        sa.PrimaryKeyConstraint("run_id", "asset_id", "partition", name="pk_run_assets"),
    )
    _partial_index("ix_run_assets_active", "run_assets", ["asset_id", "partition"], "outcome IN ('queued', 'running')")
    op.create_table(
        "steps",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("notebook", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("planned", sa.Text(), nullable=False),
        sa.Column("executed", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("kernel", sa.Text(), nullable=True),
        sa.Column("record_hash", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_steps_run_id"),
        sa.PrimaryKeyConstraint("run_id", "position", name="pk_steps"),
    )
    _partitions()


def _partitions() -> None:
    op.create_table(
        "partition_chunks",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("places", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name="fk_partition_chunks_asset_id"),
        sa.PrimaryKeyConstraint("id", name="pk_partition_chunks"),
        sa.UniqueConstraint("asset_id", "family", "block", name="uq_partition_chunks_asset_id_family_block"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for column in ("facts", "places"):  # they are compressed already
            op.execute(f"ALTER TABLE partition_chunks ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.create_index("ix_partition_chunks_changed", "partition_chunks", ["asset_id", "revision"])
    op.create_table(
        "partition_templates",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["code_version"], ["code_versions.code_version"], name="fk_partition_templates_code_version"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_partition_templates"),
        sa.UniqueConstraint("digest", name="uq_partition_templates_digest"),
    )
    op.create_table(
        "partition_values",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("chunk_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("template_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("superseded_event", sa.BigInteger(), nullable=True),
        sa.Column("newer", sa.Integer(), server_default="0", nullable=False),
        sa.Column("expired", sa.Integer(), server_default="0", nullable=False),
        sa.Column("own", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["chunk_id"], ["partition_chunks.id"], name="fk_partition_values_chunk_id"),
        sa.ForeignKeyConstraint(["template_id"], ["partition_templates.id"], name="fk_partition_values_template_id"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_partition_values_event_id"),
        sa.PrimaryKeyConstraint("id", name="pk_partition_values"),
        sa.UniqueConstraint("chunk_id", "place", "version", name="uq_partition_values_chunk_id_place_version"),
    )
    _partial_index("ix_partition_values_outdated", "partition_values", ["newer"], "expired = 0 AND newer > 0")
    op.create_table(
        "partition_marks",
        sa.Column("chunk_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("marked", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["chunk_id"], ["partition_chunks.id"], name="fk_partition_marks_chunk_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_partition_marks_run_id"),
        sa.PrimaryKeyConstraint("chunk_id", "run_id", name="pk_partition_marks"),
    )
    op.create_index("ix_partition_marks_run", "partition_marks", ["run_id"])
    op.create_table(
        "partition_registries",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("env", sa.Text(), nullable=False),
        sa.Column("owner", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), server_default="0", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_partition_registries"),
        sa.UniqueConstraint("env", "owner", "name", name="uq_partition_registries_env_owner_name"),
    )
    op.create_table(
        "partition_keys",
        sa.Column("registry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("removed", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["registry_id"], ["partition_registries.id"], name="fk_partition_keys_registry_id"),
        sa.PrimaryKeyConstraint("registry_id", "ordinal", name="pk_partition_keys"),
        sa.UniqueConstraint("registry_id", "key", name="uq_partition_keys_registry_id_key"),
    )
    _partial_index("ix_partition_keys_removed", "partition_keys", ["registry_id", "ordinal"], "removed = 1")
