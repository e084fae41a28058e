"""Backfills whose process is killed: what goes on repeats nothing and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbpipe.commands.workspace import Workspace
from nbpipe.core.records import ACTIVE_RUN
from tests.notebooks import write_notebook
from tests.runs import eventually
from tests.terminal import NBPIPE, nbpipe

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

DAYS = 12
#: Each execution of a body leaves a line, so that what is executed twice is seen. (A literal that is the name of the
#: file would make it an input.)
LOG = """
with open("executed" + ".txt", "a") as log:
    log.write(%s + "\\n")
"""
DAY = (
    f"%%asset day --partitions daily:2024-01-01..2024-01-{DAYS}"
    + LOG % "'day ' + partition.key"
    + "day = partition.key"
)
PAIR = (
    f"%%asset pair --partitions daily:2024-01-01..2024-01-{DAYS} --map day=offset(-1,0)"
    + LOG % "'pair ' + partition.key"
    + "pair = sorted(day)"
)
TOTAL = "%%asset total" + LOG % "'total'" + "total = len(pair)"

#: Hundreds of partitions without kernels: the process kills itself amid a random one of its runs.
WORK = """
import os, signal, sys
from pathlib import Path
from tests.runs import opened
from tests.unit.core.backfills.models import asset
from tests.unit.daemon.fakes import driver
root, backfill_id, dies_at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
specs = [asset("day", "", "daily:2023-01-01"), asset("week", "day", "weekly:2023-01-02"), asset("total", "week")]
count = 0
def outcome(name, key):
    global count
    count += 1
    if count == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)
    with open(root / "executed.txt", "a") as log:
        log.write(f"{name} {key}\\n")
    return "success"
with opened(root) as store:
    print(driver(store, root, specs, outcome, parallel=3)[0].work(backfill_id).status)
"""


def executed(project: Path) -> list[str]:
    file = project / "executed.txt"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


@contextmanager
def backfilling(project: Path, *words: str):
    """Work on a backfill in another process, which a test may kill."""
    process = subprocess.Popen([NBPIPE, "backfill", *words, "--json"], cwd=project, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def listed(project: Path) -> dict:
    return nbpipe(project, "backfill", "list", "--json").data[0]


def test_killed_twice_and_resumed_every_partition_is_current_once(project: Path) -> None:
    write_notebook(project / "a.ipynb", [DAY, PAIR, TOTAL])
    with backfilling(project, "*", "--missing", "--parallel", "2") as process:
        eventually(lambda: len(executed(project)) >= 3)
        process.send_signal(signal.SIGKILL)
        process.wait()
    stopped = listed(project)
    assert stopped["status"] == "queued"
    assert stopped["failed"] == stopped["lost"] == 0
    with backfilling(project, "resume", stopped["id"]) as process:
        eventually(lambda: len(executed(project)) >= 12)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = nbpipe(project, "backfill", "resume", stopped["id"], "--json")
    assert (done.status, done.data["status"], done.data["done"]) == (0, "success", 2 * DAYS + 1)
    with Workspace.open(project) as workspace:
        for state in workspace.partition_states().values():
            assert (state.counts.total, state.counts.fresh) == (DAYS, DAYS)
        assert workspace.states()["total"].current.version == 1
        assert not [run for run in workspace.store.runs(limit=100) if run.status in ACTIVE_RUN]
    # a kernel may have been killed after its body was executed and before the value was stored: at most 2 runs, twice
    lines = executed(project)
    assert len(set(lines)) == 2 * DAYS + 1
    assert len(lines) <= 2 * DAYS + 1 + 4


def test_what_failed_by_chance_and_only_that_runs_again_with_failed(project: Path) -> None:
    failing = ("2024-01-02", "2024-01-07", "2024-01-11")
    check = f"from pathlib import Path\nassert partition.key not in {failing} or Path('repaired').exists()\n"
    write_notebook(project / "a.ipynb", [DAY.replace("day = partition.key", check + "day = partition.key")])
    first = nbpipe(project, "backfill", "day", "--all", "--json")
    assert (first.status, first.data["status"], first.data["failed"]) == (1, "failure", 3)
    assert first.data["progress"][0]["failed_partitions"] == list(failing)
    (project / "repaired").touch()
    before = len(executed(project))
    again = nbpipe(project, "backfill", "day", "--failed", "--json")
    assert (again.status, again.data["total"], again.data["done"]) == (0, 3, 3)
    assert sorted(executed(project)[before:]) == [f"day {key}" for key in failing]
    assert nbpipe(project, "backfill", "day", "--failed", "--json").data["id"] is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_it_and_it_can_be_resumed(project: Path, number: signal.Signals) -> None:
    write_notebook(project / "a.ipynb", [DAY])
    with backfilling(project, "day", "--all", "--parallel", "1") as process:
        eventually(lambda: len(executed(project)) >= 2)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
    found = json.loads(out)
    assert found["status"] == "canceled"
    assert 0 < found["done"] < DAYS
    assert found["failed"] == 0
    done = nbpipe(project, "backfill", "resume", found["id"], "--json")
    assert (done.status, done.data["done"]) == (0, DAYS)


def test_another_command_cancels_it(project: Path) -> None:
    write_notebook(project / "a.ipynb", [DAY])
    with backfilling(project, "day", "--all", "--parallel", "1") as process:
        eventually(lambda: executed(project))
        assert nbpipe(project, "backfill", "resume", listed(project)["id"]).status == 2
        assert nbpipe(project, "backfill", "cancel", listed(project)["id"]).status == 0
        assert process.wait(60) == 1
    assert listed(project)["status"] == "canceled"
    assert nbpipe(project, "backfill", "cancel", listed(project)["id"]).status == 2


def test_hundreds_of_partitions_survive_many_kills(project: Path) -> None:
    from nbpipe.execution.reconcile import reconcile
    from tests.runs import opened
    from tests.unit.core.backfills.models import asset
    from tests.unit.daemon.fakes import made

    specs = [asset("day", "", "daily:2023-01-01"), asset("week", "day", "weekly:2023-01-02"), asset("total", "week")]
    with opened(project) as store:
        requested = {"day": "2023-01-02..2023-12-31", "week": "2023-01-02..2023-12-25", "total": ""}
        backfill = made(store, specs, requested)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for dies_at in (90, 1, 120, 7, 0):
        words = [sys.executable, "-c", WORK, str(project), backfill.id, str(dies_at)]
        done = subprocess.run(words, env=environ, cwd=project, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == (-signal.SIGKILL if dies_at else 0), done.stderr
        with opened(project) as store:
            reconcile(store, project, backfills=True)
            found = store.backfills.backfill(backfill.id)
            assert found.status == ("queued" if dies_at else "success")
    assert (found.done, found.failed, found.lost) == (found.total, 0, 0)
    lines = executed(project)
    assert len(lines) == len(set(lines)) == found.total
