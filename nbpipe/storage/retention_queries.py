"""SQL that removes what is old."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as given

from nbpipe.storage.automation_tables import run_keys, ticks
from nbpipe.storage.backfill_tables import (
    ACTIVE_BACKFILLS,
    OPEN_RUNS,
    backfill_plans,
    backfill_portions,
    backfill_runs,
    backfills,
)
from nbpipe.storage.dialects import Dialect, Statement
from nbpipe.storage.partition_tables import partition_marks
from nbpipe.storage.schema import events, literal, plans, run_assets, runs, steps

Query = Any


def remove_ticks(_: Dialect) -> Query:
    """Old ticks, oldest first."""
    old = sa.select(ticks.c.id).where(ticks.c.env == given("of_env"), ticks.c.at < given("before"))
    return sa.delete(ticks).where(ticks.c.id.in_(old.order_by(ticks.c.at).limit(_limit())))


def remove_ticks_of(_: Dialect) -> Query:
    """Old ticks of one schedule or sensor, oldest first."""
    old = sa.select(ticks.c.id).where(
        ticks.c.env == given("of_env"),
        ticks.c.source == given("of_source"),
        ticks.c.name == given("of_name"),
        ticks.c.at < given("before"),
    )
    return sa.delete(ticks).where(ticks.c.id.in_(old.order_by(ticks.c.id).limit(_limit())))


def remove_keys(_: Dialect) -> Query:
    """Run keys that have expired."""
    columns = (run_keys.c.env, run_keys.c.name, run_keys.c.key)
    old = sa.select(*columns).where(
        run_keys.c.env == given("of_env"), run_keys.c.expires_at.is_not(None), run_keys.c.expires_at < given("before")
    )
    return sa.delete(run_keys).where(sa.tuple_(*columns).in_(old.limit(_limit())))


def select_old_runs(_: Dialect) -> Query:
    """Runs that ended long ago, oldest first, with their events; not those that a backfill is still interested in."""
    interested = (
        sa.select(backfill_runs.c.run_id)
        .join_from(backfill_runs, backfills, backfills.c.id == backfill_runs.c.backfill_id)
        .where(backfill_runs.c.run_id == runs.c.id, literal(f"backfills.{ACTIVE_BACKFILLS}"))
    )
    return (
        sa.select(runs.c.id, runs.c.created_event)
        .where(
            runs.c.env == given("of_env"),
            runs.c.ended_at.is_not(None),
            runs.c.ended_at < given("before"),
            ~interested.exists(),
        )
        .order_by(runs.c.ended_at)
        .limit(_limit())
    )


def count_places(dialect: Dialect) -> Query:
    """How many places the runs in a list have, and where the first one is."""
    return (
        sa.select(run_assets.c.run_id, sa.func.count(), sa.func.min(run_assets.c.position))
        .where(run_assets.c.run_id.in_(dialect.listed("ids")))
        .group_by(run_assets.c.run_id)
    )


def remove_some_places(_: Dialect) -> Query:
    """Places of a run up to one."""
    return sa.delete(run_assets).where(run_assets.c.run_id == given("run"), run_assets.c.position < given("upto"))


def select_old_backfills(_: Dialect) -> Query:
    """Backfills that ended long ago, oldest first; not those of which a run is still active."""
    running = (
        sa.select(backfill_runs.c.run_id)
        .join_from(backfill_runs, runs, runs.c.id == backfill_runs.c.run_id)
        .where(backfill_runs.c.backfill_id == backfills.c.id, literal(OPEN_RUNS), runs.c.ended_at.is_(None))
    )
    return (
        sa.select(backfills.c.id)
        .where(
            backfills.c.env == given("of_env"),
            backfills.c.ended_at.is_not(None),
            backfills.c.ended_at < given("before"),
            ~running.exists(),
        )
        .order_by(backfills.c.ended_at)
        .limit(_limit())
    )


def select_some_events(_: Dialect) -> Query:
    """Events after one, with what decides whether they stay."""
    return (
        sa.select(events.c.id, events.c.env, events.c.kind, events.c.at)
        .where(events.c.id > given("after"))
        .order_by(events.c.id)
        .limit(_limit())
    )


def remove_events(dialect: Dialect) -> Query:
    """Events in a list of numbers; never the newest one, whose number is the revision of the store."""
    newest = sa.select(sa.func.max(events.c.id)).scalar_subquery()
    numbers = sa.select(sa.cast(dialect.placed("ids").c.value, sa.BigInteger))
    return sa.delete(events).where(events.c.id.in_(numbers), events.c.id < newest)


def _remove(column: Any) -> Statement:
    def remove(dialect: Dialect) -> Query:
        return sa.delete(column.table).where(column.in_(dialect.listed("ids")))

    return remove


#: What removes the parts of the runs in a list, and then the runs.
RUN_PARTS = tuple(
    _remove(column)
    for column in (
        run_assets.c.run_id,
        steps.c.run_id,
        plans.c.run_id,
        partition_marks.c.run_id,
        backfill_runs.c.run_id,
        runs.c.id,
    )
)
#: The same for backfills.
BACKFILL_PARTS = tuple(
    _remove(column)
    for column in (
        backfill_runs.c.backfill_id,
        backfill_portions.c.backfill_id,
        backfill_plans.c.backfill_id,
        backfills.c.id,
    )
)


def _limit() -> Any:
    return given("limit", type_=sa.Integer)
