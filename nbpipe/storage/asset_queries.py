"""SQL about assets: what is current, what was, and the texts of their code."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as given

from nbpipe.storage.dialects import Dialect
from nbpipe.storage.schema import (
    ACTIVE_ASSETS,
    ACTIVE_RUNS,
    KEPT,
    asset_states,
    assets,
    code_versions,
    details,
    events,
    literal,
    materializations,
    run_assets,
    runs,
    sources,
)

Query = Any

#: Columns from which `rows.materialization` makes a record.
MATERIALIZATION = (
    materializations.c.id,
    materializations.c.partition,
    materializations.c.version,
    materializations.c.code_version,
    code_versions.c.components,
    materializations.c.run_id,
    materializations.c.created_at,
    materializations.c.expired,
    materializations.c.facts,
)


def find_asset(_: Dialect) -> Query:
    """The number of one asset."""
    return "SELECT id FROM assets WHERE env = :env AND name = :name"


def add_assets(_: Dialect) -> Query:
    """New names; names that are there stay."""
    return "INSERT INTO assets (env, name) VALUES (:env, :name) ON CONFLICT (env, name) DO NOTHING"


def find_assets(dialect: Dialect) -> Query:
    """The numbers of the assets in a list."""
    return sa.select(assets.c.name, assets.c.id).where(
        assets.c.env == given("env"), assets.c.name.in_(dialect.listed("names"))
    )


def rename_asset(_: Dialect) -> Query:
    """Another name for an asset."""
    return sa.update(assets).where(assets.c.id == given("asset")).values(name=given("new"))


def forget_asset(_: Dialect) -> Query:
    """Remove an asset that nothing refers to."""
    return sa.delete(assets).where(assets.c.id == given("asset"))


def move_events(_: Dialect) -> Query:
    """Hand the events of one asset to another."""
    return (
        sa.update(events)
        .where(events.c.asset_id == given("source"))
        .values(asset_id=given("target", type_=sa.BigInteger))
    )


def move_run_assets(_: Dialect) -> Query:
    """Hand the places in runs of one asset to another."""
    return (
        sa.update(run_assets)
        .where(run_assets.c.asset_id == given("source"))
        .values(asset_id=given("target", type_=sa.BigInteger))
    )


def has_history(_: Dialect) -> Query:
    """Whether an asset was ever materialized."""
    return sa.select(sa.func.count()).select_from(
        sa.select(materializations.c.id).where(materializations.c.asset_id == given("asset")).limit(1).subquery()
    )


def shared_runs(_: Dialect) -> Query:
    """How many places in runs two assets have both."""
    other = run_assets.alias("other")
    return (
        sa.select(sa.func.count())
        .select_from(
            run_assets.join(
                other, sa.and_(other.c.run_id == run_assets.c.run_id, other.c.partition == run_assets.c.partition)
            )
        )
        .where(run_assets.c.asset_id == given("source"), other.c.asset_id == given("target"))
    )


def add_code(_: Dialect) -> Query:
    """The components of a code version, once."""
    return (
        "INSERT INTO code_versions (code_version, components) VALUES (:code_version, :components) "
        "ON CONFLICT (code_version) DO NOTHING"
    )


def add_source(_: Dialect) -> Query:
    """A source text, once."""
    return "INSERT INTO sources (hash, text) VALUES (:hash, :text) ON CONFLICT (hash) DO NOTHING"


def select_sources(dialect: Dialect) -> Query:
    """The texts of the hashes in a list."""
    return sa.select(sources.c.hash, sources.c.text).where(sources.c.hash.in_(dialect.listed("hashes")))


def next_version(_: Dialect) -> Query:
    """Count one version of an asset (or partition) and clear its failure and hold; what was current is returned."""
    return (
        "INSERT INTO asset_states (asset_id, partition, last_version, held) VALUES (:asset, :partition, 1, 0) "
        "ON CONFLICT (asset_id, partition) DO UPDATE SET last_version = asset_states.last_version + 1, "
        "failed_at = NULL, error = NULL, failed_run = NULL, held = 0 "
        "RETURNING last_version, current_id"
    )


def add_materialization(_: Dialect) -> Query:
    """One committed value."""
    return (
        "INSERT INTO materializations (asset_id, partition, version, code_version, run_id, created_at, facts) "
        "VALUES (:asset_id, :partition, :version, :code_version, :run_id, :created_at, :facts) RETURNING id"
    )


def add_details(_: Dialect) -> Query:
    """The bulky part of a materialization."""
    return "INSERT INTO details (materialization_id, content) VALUES (:materialization, :content)"


def select_details(_: Dialect) -> Query:
    """The bulky part of a materialization."""
    return sa.select(details.c.content).where(details.c.materialization_id == given("materialization"))


def drop_details(_: Dialect) -> Query:
    """Remove the bulky part of a materialization."""
    return sa.delete(details).where(details.c.materialization_id == given("materialization"))


def set_current(_: Dialect) -> Query:
    """Point at a materialization as the current one."""
    return "UPDATE asset_states SET current_id = :materialization WHERE asset_id = :asset AND partition = :part"


def supersede(_: Dialect) -> Query:
    """Note since which event a materialization is not current."""
    return "UPDATE materializations SET superseded_event = :event WHERE id = :materialization"


def hold(_: Dialect) -> Query:
    """Hold an asset and clear its failure."""
    return _state_of(sa.update(asset_states)).values(held=1, failed_at=sa.null(), error=sa.null(), failed_run=sa.null())


def reset_state(_: Dialect) -> Query:
    """Forget all of an asset's state but the count of its versions."""
    return _state_of(sa.update(asset_states)).values(
        held=0, failed_at=sa.null(), error=sa.null(), failed_run=sa.null(), current_id=sa.null()
    )


def fail(dialect: Dialect) -> Query:
    """Note a failure."""
    insert = dialect.insert(asset_states).values(
        asset_id=given("asset"),
        partition=given("partition"),
        failed_at=given("at"),
        error=given("message"),
        failed_run=given("run"),
    )
    excluded = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["asset_id", "partition"],
        set_={"failed_at": excluded.failed_at, "error": excluded.error, "failed_run": excluded.failed_run},
    )


def clear_failure(_: Dialect) -> Query:
    """Forget a failure."""
    return _state_of(sa.update(asset_states)).values(failed_at=sa.null(), error=sa.null(), failed_run=sa.null())


def drop_states(_: Dialect) -> Query:
    """Remove the states of an asset."""
    return sa.delete(asset_states).where(asset_states.c.asset_id == given("asset"))


def select_partitions(_: Dialect) -> Query:
    """The partitions of an asset that have a state."""
    return sa.select(asset_states.c.partition).where(asset_states.c.asset_id == given("asset"))


def select_current(_: Dialect) -> Query:
    """The number and the version of the current materialization of an asset."""
    return (
        sa.select(asset_states.c.current_id, materializations.c.version)
        .join_from(asset_states, materializations, materializations.c.id == asset_states.c.current_id)
        .where(asset_states.c.asset_id == given("asset"), asset_states.c.partition == given("partition"))
    )


def select_states(_: Dialect) -> Query:
    """The states of all unpartitioned assets of an environment."""
    activity = (
        sa.select(sa.func.max(run_assets.c.outcome))  # "running" comes after "queued"
        .where(run_assets.c.asset_id == assets.c.id, run_assets.c.partition == "", literal(ACTIVE_ASSETS))
        .scalar_subquery()
    )
    return (
        sa.select(
            assets.c.name,
            asset_states.c.failed_at,
            asset_states.c.error,
            asset_states.c.failed_run,
            asset_states.c.held,
            activity,
            *MATERIALIZATION,
        )
        .select_from(assets)
        .outerjoin(asset_states, sa.and_(asset_states.c.asset_id == assets.c.id, asset_states.c.partition == ""))
        .outerjoin(materializations, materializations.c.id == asset_states.c.current_id)
        .outerjoin(code_versions, code_versions.c.code_version == materializations.c.code_version)
        .where(assets.c.env == given("env"))
    )


def select_named_states(dialect: Dialect) -> Query:
    """The states of the unpartitioned assets in a list."""
    return select_states(dialect).where(assets.c.name.in_(dialect.listed("names")))


def select_current_materialization(dialect: Dialect) -> Query:
    """What is current."""
    return _materializations(dialect).where(
        materializations.c.id
        == sa.select(asset_states.c.current_id)
        .join_from(asset_states, assets, assets.c.id == asset_states.c.asset_id)
        .where(
            assets.c.env == given("env"),
            assets.c.name == given("name"),
            asset_states.c.partition == given("partition"),
        )
        .scalar_subquery()
    )


def select_version(dialect: Dialect) -> Query:
    """One version."""
    return _of_asset(_materializations(dialect)).where(materializations.c.version == given("version"))


def select_history(dialect: Dialect) -> Query:
    """Versions, newest first."""
    newest = sa.desc(materializations.c.version)
    return _of_asset(_materializations(dialect)).order_by(newest).limit(given("limit", type_=sa.Integer))


def select_kept(_: Dialect) -> Query:
    """The facts of all values that are not expired."""
    return sa.select(materializations.c.facts).where(literal(KEPT))


def select_kept_of_asset(_: Dialect) -> Query:
    """The values of one partition of an asset that are not expired."""
    return sa.select(materializations.c.id, materializations.c.facts).where(
        literal(KEPT),
        materializations.c.asset_id == given("asset"),
        materializations.c.partition == given("partition"),
    )


def oldest_active_run(_: Dialect) -> Query:
    """The event that created the oldest active run."""
    return sa.select(sa.func.min(runs.c.created_event)).where(literal(ACTIVE_RUNS))


def select_expirable(_: Dialect) -> Query:
    """Values beyond the newest `keep` that are not current and were not since an event."""
    rank = sa.func.row_number().over(
        partition_by=(materializations.c.asset_id, materializations.c.partition),
        order_by=sa.desc(materializations.c.version),
    )
    kept = (
        sa.select(
            materializations.c.id, materializations.c.facts, materializations.c.superseded_event, rank.label("rank")
        )
        .join_from(materializations, assets, assets.c.id == materializations.c.asset_id)
        .where(literal(KEPT), assets.c.env == given("env"))
        .subquery("kept")
    )
    return (
        sa.select(kept.c.id, kept.c.facts)
        .where(kept.c.rank > given("keep"), kept.c.superseded_event < given("since"))
        .order_by(kept.c.id)
    )


def expire(_: Dialect) -> Query:
    """Mark a value as removed."""
    return sa.update(materializations).where(materializations.c.id == given("materialization")).values(expired=1)


def _state_of(query: Any) -> Any:
    return query.where(asset_states.c.asset_id == given("asset"), asset_states.c.partition == given("part"))


def _materializations(_: Dialect) -> Any:
    return sa.select(*MATERIALIZATION).join_from(
        materializations, code_versions, code_versions.c.code_version == materializations.c.code_version
    )


def _of_asset(query: Any) -> Any:
    """Restrict a query to one partition of an asset that is given by name."""
    asset = sa.select(assets.c.id).where(assets.c.env == given("env"), assets.c.name == given("name"))
    return query.where(
        materializations.c.asset_id == asset.scalar_subquery(), materializations.c.partition == given("partition")
    )
