"""Runs of partitions whose processes are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbpipe import clock
from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import Run
from tests.acceptance.test_partitions import JANUARY, count, retry
from tests.notebooks import replace_in_cell, write_notebook
from tests.runs import eventually, leftovers

pytestmark = pytest.mark.faults

BODY = (
    "%%asset day --partitions daily:2024-01-01\n"
    "import time\n"
    "while partition.key == '2024-01-10':\n"
    "    time.sleep(0.01)\n"
    "int(partition.key[-2:])"
)


def became_of(workspace: Workspace, run: Run) -> dict[str, str]:
    """Return what became of each partition so far."""
    return {row.partition: row.outcome for row in workspace.store.run_assets(run.id)}


def test_a_canceled_run_keeps_the_partitions_that_were_done(project: Path) -> None:
    write_notebook(project / "a.ipynb", [BODY])
    words = [sys.executable, "-m", "nbpipe.cli", "materialize", "day", "--partitions", "2024-01-01..2024-01-31"]
    process = subprocess.Popen(words, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with Workspace.open(project) as workspace:
        store = workspace.store
        run = eventually(lambda: next(iter(store.runs(statuses=["running"])), None))
        eventually(lambda: "success" in store.outcome_counts(run.id)["day"])
        store.request_cancel(run.id, at=clock.now())
        assert process.wait() == 1
        assert store.run(run.id).status == "canceled"
        assert set(store.outcome_counts(run.id)["day"]) == {"success", "canceled"}
        assert store.steps(run.id)[0].executed == ("day",)
        facts = store.partitions.facts(workspace.env, "day")
        assert not facts.families(lambda chunk: chunk.running | chunk.failed)


def test_a_run_killed_amid_its_partitions_keeps_what_was_done_and_repeats_nothing(project: Path) -> None:
    write_notebook(project / "a.ipynb", [BODY])
    words = [sys.executable, "-m", "nbpipe.cli", "materialize", "day", "--partitions", "2024-01-01..2024-01-31"]
    process = subprocess.Popen(
        words, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    with Workspace.open(project) as workspace:
        run = eventually(lambda: next(iter(workspace.store.runs(statuses=["running"])), None))
        eventually(lambda: became_of(workspace, run).get("2024-01-10") == "running")
        assert "success" in became_of(workspace, run).values()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        workspace.settle()
        run = workspace.store.run(run.id)
        became = became_of(workspace, run)
        facts = workspace.store.partitions.facts(workspace.env, "day")
        assert not facts.families(lambda chunk: chunk.running)
    assert run.status == "failure"
    assert set(count(became)) == {"success", "failed", "skipped"}
    eventually(lambda: not leftovers(run))

    replace_in_cell(project / "a.ipynb", 0, "'2024-01-10'", "''")
    again, _, found = retry(project, run.id, from_failure=True)
    assert (again.status, again.error) == ("success", None)
    assert list(found["day"]) == [key for key in JANUARY if became[key] != "success"]
    assert set(found["day"].values()) == {"success"}
