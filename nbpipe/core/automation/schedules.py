"""The ticks of a schedule: which are due, which were missed, which come next, and the same in words.

Cron expressions are read by cronsim, with the meaning of Debian's cron where clocks change: a fixed time comes once a
day, at the change if clocks skip it and the first time if they show it twice; with `*` in the minute or hour, and with
seconds, ticks follow the clock itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from heapq import merge
from itertools import islice

import msgspec
from cronsim import CronSim, CronSimError

from nbpipe.core.automation.definitions import Catchup, ScheduleDef
from nbpipe.core.partitions.zones import first_instant, instant_of, moment_of, wall, zone_of
from nbpipe.errors import DeclarationError

GRACE = timedelta(seconds=60)
"""A tick that is found no later than this was not missed: the daemon was up, or just restarted."""

LISTED = 1_000
"""So many missed ticks are told one by one."""

_YEARLY = re.compile(r"(\d\d)-(\d\d)")
_FIELDS = ("second", "minute", "hour", "day-of-month", "month", "day-of-week")
_FIRST_LOOK = timedelta(hours=1)
#: An expression without a tick for so long has none, whatever is excluded; cronsim gives up as late.
_NEVER = timedelta(days=50 * 366)
_FIRST_YEAR, _LAST_YEAR = 1970, 9000


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What the ticks of some time mean. All moments are in UTC, oldest first."""

    launch: tuple[datetime, ...] = ()
    missed: tuple[datetime, ...] = ()
    more: bool = False
    """There were more ticks before `missed`, which is not empty then."""


def due(schedule: ScheduleDef, since: datetime, now: datetime) -> Due:
    """Return what is to be done about the ticks in (since, now].

    Ticks that are at most `GRACE` old, and what `catchup` makes up for, are launched; the others were missed. Only the
    newest `LISTED` are looked at; if there are more, the oldest of these was missed in any case, and stands for them.
    """
    found, more = _newest(schedule, since, now)
    punctual = sum(1 for tick in found if now - tick <= GRACE)
    # of those that are not looked at, the oldest one that is tells
    wanted = max(punctual, _made_up(schedule.catchup, len(found) - more))
    cut = len(found) - wanted
    return Due(launch=tuple(found[cut:]), missed=tuple(found[:cut]), more=more)


def upcoming(schedule: ScheduleDef, after: datetime, number: int) -> tuple[datetime, ...]:
    """Return the next ticks after a moment, at most `number`."""
    return tuple(islice(_ticks(schedule, after), number))


def words(schedule: ScheduleDef) -> str:
    """Return when a schedule ticks, in words."""
    parts = [CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC)).explain() for cron in schedule.crons]
    parts += [f"once at {moment.replace('T', ' ')}" for moment in schedule.at]
    text = "; ".join(parts)
    zone = "" if schedule.zone == "UTC" and not schedule.crons else f" ({schedule.zone})"
    without = f", except on {', '.join(schedule.exclude)}" if schedule.exclude else ""
    return f"{text}{zone}{without}"


def check_cron(expression: str) -> None:
    """Refuse a cron expression that can't be read, or that never comes.

    Raises:
        DeclarationError: says what is wrong and gives an example; its column is that of the wrong field.
    """
    try:
        next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        wrong = str(error)[:1].lower() + str(error)[1:]
        raise DeclarationError(
            f"cron expression {expression!r}: {wrong}: it has five fields (minute hour day month weekday), "
            "or six with seconds first, for example 0 6 * * 1-5",
            column=_field_column(expression, wrong),
        ) from None
    except StopIteration:
        raise DeclarationError(f"cron expression {expression!r} never comes") from None


def check_catchup(value: object) -> None:
    """Refuse what says nothing about missed ticks.

    Raises:
        DeclarationError: says what is possible.
    """
    number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if not number and value not in ("none", "last", "all"):
        raise DeclarationError(f"expected none, last, all, or a whole number from 1, got {value!r}")


def check_moment(text: str) -> None:
    """Refuse what is no moment in ISO 8601, or one that no clock will show.

    Raises:
        DeclarationError: says how it is written.
    """
    try:
        year = datetime.fromisoformat(text).year
    except ValueError:
        year = 0
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise DeclarationError(f"{text!r} is no moment: write for example 2024-12-31T18:00")


def check_exclusion(text: str) -> None:
    """Refuse what is no date, with or without its year.

    Raises:
        DeclarationError: says how it is written.
    """
    yearly = _YEARLY.fullmatch(text)
    try:
        date.fromisoformat(f"2000-{text}" if yearly else text)
    except ValueError:
        raise DeclarationError(f"{text!r} is no date: write 2024-12-24, or 12-24 for every year") from None


def _field_column(expression: str, wrong: str) -> int:
    fields = list(re.finditer(r"\S+", expression))
    names = _FIELDS[-len(fields) :] if len(fields) in (5, 6) else ()
    return next((field.start() for field, name in zip(fields, names, strict=False) if wrong == f"bad {name}"), 0)


def _made_up(catchup: Catchup, number: int) -> int:
    named = {"none": 0, "last": min(1, number), "all": number}
    return min(catchup, number) if isinstance(catchup, int) else named[catchup]


def _newest(schedule: ScheduleDef, since: datetime, now: datetime) -> tuple[list[datetime], bool]:
    """Return the newest ticks of (since, now], at most `LISTED`, and whether there are more.

    Looks back twice as far each time: a schedule with a tick each second may have been off for a year.
    """
    span = _FIRST_LOOK
    while True:
        start = max(since, now - span)
        found = []
        for tick in _ticks(schedule, start):
            if tick > now:
                break
            found.append(tick)
        if start == since or len(found) > LISTED:
            return found[-LISTED:], len(found) > LISTED or start > since
        span *= 2


def _ticks(schedule: ScheduleDef, after: datetime) -> Iterator[datetime]:
    """Yield the ticks after a moment, in UTC, ascending, each once."""
    after = after.astimezone(UTC)
    excluded = frozenset(schedule.exclude)
    moments = {_moment(text, schedule.zone) for text in schedule.at}
    single = sorted(at for at in moments if at > after and not _is_excluded(at, schedule.zone, excluded))
    last = None
    for tick in merge(single, *(_cron_ticks(cron, schedule.zone, after, excluded) for cron in schedule.crons)):
        if tick != last:
            yield tick
        last = tick


def _cron_ticks(cron: str, zone: str, after: datetime, excluded: frozenset[str]) -> Iterator[datetime]:
    """Yield the ticks of one expression, until there is none for so long that there will never be one."""
    last, end = after, after + _NEVER
    source = CronSim(cron, after.astimezone(zone_of(zone)))
    while (tick := next(source, None)) is not None:
        found = tick.astimezone(UTC)
        if found > end:
            return
        if found <= last:  # of a time that clocks show twice, cronsim may tell the one that has passed
            continue
        last = found
        if _is_excluded(found, zone, excluded):  # on with the next day: this one may have many
            source = CronSim(cron, tick.replace(hour=23, minute=59, second=59, fold=1))
        else:
            yield found
            end = found + _NEVER


@lru_cache(maxsize=1024)
def _moment(text: str, zone: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment_of(first_instant(wall(moment), zone), zone)
    return moment.astimezone(UTC)


def _is_excluded(tick: datetime, zone: str, excluded: frozenset[str]) -> bool:
    if not excluded:
        return False
    day = moment_of(instant_of(tick), zone).date().isoformat()
    return day in excluded or day[5:] in excluded
