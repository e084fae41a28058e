"""Numbers, keys and windows of time, on days when clocks change and on all others."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from nbpipe.core.partitions.crons import Cron
from nbpipe.core.partitions.grains import Daily, Hourly, Monthly, Weekly
from nbpipe.core.partitions.zones import instant_of, moment_of

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
ZONES = (
    "UTC",
    BERLIN,
    NEW_YORK,
    LORD_HOWE,
    "Asia/Kolkata",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Antarctica/Troll",
)


def at(text, zone):
    return instant_of(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def hours(zone, day):
    """Return (key, begin with offset, minutes) of each hour that begins on a local day."""
    grain = Hourly(zone)
    first, last = at(f"{day}T00:00", zone), at(f"{day}T23:59", zone)
    return [
        (grain.key(n), moment_of(grain.start(n), zone).isoformat()[11:], (grain.end(n) - grain.start(n)) // 60)
        for n in range(grain.at(first), grain.at(last) + 1)
    ]


@pytest.mark.parametrize(
    ("zone", "day", "count", "expected"),
    [
        (
            BERLIN,
            "2024-03-31",
            23,
            [("2024-03-31T01", "01:00:00+01:00", 60), ("2024-03-31T03", "03:00:00+02:00", 60)],
        ),
        (
            BERLIN,
            "2024-10-27",
            25,
            [
                ("2024-10-27T01", "01:00:00+02:00", 60),
                ("2024-10-27T02+02:00", "02:00:00+02:00", 60),
                ("2024-10-27T02+01:00", "02:00:00+01:00", 60),
                ("2024-10-27T03", "03:00:00+01:00", 60),
            ],
        ),
        (
            NEW_YORK,
            "2024-03-10",
            23,
            [("2024-03-10T01", "01:00:00-05:00", 60), ("2024-03-10T03", "03:00:00-04:00", 60)],
        ),
        (
            NEW_YORK,
            "2024-11-03",
            25,
            [
                ("2024-11-03T00", "00:00:00-04:00", 60),
                ("2024-11-03T01-04:00", "01:00:00-04:00", 60),
                ("2024-11-03T01-05:00", "01:00:00-05:00", 60),
                ("2024-11-03T02", "02:00:00-05:00", 60),
            ],
        ),
        (
            LORD_HOWE,
            "2024-10-06",
            24,
            [
                ("2024-10-06T01", "01:00:00+10:30", 60),
                ("2024-10-06T02", "02:30:00+11:00", 30),
                ("2024-10-06T03", "03:00:00+11:00", 60),
            ],
        ),
        (
            LORD_HOWE,
            "2024-04-07",
            24,
            [
                ("2024-04-07T00", "00:00:00+11:00", 60),
                ("2024-04-07T01", "01:00:00+11:00", 90),
                ("2024-04-07T02", "02:00:00+10:30", 60),
            ],
        ),
    ],
)
def test_hours_on_days_when_clocks_change(zone, day, count, expected):
    found = hours(zone, day)
    assert len(found) == count
    place = found.index(expected[0])
    assert found[place : place + len(expected)] == expected


def test_an_hour_that_clocks_go_back_into_is_told_apart_though_its_begin_comes_once():
    grain = Hourly("Europe/Tallinn")  # on 1918-02-01 at midnight, clocks went back by 39 minutes
    keys = ("1918-01-31T23+01:39", "1918-01-31T23+01:00")
    assert [grain.key(grain.read(key)) for key in keys] == list(keys)
    assert grain.read(keys[1]) == grain.read(keys[0]) + 1


@pytest.mark.parametrize(
    ("zone", "day", "length"),
    [
        (BERLIN, "2024-03-31", 23),
        (BERLIN, "2024-10-27", 25),
        (BERLIN, "2024-06-01", 24),
        (NEW_YORK, "2024-03-10", 23),
        (NEW_YORK, "2024-11-03", 25),
        (LORD_HOWE, "2024-10-06", 23.5),
        (LORD_HOWE, "2024-04-07", 24.5),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("Pacific/Apia", "2011-12-30", 0),
    ],
)
def test_a_day_lasts_as_long_as_its_clocks_say(zone, day, length):
    grain = Daily(zone)
    number = grain.read(day)
    assert (grain.end(number) - grain.start(number)) / 3600 == length


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("grain", [Hourly, Daily, Weekly, Monthly])
@settings(max_examples=60)
@given(instant=st.integers(-8_000_000_000, 8_000_000_000))
def test_ordinal_and_key_are_inverse_and_windows_touch(grain, zone, instant):
    grain = grain(zone)
    number = grain.at(instant)
    assert grain.start(number) <= instant < grain.end(number) == grain.start(number + 1)
    assert grain.read(grain.key(number)) == number
    assert grain.at(grain.start(number)) == number


CRONS = (
    "0 6 * * 1-5",
    "0 2,3 * * *",
    "15,45 1-3 * * *",
    "*/30 * * * *",
    "30 * * * 1",
    "*/20 1-3 1 * *",
    "0 0 L * *",
    "0 12 * * MON#2",
)
# days on which clocks of each zone change, and an ordinary month
SPANS = {
    "UTC": ("2024-02-20", "2024-03-05"),
    BERLIN: ("2024-03-29", "2024-04-02"),
    NEW_YORK: ("2024-11-01", "2024-11-05"),
    LORD_HOWE: ("2024-04-05", "2024-04-09"),
    "America/Sao_Paulo": ("2018-11-02", "2018-11-06"),
    "America/St_Johns": ("2010-11-05", "2010-11-09"),
}


@pytest.mark.parametrize("zone", SPANS)
@pytest.mark.parametrize("expression", CRONS)
def test_windows_of_a_cron_expression_begin_at_its_ticks(expression, zone):
    first, last = (at(day, zone) for day in SPANS[zone])
    expected = []
    for tick in CronSim(expression, moment_of(first, zone)):
        if tick > moment_of(last, zone) and len(expected) > 1:
            break
        expected.append(instant_of(tick))
    cron = Cron(expression, zone)
    numbers = list(cron.existing(cron.at(expected[0]), cron.at(expected[-1]) + 1))
    assert [cron.start(number) for number in numbers] == expected
    for number, (begin, end) in zip(numbers, pairwise(expected), strict=False):
        assert cron.end(number) == end
        assert cron.at(begin) == cron.at(end - 1) == number
        assert cron.read(cron.key(number)) == number


@pytest.mark.parametrize(
    ("expression", "zone", "tick", "key"),
    [
        ("0 6 * * 1-5", BERLIN, "2024-01-01T06:00", "2024-01-01"),
        ("0 6,18 * * *", BERLIN, "2024-01-01T18:00", "2024-01-01T18"),
        ("30 6,18 * * *", BERLIN, "2024-01-01T18:30", "2024-01-01T18:30"),
        ("0 * * * *", BERLIN, "2024-01-01T18:00", "2024-01-01T18"),
        ("30 2 * * *", BERLIN, "2024-03-31T03:00", "2024-03-31"),
    ],
)
def test_keys_of_ticks_say_what_tells_them_apart(expression, zone, tick, key):
    cron = Cron(expression, zone)
    assert cron.key(cron.at(at(tick, zone))) == key


def test_ordinals_of_cron_do_not_depend_on_the_zone_where_times_are_fixed():
    assert Cron("0 6 * * *", BERLIN).read("2024-05-01") == Cron("0 6 * * *", NEW_YORK).read("2024-05-01")


@pytest.mark.parametrize(
    ("grain", "key", "words"),
    [
        (Hourly(BERLIN), "2024-03-31T02", "no such window"),
        (Hourly(BERLIN), "2024-10-27T02", "comes twice"),
        (Hourly(BERLIN), "2024-10-27T03+01:00", "written as 2024-10-27T03"),
        (Hourly(BERLIN), "2024-10-27T03:00", "2024-01-01T05"),
        (Hourly(BERLIN), "2024-10-27", "2024-01-01T05"),
        (Hourly(BERLIN), "2024-10-27T24", "00 to 23"),
        (Daily(), "2024-02-30", "no such day"),
        (Daily(), "2024-2-3", "2024-01-31"),
        (Daily(), "1500-01-01", "1601"),
        (Weekly(), "2024-01-03", "Mondays: 2024-01-01"),
        (Monthly(), "2024-01", "first day: 2024-01-01"),
        (Monthly(), "2024-01-02", "first day: 2024-01-01"),
        (Cron("0 6 * * 1-5"), "2024-01-06", "no tick"),
        (Cron("0 2,3 * * *", BERLIN), "2024-03-31T03", "skip that time"),
        (Cron("30 * * * *", BERLIN), "2024-10-27T02:30", "comes twice"),
    ],
)
def test_a_key_that_is_none_is_refused_with_what_would_be_right(grain, key, words):
    with pytest.raises(ValueError, match=words):
        grain.read(key)


@pytest.mark.parametrize(
    ("expression", "words"),
    [("* * * *", "five fields"), ("99 * * * *", "Bad minute"), ("0 0 30 2 *", "Bad day-of-month")],
)
def test_an_expression_that_never_comes_is_refused(expression, words):
    with pytest.raises(ValueError, match=words):
        Cron(expression)


def test_a_rare_tick_is_found_from_far_away():
    cron = Cron("0 0 29 2 *")
    number = cron.at(instant_of(datetime(2103, 1, 1, tzinfo=UTC)))
    assert cron.key(number) == "2096-02-29"
    assert moment_of(cron.end(number), "UTC") == datetime(2104, 2, 29, tzinfo=UTC)
