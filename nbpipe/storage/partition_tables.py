"""The tables of partitions.

State does not grow by rows: facts of 4,096 partitions are one row of `partition_chunks`. History does, by one row of
`partition_values` for each commit: it is kept small, and nothing reads it but by its index. Who works on what is kept
by run, so that it ends with the run. Facts name a recipe by its number: few rows, whatever the number of partitions.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from nbpipe.storage.schema import NUMBER, metadata, partial_index

TABLES = metadata
"""All tables, those of `schema` too."""

#: Conditions of partial indexes, see `schema`.
OUTDATED = "expired = 0 AND newer > 0"
REMOVED = "removed = 1"

partition_chunks = Table(
    "partition_chunks",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("asset_id", BigInteger, ForeignKey("assets.id"), nullable=False),
    Column("family", Text, nullable=False),  # outer ordinals, joined by commas
    Column("block", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),  # the event of the latest change
    # in this order: facts are read without the places
    Column("facts", LargeBinary, nullable=False, info={"compressed": True}),
    Column(
        "places", LargeBinary, nullable=False, info={"compressed": True}
    ),  # after the facts, which are read without them
    UniqueConstraint("asset_id", "family", "block"),
    Index("ix_partition_chunks_changed", "asset_id", "revision"),
)

partition_recipes = Table(
    "partition_recipes",
    metadata,
    Column("asset_id", BigInteger, ForeignKey("assets.id"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # with a sign, see `recipe_rows`
    Column("revision", BigInteger, nullable=False),  # the event of the first commit or skip by it
    Column("code_version", Text, ForeignKey("code_versions.code_version"), nullable=False),
    Column("content", Text, nullable=False),
)

partition_templates = Table(
    "partition_templates",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("code_version", Text, ForeignKey("code_versions.code_version"), nullable=False),
    Column("content", Text, nullable=False),
    UniqueConstraint("digest"),
)

partition_values = Table(
    "partition_values",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("chunk_id", BigInteger, ForeignKey("partition_chunks.id"), nullable=False),
    Column("place", Integer, nullable=False),  # offset in the chunk
    Column("version", Integer, nullable=False),
    Column("template_id", BigInteger, ForeignKey("partition_templates.id"), nullable=False),
    Column("event_id", BigInteger, nullable=False),  # of the commit; no foreign key: it would need an index
    Column("superseded_event", BigInteger),  # the event since which it is not current
    Column("newer", Integer, nullable=False, server_default="0"),  # how many versions came later
    Column("expired", Integer, nullable=False, server_default="0"),
    Column("own", LargeBinary, nullable=False),
    UniqueConstraint("chunk_id", "place", "version"),
    partial_index("ix_partition_values_outdated", "newer", where=OUTDATED),
)

partition_marks = Table(
    "partition_marks",
    metadata,
    Column("chunk_id", BigInteger, ForeignKey("partition_chunks.id"), primary_key=True, autoincrement=False),
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("marked", LargeBinary, nullable=False),
    Index("ix_partition_marks_run", "run_id"),
)

partition_registries = Table(
    "partition_registries",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("env", Text, nullable=False),
    Column("owner", BigInteger, nullable=False),  # the asset whose static keys they are, or 0
    Column("name", Text, nullable=False),
    Column("size", Integer, nullable=False, server_default="0"),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("env", "owner", "name"),
)

partition_keys = Table(
    "partition_keys",
    metadata,
    Column("registry_id", BigInteger, ForeignKey("partition_registries.id"), primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),
    Column("removed", Integer, nullable=False, server_default="0"),
    UniqueConstraint("registry_id", "key"),
    partial_index("ix_partition_keys_removed", "registry_id", "ordinal", where=REMOVED),
)
