"""SQL that lists runs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as given

from nbpipe.storage.dialects import Dialect
from nbpipe.storage.run_queries import RUN, Query, if_given
from nbpipe.storage.schema import ACTIVE_RUNS, RUN_ENDINGS, WAITING_RUNS, events, literal, runs


def select_runs(dialect: Dialect) -> Query:
    """Runs, newest first; every condition may be NULL."""
    wanted = given("statuses", type_=sa.Text)
    return _newest_runs().where(
        sa.or_(wanted.is_(None), runs.c.status.in_(dialect.listed("statuses"))),
        sa.or_(given("taken", type_=sa.Integer) == 0, runs.c.worker.is_not(None)),
        *(if_given(name, runs.c[name]) for name in ("env", "job", "trigger", "parent")),
    )


def select_active_runs(dialect: Dialect) -> Query:
    """The same for statuses that are all active, in time that does not grow with the number of runs."""
    some = runs.alias("some")
    return select_runs(dialect).where(runs.c.id.in_(sa.select(some.c.id).where(literal(ACTIVE_RUNS))))


def select_runs_of_job(dialect: Dialect) -> Query:
    """The same for a job, in time that does not grow with the number of other runs."""
    return select_runs(dialect).where(runs.c.job == given("job", type_=sa.Text))


def select_triggered_runs(dialect: Dialect) -> Query:
    """The same for what started them."""
    return select_runs(dialect).where(runs.c.trigger == given("trigger", type_=sa.Text))


def select_retries(dialect: Dialect) -> Query:
    """The same for the run that they retry."""
    return select_runs(dialect).where(runs.c.parent == given("parent", type_=sa.Text))


def select_waiting(_: Dialect) -> Query:
    """Queued runs that no process has taken: by priority, then in the order in which they were queued."""
    return (
        sa.select(*RUN)
        .where(literal(WAITING_RUNS), runs.c.env == given("env"))
        .order_by(runs.c.rank, runs.c.created_event)
        .limit(given("limit", type_=sa.Integer))
    )


def select_ended(_: Dialect) -> Query:
    """Runs that have ended, with the events that tell so, in the order of these."""
    found = (
        sa.select(events.c.id, events.c.run_id)
        .where(literal(RUN_ENDINGS), events.c.env == given("env"), events.c.id > given("after"))
        .subquery()
    )
    return (
        sa.select(found.c.id, *RUN)
        .join_from(found, runs, runs.c.id == found.c.run_id)
        .order_by(found.c.id)
        .limit(given("limit", type_=sa.Integer))
    )


def select_known(dialect: Dialect) -> Query:
    """Those identifiers in a list that are of runs."""
    return sa.select(runs.c.id).where(runs.c.id.in_(dialect.listed("ids")))


def _newest_runs() -> Any:
    """Runs before `before`, which is a run's identifier or NULL, by the moment of their creation."""
    before = given("before", type_=sa.Text)
    last = runs.alias("last")
    created = sa.select(last.c.created_at).where(last.c.id == before).scalar_subquery()
    return (
        sa.select(*RUN)
        .where(
            sa.or_(
                before.is_(None),
                runs.c.created_at < created,
                sa.and_(runs.c.created_at == created, runs.c.id < before),
            )
        )
        .order_by(runs.c.created_at.desc(), runs.c.id.desc())
        .limit(given("limit", type_=sa.Integer))
    )
