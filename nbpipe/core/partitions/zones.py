"""Local time as whole seconds since 1970 in UTC (an *instant*), correct where clocks change.

A local time that clocks skip stands for the first instant after the change; one that happens twice stands for the
first of the two. Seconds are exact for zones whose offset has seconds (local mean time before standard time).
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from itertools import pairwise

from nbpipe.errors import DeclarationError, nearest

DAY = 86_400
HOUR = 3_600

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times are naive on purpose
_SECOND = timedelta(seconds=1)


@cache
def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone by its name in the IANA database.

    Raises:
        DeclarationError: there is no such zone; names the nearest.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = nearest(name, zoneinfo.available_timezones())
        hint = f"did you mean {known!r}?" if known else "write a name such as 'Europe/Berlin'"
        raise DeclarationError(f"there is no time zone {name!r}: {hint}") from error


def instant_of(moment: datetime) -> int:
    """Return the instant of an aware datetime, rounded down to the second."""
    return (moment - _EPOCH) // _SECOND


def moment_of(instant: int, zone: str) -> datetime:
    """Return the aware datetime of an instant in a zone."""
    return (_EPOCH + timedelta(seconds=instant)).astimezone(zone_of(zone))


def wall(local: datetime) -> int:
    """Return what clocks show, as seconds since 1970 on the same clocks."""
    return (local.replace(tzinfo=None) - _NAIVE_EPOCH) // _SECOND


def local_of(seconds: int) -> datetime:
    """Return the naive local time of `wall` seconds."""
    return _NAIVE_EPOCH + timedelta(seconds=seconds)


def offset_at(instant: int, zone: str) -> int:
    """Return how many seconds the clocks of a zone are ahead of UTC."""
    offset = moment_of(instant, zone).utcoffset()
    return 0 if offset is None else offset // _SECOND


@lru_cache(maxsize=1 << 17)
def steady_offset(day: int, zone: str) -> int | None:
    """Return the offset during a whole day of UTC, given as days since 1970; None if clocks change in it."""
    offset = offset_at(day * DAY, zone)
    return offset if offset == offset_at((day + 1) * DAY - 1, zone) else None


def first_instant(seconds: int, zone: str) -> int:
    """Return the first instant at which clocks of a zone show `seconds`, or skip it."""
    naive = local_of(seconds)
    before = instant_of(naive.replace(tzinfo=zone_of(zone), fold=0))
    if before + offset_at(before, zone) == seconds:
        return before
    # skipped: the offset before the change takes us behind it, the one after the change before it
    after = instant_of(naive.replace(tzinfo=zone_of(zone), fold=1))
    return change_between(after, before, zone)


def instants_of(seconds: int, zone: str) -> tuple[int, ...]:
    """Return every instant at which clocks of a zone show `seconds`: none, one or two, ascending."""
    naive = local_of(seconds)
    found = {instant_of(naive.replace(tzinfo=zone_of(zone), fold=fold)) for fold in (0, 1)}
    return tuple(sorted(instant for instant in found if instant + offset_at(instant, zone) == seconds))


def change_between(low: int, high: int, zone: str) -> int:
    """Return the first instant in (low, high] whose offset is not that of `low`; `high` if there is none.

    O(log(high - low)); of several changes, one is found.
    """
    offset = offset_at(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return high


def pieces(low: int, high: int, zone: str) -> tuple[tuple[int, int, int], ...]:
    """Split [low, high), a day at most, into `(low, high, offset)` of constant offset; one change is looked for."""
    first, last = offset_at(low, zone), offset_at(high - 1, zone)
    if first == last:
        return ((low, high, first),)
    change = change_between(low, high - 1, zone)
    return ((low, change, first), (change, high, last))


@lru_cache(maxsize=1 << 16)
def midnight(day: int, zone: str) -> int:
    """Return the first instant of a local day, given as days since 1970 on local calendars."""
    return first_instant(day * DAY, zone)


def day_number(day: date) -> int:
    """Return days since 1970-01-01."""
    return day.toordinal() - _NAIVE_EPOCH.toordinal()


def date_of(number: int) -> date:
    """Return the date of `day_number`."""
    return date.fromordinal(number + _NAIVE_EPOCH.toordinal())


@cache
def changing_days(year: int, zone: str) -> tuple[date, ...]:
    """Return the local days of a year that are shorter or longer than 24 hours, ascending."""
    first, last = day_number(date(year, 1, 1)), day_number(date(year + 1, 1, 1))
    starts = [midnight(number, zone) for number in range(first, last + 1)]
    return tuple(date_of(first + index) for index, (begin, end) in enumerate(pairwise(starts)) if end - begin != DAY)
