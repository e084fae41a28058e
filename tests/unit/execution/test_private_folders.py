"""Temporary folders of processes that were killed are removed, and no others."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nbpipe.daemon.monitor import Monitor
from nbpipe.errors import RefusedError
from nbpipe.execution import private_folders
from nbpipe.execution.private_folders import private_folder, remove_abandoned
from nbpipe.execution.reconcile import reconcile
from nbpipe.execution.workers import this_worker
from nbpipe.testing import InMemoryStateStore
from tests import stores
from tests.unit.daemon.automation import World

_MAKE = "from nbpipe.execution.private_folders import private_folder; print(private_folder(), flush=True); input()"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, here and in processes that are started; its path is short."""
    with tempfile.TemporaryDirectory(prefix="p-", dir="/tmp") as found:
        monkeypatch.setenv("TMPDIR", found)
        monkeypatch.setattr(tempfile, "tempdir", found)
        yield Path(found)


def left_behind() -> Path:
    """Return the folder of a process that was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", _MAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        folder = Path(process.stdout.readline().strip())
        assert remove_abandoned() == 0  # its process is alive
        process.kill()
    assert folder.is_dir()
    return folder


def test_the_folder_of_a_process_that_was_killed_is_removed(place):
    mine, gone = private_folder(), left_behind()
    assert {mine.parent, gone.parent} == {place}
    assert remove_abandoned() == 1
    assert (mine.exists(), gone.exists()) == (True, False)


def test_what_nobody_can_judge_stays(place):
    elsewhere, reused = private_folder(), private_folder()
    worker = this_worker()
    (elsewhere / "owner.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(worker, host="another machine", started=1.0))
    )
    (reused / "owner.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(worker, started=1.0)))
    (place / "nbpipe-unknown").mkdir()
    (place / "nbpipe-damaged").mkdir()
    (place / "nbpipe-damaged" / "owner.json").write_text("{", encoding="ascii")
    (place / "nbpipe-link").symlink_to(elsewhere)
    (place / "nbpipe-file").touch()
    assert remove_abandoned() == 1  # its process had the number of this one
    assert not reused.exists()
    assert len(list(place.iterdir())) == 5


def test_who_ends_a_run_of_a_dead_worker_removes_what_that_left(place, tmp_path):
    gone = left_behind()
    store = InMemoryStateStore()
    store.create_run(stores.run(), stores.steps(), stores.places(), b"")
    store.claim_run("r1", msgspec.structs.replace(this_worker(), started=1.0), at=stores.NOON)
    assert reconcile(store, tmp_path) == ["r1"]
    assert not gone.exists()


def test_a_daemon_that_begins_to_lead_removes_what_another_left(place, tmp_path):
    gone = left_behind()
    world = World(tmp_path)
    world.act(Monitor(world.lead()))
    assert not gone.exists()


def test_a_path_too_long_for_sockets_is_refused(place, monkeypatch):
    monkeypatch.setattr(private_folders, "_LONGEST", len(str(place)))
    with pytest.raises(RefusedError, match="set TMPDIR"):
        private_folder()
