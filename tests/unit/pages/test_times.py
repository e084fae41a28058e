"""Times name the zone that they are in, in a line or in the heading of their column."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from nbpipe.pages.times import short_time_text, time_heading, time_text

SUMMER, WINTER = datetime(2024, 7, 1, 12, tzinfo=UTC), datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def zone(monkeypatch):
    def choose(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield choose
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "times", "expected"),
    [
        ("UTC", [SUMMER, WINTER, None], "made (UTC)"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", [SUMMER, WINTER], "made (CEST/CET)"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", [WINTER], "made (CET)"),
        ("UTC", [None], "made"),
        ("UTC", [], "made"),
    ],
)
def test_a_heading_names_the_zones_of_its_times(zone, name, times, expected):
    zone(name)
    assert time_heading("made", times) == expected


def test_a_time_in_a_line_names_its_zone(zone):
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    assert time_text(SUMMER) == "2024-07-01 14:00:00"
    assert time_text(SUMMER, zone=True) == "2024-07-01 14:00:00 CEST"
    assert short_time_text(WINTER) == "2024-01-01 13:00 CET"
    assert short_time_text(WINTER + timedelta(seconds=5)) == "2024-01-01 13:00:05 CET"
    assert time_text(None, zone=True) == ""
