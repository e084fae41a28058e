"""Which waiting runs may start now, and why each of the others waits.

Places are not booked: they follow from the runs that are active, so that they end with their runs whatever happens.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

import msgspec

from nbpipe.core.records import Run

#: A run that was queued later than this was queued before the clock was set back.
_SKEW = timedelta(seconds=60)

EACH = "*"
"""As the value of a tag in a limit: every value has a limit of its own."""


class QueueLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs may be active at once."""

    runs: int = 10
    tags: Mapping[str, int] = MappingProxyType({})
    """By `KEY=VALUE`, or `KEY=*` for each value of its own."""
    pools: Mapping[str, int] = MappingProxyType({})
    """By name; a pool that is not named has one place."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the waiting runs."""

    start: tuple[str, ...] = ()
    """Ids, in the order in which they start."""
    waits: Mapping[str, str] = MappingProxyType({})
    """By id: what the others wait for, for example `waits for pool warehouse, held by run 0190...`."""
    again_at: datetime | None = None
    """When the delay of a waiting run ends; None: only the end of a run changes anything."""


def decide(waiting: Iterable[Run], active: Sequence[Run], limits: QueueLimits, now: datetime) -> Decision:
    """Choose the runs that start.

    Higher priority comes first. Within one, sources (a job, else what triggered the run) take turns by how many of
    their runs are active, so that ten thousand runs of a backfill don't hold up a schedule; within a source, the oldest
    comes first. A run that has to wait holds up no other.

    Args:
        waiting: queued runs that no process has taken, oldest first.
        active: the runs that have a place.
        limits: how many may be active.
        now: runs whose `not_before` lies after it wait for that, unless the clock was set back since they were queued:
            nobody waits for an hour that comes twice.
    """
    places = _Places(active, limits)
    waits: dict[str, str] = {}
    delays = []
    queues: dict[int, dict[str, deque[Run]]] = defaultdict(lambda: defaultdict(deque))
    for run in waiting:
        if run.not_before is not None and run.not_before > now > run.created_at - _SKEW:
            waits[run.id] = f"waits until {run.not_before:%Y-%m-%d %H:%M:%S} UTC to be tried again"
            delays.append(run.not_before)
        else:
            queues[-run.priority][_source(run)].append(run)
    start: list[str] = []
    turns = Counter(map(_source, active))
    for _, sources in sorted(queues.items(), key=lambda item: item[0]):
        while sources and places.left:
            source = min(sources, key=lambda name: (turns[name], sources[name][0].created_at, name))
            run = sources[source].popleft()
            if not sources[source]:
                del sources[source]
            reason = places.take(run)
            if reason is None:
                start.append(run.id)
                turns[source] += 1
            else:
                waits[run.id] = reason
        waits.update({run.id: places.none_left for left in sources.values() for run in left})
    return Decision(start=tuple(start), waits=MappingProxyType(waits), again_at=min(delays, default=None))


class _Places:
    """Who holds what."""

    def __init__(self, active: Iterable[Run], limits: QueueLimits) -> None:
        self._limits = limits
        self._number = 0
        self._holders: dict[str, list[str]] = defaultdict(list)
        for run in active:
            self._give(run)

    @property
    def left(self) -> bool:
        """Tell whether another run may be active at all."""
        return self._number < self._limits.runs

    @property
    def none_left(self) -> str:
        """Return what runs wait for where that is not so."""
        return f"waits for a place: {self._number} of {self._limits.runs} runs are active"

    def take(self, run: Run) -> str | None:
        """Give a run its places, or say what it waits for."""
        for name, limit, text in self._wanted(run):
            holders = self._holders[name]
            if len(holders) >= limit:
                others = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
                return f"waits for {text}, held by run {holders[0]}{others}"
        self._give(run)
        return None

    def _give(self, run: Run) -> None:
        self._number += 1
        for name, _, _ in self._wanted(run):
            self._holders[name].append(run.id)

    def _wanted(self, run: Run) -> list[tuple[str, int, str]]:
        """Return what a run takes a place of: a name, its limit, and how it is told."""
        found = [(f"pool {pool}", self._limits.pools.get(pool, 1), f"pool {pool}") for pool in dict.fromkeys(run.pools)]
        for key, value in run.tags.items():
            limited = (text for text in (f"{key}={value}", f"{key}={EACH}") if text in self._limits.tags)
            found.extend((f"tag {text} {value}", self._limits.tags[text], f"tag {key}={value}") for text in limited)
        return found


def _source(run: Run) -> str:
    return run.job or run.trigger
