"""Which partitions a job runs, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nbpipe.commands.job_plans import closed_last, plan_work
from nbpipe.commands.workspace import Workspace
from nbpipe.core.automation.definitions import JobDef
from nbpipe.core.partitions.spec_syntax import parse_partitions
from nbpipe.daemon.parts import Work
from nbpipe.errors import ParameterError, RefusedError, UnknownNameError
from tests.notebooks import parameters, write_notebook

AT = datetime(2024, 1, 10, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        ("daily:2024-01-01", ["2024-01-09"]),
        ("hourly:2024-01-01T00", ["2024-01-10T05"]),
        ("monthly:2023-01-01", ["2023-12-01"]),
        ("daily:2024-01-01..2024-01-05", ["2024-01-05"]),
        ("static:eu,us", ["eu", "us"]),
        ("date=daily:2024-01-01 x region=static:eu,us", ["2024-01-09|eu", "2024-01-09|us"]),
    ],
)
def test_the_window_that_ended_last_and_all_other_keys_are_run(spec, keys):
    assert list(closed_last(parse_partitions(spec), AT)) == keys


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("daily:2024-01-10", "no window has ended"),
        ("dynamic:towns", "add keys with nbpipe partitions add towns KEY"),
        ("date=daily:2024-01-10 x region=static:eu,us", "no window has ended"),
    ],
)
def test_before_there_is_a_partition_there_is_nothing_to_run(spec, why):
    with pytest.raises(RefusedError, match=f"there is no partition of .* yet that could be run: {why}"):
        closed_last(parse_partitions(spec), AT)


@pytest.fixture
def workspace(project: Path):
    write_notebook(
        project / "a.ipynb",
        [
            parameters("n = 1"),
            "%%asset day --partitions daily:2024-01-01\nday = n",
            "%%asset hour --partitions hourly:2024-01-01T00\nhour = 1",
            "%%asset month --partitions monthly:2024-01-01 --map day=all\nmonth = day",
            "%%asset plain\nplain = 1",
        ],
    )
    write_notebook(project / "report.ipynb", ["1"])
    with Workspace.open(project) as opened:
        yield opened


def planned(workspace, job, **about):
    return plan_work(workspace, Work(job=JobDef(name="j", **job), closed_at=AT, **about))


@pytest.mark.parametrize(
    ("job", "about", "partitions"),
    [
        ({"selection": "day hour plain"}, {}, {"day": ("2024-01-09",), "hour": ("2024-01-10T05",)}),
        ({"selection": "day hour"}, {"selection": "day"}, {"day": ("2024-01-09",)}),
        ({"selection": "day"}, {"partition": "2024-01-03"}, {"day": ("2024-01-03",)}),
        ({"selection": "day", "partitions": "daily:2024-01-01..2024-01-04"}, {}, {"day": ("2024-01-04",)}),
        ({"selection": "plain"}, {}, {}),
        ({"notebook": "report.ipynb"}, {}, {}),
    ],
)
def test_each_asset_runs_what_closed_last(workspace, job, about, partitions):
    assert dict(planned(workspace, job, **about).partitions) == partitions


def test_a_notebook_of_partitions_runs_what_closed_last_or_what_is_asked_for(workspace):
    whole = planned(workspace, {"notebook": "a.ipynb"}).partitions
    assert (whole["day"], whole["hour"]) == (("2024-01-09",), ("2024-01-10T05",))


def test_parameters_are_those_of_the_job_and_of_who_asks(workspace):
    job = {"selection": "day", "parameters": (("n", "3"),)}
    assert planned(workspace, job).steps[0].parameters == {"n": 3}
    assert planned(workspace, job, parameters={"n": 4}).steps[0].parameters == {"n": 4}


@pytest.mark.parametrize(
    ("job", "about", "error", "message"),
    [
        ({"selection": "plain"}, {"partition": "2024-01-03"}, RefusedError, "nothing that job j runs has partitions"),
        ({"selection": "plain", "partitions": "static:a"}, {}, RefusedError, "leave out partitions static:a"),
        ({"notebook": "report.ipynb"}, {"partition": "x"}, RefusedError, "leave out partition x"),
        ({"notebook": "report.ipynb"}, {"selection": "day"}, RefusedError, "nothing of it can be selected"),
        ({"notebook": "gone.ipynb"}, {}, UnknownNameError, "gone.ipynb"),
        ({"selection": "day"}, {"partition": "2024-13-03"}, UnknownNameError, "2024-13-03"),
        ({"selection": "day"}, {"selection": "plain"}, RefusedError, "job j does not run plain"),
        ({"selection": "day"}, {"parameters": {"m": 1}}, ParameterError, "m"),
    ],
)
def test_what_can_not_be_run_is_refused(workspace, job, about, error, message):
    with pytest.raises(error, match=message):
        planned(workspace, job, **about)


def test_a_selection_of_nothing_has_nothing_to_do(workspace):
    assert planned(workspace, {"selection": "status:failed"}).steps == ()
