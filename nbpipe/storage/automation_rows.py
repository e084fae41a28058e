"""Leases, states of schedules and sensors, and ticks: as rows, and back; and what all stores must agree on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from nbpipe.core.automation.records import AutomationState, Lease, Tick
from nbpipe.errors import ConflictError
from nbpipe.storage import codec
from nbpipe.storage.database import Row

if TYPE_CHECKING:
    from nbpipe.core.ports import CursorChange, NewRun

_NAMED = 3
"""How many run keys a reason names."""
_HUNDREDTH = 100


def lease(env: str, row: Row | None) -> Lease | None:
    """Read a row of `automation_queries.select_lease`."""
    worker = None if row is None else codec.decode_worker(row[0])
    if row is None or worker is None:
        return None
    return Lease(env=env, worker=worker, token=row[1], beats=row[2])


def check_lease(known: Lease | None, lease: Lease) -> None:
    """See to it that a process still leads.

    Raises:
        ConflictError: another one does, or none.
    """
    if known is None or known.token != lease.token:
        now = "nobody" if known is None else f"process {known.worker.pid} on {known.worker.host}"
        raise ConflictError(
            f"this process no longer leads the environment {lease.env}: {now} does by now. Nothing was changed"
        )


def state(row: Row) -> AutomationState:
    """Read a row of `automation_queries.select_states`."""
    source, name, switched, times, since, cursor, changed_at = row
    return AutomationState(
        source=source,
        name=name,
        on=None if switched is None else bool(switched),
        times=times,
        since=codec.moment_or_none(since),
        cursor=cursor,
        changed_at=codec.moment_or_none(changed_at),
    )


def tick(row: Row) -> Tick:
    """Read a row of `automation_queries.select_ticks`."""
    number, source, name, scheduled_at, status, runs, reason, at, count = row
    return Tick(
        id=number,
        source=source,
        name=name,
        scheduled_at=codec.moment(scheduled_at),
        status=status,
        runs=codec.decode_names(runs),
        reason=reason,
        at=codec.moment(at),
        count=count,
    )


def tick_columns(env: str, value: Tick) -> dict[str, object]:
    """Return the columns of a new tick but its number."""
    return {
        "env": env,
        "source": value.source,
        "name": value.name,
        "scheduled_at": codec.stamp(value.scheduled_at),
        "status": value.status,
        "runs": codec.encode_text(value.runs),
        "reason": value.reason,
        "at": codec.stamp(value.at),
        "count": value.count,
    }


def kept_tick(value: Tick, runs: Iterable[str] = (), reason: str | None = None) -> Tick:
    """Return a tick as a database would give it back, with its runs; one that starts none is skipped if it says why."""
    listed = tuple(runs)
    words = [codec.clean(text) for text in (value.reason, reason) if text]
    status = "skipped" if value.status == "launched" and reason and not listed else value.status
    return msgspec.structs.replace(
        value,
        status=status,
        runs=listed,
        reason="; ".join(words) or None,
        scheduled_at=codec.moment(codec.stamp(value.scheduled_at)),
        at=codec.moment(codec.stamp(value.at)),
    )


def expected(state: AutomationState, tick: Tick, cursor: CursorChange | None) -> bool:
    """Return whether a schedule or sensor stands as whoever decided on a tick believes."""
    if state.on is False:
        return False
    if tick.source == "schedule":
        return state.since is None or tick.scheduled_at > state.since
    return cursor is None or state.cursor == cursor.old


def asked_keys(runs: Iterable[NewRun], seen: Iterable[str]) -> list[str]:
    """Return the run keys that matter to a tick, each once."""
    asked = (*(run.run_key for run in runs if run.run_key is not None), *seen)
    return list(dict.fromkeys(map(codec.clean, asked)))


def unseen(runs: Iterable[NewRun], known: Collection[str]) -> list[NewRun]:
    """Return the runs whose key was not seen before, nor in a run before them; keys as a database keeps them."""
    found: list[NewRun] = []
    keys = set(known)
    for run in runs:
        key = None if run.run_key is None else codec.clean(run.run_key)
        if key in keys:
            continue
        found.append(msgspec.structs.replace(run, run_key=key))
        if key is not None:
            keys.add(key)
    return found


def seen_words(known: Mapping[str, str]) -> str | None:
    """Say which run keys were seen before; None if there are none."""
    if not known:
        return None
    listed = ", ".join(f"{key} (run {run})" for key, run in list(known.items())[:_NAMED])
    more = f" and {len(known) - _NAMED:,} more" if len(known) > _NAMED else ""
    return f"run key{'s' if len(known) > 1 else ''} seen before: {listed}{more}"


def outlived(expiry: Mapping[str, int | None], until: int | None, now: int) -> list[str]:
    """Return the run keys that are to last until another moment; few of many, so that asking again is cheap.

    Args:
        expiry: when each expires.
        until: when they shall expire; None: never.
        now: all as in the database.
    """
    if until is None:
        return [key for key, old in expiry.items() if old is not None]
    least = until - (until - now) // _HUNDREDTH
    return [key for key, old in expiry.items() if old is not None and old < least]


def settled(ticks: Sequence[Tick]) -> dict[str, datetime]:
    """Return up to when ticks settle each schedule, by its name."""
    found: dict[str, datetime] = {}
    for one in ticks:
        found[one.name] = max(found.get(one.name, one.scheduled_at), one.scheduled_at)
    return found
