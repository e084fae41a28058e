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
#: Partitions of one event that are asked for by their keys.
_MOST_KEYS = 1_000


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened since a sensor looked last."""

    upto: int
    """Events up to here are taken in."""
    more: bool = False
    """There are more after that."""
    runs: tuple[Run, ...] = ()
    """Those that have ended as it waits for."""
    answer: Answer = Answer()


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
    upto = events[-1].id
    keys = _keys(store, definitions, sensor, events)
    requests = [RunRequest(run_key=f"event {upto} {key}", partition_key=key) for key in keys]
    return Seen(
        upto=upto,
        more=len(events) == PAGE,
        answer=Answer(runs=tuple(requests) or (RunRequest(run_key=f"event {upto}"),)),
    )


def _keys(store: StateStore, definitions: Definitions, sensor: SensorDef, events: Iterable[Event]) -> list[str]:
    """Return the partitions that were materialized, if the job has the same ones."""
    job = definitions.jobs.get(sensor.job or "")
    specs = {_partitions(definitions, name) for name in sensor.assets}
    if job is None or len(specs) != 1 or specs == {None} or not specs & _job_partitions(definitions, job):
        return []
    found: dict[str, None] = {}
    for event in events:
        if event.run_id is not None and event.data.get("partitions"):
            rows = store.run_assets(event.run_id, assets=[event.asset or ""], outcomes=["success"], limit=_MOST_KEYS)
            found.update(dict.fromkeys(row.partition for row in rows if row.partition))
        elif event.partition and not event.data.get("partitions"):
            found[event.partition] = None
    return list(found)


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
