"""Jobs, schedules and sensors as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

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
