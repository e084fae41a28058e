"""The disk fills up while a daemon works: it says so, goes on when there is room, and every tick and run is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.disks import on_small_disk
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.faults, pytest.mark.timeout(420)]

_FILLS = """%%asset a
if not Path("filled").exists():
    with Path("disk/ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    Path("filled").touch()
a = b"new"
"""

#: Runs a daemon until the disk is full and it has said so; makes room; tells what became of ticks and runs.
_PROGRAM = """
import json, subprocess, sys
from pathlib import Path
from tests.runs import eventually
from tests.terminal import nbpipe

disk = Path(sys.argv[1])
project, log = disk.parent, disk.parent / "daemon.log"

def rows(*words):
    return nbpipe(project, *words, "--json").data or []

def ended(job):
    return [row for row in rows("runs", "--limit", "1000") if row["job"] == job and row["ended_at"]]

with log.open("w") as said:
    command = [sys.executable, "-m", "nbpipe", "daemon", "--on-stop", "finish"]
    daemon = subprocess.Popen(command, cwd=project, stdout=said, stderr=said)
try:
    eventually((project / "filled").exists, within=120)
    eventually(lambda: "the disk is full" in log.read_text())
    number = len(rows("schedule", "ticks", "often", "--limit", "1000"))
    (disk / "ballast").unlink()
    fill = eventually(lambda: ended("fill"), within=120)[-1]
    eventually(lambda: len(rows("schedule", "ticks", "often", "--limit", "1000")) > number, within=120)
    before = len(ended("often"))
    eventually(lambda: len(ended("often")) > before, within=120)
    alive = daemon.poll() is None
finally:
    daemon.terminate()
    code = daemon.wait(120)
ticks = [[tick["scheduled_at"], tick["status"]] for tick in rows("schedule", "ticks", "often", "--limit", "1000")]
print(json.dumps([alive, code, fill, ticks, ended("often")]))
"""

_CONFIGURATION = """
state = "sqlite:///disk/state.db"
storage = "disk/values"
[jobs.fill]
selection = "a"
[jobs.often]
notebook = "small.ipynb"
[schedules.fill]
cron = "3-59/6 * * * * *"
job = "fill"
[schedules.often]
cron = "*/6 * * * * *"
job = "often"
[limits]
runs = 2
"""


def test_a_daemon_survives_a_full_disk_and_its_run_ends_in_the_right_status(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    write_notebook(tmp_path / "n.ipynb", ["from pathlib import Path", _FILLS])
    write_notebook(tmp_path / "small.ipynb", ["1"])
    (tmp_path / "nbpipe.toml").write_text(_CONFIGURATION, encoding="ascii")
    alive, code, fill, ticks, often = json.loads(on_small_disk(disk, _PROGRAM, megabytes=4))
    assert (alive, code) == (True, 0)
    assert fill["status"] == "failure"
    assert {status for _, status in ticks} <= {"launched", "missed"}
    assert len({moment for moment, _ in ticks}) == len(ticks)
    assert often[0]["status"] == "success"
