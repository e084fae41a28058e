"""What sensors see that wait for assets, or for runs: events of the state store, none of them twice or never."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from nbpipe.core.automation.definitions import JobDef, SensorDef
from nbpipe.core.automation.requests import MOST_REQUESTS, Answer, RunRequest
from nbpipe.core.definitions import Definitions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Event, Run
from nbpipe.core.selection import STATUSES, resolve
from nbpipe.core.selection_syntax import parse_selection
from nbpipe.errors import UsageError

#: Events that are taken in at once.
PAGE = 100
#: Of the number of an event, which databases keep in 64 bits.
_DIGITS = 18


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened since a sensor looked last."""

    upto: int
    """Events up to here are taken in."""
    more: bool = False
    """There are more after that."""
    runs: tuple[Run, ...] = ()
    """Those that have ended as it waits for."""
    answer: Answer = Answer()


def event_of(cursor: str | None) -> int | None:
    """Return the event up to which a sensor has taken in all; None if its cursor tells none: its time begins now."""
    is_number = cursor is not None and cursor.isascii() and cursor.isdigit() and len(cursor) <= _DIGITS
    return int(cursor) if cursor is not None and is_number else None


def look(store: StateStore, definitions: Definitions, env: str, sensor: SensorDef, after: int) -> Seen:
    """Return what has happened that a sensor waits for; at most `PAGE` events.

    Args:
        store: the state store.
        definitions: what is declared.
        env: name of the environment.
        sensor: of kind `asset` or `run`.
        after: the last event that it has taken in.
    """
    if sensor.kind == "asset":
        return _materialized(store, definitions, env, sensor, after)
    return _ended(store, env, sensor, after)


def _materialized(store: StateStore, definitions: Definitions, env: str, sensor: SensorDef, after: int) -> Seen:
    events = store.materialized_after(env, sensor.assets, after, limit=PAGE)
    if not events:
        return Seen(upto=after)
    upto, more = events[-1].id, len(events) == PAGE
    wanted = _keys(store, events) if _follows_partitions(definitions, sensor) else {}
    if not wanted:
        return Seen(upto=upto, more=more, answer=Answer(runs=(RunRequest(run_key=f"event {upto}"),)))
    known = store.automation.seen_keys(env, sensor.name, wanted, at=events[-1].at)
    fresh = [RunRequest(run_key=key, partition_key=partition) for key, partition in wanted.items() if key not in known]
    if len(fresh) > MOST_REQUESTS:  # the rest the next time: by their keys these are known then
        return Seen(upto=after, more=True, answer=Answer(runs=tuple(fresh[:MOST_REQUESTS])))
    return Seen(upto=upto, more=more, answer=Answer(runs=tuple(fresh)))


def _follows_partitions(definitions: Definitions, sensor: SensorDef) -> bool:
    """Tell whether the job has the same partitions as all that the sensor waits for."""
    job = definitions.jobs.get(sensor.job or "")
    specs = {_partitions(definitions, name) for name in sensor.assets}
    return job is not None and len(specs) == 1 and specs != {None} and bool(specs & _job_partitions(definitions, job))


def _keys(store: StateStore, events: Iterable[Event]) -> dict[str, str]:
    """Return the partitions that were materialized, by a run key for each.

    A run commits many partitions with one event, and tells of many events: which partition came with which is not
    known, only what its run has made so far. The run key sees to it that each counts once.
    """
    found: dict[str, str] = {}
    looked: set[tuple[str, str]] = set()
    for event in events:
        asset, run_id = event.asset or "", event.run_id
        if run_id is None or not event.data.get("partitions"):
            if event.partition and not event.data.get("partitions"):
                place = f"event {event.id}" if run_id is None else f"run {run_id} {asset}"
                found[f"{place} {event.partition}"] = event.partition
        elif (run_id, asset) not in looked:
            looked.add((run_id, asset))
            rows = store.run_assets(run_id, assets=[asset], outcomes=["success"])
            found.update((f"run {run_id} {asset} {row.partition}", row.partition) for row in rows if row.partition)
    return found


def _partitions(definitions: Definitions, asset: str) -> str | None:
    spec = definitions.assets.get(asset)
    return None if spec is None else spec.options.partitions


def _job_partitions(definitions: Definitions, job: JobDef) -> set[str | None]:
    """Return the partitions of a job, or those of what it runs."""
    if job.partitions is not None:
        return {job.partitions}
    keys: Sequence[str] = ()
    if job.notebook is not None:
        keys = definitions.notebooks[job.notebook].assets if job.notebook in definitions.notebooks else ()
    else:
        try:
            keys = resolve(
                parse_selection(job.selection),
                AssetGraph.of(definitions),
                definitions.assets,
                lambda: dict.fromkeys(definitions.assets, STATUSES),
            )
        except UsageError:  # planning the run says so
            return set()
    return {_partitions(definitions, key) for key in keys}


def _ended(store: StateStore, env: str, sensor: SensorDef, after: int) -> Seen:
    ended = store.ended_after(env, after, limit=PAGE)
    if not ended:
        return Seen(upto=after)
    runs = tuple(run for _, run in ended if _counts(sensor, run))
    requests = tuple(RunRequest(run_key=f"run {run.id}", tags={"after": run.id}) for run in runs)
    return Seen(
        upto=ended[-1][0],
        more=len(ended) == PAGE,
        runs=runs,
        answer=Answer(runs=requests if sensor.job else (), reason=None if runs else "no run ended so"),
    )


def _counts(sensor: SensorDef, run: Run) -> bool:
    """Tell whether a sensor waits for a run; not for those of its own job, which would go on for ever."""
    if run.status not in sensor.statuses or run.trigger == f"sensor:{sensor.name}":
        return False
    if sensor.jobs:
        return run.job in sensor.jobs
    return sensor.job is None or run.job != sensor.job
