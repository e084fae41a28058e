"""Runs as a person reads them."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest

from nbpipe.cli import writing
from nbpipe.commands.run_results import RunResult, RunRow, StepResult
from nbpipe.pages.catalogue import page_of
from nbpipe.pages.page import plain_lines

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
ID = "01a2b3c4d5e6aabbccdd"


def lines(command, data):
    return [line.rstrip() for line in plain_lines(page_of(command, data))]


def row(**about):
    return RunRow(
        **{
            "id": ID,
            "job": None,
            "status": "success",
            "trigger": "manual",
            "created_at": NOON,
            "started_at": NOON,
            "ended_at": NOON + timedelta(seconds=2),
            "assets": ("orders",),
            "partition": None,
            "notebooks": ("runs/0-Bericht für Chef.ipynb",),
            "error": None,
            **about,
        }
    )


@pytest.mark.parametrize(
    ("about", "head", "shown"),
    [
        ({}, "assets", "orders"),
        ({"job": "nightly"}, "job: assets", "nightly: orders"),
        ({"job": "nightly", "partition": "2024-04-30"}, "job: assets", "nightly: orders (2024-04-30)"),
        ({"job": "report", "assets": ()}, "job: assets", "report: Bericht für Chef.ipynb"),
    ],
)
def test_a_run_of_a_job_names_it(about, head, shown):
    heads, line = lines("runs", [row(**about)])
    assert heads.endswith(f"  took   {head}")
    assert line.endswith(f"  2.0 s  {shown}")


def test_the_id_of_a_run_stays_whole_on_a_narrow_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    rows = [row(job="nightly", trigger="schedule:every_morning", assets=("orders", "customers", "sales_by_region"))]
    writing.write(page_of("runs", rows))
    shown = terminal.getvalue()
    assert ID in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_partitions_that_ran_stand_behind_their_assets():
    keys = tuple(f"2024-01-{day:02}" for day in range(1, 8))
    step = StepResult(
        notebook="n.ipynb",
        output="r.ipynb",
        assets=("daily", "total", "weekly"),
        status="success",
        error=None,
        partitions={"daily": ("2024-01-01",), "weekly": keys},
    )
    first = lines("job run", RunResult(run_id=ID, status="success", steps=(step,)))[0]
    assert first == (
        "success  n.ipynb: daily (2024-01-01) total weekly (2024-01-01, 2024-01-02, 2024-01-03, 2024-01-04 and 3 more)"
    )
