"""SQL about runs, workers and events."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as given

from nbpipe.storage.dialects import Dialect
from nbpipe.storage.outcomes import NEW_VALUES
from nbpipe.storage.schema import (
    ACTIVE_ASSETS,
    assets,
    events,
    literal,
    plans,
    run_assets,
    runs,
    steps,
    workers,
)

Query = Any

#: Columns from which `rows.run` makes a record.
RUN = tuple(column for column in runs.c if column.name != "created_event")


def add_event(_: Dialect) -> Query:
    """One entry of the history."""
    return (
        "INSERT INTO events (at, env, kind, asset_id, partition, run_id, data) "
        "VALUES (:at, :env, :kind, :asset_id, :partition, :run_id, :data) RETURNING id"
    )


def add_events(dialect: Dialect) -> Query:
    """Several entries of the history."""
    names = ("at", "env", "kind", "asset_id", "partition", "run_id", "data")
    return dialect.insert(events).values({name: given(name) for name in names})


def select_new_events(_: Dialect) -> Query:
    """Numbers and runs of the entries after one."""
    return sa.select(events.c.id, events.c.run_id).where(events.c.id > given("after"))


def last_event(_: Dialect) -> Query:
    """The number of the newest event."""
    return "SELECT coalesce(max(id), 0) FROM events"


def select_events(_: Dialect) -> Query:
    """Events, oldest first."""
    return (
        sa.select(
            events.c.id,
            events.c.at,
            events.c.env,
            events.c.kind,
            assets.c.name,
            events.c.partition,
            events.c.run_id,
            events.c.data,
        )
        .select_from(events)
        .outerjoin(assets, assets.c.id == events.c.asset_id)
        .where(events.c.id > given("after"), if_given("env", events.c.env))
        .order_by(events.c.id)
        .limit(given("limit", type_=sa.Integer))
    )


def select_run_events(dialect: Dialect) -> Query:
    """Events of a run, oldest first."""
    return select_events(dialect).where(events.c.run_id == given("run"), if_given("asset", assets.c.name))


def select_asset_events(dialect: Dialect) -> Query:
    """Events of an asset, oldest first."""
    named = sa.select(assets.c.id).where(assets.c.name == given("asset")).scalar_subquery()
    return select_events(dialect).where(events.c.asset_id.in_(named))


def select_values_after(dialect: Dialect) -> Query:
    """Events of an asset that tell of new values."""
    number = sa.select(assets.c.id).where(assets.c.name == given("asset"), assets.c.env == given("of_env"))
    return select_events(dialect).where(
        events.c.asset_id == number.scalar_subquery(),
        sa.or_(*(events.c.kind == sa.literal_column(f"'{kind}'") for kind in sorted(NEW_VALUES))),
    )


def add_run(dialect: Dialect) -> Query:
    """A new run."""
    return dialect.insert(runs).values({column.name: given(column.name) for column in runs.c})


def add_plan(dialect: Dialect) -> Query:
    """The plan of a run."""
    return dialect.insert(plans).values(run_id=given("run"), content=given("content"))


def select_plan(_: Dialect) -> Query:
    """The plan of a run."""
    return sa.select(plans.c.content).where(plans.c.run_id == given("run"))


def add_step(dialect: Dialect) -> Query:
    """A step of a run."""
    return dialect.insert(steps).values({column.name: given(column.name) for column in steps.c})


def add_run_asset(dialect: Dialect) -> Query:
    """A place of an asset in a run."""
    return dialect.insert(run_assets).values({column.name: given(column.name) for column in run_assets.c})


def add_run_partitions(dialect: Dialect) -> Query:
    """Places of many partitions of an asset in a run, which differ by their keys alone."""
    keys = dialect.placed("keys")
    position = sa.cast(keys.c.place, sa.Integer) + given("first", type_=sa.Integer)
    values: dict[str, Any] = {
        "run_id": given("run", type_=sa.Text),
        "asset_id": given("asset", type_=sa.BigInteger),
        "partition": keys.c.value,
        "position": position,
        "step": given("step", type_=sa.Integer),
        "outcome": given("outcome", type_=sa.Text),
    }
    typed = [sa.cast(value, run_assets.c[name].type) for name, value in values.items()]
    return dialect.insert(run_assets).from_select(list(values), sa.select(*typed))


def select_run(_: Dialect) -> Query:
    """One run."""
    return sa.select(*RUN).where(runs.c.id == given("run"))


def find_runs(_: Dialect) -> Query:
    """Identifiers that begin so."""
    prefix = given("prefix", type_=sa.Text)
    return (
        sa.select(runs.c.id)
        .where(sa.func.substr(runs.c.id, 1, sa.func.length(prefix)) == prefix)
        .order_by(runs.c.id)
        .limit(given("limit", type_=sa.Integer))
    )


def select_status(_: Dialect) -> Query:
    """Status and environment of a run."""
    return "SELECT status, env FROM runs WHERE id = :run"


def claim(_: Dialect) -> Query:
    """Take a queued run."""
    return (
        sa.update(runs)
        .where(runs.c.id == given("run"), runs.c.status == "queued")
        .values(status="starting", worker=given("identity"))
    )


def set_status(_: Dialect) -> Query:
    """Change the status of a run; moments that are set stay."""
    return (
        sa.update(runs)
        .where(runs.c.id == given("run"))
        .values(
            status=given("new"),
            started_at=sa.func.coalesce(runs.c.started_at, given("started", type_=sa.BigInteger)),
            ended_at=given("ended", type_=sa.BigInteger),
            error=sa.func.coalesce(given("message", type_=sa.Text), runs.c.error),
        )
    )


def ask_to_cancel(_: Dialect) -> Query:
    """Note that a run is to stop."""
    return sa.update(runs).where(runs.c.id == given("run")).values(cancel_requested=1)


def select_steps(_: Dialect) -> Query:
    """The steps of a run."""
    return sa.select(*steps.c).where(steps.c.run_id == given("run")).order_by(steps.c.position)


def select_step_status(_: Dialect) -> Query:
    """The status of a step."""
    return sa.select(steps.c.status).where(steps.c.run_id == given("run"), steps.c.position == given("index"))


def update_step(_: Dialect) -> Query:
    """Change a step; what is given as NULL stays."""

    def changed(column: sa.Column[Any], name: str) -> Any:
        return sa.func.coalesce(given(name, type_=column.type), column)

    return (
        sa.update(steps)
        .where(steps.c.run_id == given("run"), steps.c.position == given("index"))
        .values(
            status=given("new"),
            started_at=sa.func.coalesce(steps.c.started_at, given("started", type_=sa.BigInteger)),
            ended_at=changed(steps.c.ended_at, "ended"),
            error=changed(steps.c.error, "message"),
            executed=changed(steps.c.executed, "done"),
            kernel=changed(steps.c.kernel, "identity"),
            record_hash=changed(steps.c.record_hash, "hash"),
        )
    )


def end_steps(_: Dialect) -> Query:
    """End the steps of a run that have one status."""
    return (
        sa.update(steps)
        .where(steps.c.run_id == given("run"), steps.c.status == given("old"))
        .values(
            status=given("new"),
            ended_at=given("at", type_=sa.BigInteger),
            error=sa.func.coalesce(steps.c.error, given("message", type_=sa.Text)),
        )
    )


def select_run_assets(_: Dialect) -> Query:
    """The assets of a run in the order of its plan."""
    return (
        sa.select(
            assets.c.name,
            run_assets.c.partition,
            run_assets.c.step,
            run_assets.c.outcome,
            run_assets.c.version,
            run_assets.c.error,
        )
        .join_from(run_assets, assets, assets.c.id == run_assets.c.asset_id)
        .where(run_assets.c.run_id == given("run"))
        .order_by(run_assets.c.position)
    )


def select_some_run_assets(dialect: Dialect) -> Query:
    """Those of some assets that have some outcomes; either may be NULL, and then does not matter."""
    names, wanted = given("names", type_=sa.Text), given("outcomes", type_=sa.Text)
    return (
        select_run_assets(dialect)
        .where(
            sa.or_(names.is_(None), assets.c.name.in_(dialect.listed("names"))),
            sa.or_(wanted.is_(None), run_assets.c.outcome.in_(dialect.listed("outcomes"))),
        )
        .limit(given("limit", type_=sa.Integer))
        .offset(given("skip", type_=sa.Integer))
    )


def count_outcomes(_: Dialect) -> Query:
    """How many places of a run have which outcome, by asset in the order of its plan."""
    idle = sa.and_(run_assets.c.outcome == "skipped", run_assets.c.version == 0)
    outcome = sa.case((idle, "idle"), else_=run_assets.c.outcome).label("found")
    return (
        sa.select(assets.c.name, outcome, sa.func.count())
        .join_from(run_assets, assets, assets.c.id == run_assets.c.asset_id)
        .where(run_assets.c.run_id == given("run"))
        .group_by(assets.c.name, outcome)
        .order_by(sa.func.min(run_assets.c.position))
    )


def end_partitions(dialect: Dialect) -> Query:
    """End the partitions of an asset of a run that have not ended; `keys` may be NULL, then all."""
    keys = given("keys", type_=sa.Text)
    return (
        sa.update(run_assets)
        .where(
            run_assets.c.run_id == given("run"),
            run_assets.c.asset_id == given("asset"),
            run_assets.c.partition != "",
            sa.or_(run_assets.c.outcome == "queued", run_assets.c.outcome == "running"),
            sa.or_(keys.is_(None), run_assets.c.partition.in_(dialect.listed("keys"))),
        )
        .values(outcome=given("new"), error=given("message", type_=sa.Text))
    )


def select_outcomes(dialect: Dialect) -> Query:
    """Places in a run of the assets in a list: those of one partition, or of none, which is empty."""
    return (
        "SELECT asset_id, partition, outcome "  # noqa: S608 - no text of a person's
        "FROM run_assets JOIN assets ON assets.id = asset_id "
        f"WHERE run_id = :run AND partition = :part AND name IN ({dialect.members('names')}) ORDER BY position"
    )


def select_running_assets(_: Dialect) -> Query:
    """Assets of a run that are being executed."""
    return (
        sa.select(run_assets.c.asset_id, run_assets.c.partition)
        .where(
            run_assets.c.run_id == given("run"),
            run_assets.c.partition == "",  # those of partitions have marks
            run_assets.c.outcome == "running",
            literal(ACTIVE_ASSETS),
        )
        .order_by(run_assets.c.position)
    )


def set_outcome(_: Dialect) -> Query:
    """What became of an asset in a run."""
    return (
        "UPDATE run_assets SET outcome = :new, version = coalesce(:number, version), error = :message "
        "WHERE run_id = :run AND asset_id = :asset AND partition = :part"
    )


def set_outcomes(dialect: Dialect) -> Query:
    """The same for the partitions of an asset whose keys are in a list."""
    return (
        sa.update(run_assets)
        .where(
            run_assets.c.run_id == given("run"),
            run_assets.c.asset_id == given("asset"),
            run_assets.c.partition.in_(dialect.listed("keys")),
        )
        .values(
            outcome=given("new"),
            version=sa.func.coalesce(given("number", type_=sa.Integer), run_assets.c.version),
            error=given("message", type_=sa.Text),
        )
    )


def end_outcomes(_: Dialect) -> Query:
    """End the assets of a run that have one outcome."""
    return (
        sa.update(run_assets)
        .where(run_assets.c.run_id == given("run"), run_assets.c.outcome == given("old"))
        .values(outcome=given("new"), error=sa.func.coalesce(run_assets.c.error, given("message", type_=sa.Text)))
    )


def beat(dialect: Dialect) -> Query:
    """One more sign of life."""
    insert = dialect.insert(workers).values(id=given("id"), kind=given("kind"), identity=given("identity"), beats=1)
    return insert.on_conflict_do_update(index_elements=["id"], set_={"beats": workers.c.beats + 1})


def select_workers(_: Dialect) -> Query:
    """All workers."""
    return sa.select(workers.c.identity, workers.c.kind, workers.c.beats).order_by(workers.c.id)


def forget_worker(_: Dialect) -> Query:
    """Remove a worker."""
    return sa.delete(workers).where(workers.c.id == given("worker"))


def if_given(name: str, column: Any) -> Any:
    """Return the condition that a column has the value of a parameter; NULL does not matter."""
    value = given(name, type_=sa.Text)
    return sa.or_(value.is_(None), column == value)
