"""Values of partitions whose process dies between writing and committing them."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbpipe.commands.workspace import Workspace
from tests.notebooks import write_notebook

pytestmark = pytest.mark.faults

#: Runs a cell in this process, which kills itself at the turn-th call of a function.
DIES = """
import os, signal, sys
from pathlib import Path
from nbpipe.io.values import _Group
from nbpipe.kernel.partitions import commits
from nbpipe.storage.sql_partitions import SqlPartitions
from tests.steps import in_step

root, where, turn = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
owner, name = {"before flushing": (_Group, "flush"), "before committing": (SqlPartitions, "commit")}[where]
real, calls = getattr(owner, name), []

def die(*arguments):
    calls.append(1)
    if len(calls) == turn:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)

setattr(owner, name, die)
commits._LONGEST, commits._MOST = 60.0, 5
with in_step(root, root / "a.ipynb", "a", partitions="2024-01-01..2024-01-31") as job:
    job.run(0)
"""


@pytest.mark.parametrize("where", ["before flushing", "before committing"])
@pytest.mark.parametrize("turn", [1, 4])
def test_no_value_is_committed_without_its_file(project: Path, where: str, turn: int) -> None:
    body = "%%asset a --partitions daily:2024-01-01\na = ((key, key) for key in partition.keys)"
    write_notebook(project / "a.ipynb", [body])
    died = subprocess.run([sys.executable, "-c", DIES, str(project), where, str(turn)], check=False)
    assert died.returncode == -signal.SIGKILL
    with Workspace.open(project) as workspace:
        workspace.settle()
        of = workspace.book.of("a")
        assert of is not None
        kept = {}
        for day in range(1, 32):
            key = f"2024-01-{day:02}"
            found = workspace.store.partitions.materialization("default", "a", key, of.position(key))
            if found is not None:
                manager = workspace.io.manager(found.stored.io)
                kept[manager.local_path(found.stored)] = manager.load(found.stored)
        assert list(kept.values()) == [f"2024-01-{day:02}" for day in range(1, 1 + 5 * (turn - 1))]

        written = {str(path) for path in Path(workspace.config.storage_url(project)).rglob("*.txt")}
        assert len(written) == 5 * turn
        later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        workspace.io.manager(None).sweep(lambda path: any(each.endswith(path) for each in kept), older_than=later)
        assert {path for path in written if Path(path).exists()} == set(kept)
