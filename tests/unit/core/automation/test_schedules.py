"""Ticks of schedules: due, missed, next, and in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nbpipe.core.automation.definitions import ScheduleDef
from nbpipe.core.automation.schedules import (
    LISTED,
    check_cron,
    check_exclusion,
    check_moment,
    due,
    upcoming,
    words,
)
from nbpipe.core.partitions.zones import zone_of
from nbpipe.errors import DeclarationError

NOON = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)


def schedule(*crons: str, **options: object) -> ScheduleDef:
    return ScheduleDef(name="s", job="j", crons=crons, **options)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(moments: tuple[datetime, ...]) -> list[str]:
    return [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in moments]


@pytest.mark.parametrize(
    ("of", "after", "expected"),
    [
        (schedule("0 6 * * *"), NOON, ["2024-03-02 06:00:00", "2024-03-03 06:00:00", "2024-03-04 06:00:00"]),
        (schedule("*/20 * * * * *"), NOON, ["2024-03-01 12:00:20", "2024-03-01 12:00:40", "2024-03-01 12:01:00"]),
        (
            schedule("0 6 * * *", "0 6,18 * * *"),
            NOON,
            ["2024-03-01 18:00:00", "2024-03-02 06:00:00", "2024-03-02 18:00:00"],
        ),
        (schedule(at=("2024-03-01T11:59", "2024-03-05T08:00+02:00")), NOON, ["2024-03-05 06:00:00"]),
        (schedule("0 6 * * *", exclude=("2024-03-02", "03-04")), NOON, ["2024-03-03 06:00:00", "2024-03-05 06:00:00"]),
    ],
    ids=["daily", "seconds", "several", "at", "excluded"],
)
def test_the_next_ticks(of: ScheduleDef, after: datetime, expected: list[str]):
    assert times(upcoming(of, after, 3))[: len(expected)] == expected


@pytest.mark.parametrize(
    ("cron", "exclude"),
    [
        ("0 0 24 12 *", ["12-24"]),
        ("0 0 29 2 *", ["02-29"]),
        ("* * * * * *", [f"{utc('2024-01-01T00:00') + timedelta(days=day):%m-%d}" for day in range(366)]),
    ],
)
def test_one_whose_days_are_all_excluded_never_comes(cron: str, exclude: list[str]):
    assert upcoming(schedule(cron, exclude=tuple(exclude)), NOON, 1) == ()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe"])
@pytest.mark.parametrize("month", ["2024-03", "2024-04", "2024-10", "2024-11"])
@pytest.mark.parametrize("cron", ["30 0 * * *", "*/30 * * * *", "0 1,2,23 * * *"])
def test_days_that_are_excluded_are_passed_over_and_change_nothing_else(cron: str, month: str, zone: str):
    begin, local = utc(f"{month}-01T00:00"), zone_of(zone)
    of, middle = schedule(cron, zone=zone, catchup="all"), begin + timedelta(days=20)
    every = due(of, begin, middle).launch + due(of, middle, middle + timedelta(days=12)).launch
    days = {f"{month}-{day:02}" for day in (5, 7, 8, 10, 27, 30, 31)}
    left = [tick for tick in every if str(tick.astimezone(local).date()) not in days]
    of = schedule(cron, zone=zone, exclude=tuple(days))
    assert upcoming(of, begin, len(left)) == tuple(left)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [  # clocks go forward: a fixed time that is skipped comes at the change
        ("30 2 * * *", "Europe/Berlin", "2024-03-30T12:00", ["2024-03-31 01:00:00", "2024-04-01 00:30:00"]),
        ("30 2 * * *", "America/New_York", "2024-03-09T12:00", ["2024-03-10 07:00:00", "2024-03-11 06:30:00"]),
        # clocks go back: a fixed time comes once
        ("30 2 * * *", "Europe/Berlin", "2024-10-26T12:00", ["2024-10-27 00:30:00", "2024-10-28 01:30:00"]),
        # hours follow the clock itself: the repeated one has two
        (
            "0 * * * *",
            "Europe/Berlin",
            "2024-10-26T23:00",
            ["2024-10-27 00:00:00", "2024-10-27 01:00:00", "2024-10-27 02:00:00"],
        ),
        # half an hour
        ("0 12 * * *", "Australia/Lord_Howe", "2024-10-05T00:00", ["2024-10-05 01:30:00", "2024-10-06 01:00:00"]),
    ],
)
def test_ticks_where_clocks_change(cron: str, zone: str, after: str, expected: list[str]):
    found = upcoming(schedule(cron, zone=zone), utc(after), len(expected))
    assert times(found) == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "*/30 * * * *", "15 1,2,3 * * *"])
def test_asking_in_between_gives_the_same_ticks(cron: str, zone: str):
    of = schedule(cron, zone=zone, catchup="all")
    begin, end = utc("2024-03-01T00:00"), utc("2024-04-15T00:00")
    together = due(of, begin, end)
    moment, apart = begin, []
    while moment < end:
        later = min(moment + timedelta(hours=7, minutes=13), end)
        apart += due(of, moment, later).launch
        moment = later
    assert times((*together.missed, *together.launch))[-900:] == times(tuple(apart))[-900:]


@pytest.mark.parametrize(
    ("catchup", "launched", "missed"),
    [("none", 0, 5), ("last", 1, 4), (2, 2, 3), ("all", 5, 0), (9, 5, 0)],
)
def test_catching_up(catchup: object, launched: int, missed: int):
    of = schedule("0 6 * * *", catchup=catchup)
    found = due(of, utc("2024-02-25T12:00"), NOON)
    assert (len(found.launch), len(found.missed), found.more) == (launched, missed, False)
    assert [*found.missed, *found.launch] == sorted([*found.missed, *found.launch])


def test_a_tick_that_has_just_come_is_launched_whatever_is_caught_up():
    of = schedule("* * * * *", catchup="none")
    found = due(of, utc("2024-03-01T11:50"), NOON + timedelta(seconds=2))
    assert times(found.launch) == ["2024-03-01 12:00:00"]
    assert len(found.missed) == 9


def test_nothing_is_due_between_ticks():
    assert due(schedule("0 6 * * *"), utc("2024-03-01T06:00"), NOON).launch == ()


@pytest.mark.parametrize("catchup", ["last", "all", 5_000])
def test_a_year_of_seconds_is_not_counted_and_not_passed_over_in_silence(catchup: object):
    found = due(schedule("* * * * * *", catchup=catchup), NOON - timedelta(days=365), NOON)
    assert found.missed
    assert len(found.launch) + len(found.missed) == LISTED
    assert found.more


@pytest.mark.parametrize("text", ["", "* * * *", "61 * * * *", "0 6 * * MOO", "0 0 30 2 *"])
def test_a_bad_cron_expression_says_what_is_right(text: str):
    with pytest.raises(DeclarationError, match="cron expression"):
        check_cron(text)


def test_bad_moments_and_dates():
    check_moment("2024-12-31T18:00")
    check_exclusion("12-24")
    check_exclusion("02-29")
    with pytest.raises(DeclarationError, match="is no moment"):
        check_moment("tomorrow")
    for moment in ("0001-01-01", "9999-12-31T23:59"):  # in some time zones these can't be told
        with pytest.raises(DeclarationError, match="is no moment"):
            check_moment(moment)
    with pytest.raises(DeclarationError, match="is no date"):
        check_exclusion("13-24")


def test_words():
    assert words(schedule("0 6 * * 1-5", zone="Europe/Berlin")) == "At 06:00 on Monday through Friday (Europe/Berlin)"
    assert words(schedule(at=("2024-12-31T18:00",))) == "once at 2024-12-31 18:00"


def test_times_change_with_what_decides_the_ticks_alone():
    of = schedule("0 6 * * *")
    assert of.times == schedule("0 6 * * *", catchup="all", stopped=True).times
    assert of.times != schedule("0 7 * * *").times
