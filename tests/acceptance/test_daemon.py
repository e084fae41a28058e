"""`nbpipe daemon`, with jobs and schedules of saved notebooks, as a person uses it."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nbpipe import clock
from tests.notebooks import edit_cell, parameters, write_notebook
from tests.runs import eventually
from tests.terminal import Terminal, nbpipe

_LISTING = """
import sys
from nbpipe.cli.main import main
try:
    main(["daemon", "--json"])
finally:
    print("MODULES", *sorted(sys.modules), file=sys.stderr)
"""

#: State stores as released versions made them.
_RELEASED = sorted((Path(__file__).parents[1] / "unit" / "storage" / "released").glob("*.sql"))

#: What the daemon may never import: it is to stay small, and no code of others runs in it.
_FOREIGN = {"papermill", "nbformat", "nbclient", "jupyter_client", "pandas", "numpy", "pyarrow", "alembic"}

_FAILS_ONCE = """%%asset b --pool db
from pathlib import Path
if not Path("ok").exists():
    Path("ok").touch()
    1 / 0
b = 1"""

_WAITS = """%%asset slow --pool db
from pathlib import Path
import time
while not Path("go").exists():
    time.sleep(0.1)
slow = 1"""


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


@contextmanager
def daemon(project: Path, *words: str, command: tuple[str, ...] = ("-m", "nbpipe", "daemon")) -> Iterator[Any]:
    """Run a daemon; its streams go to files, and it is stopped at the end if it still runs."""
    with (project / "said.txt").open("w") as out, (project / "err.txt").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, *command, *words], cwd=project, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        assert process.wait(60) == 0, (project / "err.txt").read_text()


def in_seconds(number: float) -> str:
    return (clock.now() + timedelta(seconds=number)).isoformat()


def switched_on(terminal: Terminal, *schedules: str) -> None:
    """Start schedules before there is a daemon: what is due from now on is made up for, however late it comes."""
    for name in schedules:
        assert terminal("schedule", "start", name).status == 0


def has_ended(terminal: Terminal, number: int = 1) -> Callable[[], bool]:
    def look() -> bool:
        rows = terminal.json("runs")
        return len(rows) >= number and all(row["status"] in ("success", "failure", "canceled") for row in rows)

    return look


def leads(terminal: Terminal) -> bool:
    found = {each["check"]: each["message"] for each in json.loads(terminal("doctor", "--json").out)}
    return "leads environment" in found["daemon"]


def test_a_schedule_of_a_notebook_runs_in_a_small_process(project: Path, terminal: Terminal) -> None:
    write_notebook(
        project / "a.ipynb", ["%job daily x\n", "%%asset x\nimport pandas as pd\nx = pd.DataFrame({'n': [1]})"]
    )
    with daemon(project, command=("-c", _LISTING)) as process:
        eventually(lambda: "leading" in (project / "said.txt").read_text(), within=60)
        edit_cell(project / "a.ipynb", 0, f"%job daily x\n%schedule soon --at {in_seconds(15)} --job daily")
        eventually(has_ended(terminal), within=60)
        (row,) = terminal.json("runs")
        assert (row["status"], row["job"], row["trigger"], row["assets"]) == (
            "success",
            "daily",
            "schedule:soon",
            ["x"],
        )
        (tick,) = terminal.json("schedule", "ticks", "soon")
        assert (tick["name"], tick["status"], tick["runs"], tick["reason"]) == ("soon", "launched", [row["id"]], None)
        late = datetime.fromisoformat(tick["at"]) - datetime.fromisoformat(tick["scheduled_at"])
        assert late >= timedelta(0)
        assert "launched" in terminal("schedule", "ticks", "soon").out
        (listed,) = terminal.json("schedule", "list")
        assert (listed["on"], listed["next"], listed["last"]["runs"]) == (True, None, [row["id"]])
        eventually(lambda: "run_ended" in (project / "said.txt").read_text(), within=20)
        process.terminate()
        process.wait(60)
    modules = next(line for line in (project / "err.txt").read_text().splitlines() if line.startswith("MODULES"))
    assert not _FOREIGN.intersection(modules.split())
    events = [json.loads(line)["event"] for line in (project / "said.txt").read_text().splitlines()]
    assert [event for event in events if event != "definitions"] == [
        "leading",
        "tick",
        "run_started",
        "run_ended",
        "stopped",
    ]


def test_retries_time_limits_and_records_of_a_plain_notebook(project: Path, terminal: Terminal) -> None:
    write_notebook(project / "report.ipynb", ["print('here')", "import time\ntime.sleep(60)"])
    (project / "nbpipe.toml").write_text(
        f"""
        [jobs.report]
        notebook = "report.ipynb"
        retries = 1
        timeout = 4
        [jobs.fine]
        notebook = "fine.ipynb"
        parameters = {{ n = 3 }}
        [schedules.soon]
        at = "{in_seconds(3)}"
        job = "report"
        [schedules.also]
        at = "{in_seconds(3)}"
        job = "fine"
        """
    )
    write_notebook(project / "fine.ipynb", [parameters("n = 1"), "assert n == 3"])
    switched_on(terminal, "soon", "also")
    eventually(lambda: _past(project), within=20)
    answer = nbpipe(project, "daemon", "--once", timeout=150)
    assert answer.status == 0, answer.err
    rows = {row["id"]: row for row in terminal.json("runs")}
    failed = [row for row in rows.values() if row["job"] == "report"]
    assert [row["error"] for row in failed] == ["it took longer than its time limit of 4 s"] * 2
    assert [row["trigger"] for row in failed] == ["retry", "schedule:soon"]
    assert terminal.json("runs", "show", failed[0]["id"])["parent"] == failed[1]["id"]
    (fine,) = [row for row in rows.values() if row["job"] == "fine"]
    assert fine["status"] == "success"
    assert all((project / record).is_file() for row in rows.values() for record in row["notebooks"])


def _past(project: Path) -> bool:
    """Tell whether the moments in the configuration have passed."""
    text = (project / "nbpipe.toml").read_text()
    moments = [part for part in text.split('"') if part[:2] == "20"]
    return all(datetime.fromisoformat(moment) < clock.now() for moment in moments)


def test_another_daemon_takes_over_and_a_notebook_that_breaks_stops_nothing(project: Path, terminal: Terminal) -> None:
    write_notebook(project / "a.ipynb", ["%schedule all * * * * * * --select x", "%%asset x\nx = 1"])
    (project / "nbpipe.toml").write_text("[limits]\nruns = 1\n")
    (project / "two").mkdir()
    with daemon(project) as first, (project / "two" / "said.txt").open("w") as out:
        eventually(lambda: terminal.json("schedule", "ticks", "all") if leads(terminal) else None, within=60)
        other = subprocess.Popen(
            [sys.executable, "-m", "nbpipe", "daemon"], cwd=project, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            eventually(lambda: "standing by" in (project / "two" / "said.txt").read_text(), within=60)
            refused = nbpipe(project, "daemon", "--once")
            assert (refused.status, "leads environment default" in refused.err) == (2, True)
            said = (project / "two" / "said.txt").read_text
            assert f"process {first.pid} " in said()
            first.terminate()
            assert first.wait(60) == 0  # a second signal while it ends would kill it
            eventually(lambda: "schedule" in said().partition("leading environment")[2], within=60)  # it has read them
            (project / "a.ipynb").write_text("garbage")
            eventually(
                lambda: any(row["status"] == "failed" for row in terminal.json("schedule", "ticks", "all")), within=60
            )
            (row,) = terminal.json("schedule", "list")
            assert "can't be looked for in a.ipynb" in row["error"]
        finally:
            other.send_signal(signal.SIGINT)
            assert other.wait(60) == 0
    for row in terminal.json("runs", "--limit", "1000"):
        if row["status"] == "queued":
            terminal("runs", "cancel", row["id"])
    eventually(has_ended(terminal), within=60)


def test_a_job_is_run_by_hand(project: Path, terminal: Terminal) -> None:
    write_notebook(
        project / "a.ipynb",
        [
            "%job days day --retries 1\n%job bad b --retries 1",
            "%%asset day --partitions daily:2024-01-01 --pool db\nday = partition.key",
            _FAILS_ONCE,
        ],
    )
    found = terminal.json("job", "run", "days")
    (row,) = terminal.json("runs")
    yesterday = (clock.now() - timedelta(days=1)).date().isoformat()
    assert (found["status"], row["job"], row["trigger"], row["partition"]) == ("success", "days", "manual", yesterday)
    assert terminal.json("job", "run", "days", "--partition", "2024-01-05")["status"] == "success"
    assert terminal.json("runs")[0]["partition"] == "2024-01-05"
    answer = terminal("job", "run", "bad")
    assert (answer.status, "retry 1 of 1" in answer.err) == (0, True)
    last, failed = terminal.json("runs")[:2]
    assert [row["status"] for row in (last, failed)] == ["success", "failure"]
    assert terminal.json("runs", "show", last["id"])["parent"] == failed["id"]
    assert "did you mean 'days'" in terminal("job", "run", "dyas").err


def test_any_secret_of_the_configuration_is_blotted_out_of_what_a_job_leaves(
    project: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT", "https://chat.example/hunter2")
    (project / "nbpipe.toml").write_text('[notify.chat]\nurl = "${CHAT}"\n[jobs.j]\nselection = "a"\n')
    body = "import os\nprint(os.environ['CHAT'])\ncontext.add_output_metadata({'url': os.environ['CHAT']})\na = 1"
    write_notebook(project / "n.ipynb", [f"%%asset a\n{body}"])
    answer = terminal("job", "run", "j")
    assert answer.status == 0, answer.err
    (record,) = project.glob(".nbpipe/runs/*/0-n.ipynb")
    told = record.read_text() + str(terminal.json("show", "a")) + answer.out + answer.err
    assert "hunter2" not in told
    assert told.count("***") > 1


def test_schedules_are_switched_by_hand(project: Path, terminal: Terminal) -> None:
    write_notebook(project / "a.ipynb", ["%schedule s '0 6 * * *' --select x --stopped", "%%asset x\nx = 1"])
    assert terminal.json("schedule", "list")[0]["on"] is False
    assert "no daemon is running" not in terminal("status").err
    started = terminal("schedule", "start", "s")
    assert "s is on" in started.out
    assert "no daemon is running" in started.out
    assert terminal.json("schedule", "list")[0]["on"] is True
    assert "schedule s is on" in terminal("status").err
    assert "stopped" in terminal("schedule", "stop", "s").out
    assert terminal.json("schedule", "ticks", "s") == []
    assert terminal("schedule", "ticks", "z").status == 2


def test_a_backfill_is_left_to_the_daemon(project: Path, terminal: Terminal) -> None:
    write_notebook(project / "a.ipynb", ["%%asset day --partitions daily:2024-01-01\nday = partition.key"])
    with daemon(project):
        eventually(lambda: leads(terminal), within=60)
        found = terminal.json("backfill", "day", "--partitions", "2024-01-01..2024-01-04", "--wait")
        assert (found["status"], found["done"]) == ("success", 4)
        rows = terminal.json("runs")
        assert {row["trigger"] for row in rows} == {f"backfill:{found['id']}"}
        assert "works on it" in (project / "said.txt").read_text()


def test_a_queued_run_says_what_it_waits_for(project: Path, terminal: Terminal) -> None:
    write_notebook(
        project / "a.ipynb",
        [
            f"%schedule one --at {in_seconds(4)} --select slow\n%schedule two --at {in_seconds(5)} --select other",
            _WAITS,
            "%%asset other --pool db\nother = 2",
        ],
    )
    switched_on(terminal, "one", "two")
    with daemon(project):
        eventually(lambda: len(terminal.json("runs")) == 2, within=60)
        two, one = terminal.json("runs")
        eventually(lambda: terminal.json("runs", "show", one["id"])["status"] == "running", within=60)
        waits = terminal.json("runs", "show", two["id"])["waits"]
        assert waits == f"waits for pool db, held by run {one['id']}"
        assert waits in terminal("runs", "show", two["id"]).out
        (project / "go").touch()
        eventually(has_ended(terminal, 2), within=60)
    assert {row["status"] for row in terminal.json("runs")} == {"success"}


@pytest.mark.parametrize("choice", ["handover", "finish"])
def test_runs_go_on_when_the_daemon_is_stopped_or_are_waited_for(
    project: Path, terminal: Terminal, choice: str
) -> None:
    write_notebook(project / "a.ipynb", [f"%schedule soon --at {in_seconds(4)} --select slow", _WAITS])
    switched_on(terminal, "soon")
    with daemon(project, "--on-stop", choice) as process:
        eventually(lambda: (project / "said.txt").read_text().count("started process"), within=60)
        eventually(lambda: terminal.json("runs")[0]["status"] == "running", within=60)
        process.terminate()
        if choice == "handover":
            assert process.wait(60) == 0
            assert "1 run still under way" in (project / "said.txt").read_text()
        else:
            eventually(lambda: "waiting for 1 run to end" in (project / "said.txt").read_text(), within=30)
            assert not leads(terminal)  # another one may lead meanwhile
        assert terminal.json("runs")[0]["status"] == "running"
        (project / "go").touch()
        eventually(has_ended(terminal), within=60)
    assert terminal.json("runs")[0]["status"] == "success"


def test_a_daemon_brings_an_old_state_store_up_to_date_in_a_process_that_does_not_last(
    project: Path, terminal: Terminal
) -> None:
    write_notebook(project / "a.ipynb", ["%%asset x\nx = 1"])
    (project / ".nbpipe").mkdir()
    with contextlib.closing(sqlite3.connect(project / ".nbpipe" / "state.db")) as old:
        old.executescript(_RELEASED[0].read_text())
    with daemon(project, command=("-c", _LISTING)):
        eventually(lambda: leads(terminal), within=60)
    modules = next(line for line in (project / "err.txt").read_text().splitlines() if line.startswith("MODULES"))
    assert "alembic" not in modules.split()
