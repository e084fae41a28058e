"""Backfills in the terminal and in Python, as far as no kernel is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import nbpipe
from nbpipe.commands.backfill_drafts import Wish, record
from nbpipe.commands.workspace import Workspace
from nbpipe.core.backfills.targets import Asked
from nbpipe.execution.workers import this_worker
from tests.notebooks import edit_cell, parameters, write_notebook

CELLS = (
    parameters("scale = 1"),
    "%%asset day --partitions daily:2024-01-01..2024-01-14\nday = scale",
    "%%asset week --partitions weekly:2024-01-01..2024-01-08 --backfill 2\nweek = day",
    "%%asset total\ntotal = week",
    "%%asset other\nother = 1",
)
AT = datetime(2024, 2, 1, tzinfo=UTC)


@pytest.fixture
def project_of_days(project: Path) -> Path:
    write_notebook(project / "a.ipynb", CELLS)
    return project


def recorded(root: Path, **about) -> str:
    """Record a backfill of everything, on which nobody works."""
    with Workspace.open(root) as workspace:
        backfill, _ = record(workspace, Wish(selection="day week total", asked=Asked(everything=True), **about))
        assert backfill is not None
        return backfill.id


def test_a_dry_run_tells_what_would_be_done_and_records_nothing(project_of_days: Path, terminal):
    found = terminal.json("backfill", "day", "week", "total", "--all", "--dry-run")
    assert found == {
        "selection": "day week total",
        "partitions": "all",
        "total": 17,
        "runs": 16,
        "assets": [
            {"asset": "day", "total": 14, "partitions": ["2024-01-01..2024-01-14"]},
            {"asset": "week", "total": 2, "partitions": ["2024-01-01..2024-01-08"]},
            {"asset": "total", "total": 1, "partitions": []},
        ],
        "notes": [],
    }
    assert not (project_of_days / ".nbpipe" / "state.db").exists()
    said = terminal("backfill", "day", "--partitions", "2024-01-03", "--dry-run")
    assert said.status == 0
    assert "1 in 1 run; nothing was started" in said.out
    several = terminal.json("backfill", "day", "--partitions", "2024-01-09, 2024-01-02..2024-01-03", "--dry-run")
    assert several["assets"][0]["partitions"] == ["2024-01-02..2024-01-03", "2024-01-09"]
    assert terminal.json("backfill", "day", "--all", "--single-run", "--dry-run")["runs"] == 1
    assert terminal.json("backfill", "start", "day", "--all", "--dry-run")["total"] == 14
    assert terminal.json("backfill", "--all", "--dry-run", "day")["total"] == 14
    assert nbpipe.backfill("day", missing=True, dry_run=True).total == 14


@pytest.mark.parametrize(
    ("options", "hours", "words", "notes"),
    [
        ("", "2024-02-11T15", (), ["1,000 runs, one for each partition: --single-run, or --backfill N in the cell, "]),
        ("", "2024-02-11T14", (), []),
        ("", "2024-02-11T15", ("--single-run",), []),
        ("--backfill single", "2024-02-11T15", (), []),
        ("--backfill 2", "2024-03-24T07", (), []),
    ],
)
def test_a_run_for_each_of_many_partitions_is_pointed_out(project: Path, terminal, options, hours, words, notes):
    write_notebook(project / "a.ipynb", [f"%%asset hour --partitions hourly:2024-01-01..{hours} {options}\nhour = 1"])
    found = terminal.json("backfill", "hour", "--all", "--dry-run", *words)["notes"]
    assert [note[: len(said)] for note, said in zip(found, notes, strict=True)] == notes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("day",), "say which partitions"),
        (("--all",), "nothing is selected"),
        (("day", "--all", "--missing"), "--all means every partition"),
        (("day", "--partitions", "2024-01-09..2024-01-02"), "comes before"),
        (("day", "--partitions", "2024-02-31"), "day"),
        (("day", "--partitions", "2024-01-02", "--partitions", "2024-01-04"), "--partitions 2024-01-02,2024-01-04"),
        (("nothing", "--all"), "there is no asset 'nothing'"),
        (("other", "--partitions", "2024-01-01"), "has partitions"),
        (("day", "--all", "--param", "scal=2"), "scal"),
        (("week", "--missing"), "2024-01-01..2024-01-14 of day, which have no value; select what they need too"),
        (("day", "--all", "--parallel", "0"), "parallel"),
        (("show", "01"), "there is no backfill '01'"),
        (("list", "--missing"), "there is no option --missing"),
        (("day", "--al"), "did you mean --all"),
    ],
)
def test_wrong_use_is_refused_and_nothing_recorded(project_of_days: Path, terminal, words, said):
    answer = terminal("backfill", *words)
    assert answer.status == 2
    assert said in answer.err
    assert terminal.json("backfill", "list") == []


def test_one_that_nobody_works_on_is_listed_shown_and_canceled(project_of_days: Path, terminal):
    backfill_id = recorded(project_of_days, parameters={"scale": 2})
    (row,) = terminal.json("backfill", "list")
    assert (row["id"], row["status"], row["total"], row["left"]) == (backfill_id, "queued", 17, 17)
    assert "stopped" in terminal("backfill", "list").out
    found = terminal.json("backfill", "show", backfill_id)
    assert found["parameters"] == {"scale": 2}
    assert found["progress"][1]["left_partitions"] == ["2024-01-01..2024-01-08"]
    said = terminal("backfill", "show", backfill_id[:18]).out
    assert f"`nbpipe backfill resume {backfill_id}` goes on with it" in said
    assert terminal.json("backfill", "cancel", backfill_id)["status"] == "canceled"
    assert "has ended already" in terminal("backfill", "cancel", backfill_id).err


def test_one_whose_process_is_gone_is_shown_as_stopped(project_of_days: Path, terminal):
    import msgspec

    backfill_id = recorded(project_of_days)
    dead = msgspec.structs.replace(this_worker(), started=1.0)
    with Workspace.open(project_of_days) as workspace:
        assert workspace.store.backfills.claim(backfill_id, dead, at=AT)
    assert terminal.json("backfill", "list")[0]["status"] == "queued"
    with Workspace.open(project_of_days) as workspace:
        assert workspace.store.backfills.claim(backfill_id, this_worker(), at=AT)
    assert terminal.json("backfill", "list")[0]["status"] == "running"
    assert "is being worked on by another process" in terminal("backfill", "resume", backfill_id).err


def test_it_does_not_go_on_when_an_asset_has_gone_or_has_other_partitions(project_of_days: Path, terminal):
    backfill_id = recorded(project_of_days)
    edit_cell(
        project_of_days / "a.ipynb",
        1,
        CELLS[1].replace("daily", "hourly").replace("2024-01-01..2024-01-14", "2024-01-01T00"),
    )
    assert "start a new one" in terminal("backfill", "resume", backfill_id).err
    edit_cell(project_of_days / "a.ipynb", 1, "day = 1")
    assert terminal("backfill", "resume", backfill_id).status == 2
    assert terminal.json("backfill", "list")[0]["status"] == "queued"


def test_a_set_without_keys_is_nothing_to_do_and_says_how_to_fill_it(project: Path, terminal):
    write_notebook(project / "a.ipynb", ["%%asset orders --partitions dynamic:customers\norders = partition.key"])
    said = terminal("backfill", "orders", "--all")
    assert said.status == 0
    assert "orders has no partitions yet: add keys with `nbpipe partitions add customers KEY`" in said.out
    assert len(terminal.json("backfill", "orders", "--missing", "--dry-run")["notes"]) == 1
    terminal("partitions", "add", "customers", "New York")
    assert terminal.json("backfill", "orders", "--missing", "--dry-run")["total"] == 1


def test_within_a_run_nothing_is_started(project_of_days: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("NBPIPE_RUN_ID", "r1")
    found = nbpipe.backfill("day", missing=True)
    assert found.id is None
    assert "does nothing in a job" in capsys.readouterr().out


def test_help_names_the_options_and_the_commands(terminal):
    said = terminal("backfill", "--help").out
    assert "--missing" in said
    assert "resume" in said
