"""What sensors see that wait for assets, or for runs: events of the state store, none of them twice or never."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from nbpipe.core.automation.definitions import JobDef, SensorDef
from nbpipe.core.automation.requests import Answer, RunRequest
from nbpipe.core.definitions import Definitions
from nbpipe.core.graph import AssetGraph
from nbpipe.core.ports import StateStore
from nbpipe.core.records import Event, Run
from nbpipe.core.selection import STATUSES, resolve
from nbpipe.core.selection_syntax import parse_selection
from nbpipe.errors import UsageError

#: Events that are taken in at once.
PAGE = 100
#: Partitions of runs that are looked at at once.
ROWS = 10_000
#: Of the number of an event, which databases keep in 64 bits.
_DIGITS = 18


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How far a sensor has gone through the partitions that the runs of some events have made."""

    upto: int
    """The last of the events."""
    index: int = 0
    """The run and asset that it has come to."""
    skip: int = 0
    """Partitions of these that it has seen."""
    found: bool = False
    """It has seen any."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened since a sensor looked last."""

    upto: int
    """Events up to here are taken in."""
    place: Place | None = None
    """Of the events after that, some were gone through, up to here."""
    more: bool = False
    """There are more after that."""
    runs: tuple[Run, ...] = ()
    """Those that have ended as it waits for."""
    answer: Answer = Answer()


def event_of(cursor: str | None) -> int | None:
    """Return the event up to which a sensor has taken in all; None if its cursor tells none: its time begins now."""
    is_number = cursor is not None and cursor.isascii() and cursor.isdigit() and len(cursor) <= _DIGITS
    return int(cursor) if cursor is not None and is_number else None


def look(
    store: StateStore,
    definitions: Definitions,
    env: str,
    sensor: SensorDef,
    after: int,
    place: Place | None = None,
) -> Seen:
    """Return what has happened that a sensor waits for; at most `PAGE` events, and `ROWS` partitions of runs.

    Args:
        store: the state store.
        definitions: what is declared.
        env: name of the environment.
        sensor: of kind `asset` or `run`.
        after: the last event that it has taken in.
        place: how far the last look came with those after it.
    """
    if sensor.kind == "asset":
        return _materialized(store, definitions, env, sensor, after, place)
    return _ended(store, env, sensor, after)


def _materialized(
    store: StateStore, definitions: Definitions, env: str, sensor: SensorDef, after: int, place: Place | None
) -> Seen:
    events = store.materialized_after(env, sensor.assets, after, limit=PAGE)
    if place is not None:
        events = [event for event in events if event.id <= place.upto]
    if not events:
        return Seen(upto=after)
    upto, more = events[-1].id, place is not None or len(events) == PAGE
    if not _follows_partitions(definitions, sensor):
        return Seen(upto=upto, more=more, answer=_once(upto))
    wanted, further = _keys(store, events, place or Place(upto=upto))
    if not wanted and further is None and not (place and place.found):
        return Seen(upto=upto, more=more, answer=_once(upto))
    known = store.automation.seen_keys(env, sensor.name, wanted, at=events[-1].at)
    fresh = [RunRequest(run_key=key, partition_key=partition) for key, partition in wanted.items() if key not in known]
    answer = Answer(runs=tuple(fresh))
    if further is not None:
        return Seen(upto=after, place=further, more=True, answer=answer)
    return Seen(upto=upto, more=more, answer=answer)


def _once(upto: int) -> Answer:
    return Answer(runs=(RunRequest(run_key=f"event {upto}"),))


def _follows_partitions(definitions: Definitions, sensor: SensorDef) -> bool:
    """Tell whether the job has the same partitions as all that the sensor waits for."""
    job = definitions.jobs.get(sensor.job or "")
    specs = {_partitions(definitions, name) for name in sensor.assets}
    return job is not None and len(specs) == 1 and specs != {None} and bool(specs & _job_partitions(definitions, job))


def _keys(store: StateStore, events: Iterable[Event], place: Place) -> tuple[dict[str, str], Place | None]:
    """Return partitions that were materialized, by a run key for each, and where there are more.

    A run commits many partitions with one event, and tells of many events: which partition came with which is not
    known, only what its run has made so far. The run key sees to it that each counts once.
    """
    found: dict[str, str] = {}
    made: dict[tuple[str, str], None] = {}
    for event in events:
        asset, run_id = event.asset or "", event.run_id
        if event.data.get("partitions"):
            if run_id is not None:
                made[run_id, asset] = None
        elif event.partition:
            where = f"event {event.id}" if run_id is None else f"run {run_id} {asset}"
            found[f"{where} {event.partition}"] = event.partition
    left, skip = ROWS, place.skip
    for index, (run_id, asset) in enumerate(list(made)[place.index :], start=place.index):
        rows = store.run_assets(run_id, assets=[asset], outcomes=["success"], limit=left, skip=skip)
        found.update((f"run {run_id} {asset} {row.partition}", row.partition) for row in rows if row.partition)
        left, skip = left - len(rows), skip + len(rows)
        if not left:
            return found, Place(upto=place.upto, index=index, skip=skip, found=place.found or bool(found))
        skip = 0
    return found, None


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
