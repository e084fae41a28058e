"""Time cut into windows, each with a number and a key.

The number of a window (its *ordinal*) depends on the calendar alone: not on where a set starts or ends, and not on
the rules of a time zone, which change with the time zone database. So kept state never moves. Ordinals count from
1600-01-01 and fit into 32 bits; keys are understood from 1601 to 2999.

Every method is O(1), but for a binary search within one day on which clocks change.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Protocol

import msgspec
from pyroaring import BitMap

from nbpipe.core.partitions.zones import (
    DAY,
    HOUR,
    change_between,
    date_of,
    day_number,
    first_instant,
    instants_of,
    local_of,
    midnight,
    moment_of,
    offset_at,
    steady_offset,
    wall,
)

FIRST_YEAR, LAST_YEAR = 1601, 2999

_FIRST_DAY = day_number(date(1600, 1, 1))
_FIRST_MONDAY = day_number(date(1600, 1, 3))
_FIRST_HOUR = _FIRST_DAY * 24
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TIME = r"(\d{4}-\d{2}-\d{2})T(\d{2})(?::(\d{2}))?([+-]\d{2}:\d{2}(?::\d{2})?)?"


class Grain(Protocol):
    """Time cut into windows. `[start(n), start(n + 1))` of numbers that exist never overlap and leave no gap."""

    @property
    def name(self) -> str:
        """How it is written in a specification: `daily`, `cron(0 6 * * *)`."""
        ...

    @property
    def zone(self) -> str:
        """Name of its time zone."""
        ...

    @property
    def dense(self) -> bool:
        """Every ordinal exists."""
        ...

    def start(self, ordinal: int) -> int:
        """Return the instant at which a window begins."""
        ...

    def end(self, ordinal: int) -> int:
        """Return the instant at which a window has ended."""
        ...

    def at(self, instant: int) -> int:
        """Return the ordinal of the window that contains an instant."""
        ...

    def key(self, ordinal: int) -> str:
        """Return the key of an ordinal that exists."""
        ...

    def read(self, key: str) -> int:
        """Return the ordinal of a key; ValueError says how it would be right."""
        ...

    def existing(self, low: int, high: int) -> BitMap:
        """Return the ordinals of [low, high) that exist."""
        ...


class _Dense:
    """What grains without holes share."""

    __slots__ = ()

    @property
    def dense(self) -> bool:
        return True

    def start(self, ordinal: int) -> int:
        raise NotImplementedError

    def end(self, ordinal: int) -> int:
        return self.start(ordinal + 1)

    def existing(self, low: int, high: int) -> BitMap:
        found = BitMap()
        found.add_range(low, max(low, high))
        return found


class Hourly(_Dense, msgspec.Struct, frozen=True):
    """Hours as clocks show them, numbered by the hours of UTC in which they begin.

    An hour begins when clocks show a full hour; where they skip it, at the change. So an hour that comes twice as a
    whole is two partitions, told apart by their offset; where clocks move by half an hour (Lord Howe Island), the
    hour that is repeated in part is one partition of 90 minutes, the one that is skipped in part has 30.
    """

    zone: str = "UTC"

    @property
    def name(self) -> str:
        """Return `hourly`."""
        return "hourly"

    def start(self, ordinal: int) -> int:
        """Return the instant at which an hour begins."""
        low = (ordinal + _FIRST_HOUR) * HOUR
        steady = steady_offset(low // DAY, self.zone)
        if steady is not None:
            return low + (-(low + steady)) % HOUR
        before, after = offset_at(low, self.zone), offset_at(low + HOUR - 1, self.zone)
        full = low + (-(low + before)) % HOUR
        if before == after:
            return full
        change = change_between(low, low + HOUR - 1, self.zone)
        if full < change:
            return full
        full = change + (-(change + after)) % HOUR
        return full if full < low + HOUR else change

    def at(self, instant: int) -> int:
        """Return the ordinal of the hour that contains an instant."""
        ordinal = instant // HOUR - _FIRST_HOUR
        return ordinal if self.start(ordinal) <= instant else ordinal - 1

    def key(self, ordinal: int) -> str:
        """Return for example `2024-01-01T05`, or `2024-10-27T02+01:00` for an hour that comes twice."""
        instant = self.start(ordinal)
        day = instant // DAY
        steady = steady_offset(day, self.zone)
        if steady is not None and all(steady_offset(near, self.zone) == steady for near in (day - 1, day + 1)):
            return hour_text((instant + steady) // HOUR)  # no clock moves by more than a day: no other is called so
        label = _hour_label(instant, self.zone)
        if any(_hour_label(self.start(other), self.zone) == label for other in (ordinal - 1, ordinal + 1)):
            return hour_text(label) + offset_text(instant, self.zone)
        if len(twice := instants_of(label * HOUR, self.zone)) > 1 and len({self.at(at) for at in twice}) > 1:
            return hour_text(label) + offset_text(instant, self.zone)
        return hour_text(label)

    def read(self, key: str) -> int:
        """Return the ordinal of an hour."""
        seconds, offset = read_time(key, "2024-01-01T05")
        if seconds % HOUR or (":" in key.removesuffix(offset)):
            raise ValueError("an hour is written as 2024-01-01T05")
        first = {self.at(at) for at in (*instants_of(seconds, self.zone), first_instant(seconds, self.zone))}
        # clocks that go back into an hour, but not to its begin, show it again without showing its full hour
        candidates = first | {ordinal + 1 for ordinal in first}
        found = {
            self.key(ordinal): ordinal
            for ordinal in sorted(candidates)
            if _hour_label(self.start(ordinal), self.zone) == seconds // HOUR
        }
        return choose(key, found, self.zone)


def aligned(first: Hourly, second: Hourly, low: int, high: int) -> BitMap:
    """Return ordinals of [low, high) whose hours are the same windows in both zones: full hours of UTC.

    Hours within a day of a change are left out, though they may be the same. O(days).
    """
    found = BitMap()
    zones = {first.zone, second.zone}
    begin, until = (low + _FIRST_HOUR) // 24 - 1, (high + _FIRST_HOUR) // 24 + 2
    regular = [all(_full_hours(day, zone) for zone in zones) for day in range(begin, until)]
    for index in range(1, len(regular) - 1):
        if regular[index - 1] and regular[index] and regular[index + 1]:
            hour = (begin + index) * 24 - _FIRST_HOUR
            found.add_range(hour, hour + 24)
    return found


def _full_hours(day: int, zone: str) -> bool:
    offset = steady_offset(day, zone)
    return offset is not None and offset % HOUR == 0


class Daily(_Dense, msgspec.Struct, frozen=True):
    """Days of the local calendar, each from its first instant to that of the next."""

    zone: str = "UTC"

    @property
    def name(self) -> str:
        """Return `daily`."""
        return "daily"

    def start(self, ordinal: int) -> int:
        """Return the first instant of a day; of a day that a zone left out, that of the next."""
        return midnight(ordinal + _FIRST_DAY, self.zone)

    def at(self, instant: int) -> int:
        """Return the ordinal of the day that contains an instant."""
        return local_day(instant, self.zone) - _FIRST_DAY

    def key(self, ordinal: int) -> str:
        """Return for example `2024-01-01`."""
        return date_of(ordinal + _FIRST_DAY).isoformat()

    def read(self, key: str) -> int:
        """Return the ordinal of a day."""
        return day_number(read_date(key)) - _FIRST_DAY


class Weekly(_Dense, msgspec.Struct, frozen=True):
    """Weeks from Monday, named by their first day."""

    zone: str = "UTC"

    @property
    def name(self) -> str:
        """Return `weekly`."""
        return "weekly"

    def start(self, ordinal: int) -> int:
        """Return the first instant of a week."""
        return midnight(ordinal * 7 + _FIRST_MONDAY, self.zone)

    def at(self, instant: int) -> int:
        """Return the ordinal of the week that contains an instant."""
        return (local_day(instant, self.zone) - _FIRST_MONDAY) // 7

    def key(self, ordinal: int) -> str:
        """Return the Monday, for example `2024-01-01`."""
        return date_of(ordinal * 7 + _FIRST_MONDAY).isoformat()

    def read(self, key: str) -> int:
        """Return the ordinal of a week."""
        day = read_date(key)
        if day.weekday():
            monday = day - timedelta(days=day.weekday())
            raise ValueError(f"weeks begin on Mondays: {monday} (for others, write cron(0 0 * * SUN))")
        return (day_number(day) - _FIRST_MONDAY) // 7


class Monthly(_Dense, msgspec.Struct, frozen=True):
    """Months of the local calendar, named by their first day."""

    zone: str = "UTC"

    @property
    def name(self) -> str:
        """Return `monthly`."""
        return "monthly"

    def start(self, ordinal: int) -> int:
        """Return the first instant of a month."""
        return midnight(day_number(_month(ordinal)), self.zone)

    def at(self, instant: int) -> int:
        """Return the ordinal of the month that contains an instant."""
        day = date_of(local_day(instant, self.zone))
        return (day.year - 1600) * 12 + day.month - 1

    def key(self, ordinal: int) -> str:
        """Return the first day, for example `2024-01-01`."""
        return _month(ordinal).isoformat()

    def read(self, key: str) -> int:
        """Return the ordinal of a month."""
        day = read_date(f"{key}-01" if re.fullmatch(r"\d{4}-\d{2}", key, re.ASCII) else key)
        if day.day != 1 or day.isoformat() != key:
            raise ValueError(f"months are written by their first day: {day.replace(day=1)}")
        return (day.year - 1600) * 12 + day.month - 1


def _month(ordinal: int) -> date:
    return date(1600 + ordinal // 12, ordinal % 12 + 1, 1)


def _hour_label(instant: int, zone: str) -> int:
    return (instant + offset_at(instant, zone)) // HOUR


def local_day(instant: int, zone: str) -> int:
    """Return the local day that contains an instant, as days since 1970.

    Where clocks go back over midnight, an evening comes again after the next day has begun: it belongs to that day,
    so that days are windows without gaps.
    """
    steady = steady_offset(instant // DAY, zone)
    day = (instant + (offset_at(instant, zone) if steady is None else steady)) // DAY
    return day + 1 if midnight(day + 1, zone) <= instant else day


def hour_text(label: int) -> str:
    """Return the text of an hour that clocks show, in hours since 1970."""
    return local_of(label * HOUR).strftime("%Y-%m-%dT%H")


def offset_text(instant: int, zone: str) -> str:
    """Return the offset of a zone at an instant, for example `+01:00`."""
    return moment_of(instant, zone).isoformat()[19:]


def read_date(text: str) -> date:
    """Read a date; ValueError says what is wrong."""
    match = _DATE.fullmatch(text)
    if not match:
        raise ValueError("a day is written as 2024-01-31")
    try:
        day = date(*map(int, match.groups()))
    except ValueError as error:
        raise ValueError(f"there is no such day: {error}") from error
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"years from {FIRST_YEAR} to {LAST_YEAR} are understood")
    return day


def read_time(text: str, example: str) -> tuple[int, str]:
    """Read a local time; return what clocks show in seconds since 1970, and the offset as written."""
    match = re.fullmatch(_TIME, text, re.ASCII)
    if not match:
        raise ValueError(f"a time is written as {example}")
    day, hour, minute, offset = match.groups()
    if int(hour) > 23 or int(minute or 0) > 59:
        raise ValueError("hours go from 00 to 23, minutes from 00 to 59")
    at = datetime.combine(read_date(day), datetime.min.time()) + timedelta(hours=int(hour), minutes=int(minute or 0))
    return wall(at), offset or ""


def choose(key: str, found: dict[str, int], zone: str) -> int:
    """Return the ordinal of `key` among those with the same clock time; ValueError lists them."""
    if key in found:
        return found[key]
    if not found:
        raise ValueError(f"there is no such window in {zone}")
    if len(found) > 1:
        raise ValueError(f"that time comes twice in {zone}: write {' or '.join(found)}")
    raise ValueError(f"it is written as {next(iter(found))}")
