"""SQL about backfills."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as given

from nbpipe.storage.backfill_tables import (
    ACTIVE_BACKFILLS,
    OPEN_RUNS,
    backfill_plans,
    backfill_portions,
    backfill_runs,
    backfills,
)
from nbpipe.storage.dialects import Dialect
from nbpipe.storage.run_queries import RUN
from nbpipe.storage.schema import literal, runs

Query = Any

_COUNTS = ("done", "failed", "skipped", "lost")


def add_backfill(dialect: Dialect) -> Query:
    """A new backfill."""
    return dialect.insert(backfills).values({column.name: given(column.name) for column in backfills.c})


def add_plan(dialect: Dialect) -> Query:
    """The plan of a backfill."""
    return dialect.insert(backfill_plans).values(backfill_id=given("backfill"), content=given("content"))


def select_plan(_: Dialect) -> Query:
    """The plan of a backfill."""
    return sa.select(backfill_plans.c.content).where(backfill_plans.c.backfill_id == given("backfill"))


def add_portion(dialect: Dialect) -> Query:
    """What a backfill covers of one asset."""
    return dialect.insert(backfill_portions).values({column.name: given(column.name) for column in backfill_portions.c})


def select_backfill(_: Dialect) -> Query:
    """One backfill."""
    return sa.select(*backfills.c).where(_this())


def find_backfills(_: Dialect) -> Query:
    """Identifiers that begin so."""
    prefix = given("prefix", type_=sa.Text)
    return (
        sa.select(backfills.c.id)
        .where(sa.func.substr(backfills.c.id, 1, sa.func.length(prefix)) == prefix)
        .order_by(backfills.c.id)
        .limit(given("limit", type_=sa.Integer))
    )


def select_backfills(dialect: Dialect) -> Query:
    """Backfills, newest first; `statuses` and `env` may be NULL."""
    wanted, env = given("statuses", type_=sa.Text), given("env", type_=sa.Text)
    return (
        sa.select(*backfills.c)
        .where(
            sa.or_(wanted.is_(None), backfills.c.status.in_(dialect.listed("statuses"))),
            sa.or_(env.is_(None), backfills.c.env == env),
        )
        .order_by(backfills.c.created_at.desc(), backfills.c.id.desc())
        .limit(given("limit", type_=sa.Integer))
    )


def select_active_backfills(dialect: Dialect) -> Query:
    """The same for statuses that are all active, in time that does not grow with the number of backfills."""
    some = backfills.alias("some")
    return select_backfills(dialect).where(backfills.c.id.in_(sa.select(some.c.id).where(literal(ACTIVE_BACKFILLS))))


def select_portions(_: Dialect) -> Query:
    """What became of all partitions of a backfill."""
    return _portions().order_by(backfill_portions.c.position)


def select_portion(_: Dialect) -> Query:
    """What became of those of one asset."""
    return _portions().where(backfill_portions.c.asset == given("asset"))


def change_portion(_: Dialect) -> Query:
    """Note what became of partitions of one asset; what is given as NULL stays."""
    return (
        sa.update(backfill_portions)
        .where(backfill_portions.c.backfill_id == given("backfill"), backfill_portions.c.asset == given("name"))
        .values(
            {
                name: sa.func.coalesce(given(f"new_{name}", type_=sa.LargeBinary), backfill_portions.c[name])
                for name in _COUNTS
            }
        )
    )


def count(_: Dialect) -> Query:
    """Count more of what has ended."""
    more = {name: backfills.c[name] + given(f"more_{name}", type_=sa.Integer) for name in _COUNTS}
    return sa.update(backfills).where(_this()).values(more)


def begin(_: Dialect) -> Query:
    """Give a backfill to a worker."""
    started = sa.func.coalesce(backfills.c.started_at, given("at", type_=sa.BigInteger))
    return (
        sa.update(backfills)
        .where(_this())
        .values(status="running", worker=given("identity", type_=sa.Text), started_at=started)
    )


def leave(_: Dialect) -> Query:
    """Let a backfill wait for a worker."""
    return sa.update(backfills).where(_this()).values(status="queued", worker=sa.null())


def end(_: Dialect) -> Query:
    """End a backfill; its last worker stays known."""
    return (
        sa.update(backfills)
        .where(_this())
        .values(status=given("new"), ended_at=given("at", type_=sa.BigInteger), error=given("message", type_=sa.Text))
    )


def complain(_: Dialect) -> Query:
    """Note why a backfill can't end as a success, if nothing is noted yet."""
    error = sa.func.coalesce(backfills.c.error, given("message", type_=sa.Text))
    return sa.update(backfills).where(_this()).values(error=error)


def reopen(_: Dialect) -> Query:
    """Let a backfill that has ended wait for a worker."""
    values = {"ended_at": sa.null(), "error": sa.null(), "cancel_requested": 0}
    return sa.update(backfills).where(_this()).values(status="queued", worker=sa.null(), **values)


def ask_to_cancel(_: Dialect) -> Query:
    """Note that a backfill is to stop."""
    return sa.update(backfills).where(_this()).values(cancel_requested=1)


def add_run(dialect: Dialect) -> Query:
    """Note that a run belongs to a backfill."""
    return dialect.insert(backfill_runs).values(
        backfill_id=given("backfill"), event_id=given("event"), run_id=given("run")
    )


def settle_run(_: Dialect) -> Query:
    """Note that what became of the partitions of a run is known, if it was not."""
    return sa.update(backfill_runs).where(_this_run(), backfill_runs.c.settled == 0).values(settled=1)


def find_run(_: Dialect) -> Query:
    """Whether a run belongs to a backfill."""
    return sa.select(backfill_runs.c.settled).where(_this_run())


def select_open_runs(_: Dialect) -> Query:
    """Runs that are not settled, oldest first."""
    return (
        sa.select(backfill_runs.c.run_id)
        .where(literal(OPEN_RUNS), backfill_runs.c.backfill_id == given("backfill"))
        .order_by(backfill_runs.c.event_id)
    )


def select_runs(_: Dialect) -> Query:
    """Runs of a backfill, newest first."""
    return (
        sa.select(*RUN)
        .join_from(backfill_runs, runs, runs.c.id == backfill_runs.c.run_id)
        .where(backfill_runs.c.backfill_id == given("backfill"))
        .order_by(backfill_runs.c.event_id.desc())
        .limit(given("limit", type_=sa.Integer))
    )


def _this() -> Any:
    return backfills.c.id == given("backfill")


def _this_run() -> Any:
    return sa.and_(backfill_runs.c.run_id == given("run"), backfill_runs.c.backfill_id == given("backfill"))


def _portions() -> Any:
    columns = (backfill_portions.c[name] for name in ("asset", "requested", *_COUNTS))
    return sa.select(*columns).where(backfill_portions.c.backfill_id == given("backfill"))
