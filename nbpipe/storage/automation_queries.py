"""SQL about schedules, sensors and who leads."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as given

from nbpipe.storage.automation_tables import automation_states, leases, run_keys, ticks
from nbpipe.storage.dialects import Dialect

Query = Any

#: Columns from which `automation_rows.tick` makes a record.
TICK = tuple(column for column in ticks.c if column.name != "env")
_STATE = tuple(column for column in automation_states.c if column.name != "env")


def select_lease(_: Dialect) -> Query:
    """Who leads."""
    return sa.select(leases.c.worker, leases.c.token, leases.c.beats).where(_led())


def take_lease(dialect: Dialect) -> Query:
    """Lead, whoever did so before."""
    insert = dialect.insert(leases).values(
        env=given("env"), worker=given("identity", type_=sa.Text), token=given("token"), beats=0
    )
    return insert.on_conflict_do_update(
        index_elements=["env"], set_={"worker": insert.excluded.worker, "token": insert.excluded.token, "beats": 0}
    )


def beat_lease(_: Dialect) -> Query:
    """One more sign of life, if the token is the newest."""
    return sa.update(leases).where(_mine()).values(beats=leases.c.beats + 1).returning(leases.c.beats)


def leave_lease(_: Dialect) -> Query:
    """Lead no longer; the token is not used again."""
    return sa.update(leases).where(_mine()).values(worker=sa.null())


def select_states(_: Dialect) -> Query:
    """What is kept of all schedules and sensors."""
    return sa.select(*_STATE).where(automation_states.c.env == given("env"))


def select_state(_: Dialect) -> Query:
    """What is kept of one."""
    return sa.select(*_STATE).where(_this())


def add_state(dialect: Dialect) -> Query:
    """See to it that there is something that can be changed."""
    row = {"env": given("env"), "source": given("source"), "name": given("name"), "times": ""}
    return dialect.insert(automation_states).values(row).on_conflict_do_nothing()


def switch(_: Dialect) -> Query:
    """Start or stop; `settled` may be NULL, then `since` stays."""
    return (
        sa.update(automation_states)
        .where(_this())
        .values(
            switched=given("position", type_=sa.Integer),
            since=sa.func.coalesce(given("settled", type_=sa.BigInteger), automation_states.c.since),
            changed_at=given("moment"),
        )
    )


def begin(_: Dialect) -> Query:
    """Note times, and what is settled."""
    return (
        sa.update(automation_states)
        .where(_this())
        .values(times=given("new_times"), since=given("settled"), changed_at=given("settled"))
    )


def settle(_: Dialect) -> Query:
    """Note that later ticks are settled; never earlier ones."""
    settled = given("settled", type_=sa.BigInteger)
    return (
        sa.update(automation_states)
        .where(_this(), sa.or_(automation_states.c.since.is_(None), automation_states.c.since < settled))
        .values(since=settled)
    )


def set_cursor(_: Dialect) -> Query:
    """Another cursor, which may be NULL."""
    return (
        sa.update(automation_states)
        .where(_this())
        .values(cursor=given("new_cursor", type_=sa.Text), changed_at=given("moment"))
    )


def add_tick(dialect: Dialect) -> Query:
    """A tick, unless there is one of this schedule at this time."""
    return _new_tick(dialect).returning(ticks.c.id)


def add_ticks(dialect: Dialect) -> Query:
    """The same for several."""
    return _new_tick(dialect)


def drop_missed(_: Dialect) -> Query:
    """A missed tick whose time has come again."""
    this = (ticks.c[name] == given(f"of_{name}") for name in ("env", "source", "name", "scheduled_at"))
    return sa.delete(ticks).where(*this, ticks.c.status == "missed")


def select_ticks(_: Dialect) -> Query:
    """Ticks, newest first; `before` may be NULL."""
    before = given("before", type_=sa.BigInteger)
    return (
        sa.select(*TICK)
        .where(
            ticks.c.env == given("env"),
            ticks.c.source == given("source"),
            ticks.c.name == given("name"),
            sa.or_(before.is_(None), ticks.c.id < before),
        )
        .order_by(ticks.c.id.desc())
        .limit(given("limit", type_=sa.Integer))
    )


def repeat_tick(_: Dialect) -> Query:
    """Count a tick up."""
    return (
        sa.update(ticks)
        .where(ticks.c.id == given("tick"))
        .values(count=ticks.c.count + 1, at=given("moment"), reason=given("why", type_=sa.Text))
    )


def select_keys(dialect: Dialect) -> Query:
    """Run keys in a list that have not expired: with the run that they started, and until when they last."""
    return sa.select(run_keys.c.key, run_keys.c.run_id, run_keys.c.expires_at).where(
        run_keys.c.env == given("env"),
        run_keys.c.name == given("name"),
        run_keys.c.key.in_(dialect.listed("keys")),
        sa.or_(run_keys.c.expires_at.is_(None), run_keys.c.expires_at > given("now")),
    )


def keep_key(dialect: Dialect) -> Query:
    """A run key with its run; an expired one is begun anew."""
    insert = dialect.insert(run_keys).values({column.name: given(column.name) for column in run_keys.c})
    return insert.on_conflict_do_update(
        index_elements=["env", "name", "key"],
        set_={"run_id": insert.excluded.run_id, "expires_at": insert.excluded.expires_at},
    )


def prolong_keys(dialect: Dialect) -> Query:
    """Let run keys in a list last longer."""
    return (
        sa.update(run_keys)
        .where(
            run_keys.c.env == given("of_env"),
            run_keys.c.name == given("of_name"),
            run_keys.c.key.in_(dialect.listed("keys")),
        )
        .values(expires_at=given("until", type_=sa.BigInteger))
    )


def _new_tick(dialect: Dialect) -> Any:
    names = (column.name for column in ticks.c if column.name != "id")
    return dialect.insert(ticks).values({name: given(name) for name in names}).on_conflict_do_nothing()


def _led() -> Any:
    return leases.c.env == given("of_env")


def _mine() -> Any:
    return sa.and_(_led(), leases.c.token == given("mine"), leases.c.worker.is_not(None))


def _this() -> Any:
    return sa.and_(
        automation_states.c.env == given("env"),
        automation_states.c.source == given("source"),
        automation_states.c.name == given("name"),
    )
