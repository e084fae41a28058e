"""Jobs, schedules and sensors as a person reads them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from nbpipe.commands.automation_rows import ScheduleRow, SensorRow
from nbpipe.commands.schedule import Preview
from nbpipe.commands.schedule_history import TickRow
from nbpipe.pages.catalogue import page_of
from nbpipe.pages.page import plain_lines

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def lines(command, data):
    return [line.rstrip() for line in plain_lines(page_of(command, data))]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(60, ["Wed 2024-05-01 12:00 +00:00", "Wed 2024-05-01 12:01 +00:00"]),
     (30, ["Wed 2024-05-01 12:00:00 +00:00", "Wed 2024-05-01 12:00:30 +00:00"])],
)  # fmt: skip
def test_a_preview_shows_seconds_for_all_moments_or_for_none(seconds, expected):
    times = (NOON, NOON + timedelta(seconds=seconds))
    shown = lines("schedule preview", Preview(name="s", words="Every minute", tz="UTC", times=times))
    assert shown == ["s: Every minute", *(f"  {line}" for line in expected)]


def test_the_reason_of_a_tick_takes_one_line():
    row = TickRow(name="s", scheduled_at=NOON, at=NOON, status="failed", reason="it broke\nit printed this")
    assert lines("sensor ticks", [row])[-1].endswith("it broke | it printed this")


def row(**about):
    return TickRow(**{"name": "s", "scheduled_at": NOON, "at": NOON, "status": "launched", **about})


def test_a_tick_takes_little_room_whatever_it_stands_for(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    rows = [
        row(runs=tuple(f"{number:020x}" for number in range(3_210)), reason="it printed\n" + "x" * 500),
        row(status="skipped", at=NOON + timedelta(minutes=31), count=3_210, reason="no file"),
        row(status="skipped", at=NOON + timedelta(days=1), count=2, reason="no file"),
        row(status="skipped"),
    ]
    heads, launched, skips, days, once = lines("sensor ticks", rows)
    assert heads.split() == ["asked", "(UTC)", "status", "runs"]
    assert f"{0:020x} and 3,209 more  it printed | xxx" in launched
    assert launched.endswith("xxx...")
    assert len(launched) < 180
    assert skips.startswith("2024-05-01 12:00:00 until 12:31:00 ")
    assert "  skipped 3,210 times  " in skips
    assert days.startswith("2024-05-01 12:00:00 until 2024-05-02 12:00:00  skipped 2 times")
    assert once.split() == ["2024-05-01", "12:00:00", "skipped"]
    assert lines("schedule ticks", rows[3:])[0].split() == ["due", "(UTC)", "status", "runs"]


def test_schedules_and_sensors_fit_on_a_narrow_terminal():
    last = row(runs=("1",), reason="x" * 200)
    about = {"on": True, "last": last, "job": "nightly", "declared_in": "jobs.ipynb"}
    schedules = [
        ScheduleRow(name="daily_orders", words="At 02:30 every day (Europe/Berlin)", next=NOON, **about),
        ScheduleRow(name="b", words="At 12:00", selection="total", on=False),
    ]
    shown = lines("schedule list", schedules)
    assert max(map(len, shown)) <= 80
    assert [line for line in shown if "no daemon is running" in line] == shown[-1:]
    assert shown[1] == "  At 02:30 every day (Europe/Berlin): job nightly  (jobs.ipynb)"
    assert shown[2].split() == ["b", "stopped"]
    sensors = [SensorRow(name="inbox", kind="cell", every=30.0, **about)]
    shown = lines("sensor list", sensors)
    assert max(map(len, shown)) <= 80
    assert shown[1:] == ["  its cell, every 30 s: job nightly  (jobs.ipynb)", lines("schedule list", schedules)[-1]]
    there = [ScheduleRow(name="b", words="At 12:00", on=True, daemon=True), ScheduleRow(name="c", error="bad cron")]
    assert lines("schedule list", there)[2:] == ["c can't be used: bad cron"]
    assert len(lines("schedule list", schedules[1:])) == 2  # none is on: nobody misses a daemon
