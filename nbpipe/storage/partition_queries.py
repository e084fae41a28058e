"""SQL about partitions: their chunks, values and marks."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as given

from nbpipe.storage.dialects import Dialect
from nbpipe.storage.partition_tables import (
    OUTDATED,
    partition_chunks,
    partition_marks,
    partition_recipes,
    partition_templates,
    partition_values,
)
from nbpipe.storage.schema import assets, code_versions, events, literal

Query = Any

#: Columns from which `partition_values.materialization` makes a record.
VALUE = (
    partition_values.c.id,
    partition_values.c.version,
    partition_values.c.expired,
    partition_values.c.own,
    events.c.at,
    events.c.run_id,
    partition_templates.c.code_version,
    code_versions.c.components,
    partition_templates.c.content,
)


def newest_change(_: Dialect) -> Query:
    """The number of an asset, and the newest event that changed a chunk of it."""
    return (
        "SELECT assets.id, max(revision) FROM assets JOIN partition_chunks ON asset_id = assets.id "
        "WHERE env = :env AND name = :name GROUP BY assets.id"
    )


def newest_commit(_: Dialect) -> Query:
    """When a partition of an asset last got a value: such events stay. The asset's are read from the newest on."""
    return (
        "SELECT at FROM events WHERE asset_id = (SELECT id FROM assets WHERE env = :env AND name = :name) "
        "AND kind = 'partitions_materialized' ORDER BY id DESC LIMIT 1"
    )


def select_changed(_: Dialect) -> Query:
    """The facts of the chunks that have changed since an event."""
    return "SELECT family, block, facts FROM partition_chunks WHERE asset_id = :asset AND revision > :after"


def find_chunk(_: Dialect) -> Query:
    """The number of a chunk."""
    return "SELECT id FROM partition_chunks WHERE asset_id = :asset AND family = :family AND block = :block"


def add_chunk(_: Dialect) -> Query:
    """A new chunk."""
    return (
        "INSERT INTO partition_chunks (asset_id, family, block, revision, facts, places) "
        "VALUES (:asset_id, :family, :block, :revision, :facts, :places) RETURNING id"
    )


def select_chunk(_: Dialect) -> Query:
    """A chunk, of an asset given by number."""
    return (
        "SELECT id, facts, places FROM partition_chunks WHERE asset_id = :asset AND family = :family AND block = :block"
    )


def select_named_chunk(_: Dialect) -> Query:
    """The same, of an asset given by name."""
    return (
        "SELECT partition_chunks.id, facts, places FROM partition_chunks JOIN assets ON assets.id = asset_id "
        "WHERE env = :env AND name = :name AND family = :family AND block = :block"
    )


def select_chunks(_: Dialect) -> Query:
    """Where the chunks of an asset are."""
    return sa.select(partition_chunks.c.family, partition_chunks.c.block).where(
        partition_chunks.c.asset_id == given("asset")
    )


def select_chunk_by_number(_: Dialect) -> Query:
    """The asset, the environment and the content of a chunk."""
    return (
        sa.select(
            partition_chunks.c.asset_id,
            assets.c.env,
            partition_chunks.c.family,
            partition_chunks.c.block,
            partition_chunks.c.facts,
            partition_chunks.c.places,
        )
        .join_from(partition_chunks, assets, assets.c.id == partition_chunks.c.asset_id)
        .where(partition_chunks.c.id == given("chunk"))
    )


def update_chunk(_: Dialect) -> Query:
    """Change a chunk."""
    return "UPDATE partition_chunks SET revision = :event, facts = :content, places = :where WHERE id = :chunk"


def add_recipe(_: Dialect) -> Query:
    """A recipe by which partitions of an asset are made, once."""
    return (
        "INSERT INTO partition_recipes (asset_id, number, revision, code_version, content) "
        "VALUES (:asset_id, :number, :revision, :code_version, :content) "
        "ON CONFLICT (asset_id, number) DO NOTHING"
    )


def newest_recipe(_: Dialect) -> Query:
    """The number of an asset, the event that added its newest recipe, and what tells its recipes from others."""
    number = partition_recipes.c.number
    others = (sa.func.count(), sa.func.min(number), sa.func.max(number))
    return (
        sa.select(assets.c.id, sa.func.max(partition_recipes.c.revision), *others)
        .join_from(assets, partition_recipes, partition_recipes.c.asset_id == assets.c.id)
        .where(_named())
        .group_by(assets.c.id)
    )


def select_recipes(_: Dialect) -> Query:
    """The recipes of an asset."""
    return (
        sa.select(
            partition_recipes.c.number,
            partition_recipes.c.code_version,
            code_versions.c.components,
            partition_recipes.c.content,
        )
        .join_from(partition_recipes, code_versions, code_versions.c.code_version == partition_recipes.c.code_version)
        .where(partition_recipes.c.asset_id == given("asset"))
        .order_by(partition_recipes.c.number)
    )


def drop_recipes(_: Dialect) -> Query:
    """Remove the recipes of an asset."""
    return sa.delete(partition_recipes).where(partition_recipes.c.asset_id == given("asset"))


def add_template(_: Dialect) -> Query:
    """What many values share, once."""
    return (
        "INSERT INTO partition_templates (digest, code_version, content) VALUES (:digest, :code_version, :content) "
        "ON CONFLICT (digest) DO NOTHING"
    )


def find_template(_: Dialect) -> Query:
    """The number of a template."""
    return "SELECT id FROM partition_templates WHERE digest = :digest"


def add_value(_: Dialect) -> Query:
    """One committed value."""
    return (
        "INSERT INTO partition_values (chunk_id, place, version, template_id, event_id, own) "
        "VALUES (:chunk_id, :place, :version, :template_id, :event_id, :own) RETURNING id"
    )


def supersede(_: Dialect) -> Query:
    """Note since which event a value is not current."""
    return (
        "UPDATE partition_values SET superseded_event = :event "
        "WHERE chunk_id = :chunk AND place = :offset AND version = :number"
    )


def count_newer(_: Dialect) -> Query:
    """Count one more newer version for the values that are kept: those above the newest expired one."""
    other = partition_values.alias("other")
    stop = (
        sa.select(other.c.version)
        .where(other.c.chunk_id == given("chunk"), other.c.place == given("offset"), other.c.expired == 1)
        .order_by(other.c.version.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        sa.update(partition_values)
        .where(
            _of_place(),
            partition_values.c.version > sa.func.coalesce(stop, 0),
            partition_values.c.version < given("number"),
        )
        .values(newer=partition_values.c.newer + 1)
    )


def select_version(_: Dialect) -> Query:
    """One version of a partition."""
    return _values().where(_of_place(), partition_values.c.version == given("version"))


def select_history(_: Dialect) -> Query:
    """Versions of a partition, newest first."""
    newest = partition_values.c.version.desc()
    return _values().where(_of_place()).order_by(newest).limit(given("limit", type_=sa.Integer))


def select_kept_between(_: Dialect) -> Query:
    """Values of a range of offsets that are not expired."""
    return _contents().where(_kept_between()).order_by(partition_values.c.place, partition_values.c.version)


def expire_between(_: Dialect) -> Query:
    """Mark them as removed."""
    return sa.update(partition_values).where(_kept_between()).values(expired=1)


def select_kept(_: Dialect) -> Query:
    """All values that are not expired."""
    return _contents().where(partition_values.c.expired == 0)


def select_outdated(_: Dialect) -> Query:
    """Values with at least `keep` newer ones that are not current and were not since an event."""
    some = partition_values.alias("some")
    old = sa.select(some.c.id).where(
        literal(OUTDATED), some.c.newer >= given("keep"), some.c.superseded_event < given("since")
    )
    return (
        _contents()
        .join(partition_chunks, partition_chunks.c.id == partition_values.c.chunk_id)
        .join(assets, assets.c.id == partition_chunks.c.asset_id)
        .where(partition_values.c.id.in_(old), assets.c.env == given("env"))
        .order_by(partition_values.c.id)
    )


def expire(_: Dialect) -> Query:
    """Mark a value as removed."""
    return sa.update(partition_values).where(partition_values.c.id == given("value")).values(expired=1)


def select_event(_: Dialect) -> Query:
    """When, by which run, and what happened."""
    return sa.select(events.c.at, events.c.run_id, events.c.data).where(events.c.id == given("event"))


def select_marks(_: Dialect) -> Query:
    """Who works on partitions of an asset."""
    return (
        "SELECT family, block, run_id, marked FROM partition_marks "
        "JOIN partition_chunks ON partition_chunks.id = chunk_id JOIN assets ON assets.id = asset_id "
        "WHERE env = :env AND name = :name ORDER BY chunk_id, run_id"
    )


def select_marks_of_chunk(_: Dialect) -> Query:
    """Who works on partitions of a chunk."""
    return (
        sa.select(partition_marks.c.run_id, partition_marks.c.marked)
        .where(partition_marks.c.chunk_id == given("chunk"))
        .order_by(partition_marks.c.run_id)
    )


def select_marks_of_run(_: Dialect) -> Query:
    """What a run works on."""
    return (
        sa.select(partition_marks.c.chunk_id, partition_marks.c.marked)
        .where(partition_marks.c.run_id == given("run"))
        .order_by(partition_marks.c.chunk_id)
    )


def select_mark(_: Dialect) -> Query:
    """What a run works on in a chunk."""
    return "SELECT marked FROM partition_marks WHERE chunk_id = :chunk AND run_id = :run"


def set_mark(_: Dialect) -> Query:
    """Keep what a run works on in a chunk."""
    return (
        "INSERT INTO partition_marks (chunk_id, run_id, marked) VALUES (:chunk, :run, :marked) "
        "ON CONFLICT (chunk_id, run_id) DO UPDATE SET marked = excluded.marked"
    )


def drop_mark(_: Dialect) -> Query:
    """Forget that a run works on a chunk."""
    return "DELETE FROM partition_marks WHERE chunk_id = :chunk AND run_id = :run"


def drop_marks_of_run(_: Dialect) -> Query:
    """Forget all that a run works on."""
    return sa.delete(partition_marks).where(partition_marks.c.run_id == given("run"))


def drop_marks_of_asset(_: Dialect) -> Query:
    """Forget who works on an asset."""
    chunks = sa.select(partition_chunks.c.id).where(partition_chunks.c.asset_id == given("asset"))
    return sa.delete(partition_marks).where(partition_marks.c.chunk_id.in_(chunks))


def drop_chunks(_: Dialect) -> Query:
    """Remove the chunks of an asset, which hold no values."""
    return sa.delete(partition_chunks).where(partition_chunks.c.asset_id == given("asset"))


def has_values(_: Dialect) -> Query:
    """Whether a partition of an asset was ever materialized."""
    return sa.select(sa.func.count()).select_from(
        sa.select(partition_values.c.id)
        .join_from(partition_values, partition_chunks, partition_chunks.c.id == partition_values.c.chunk_id)
        .where(partition_chunks.c.asset_id == given("asset"))
        .limit(1)
        .subquery()
    )


def _named() -> Any:
    return sa.and_(assets.c.env == given("env"), assets.c.name == given("name"))


def _of_place() -> Any:
    return sa.and_(partition_values.c.chunk_id == given("chunk"), partition_values.c.place == given("offset"))


def _kept_between() -> Any:
    return sa.and_(
        partition_values.c.chunk_id == given("chunk"),
        partition_values.c.place >= given("low"),
        partition_values.c.place < given("high"),
        partition_values.c.expired == 0,
    )


def _values() -> Any:
    return (
        sa.select(*VALUE)
        .select_from(partition_values)
        .join(events, events.c.id == partition_values.c.event_id)
        .join(partition_templates, partition_templates.c.id == partition_values.c.template_id)
        .join(code_versions, code_versions.c.code_version == partition_templates.c.code_version)
    )


def _contents() -> Any:
    """Select what tells where values are."""
    return (
        sa.select(partition_values.c.id, partition_values.c.own, partition_templates.c.content)
        .select_from(partition_values)
        .join(partition_templates, partition_templates.c.id == partition_values.c.template_id)
    )
