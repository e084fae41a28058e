"""Recipes of partitions instead of code versions alone, and backfills."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import sqlalchemy as sa
from alembic import op
from pyroaring import BitMap

from nbpipe.core.partitions.chunks import number_of
from nbpipe.core.partitions.recipes import Recipe
from nbpipe.storage import codec, recipe_rows
from nbpipe.storage.partition_chunks import KeptChunk, kept_chunk
from nbpipe.storage.partition_values import decode_template

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    """Make the tables; put the numbers of recipes into the facts of partitions."""
    op.create_table(
        "partition_recipes",
        sa.Column("asset_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name="fk_partition_recipes_asset_id"),
        sa.ForeignKeyConstraint(
            ["code_version"], ["code_versions.code_version"], name="fk_partition_recipes_code_version"
        ),
        sa.PrimaryKeyConstraint("asset_id", "number", name="pk_partition_recipes"),
    )
    _backfills()
    _set_recipes(op.get_bind())


def _backfills() -> None:
    op.create_table(
        "backfills",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "env", "status", "selection", "partitions")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("assets", "parameters")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("total", "done", "failed", "skipped", "lost")),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("cancel_requested", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_backfills"),
    )
    _partial_index("ix_backfills_active", "backfills", ["status"], "status IN ('queued', 'running')")
    op.create_index("ix_backfills_newest", "backfills", ["created_at", "id"])
    op.create_table(
        "backfill_plans",
        sa.Column("backfill_id", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["backfill_id"], ["backfills.id"], name="fk_backfill_plans_backfill_id"),
        sa.PrimaryKeyConstraint("backfill_id", name="pk_backfill_plans"),
    )
    bitmaps = ("requested", "done", "failed", "skipped", "lost")
    op.create_table(
        "backfill_portions",
        sa.Column("backfill_id", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in bitmaps),
        sa.ForeignKeyConstraint(["backfill_id"], ["backfills.id"], name="fk_backfill_portions_backfill_id"),
        sa.PrimaryKeyConstraint("backfill_id", "asset", name="pk_backfill_portions"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for column in bitmaps:  # they are compressed already
            op.execute(f"ALTER TABLE backfill_portions ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.create_table(
        "backfill_runs",
        sa.Column("backfill_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("settled", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["backfill_id"], ["backfills.id"], name="fk_backfill_runs_backfill_id"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_backfill_runs_event_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_backfill_runs_run_id"),
        sa.PrimaryKeyConstraint("backfill_id", "event_id", name="pk_backfill_runs"),
        sa.UniqueConstraint("run_id", name="uq_backfill_runs_run_id"),
    )
    _partial_index("ix_backfill_runs_open", "backfill_runs", ["backfill_id", "event_id"], "settled = 0")


def _set_recipes(bind: sa.Connection) -> None:
    """Replace the numbers of code versions in facts; those of unknown versions stay, and are nobody's recipe."""
    codes = {number_of(name): (name, codec.decode_components(parts)) for name, parts in bind.execute(_CODES)}
    recipes = sa.table("partition_recipes", *map(sa.column, _COLUMNS))
    for chunk, asset, event, facts, places in bind.execute(_CHUNKS).fetchall():
        kept = kept_chunk(bytes(facts), bytes(places))
        contents = {
            (place, version): (code, content)
            for place, version, code, content in bind.execute(_VALUES, {"chunk": chunk})
        }
        found: dict[int, BitMap] = {}
        for offset, number in _codes(kept):
            recipe = _recipe(codes.get(number), contents.get((offset, kept.current.get(offset))))
            if recipe is not None:
                number = recipe.number  # noqa: PLW2901
                columns = recipe_rows.columns(recipe, asset=asset, number=number, event=event)
                key = {"asset": asset, "number": columns["number"]}
                if bind.execute(_FIND, key).first() is None:
                    bind.execute(recipes.insert(), columns)
            found.setdefault(number, BitMap()).add(offset)
        changed = msgspec.structs.replace(kept.facts, codes=tuple(sorted(found.items(), key=lambda item: item[0])))
        bind.execute(_CHANGE, {"chunk": chunk, "facts": changed.to_bytes()})


def _codes(kept: KeptChunk) -> Iterator[tuple[int, int]]:
    for number, offsets in kept.facts.codes:
        yield from ((offset, number) for offset in offsets)


def _recipe(code: tuple[str, tuple[tuple[str, str], ...]] | None, current: tuple[str, str] | None) -> Recipe | None:
    """Return how a partition was made: what it was skipped by is known without files and parameters."""
    if code is None:
        return None
    name, components = code
    template = decode_template(current[1]) if current is not None and current[0] == name else None
    parts: Mapping[str, Mapping[str, str]] = (
        {}
        if template is None
        else {part: getattr(template, part) for part in ("files", "parameters", "parameter_defaults")}
    )
    return Recipe(code=components, code_version=name, **parts)


_COLUMNS = ("asset_id", "number", "revision", "code_version", "content")
_CODES = sa.text("SELECT code_version, components FROM code_versions")
_CHUNKS = sa.text("SELECT id, asset_id, revision, facts, places FROM partition_chunks ORDER BY id")
_VALUES = sa.text(
    "SELECT v.place, v.version, t.code_version, t.content FROM partition_values v "
    "JOIN partition_templates t ON t.id = v.template_id WHERE v.chunk_id = :chunk"
)
_FIND = sa.text("SELECT 1 FROM partition_recipes WHERE asset_id = :asset AND number = :number")
_CHANGE = sa.text("UPDATE partition_chunks SET facts = :facts WHERE id = :chunk")
