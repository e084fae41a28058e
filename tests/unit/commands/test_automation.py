"""Listings of jobs, schedules and sensors, and the next times of a schedule."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from nbpipe.commands.schedule import previewed
from nbpipe.commands.workspace import Workspace
from tests.notebooks import write_notebook


@pytest.fixture
def jobs(shop: Path) -> Path:
    """The shop, with something of each kind."""
    write_notebook(
        shop / "jobs.ipynb",
        [
            "%job nightly group:shop --param limit=5 --tag team=sales\n%job report --notebook shop.ipynb",
            "%schedule daily 30 2 * * * --job nightly --tz Europe/Berlin --exclude 12-25",
            "%schedule noon 0 12 * * * --select total --stopped",
            "%%sensor inbox --job nightly --every 5\nTrue",
            "%sensor after --asset orders cleaned --job report\n%sensor bad --on failure --notify ops",
        ],
    )
    return shop


def test_jobs_are_listed_with_what_runs_them(jobs, terminal):
    nightly, report = terminal.json("job", "list")
    assert nightly == {
        "name": "nightly",
        "selection": "group:shop",
        "notebook": None,
        "parameters": {"limit": "5"},
        "partitions": None,
        "tags": {"team": "sales"},
        "retries": 0,
        "retry_delay": 0.0,
        "backoff": "constant",
        "timeout": None,
        "memory": None,
        "priority": 0,
        "schedules": ["daily"],
        "sensors": ["inbox"],
        "declared_in": "jobs.ipynb",
        "cell_id": "cell-0",
        "error": None,
    }
    assert (report["selection"], report["notebook"], report["sensors"]) == (None, "shop.ipynb", ["after"])
    assert terminal("job", "list").out.splitlines() == [
        "job      runs        run by                        declared in",
        "nightly  group:shop  schedule daily, sensor inbox  jobs.ipynb",
        "report   shop.ipynb  sensor after                  jobs.ipynb",
    ]


def test_schedules_are_listed_in_words(jobs, terminal):
    daily, noon = terminal.json("schedule", "list")
    assert (daily["cron"], daily["tz"], daily["exclude"], daily["stopped"]) == (
        ["30 2 * * *"],
        "Europe/Berlin",
        ["12-25"],
        False,
    )
    assert daily["words"] == "At 02:30 every day (Europe/Berlin), except on 12-25"
    assert (noon["job"], noon["selection"], noon["stopped"]) == (None, "total", True)
    out = terminal("schedule", "list").out
    assert "At 02:30 every day (Europe/Berlin), except on 12-25" in out
    assert (daily["on"], noon["on"], noon["next"], daily["last"]) == (True, False, None, None)
    assert daily["next"] is not None
    assert "stopped" in out
    assert (daily["daemon"], noon["daemon"]) == (False, False)
    assert out.splitlines()[-1].startswith("no daemon is running")


def test_sensors_are_listed_and_one_with_an_error_says_it(jobs, terminal):
    after, bad, inbox = terminal.json("sensor", "list")
    assert (after["kind"], after["assets"], after["timeout"]) == ("asset", ["orders", "cleaned"], None)
    assert (bad["kind"], "there is no notification 'ops'" in bad["error"]) == (None, True)
    assert (inbox["kind"], inbox["every"], inbox["timeout"], inbox["cell_id"]) == ("cell", 5.0, 60.0, "cell-3")
    out = terminal("sensor", "list").out
    assert "materializations of orders cleaned" in out
    assert "its cell, every 5 s: job nightly  (jobs.ipynb)" in out
    assert inbox["daemon"] is False
    assert out.splitlines()[-1].startswith("no daemon is running")
    assert "bad can't be used: %sensor bad: there is no notification 'ops'" in out


def test_validate_says_what_is_wrong_and_list_is_of_assets_alone(jobs, terminal):
    answer = terminal("validate")
    assert answer.status == 2
    assert "jobs.ipynb, cell 5, line 2: error: %sensor bad: there is no notification 'ops'" in answer.out
    assert [row["asset"] for row in terminal.json("list")] == ["orders", "cleaned", "total"]


@pytest.mark.parametrize("kind", ["job", "schedule", "sensor"])
def test_an_empty_listing_says_how_to_declare_one(shop, terminal, kind):
    assert terminal.json(kind, "list") == []
    assert terminal(kind, "list").out.startswith(f"no {kind}s: write %")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("schedule", "preview", "dayly"), "there is no schedule 'dayly': did you mean 'daily'?"),
        (("schedule", "preview", "daily", "-n", "0"), "0 is not in the range"),
        (("schedule", "preview"), "missing argument 'NAME'"),
        (("schedule",), "schedule needs a command: choose list, start, stop, ticks, preview"),
        (("schedule", "prevew"), "there is no command of `schedule` 'prevew': did you mean 'preview'?"),
        (("job",), "job needs a command: choose list, run"),
    ],
)
def test_wrong_use_is_refused(jobs, terminal, words, said):
    answer = terminal(*words)
    assert (answer.status, said in answer.err) == (2, True)


def test_a_preview_is_in_words_and_in_the_zone_of_the_schedule(jobs, terminal):
    found = terminal.json("schedule", "preview", "daily", "-n", "3")
    assert (found["name"], found["tz"], len(found["times"])) == ("daily", "Europe/Berlin", 3)
    first, *others = terminal("schedule", "preview", "daily", "-n", "3").out.splitlines()
    assert first == "daily: At 02:30 every day (Europe/Berlin), except on 12-25"
    assert len(others) == 3
    assert all(" 02:30 +0" in line or " 03:00 +02:00" in line for line in others)


def test_a_schedule_that_is_over_says_so(jobs, terminal):
    write_notebook(jobs / "once.ipynb", ["%schedule once --at 2020-01-01T06:00 --select total"])
    assert terminal("schedule", "preview", "once").out.endswith("it does not come any more\n")


#: zone, cron, asked at, the next times: in the schedule's zone, as its clocks show them.
CHANGES = [
    # forward: the time that is skipped comes at the change
    (
        "Europe/Berlin",
        "30 2 * * *",
        "2024-03-30T00:00+01:00",
        ["2024-03-30T02:30+01:00", "2024-03-31T03:00+02:00", "2024-04-01T02:30+02:00"],
    ),
    (
        "America/New_York",
        "30 2 * * *",
        "2024-03-09T00:00-05:00",
        ["2024-03-09T02:30-05:00", "2024-03-10T03:00-04:00", "2024-03-11T02:30-04:00"],
    ),
    (
        "Australia/Lord_Howe",
        "15 2 * * *",
        "2024-10-05T00:00+10:30",
        ["2024-10-05T02:15+10:30", "2024-10-06T02:30+11:00", "2024-10-07T02:15+11:00"],
    ),
    # back: the time that comes twice counts once
    (
        "Europe/Berlin",
        "30 2 * * *",
        "2024-10-26T00:00+02:00",
        ["2024-10-26T02:30+02:00", "2024-10-27T02:30+02:00", "2024-10-28T02:30+01:00"],
    ),
    (
        "America/New_York",
        "30 1 * * *",
        "2024-11-02T12:00-04:00",
        ["2024-11-03T01:30-04:00", "2024-11-04T01:30-05:00"],
    ),
    (
        "Australia/Lord_Howe",
        "45 1 * * *",
        "2024-04-06T12:00+11:00",
        ["2024-04-07T01:45+11:00", "2024-04-08T01:45+10:30"],
    ),
    # hours follow the clock itself
    (
        "Europe/Berlin",
        "0 * * * *",
        "2024-03-31T00:30+01:00",
        ["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00"],
    ),
    (
        "America/New_York",
        "0 * * * *",
        "2024-11-03T00:30-04:00",
        ["2024-11-03T01:00-04:00", "2024-11-03T01:00-05:00", "2024-11-03T02:00-05:00"],
    ),
]


@pytest.mark.parametrize(("zone", "cron", "after", "expected"), CHANGES)
def test_previews_where_clocks_change(shop, zone, cron, after, expected):
    write_notebook(shop / "jobs.ipynb", [f"%schedule s {cron} --select total --tz {zone}"])
    found = previewed(Workspace.open(shop), "s", len(expected), after=datetime.fromisoformat(after))
    assert [time.isoformat(timespec="minutes") for time in found.times] == expected
    assert found.words.endswith(f"({zone})")


@pytest.mark.parametrize("words", [("list",), ("job", "list"), ("schedule", "list"), ("sensor", "list")])
def test_a_listing_names_the_notebooks_that_it_leaves_out(shop, terminal, words):
    (shop / "jobs.ipynb").write_text("{garbage")
    answer = terminal(*words)
    assert answer.status == 0
    assert "what jobs.ipynb declares is left out: it is not JSON" in answer.err
