"""However a run ends: a final status, no process left behind, and a record that can be read."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from nbpipe import clock
from nbpipe.core.records import Run
from nbpipe.execution.reconcile import GONE, reconcile
from tests.notebooks import edit_cell, outputs_text, write_notebook
from tests.runs import (
    asset_run,
    carried_out,
    eventually,
    leftovers,
    materialized,
    opened,
    outcomes,
    record,
    runner_process,
    statuses,
    submitted,
    whole,
)

pytestmark = pytest.mark.faults

_STARTS_OTHERS = (
    "import subprocess, sys\nsleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
    "subprocess.Popen(sleep); subprocess.Popen(sleep, start_new_session=True);"
)
_BUSY = "from pathlib import Path\nPath('busy.txt').touch()\nimport time\nprint('working', flush=True)\ntime.sleep(600)"
_STUBBORN = (
    "from pathlib import Path\nPath('busy.txt').touch()\nimport time\nend = time.monotonic() + 600\n"
    "while time.monotonic() < end:\n    try:\n        time.sleep(600)\n    except KeyboardInterrupt:\n        pass"
)


@contextmanager
def busy_run(project: Path, cell: str = _BUSY) -> Iterator[tuple[psutil.Popen, Run]]:
    """Carry out, in another process, a run whose second cell has begun and never ends by itself."""
    write_notebook(project / "long.ipynb", ["print('first')\n" + _STARTS_OTHERS, cell, "print('never')"])
    with opened(project) as store:
        run = submitted(store, project, whole("long.ipynb"))
    process = runner_process(project, run)
    try:
        eventually((project / "busy.txt").exists)
        yield process, run
    finally:
        process.kill()
        process.wait()


def ended(project: Path, run: Run) -> Run:
    with opened(project) as store:
        found = store.run(run.id)
    assert found is not None
    return found


def temporary_folders(pid: int) -> list[Path]:
    """Return those of a process."""
    places = {Path(tempfile.gettempdir()), Path("/tmp")}  # the latter if the path of the usual one is long
    owners = [file for place in places for file in place.glob("nbpipe-*/owner.json")]
    found = []
    for file in owners:
        with suppress(OSError):  # another test has just removed its own
            if f'"pid":{pid},' in file.read_text(encoding="ascii"):
                found.append(file.parent)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("cell", [_BUSY, _STUBBORN], ids=["sleeping", "stubborn"])
def test_a_signal_to_the_runner_cancels_the_run(project: Path, number: signal.Signals, cell: str) -> None:
    with busy_run(project, cell) as (process, run):
        os.kill(process.pid, number)
        assert process.wait(30) == 1
        found = ended(project, run)
        assert (found.status, found.error) == ("canceled", f"stopped by {'Ctrl-C' if number == 2 else 'SIGTERM'}")
        assert leftovers(run) == []
        kept = record(project, run)
        assert outputs_text(kept["cells"][0]) == "first\n"
        assert statuses(kept) == ["completed", "failed", "pending"]
        with opened(project) as store:
            assert store.steps(run.id)[0].status == "canceled"
            assert store.workers() == []


def test_a_request_cancels_the_run(project: Path) -> None:
    with busy_run(project) as (process, run):
        with opened(project) as store:
            assert store.request_cancel(run.id, at=clock.now())
        assert process.wait(30) == 1
        assert ended(project, run).status == "canceled"
        assert leftovers(run) == []


@pytest.mark.parametrize("cell", [_BUSY, _STUBBORN], ids=["sleeping", "stubborn"])
def test_a_killed_runner_leaves_no_process_and_the_next_command_ends_its_run(project: Path, cell: str) -> None:
    with busy_run(project, cell) as (process, run):
        eventually(lambda: "first" in outputs_text(record(project, run)["cells"][0]))
        folders = temporary_folders(process.pid)
        assert folders
        process.kill()
        process.wait()
        eventually(lambda: leftovers(run) == [], within=20)
        assert ended(project, run).status == "running"
        with opened(project) as store:
            assert reconcile(store, project) == [run.id]
            assert reconcile(store, project) == []
        assert not any(folder.exists() for folder in folders)
        found = ended(project, run)
        assert (found.status, found.error) == ("failure", GONE)
        assert outputs_text(record(project, run)["cells"][0]) == "first\n"
        with opened(project) as store:
            assert store.steps(run.id)[0].status in {"failure", "canceled"}


def test_what_a_killed_runner_left_is_killed_by_the_next_command(project: Path) -> None:
    """A kernel that can't watch over itself, because it is stopped."""
    with busy_run(project) as (process, run):
        with opened(project) as store:
            kernel = store.steps(run.id)[0].kernel
        assert kernel is not None
        os.kill(kernel.pid, signal.SIGSTOP)
        process.kill()
        process.wait()
        assert kernel.pid in leftovers(run)
        with opened(project) as store:
            reconcile(store, project)
        eventually(lambda: leftovers(run) == [], within=10)


@pytest.mark.parametrize(
    ("death", "words"),
    [
        ("import os; os._exit(3)", "exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    ],
)
def test_a_kernel_that_dies_fails_its_step_and_the_others_go_on(project: Path, death: str, words: str) -> None:
    write_notebook(project / "dies.ipynb", ["print('so far')", f"print('last', flush=True)\n{death}", "print('never')"])
    write_notebook(project / "lives.ipynb", ["print('alive')"])
    run = carried_out(project, whole("dies.ipynb"), whole("lives.ipynb", index=1))
    assert run.status == "failure"
    assert "dies.ipynb, cell 2: the kernel died" in str(run.error)
    assert words in str(run.error)
    assert "retry the run" in str(run.error)
    assert outputs_text(record(project, run)["cells"][0]) == "so far\n"
    assert outputs_text(record(project, run, 1)["cells"][0]) == "alive\n"
    with opened(project) as store:
        assert [step.status for step in store.steps(run.id)] == ["failure", "success"]
    assert leftovers(run) == []


def test_a_run_taken_by_another_process_is_refused(project: Path) -> None:
    from nbpipe.errors import RefusedError
    from nbpipe.execution.runner import Runner
    from tests.runs import site

    write_notebook(project / "n.ipynb", ["1"])
    run = carried_out(project, whole("n.ipynb"))
    with opened(project) as store, pytest.raises(RefusedError, match="not queued any more"):
        Runner(store, site(project)).execute(run.id)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_assets_keep_what_was_stored_before_and_during_a_run_that_was_stopped(
    project: Path, number: signal.Signals
) -> None:
    path = write_notebook(project / "n.ipynb", ["%%asset a\n1", "%%asset b\na + 1", "%%asset c\nb + 1"])
    assert materialized(project).error is None
    edit_cell(path, 1, "%%asset b\nfrom pathlib import Path\nPath('busy.txt').touch()\nimport time; time.sleep(600)\na")
    with opened(project) as store:
        run = asset_run(project, store)
    process = runner_process(project, run)
    try:
        eventually((project / "busy.txt").exists)
        process.send_signal(number)
        process.wait()
    finally:
        process.kill()
    eventually(lambda: leftovers(run) == [], within=20)
    with opened(project) as store:
        reconcile(store, project)
        found = store.run(run.id)
        versions = {key: state.current.version for key, state in store.states("default").items() if state.current}
    killed = number == signal.SIGKILL
    assert found is not None
    assert found.status == ("failure" if killed else "canceled")
    assert versions == {"a": 2, "b": 1, "c": 1}
    stopped = {"b": "failed", "c": "skipped"} if killed else {"b": "canceled", "c": "canceled"}
    assert outcomes(project, run) == {"a": "success", **stopped}
    edit_cell(path, 1, "%%asset b\na + 1")
    assert materialized(project, "b", "c").status == "success"


@pytest.mark.parametrize("stage", ["claimed", "kernel started", "cell running"])
def test_a_runner_killed_at_any_stage_leaves_a_run_that_ends_and_a_readable_record(project: Path, stage: str) -> None:
    body = "from pathlib import Path\nPath('busy.txt').touch()\nwhile Path('busy.txt').exists(): pass\na = 1"
    write_notebook(project / "n.ipynb", [f"%%asset a\n{body}"])
    with opened(project) as store:
        run = asset_run(project, store)
        process = runner_process(project, run)
        reached = {
            "claimed": lambda: store.run(run.id).status != "queued",
            "kernel started": lambda: store.steps(run.id)[0].kernel is not None,
            "cell running": (project / "busy.txt").exists,
        }
        try:
            eventually(reached[stage])
        finally:
            process.kill()
            process.wait()
        assert reconcile(store, project) == [run.id]
        eventually(lambda: leftovers(run) == [], within=20)
        found = store.run(run.id)
        assert found is not None
        assert (found.status, found.error) == ("failure", GONE)
        assert [each.outcome in {"failed", "skipped"} for each in store.run_assets(run.id)] == [True]
        output = project / store.steps(run.id)[0].output
    assert len(record(project, run)["cells"]) == 1
    assert [file.name for file in output.parent.iterdir() if file.suffix != ".tmp"] == [output.name]
