"""SQL about registered partition keys."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as given

from nbpipe.storage.dialects import Dialect
from nbpipe.storage.partition_tables import partition_keys, partition_registries

Query = Any


def find_registry(_: Dialect) -> Query:
    """Number, size and newest change of a registry."""
    return "SELECT id, size, revision FROM partition_registries WHERE env = :env AND owner = :owner AND name = :name"


def add_registry(dialect: Dialect) -> Query:
    """A new registry."""
    return (
        dialect.insert(partition_registries)
        .values(env=given("env"), owner=given("owner"), name=given("name"))
        .returning(partition_registries.c.id)
    )


def change_registry(_: Dialect) -> Query:
    """Note size and newest change of a registry."""
    return (
        sa.update(partition_registries)
        .where(partition_registries.c.id == given("registry"))
        .values(size=given("total", type_=sa.Integer), revision=given("event", type_=sa.BigInteger))
    )


def select_known(dialect: Dialect) -> Query:
    """Which keys of a list are registered, and which of them are removed."""
    return sa.select(partition_keys.c.key, partition_keys.c.removed).where(
        partition_keys.c.registry_id == given("registry"), partition_keys.c.key.in_(dialect.listed("keys"))
    )


def add_key(dialect: Dialect) -> Query:
    """A key with its ordinal."""
    names = ("registry_id", "ordinal", "key")
    return dialect.insert(partition_keys).values({name: given(name) for name in names})


def mark_key(_: Dialect) -> Query:
    """Remove a key, or bring it back."""
    return (
        sa.update(partition_keys)
        .where(partition_keys.c.registry_id == given("registry"), partition_keys.c.key == given("text"))
        .values(removed=given("gone", type_=sa.Integer))
    )


def select_keys(_: Dialect) -> Query:
    """Keys from an ordinal on."""
    return "SELECT key FROM partition_keys WHERE registry_id = :registry AND ordinal >= :first ORDER BY ordinal"


def select_removed(_: Dialect) -> Query:
    """Keys that are removed."""
    return "SELECT key FROM partition_keys WHERE removed = 1 AND registry_id = :registry"


def drop_keys(_: Dialect) -> Query:
    """Remove all keys of an asset's registries."""
    owned = sa.select(partition_registries.c.id).where(partition_registries.c.owner == given("asset"))
    return sa.delete(partition_keys).where(partition_keys.c.registry_id.in_(owned))


def drop_registries(_: Dialect) -> Query:
    """Remove an asset's registries."""
    return sa.delete(partition_registries).where(partition_registries.c.owner == given("asset"))
