"""Windows that begin at the ticks of a cron expression, with the meaning of Debian's cron at clock changes.

Hours and minutes that are both fixed (`0 6,18 * * 1-5`) name times of a local day: each comes once a day, a time that
clocks skip comes at the change, one that comes twice counts the first time. Ordinals count the times of matching days:
days from 1600 are counted by the type of their year (14 types: leap or not, weekday of January 1), in O(log n).

With a `*` in either field, ticks are all instants at which clocks match: a repeated hour has its ticks twice, a skipped
one none. Ordinals number short bins of UTC, at most as long as the shortest distance of two ticks, so that they depend
on nothing but the expression. Bins without a tick are holes; a second tick within one bin (clocks moved by an odd
number of minutes, as before standard time) is none of ours.

Which ordinals exist is computed a year at a time, by bitmaps, and cached: O(days of a year) the first time.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from itertools import accumulate, pairwise

import msgspec
from cronsim import CronSim, CronSimError
from pyroaring import BitMap

from nbpipe.core.partitions.grains import LAST_YEAR, choose, local_day, offset_text, read_date, read_time
from nbpipe.core.partitions.zones import (
    DAY,
    changing_days,
    date_of,
    day_number,
    first_instant,
    instants_of,
    local_of,
    midnight,
    offset_at,
    pieces,
)

_BASE_YEAR = 1600
_BASE_MINUTE = day_number(date(_BASE_YEAR, 1, 1)) * 1440


class Cron(msgspec.Struct, frozen=True):
    """Windows from tick to tick of a five-field cron expression; ValueError says what is wrong with it."""

    expression: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse what can't be read, and what never comes."""
        schedule_of(self.expression)

    @property
    def name(self) -> str:
        """Return for example `cron(0 6 * * 1-5)`."""
        return f"cron({self.expression})"

    @property
    def dense(self) -> bool:
        """Return whether every ordinal exists: a single fixed time a day."""
        schedule = schedule_of(self.expression)
        return schedule.fixed and len(schedule.times) == 1

    def start(self, ordinal: int) -> int:
        """Return the instant of a tick."""
        schedule = schedule_of(self.expression)
        if schedule.fixed:
            day, slot = divmod(ordinal, len(schedule.times))
            return first_instant(schedule.day(day) * DAY + schedule.times[slot] * 60, self.zone)
        low = (ordinal * schedule.bin + _BASE_MINUTE) * 60
        ticks = _ticks_within(self, low, low + schedule.bin * 60)
        if not ticks:
            raise ValueError(f"{self.name} has no tick at ordinal {ordinal}")
        return ticks[0]

    def end(self, ordinal: int) -> int:
        """Return the instant of the next tick."""
        schedule = schedule_of(self.expression)
        instant = self.start(ordinal)
        if schedule.fixed:
            following = self.start(ordinal + 1)
            while following <= instant:  # times that clocks skip together come together
                ordinal += 1
                following = self.start(ordinal + 1)
            return following
        year = self._year(ordinal) - 1
        while not (later := _ticks_of_year(self, year)) or later.max() <= ordinal:
            year += 1
        return self.start(later.next_set_bit(ordinal + 1))

    def at(self, instant: int) -> int:
        """Return the ordinal of the last tick that is not after an instant."""
        schedule = schedule_of(self.expression)
        if not schedule.fixed:
            return self._last_tick(instant)
        day = local_day(instant, self.zone)
        ordinal = schedule.rank(date_of(day + 1)) * len(schedule.times) - 1
        while self.start(ordinal) > instant or not self._exists(ordinal):
            ordinal -= 1
        return ordinal

    def key(self, ordinal: int) -> str:
        """Return the date for one fixed time a day, else the time: `2024-01-01T06`, `2024-01-01T06:30`."""
        schedule = schedule_of(self.expression)
        if not schedule.fixed:
            instant = self.start(ordinal)
            shown = instant + offset_at(instant, self.zone)
            text = _text(shown, schedule.hourly)
            return text + offset_text(instant, self.zone) if len(instants_of(shown, self.zone)) > 1 else text
        day, slot = divmod(ordinal, len(schedule.times))
        shown = schedule.day(day) * DAY + schedule.times[slot] * 60
        return _text(shown, schedule.hourly) if len(schedule.times) > 1 else local_of(shown).date().isoformat()

    def read(self, key: str) -> int:
        """Return the ordinal of a tick."""
        schedule = schedule_of(self.expression)
        if schedule.fixed and len(schedule.times) == 1:
            day, minute, offset = read_date(key), schedule.times[0], ""
        else:
            seconds, offset = read_time(key, "2024-01-01T06" if schedule.hourly else "2024-01-01T06:30")
            day, minute = date_of(seconds // DAY), seconds % DAY // 60
        if not schedule.matches(day) or minute not in schedule.times:
            raise ValueError(f"{self.name} has no tick then")
        if not schedule.fixed:
            ticks = instants_of(day_number(day) * DAY + minute * 60, self.zone)
            found = {self.key(ordinal): ordinal for ordinal in map(self._bin, ticks) if self.start(ordinal) in ticks}
            return choose(key, found, self.zone)
        ordinal = schedule.rank(day) * len(schedule.times) + schedule.times.index(minute)
        if self.key(ordinal) != key or offset:
            raise ValueError(f"it is written as {self.key(ordinal)}")
        if not self._exists(ordinal):
            raise ValueError(f"clocks in {self.zone} skip that time, and an earlier one comes instead")
        return ordinal

    def existing(self, low: int, high: int) -> BitMap:
        """Return the ordinals of [low, high) that exist."""
        found = BitMap()
        if low >= high:
            return found
        found.add_range(low, high)
        if self.dense:
            return found
        first, last = self._year(low) - 1, min(self._year(high) + 1, LAST_YEAR + 1)
        if schedule_of(self.expression).fixed:
            return found - BitMap.union(BitMap(), *(_holes(self, year) for year in range(first, last + 1)))
        return found & BitMap.union(BitMap(), *(_ticks_of_year(self, year) for year in range(first, last + 1)))

    def _year(self, ordinal: int) -> int:
        schedule = schedule_of(self.expression)
        if schedule.fixed:
            return date_of(schedule.day(ordinal // len(schedule.times))).year
        return date_of((ordinal * schedule.bin + _BASE_MINUTE) // 1440).year

    def _bin(self, instant: int) -> int:
        return (instant // 60 - _BASE_MINUTE) // schedule_of(self.expression).bin

    def _last_tick(self, instant: int) -> int:
        ordinal = self._bin(instant)
        year = self._year(ordinal) + 1
        while True:
            sooner = _ticks_of_year(self, year)
            count = sooner.rank(ordinal)
            if count and self.start(sooner[count - 1]) > instant:
                count -= 1
            if count:
                return sooner[count - 1]
            year -= 1

    def _exists(self, ordinal: int) -> bool:
        return self.dense or self.start(ordinal) > self.start(ordinal - 1)


class Schedule:
    """What a cron expression says, without a time zone."""

    def __init__(self, expression: str) -> None:
        """Read an expression; ValueError says what is wrong."""
        fields = expression.split()
        if len(fields) != 5:
            raise ValueError("a cron expression has five fields: minute hour day month weekday")
        try:
            self._cron = CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC))
            next(self._cron)
        except CronSimError as error:
            raise ValueError(f"{error} in cron expression {expression!r}") from error
        except StopIteration as error:
            raise ValueError(f"cron expression {expression!r} never comes") from error
        hours, minutes = self._cron.hours, self._cron.minutes
        #: Minutes of the day, ascending.
        self.times = tuple(hour * 60 + minute for hour in sorted(hours) for minute in sorted(minutes))
        #: Neither minute nor hour starts with `*`.
        self.fixed = not (fields[0].startswith("*") or fields[1].startswith("*"))
        #: All ticks are on the full hour.
        self.hourly = minutes == {0}
        gap = math.gcd(1440, *(later - sooner for sooner, later in pairwise(self.times)))
        #: Minutes of one ordinal, where not `fixed`.
        self.bin = math.gcd(gap, 30) if gap < 60 else gap // 2
        self._days: dict[tuple[bool, int], tuple[int, ...]] = {}
        self._before: list[int] = []

    def matches(self, day: date) -> bool:
        """Return whether there are ticks on a day."""
        return day.month in self._cron.months and self._cron.match_day(day)

    def rank(self, day: date) -> int:
        """Return how many matching days there are from 1600 to before a day."""
        days = self.days(day.year)
        return self._totals()[day.year - _BASE_YEAR] + bisect_left(days, day.timetuple().tm_yday - 1)

    def day(self, rank: int) -> int:
        """Return the matching day with that many before it, as days since 1970."""
        totals = self._totals()
        year = bisect_right(totals, rank) - 1 + _BASE_YEAR
        return day_number(date(year, 1, 1)) + self.days(year)[rank - totals[year - _BASE_YEAR]]

    def days(self, year: int) -> tuple[int, ...]:
        """Return the matching days of a year, 0 for January 1."""
        first = date(year, 1, 1)
        length = (date(year + 1, 1, 1) - first).days
        kind = (length == 366, first.weekday())
        if kind not in self._days:
            self._days[kind] = tuple(day for day in range(length) if self.matches(first + timedelta(days=day)))
        return self._days[kind]

    def _totals(self) -> list[int]:
        if not self._before:
            counts = (len(self.days(year)) for year in range(_BASE_YEAR, LAST_YEAR + 60))
            self._before = list(accumulate(counts, initial=0))
        return self._before


@cache
def schedule_of(expression: str) -> Schedule:
    """Return what an expression says; read once."""
    return Schedule(expression)


def _text(shown: int, hourly: bool) -> str:  # noqa: FBT001 - private
    return local_of(shown).strftime("%Y-%m-%dT%H" if hourly else "%Y-%m-%dT%H:%M")


@lru_cache(maxsize=4096)
def _ticks_of_day(cron: Cron, day: int) -> tuple[int, ...]:
    return _ticks_within(cron, midnight(day, cron.zone), midnight(day + 1, cron.zone))


def _ticks_within(cron: Cron, low: int, high: int) -> tuple[int, ...]:
    """Return the ticks of [low, high), at most about a day, of an expression that is not fixed."""
    schedule = schedule_of(cron.expression)
    found: list[int] = []
    for begin, stop, offset in pieces(low, high, cron.zone) if low < high else ():
        for day in range((begin + offset) // DAY, (stop - 1 + offset) // DAY + 1):
            if schedule.matches(date_of(day)):
                zero = day * DAY - offset
                first = bisect_left(schedule.times, -((zero - begin) // 60))
                last = bisect_left(schedule.times, -((zero - stop) // 60))
                found.extend(zero + minute * 60 for minute in schedule.times[first:last])
    return tuple(found)


@lru_cache(maxsize=2048)
def _ticks_of_year(cron: Cron, year: int) -> BitMap:
    """Return the bins that have ticks in a local year: regular days are one pattern, shifted."""
    schedule = schedule_of(cron.expression)
    zero = day_number(date(year, 1, 1))
    changing = {day_number(day) for day in changing_days(year, cron.zone)}
    patterns: dict[int, BitMap] = {}
    parts = []
    # on a changing day clocks may show an evening again after midnight: its ticks are those of another date
    for day in sorted(changing | {zero + number for number in schedule.days(year)}):
        if day in changing:
            parts.append(BitMap(cron._bin(tick) for tick in _ticks_of_day(cron, day)))  # noqa: SLF001
            continue
        base, rest = divmod(midnight(day, cron.zone) // 60 - _BASE_MINUTE, schedule.bin)
        if rest not in patterns:
            patterns[rest] = BitMap((rest + minute) // schedule.bin for minute in schedule.times)
        parts.append(patterns[rest].shift(base))
    return BitMap.union(BitMap(), *parts)


@lru_cache(maxsize=2048)
def _holes(cron: Cron, year: int) -> BitMap:
    """Return the fixed times of a local year that come together with an earlier one."""
    schedule = schedule_of(cron.expression)
    count = len(schedule.times)
    found = BitMap()
    for day in changing_days(year, cron.zone):
        if schedule.matches(day):
            first = schedule.rank(day) * count
            starts = [cron.start(ordinal) for ordinal in range(first - 1, first + count)]
            found.update(first + index for index, (sooner, own) in enumerate(pairwise(starts)) if own <= sooner)
    return found
