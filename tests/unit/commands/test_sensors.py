"""Sensors from a terminal: on and off, ticks, cursor, and a trial that changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.notebooks import write_notebook

INBOX = (
    "%%sensor inbox --job nightly --every 5\nprint('looked')\ncursor = 'end'\n"
    "[RunRequest(run_key=name) for name in names]"
)

STARTS = (
    "%%sensor starts --job nightly\nnbpipe.materialize('orders')\n%materialize orders\n!nbpipe materialize orders\nNone"
)


@pytest.fixture
def sensors(shop: Path) -> Path:
    """The shop, with sensors."""
    write_notebook(
        shop / "sensors.ipynb",
        [
            "%load_ext nbpipe\n%job nightly group:shop\n%sensor after --asset orders --job nightly",
            "names = ['a', 'b']",
            INBOX,
            "%%sensor broken --job nightly\n\nprint('looked')\n1/0",
            "import nbpipe",
            STARTS,
        ],
    )
    return shop


def test_a_trial_shows_what_would_be_launched_and_records_nothing(sensors, terminal):
    found = terminal.json("sensor", "tick", "inbox")
    assert (found["status"], found["requests"], found["cursor_before"], found["cursor"]) == ("launched", 2, None, "end")
    assert [run["run_key"] for run in found["runs"]] == ["a", "b"]
    assert found["output"] == "looked"
    out = terminal("sensor", "tick", "inbox").out
    assert "sensor inbox would launch 2 runs" in out
    assert "nothing was launched, recorded or kept" in out
    assert terminal.json("sensor", "ticks", "inbox") == []
    assert terminal.json("runs") == []
    assert terminal.json("sensor", "cursor", "inbox")["cursor"] is None


def test_a_trial_of_one_that_fails_names_the_line(sensors, terminal):
    answer = terminal("sensor", "tick", "broken", "--json")
    found = json.loads(answer.out)
    assert (answer.status, found["status"], found["reason"]) == (
        1,
        "failed",
        "sensors.ipynb, cell 4, line 4: ZeroDivisionError: division by zero",
    )


def test_what_a_sensor_would_start_itself_is_not_started(sensors, terminal):
    found = terminal.json("sensor", "tick", "starts")
    assert (found["status"], found["output"].count("does nothing in a sensor")) == ("skipped", 3)
    assert terminal.json("runs") == []


def test_a_trial_of_one_that_waits_for_assets(sensors, terminal):
    assert terminal.json("sensor", "tick", "after")["status"] == "skipped"
    assert terminal("sensor", "cursor", "after", "--set", "0").status == 0
    assert terminal("materialize", "orders").status == 0
    found = terminal.json("sensor", "tick", "after")
    assert (found["status"], found["requests"]) == ("launched", 1)


@pytest.mark.parametrize("cursor", ["yesterday", "²", "-1", "999999", "9" * 30])
def test_the_cursor_of_one_that_waits_for_events_is_an_event(sensors, terminal, cursor):
    answer = terminal("sensor", "cursor", "after", "--set", cursor)
    assert answer.status == 2
    assert "is the number of an event that has happened" in answer.err
    assert terminal("sensor", "tick", "after", "--cursor", cursor).status == 0


def test_the_cursor_is_shown_set_and_cleared(sensors, terminal):
    assert terminal("sensor", "cursor", "inbox").out.strip() == "sensor inbox keeps nothing"
    assert terminal("sensor", "cursor", "inbox", "--set", "2024-01-01").out.strip() == "2024-01-01"
    assert terminal.json("sensor", "tick", "inbox")["cursor_before"] == "2024-01-01"
    assert terminal.json("sensor", "tick", "inbox", "--cursor", "x")["cursor_before"] == "x"
    assert terminal.json("sensor", "cursor", "inbox", "--clear")["cursor"] is None
    assert terminal("sensor", "cursor", "inbox", "--clear", "--set", "x").status == 2
    assert "there is no sensor 'inbux': did you mean 'inbox'?" in terminal("sensor", "cursor", "inbux").err


def test_a_sensor_is_stopped_and_started(sensors, terminal):
    assert "sensor inbox is stopped" in terminal("sensor", "stop", "inbox").out
    rows = {row["name"]: row for row in terminal.json("sensor", "list")}
    assert (rows["inbox"]["on"], rows["after"]["on"]) == (False, True)
    assert "no daemon is running" in terminal("sensor", "start", "inbox").out
    assert "sensor inbox" not in terminal("sensor", "list").err
    assert {row["name"]: row["on"] for row in terminal.json("sensor", "list")}["inbox"] is True


def test_a_trial_knows_the_keys_that_would_be_added_before_their_runs(sensors, terminal):
    write_notebook(
        sensors / "files.ipynb",
        [
            "%load_ext nbpipe\n%job reading page",
            "%%asset page --partitions dynamic:pages\npage = partition.key",
            (
                "%%sensor pages --job reading\nkeys = PartitionsRequest('pages', add=('p1', 'p2'))\n"
                "[keys, RunRequest(partition_key='p2')]"
            ),
        ],
    )
    found = terminal.json("sensor", "tick", "pages")
    assert (found["status"], found["added"]) == ("launched", {"pages": ["p1", "p2"]})
    assert terminal("partitions", "add", "pages", "p1").status == 0
    assert terminal.json("sensor", "tick", "pages")["added"] == {"pages": ["p2"]}


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("nbpipe.add_partitions('pages', ['p1'])", "PartitionsRequest('pages', add=['p1']); nothing was changed"),
        ("nbpipe.delete_partitions('pages', ['p0'])", "PartitionsRequest('pages', delete=['p0']); nothing was changed"),
    ],
)
def test_a_sensor_changes_no_keys_but_by_its_value(sensors, terminal, line, remedy):
    write_notebook(
        sensors / "files.ipynb",
        [
            "%load_ext nbpipe\nimport nbpipe\n%job reading page",
            "%%asset page --partitions dynamic:pages\npage = partition.key",
            f"%%sensor pages --job reading\n{line}",
        ],
    )
    assert terminal("partitions", "add", "pages", "p0").status == 0
    found = json.loads(terminal("sensor", "tick", "pages", "--json").out)
    assert found["status"] == "failed"
    assert found["reason"].endswith(remedy)
    assert terminal.json("partitions", "page")["total"] == 1
