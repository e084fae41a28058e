"""Warm processes, those who own them and those who use them are killed: nobody is left behind, and work goes on."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nbpipe.execution.kernels.local import UNSEEN
from nbpipe.execution.processes import marked
from nbpipe.execution.requests import NewKernel, stable_hashes
from nbpipe.execution.warm.clients import ForkedProcess, Program, fork
from nbpipe.execution.warm.environments import NotWarmError, this_environment
from nbpipe.execution.warm.kernels import ForkedKernels
from nbpipe.execution.warm.owning import WarmProcesses
from nbpipe.execution.warm.workers import WarmWorkers
from nbpipe.settings import inherited
from tests.notebooks import write_notebook
from tests.runs import asset_run, eventually, leftovers, opened, submitted, whole
from tests.warm import hello, warm

pytestmark = [pytest.mark.faults]

MARKS = {"NBPIPE_RUN_ID": f"deaths-{os.getpid()}", "NBPIPE_STEP": "0"}
#: Forks a child that leaves its session and changes nothing else: only the marks find it.
RESTLESS = (
    "import os, time, pathlib\n"
    "if os.fork() == 0:\n    os.setsid()\n    pathlib.Path('forked').touch()\n    time.sleep(600)\n"
    "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
)

_PARENT = "import os, pathlib\npid = pathlib.Path('parent').write_text(str(os.getppid()))"

#: Owns a warm process, takes a kernel from it, makes it busy, and waits.
_CLIENT = """
import sys, time, nbformat
from pathlib import Path
from nbpipe.core.runs.tasks import OutputLimits
from nbpipe.execution.cells import CellClient
from nbpipe.execution.requests import NewKernel, stable_hashes
from nbpipe.execution.warm import kernel_provider, owned
folder, owner, run = sys.argv[1:]
with owned(kernels=["python3"] if owner == "owner" else [], libraries=[]) as processes:
    processes.wait()
    provider = kernel_provider()
    marks = {"NBPIPE_RUN_ID": run, "NBPIPE_STEP": "0"}
    kernel = provider.start(NewKernel(cwd=folder, environ={**stable_hashes(), **marks}))
    assert provider.why_plain is None, provider.why_plain
    client = CellClient(nbformat.v4.new_notebook(), kernel, limits=OutputLimits())
    client.wait_until_ready()
    client.send(Path(folder, "cell.py").read_text())
    Path(folder, "kernel").write_text(str(kernel.worker.pid))
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[WarmProcesses]:
    with warm(tmp_path_factory.mktemp("warm")) as found:
        yield found


@contextlib.contextmanager
def client(folder: Path, what: str, **environ: str) -> Iterator[tuple[psutil.Process, int]]:
    """A process that drives a busy kernel, and the kernel's number."""
    (folder / "cell.py").write_text(RESTLESS + "time.sleep(600)")
    words = [sys.executable, "-c", _CLIENT, str(folder), what, MARKS["NBPIPE_RUN_ID"]]
    process = subprocess.Popen(words, env={**os.environ, **environ})
    try:
        eventually(
            lambda: process.poll() is not None or ((folder / "forked").exists() and (folder / "kernel").exists())
        )
        assert process.poll() is None
        eventually((folder / "kernel").read_text)
        yield psutil.Process(process.pid), int((folder / "kernel").read_text())
    finally:
        process.kill()
        process.wait()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def sleeper(folder: Path, seconds: int = 600) -> Program:
    """A program that only waits: `python -m timeit` does, when told to."""
    return Program(
        module="timeit",
        arguments=("-n1", "-r1", "-s", "import time", f"time.sleep({seconds})"),
        cwd=str(folder),
        environ=inherited(),
    )


def forked(program: Program, folder: Path, lifeline: int | None = None) -> ForkedProcess:
    environment = this_environment({**inherited(), **stable_hashes()})
    return fork(environment, program, log=folder / "log", lifeline=lifeline)


def test_a_client_that_is_killed_takes_its_kernel_and_all_it_started_along(processes, tmp_path):
    with client(tmp_path, "user") as (process, kernel):
        assert psutil.Process(kernel).ppid() == hello(processes).pid
        assert len(marked(MARKS)) >= 3
        process.kill()
        eventually(lambda: gone(kernel) and marked(MARKS) == [], within=15)
    assert not gone(hello(processes).pid)


def test_an_owner_that_is_killed_takes_its_warm_process_along(tmp_path, tmp_path_factory):
    private = tmp_path_factory.mktemp("run")
    with client(tmp_path, "owner", XDG_RUNTIME_DIR=str(private)) as (process, kernel):
        parent = psutil.Process(kernel).ppid()
        assert parent != process.pid
        process.kill()
        eventually(lambda: gone(kernel) and gone(parent) and marked(MARKS) == [], within=15)
        eventually(lambda: list(private.glob("*/*")) == [])


def test_a_kernel_outlives_the_warm_process_and_still_ends_with_its_client(tmp_path, tmp_path_factory):
    with warm(tmp_path_factory.mktemp("warm")) as mine, client(tmp_path, "user") as (process, kernel):
        os.kill(hello(mine).pid, signal.SIGKILL)
        eventually(lambda: gone(hello(mine).pid))
        assert not gone(kernel)
        process.kill()
        eventually(lambda: gone(kernel) and marked(MARKS) == [], within=15)


def test_how_a_kernel_ended_is_unknown_when_the_warm_process_is_gone(tmp_path, tmp_path_factory):
    with warm(tmp_path_factory.mktemp("warm")) as mine:
        kernel = ForkedKernels().start(NewKernel(cwd=str(tmp_path), environ={**stable_hashes(), **MARKS}))
        os.kill(hello(mine).pid, signal.SIGKILL)
        eventually(lambda: gone(hello(mine).pid))
        assert kernel.alive()
        kernel.shutdown(0)
        assert not kernel.alive()
        assert "how was not seen" in kernel.obituary()


def test_a_warm_process_that_was_killed_is_replaced_and_meanwhile_kernels_are_fresh(tmp_path, tmp_path_factory):
    with warm(tmp_path_factory.mktemp("warm")) as mine:
        first = hello(mine).pid
        os.kill(first, signal.SIGKILL)
        eventually(lambda: gone(first))
        provider = ForkedKernels(mine)
        request = NewKernel(cwd=str(tmp_path), environ=stable_hashes())
        provider.start(request).shutdown(0)
        assert provider.why_plain == "there is no warm process"
        assert hello(mine).pid != first
        provider.start(request).shutdown(0)
        assert provider.why_plain is None


def test_a_warm_process_is_replaced_when_its_environment_has_changed(tmp_path, tmp_path_factory, monkeypatch):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(packages)]))
    with warm(tmp_path_factory.mktemp("warm")) as mine:
        provider = ForkedKernels(mine)
        request = NewKernel(cwd=str(tmp_path), environ=stable_hashes())
        kept = provider.start(request)
        assert provider.why_plain is None
        first = hello(mine).pid
        (packages / "new.py").touch()
        provider.start(request).shutdown(0)
        assert "the environment has changed" in str(provider.why_plain)
        assert kept.alive()
        kept.shutdown(0)
        eventually(lambda: gone(first))
        provider.start(request).shutdown(0)  # begins a new one
        assert hello(mine).pid != first
        provider.start(request).shutdown(0)
        assert provider.why_plain is None


def test_a_warm_process_is_replaced_when_notebooks_import_more(tmp_path, tmp_path_factory):
    imports = {"json"}
    with warm(tmp_path_factory.mktemp("warm"), of=lambda: imports) as mine:
        provider = ForkedKernels(mine)
        request = NewKernel(cwd=str(tmp_path), environ=stable_hashes())
        kept = provider.start(request)
        first = hello(mine)
        assert "tqdm" not in first.modules
        imports.add("tqdm")
        provider.start(request).shutdown(0)  # begins a new one
        second = hello(mine)
        assert "tqdm" in second.modules
        assert second.pid != first.pid
        assert kept.alive()
        kept.shutdown(0)
        eventually(lambda: gone(first.pid))
        provider.start(request).shutdown(0)
        assert provider.why_plain is None
        assert hello(mine).pid == second.pid


def test_two_owners_share_one_and_it_lives_as_long_as_the_last(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warm")
    with warm(folder) as mine:
        with warm(folder) as theirs:
            assert hello(theirs).pid == hello(mine).pid
        assert not gone(hello(mine).pid)
        pid = hello(mine).pid
    eventually(lambda: gone(pid))
    assert list(folder.glob("*/*")) == []


@pytest.mark.parametrize(("argument", "code"), [("--version", 0), ("nonsense", 2)])
def test_the_end_of_a_program_is_known(processes, tmp_path, argument: str, code: int):
    process = forked(Program(module="nbpipe", arguments=(argument,), cwd=str(tmp_path), environ=inherited()), tmp_path)
    assert process.wait(60) == code
    assert "nbpipe" in (tmp_path / "log").read_text()


def test_a_program_that_is_killed_is_known_too(processes, tmp_path):
    process = forked(sleeper(tmp_path), tmp_path)
    assert process.poll() is None
    process.kill()
    assert process.wait(30) == -signal.SIGKILL
    assert process.poll() == -signal.SIGKILL


def test_a_tied_program_ends_with_its_pipe_and_an_untied_one_does_not(processes, tmp_path):
    watched, held = os.pipe()
    tied = forked(sleeper(tmp_path), tmp_path, lifeline=watched)
    free = forked(sleeper(tmp_path), tmp_path)
    os.close(watched)
    os.close(held)
    assert tied.wait(30) == -signal.SIGKILL
    assert free.poll() is None
    free.kill()
    assert free.wait(30) == -signal.SIGKILL


def test_what_nobody_may_ask_for_is_refused(processes, tmp_path):
    program = sleeper(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    over = Program(
        module="timeit", cwd=program.cwd, environ=program.environ, limits={resource.RLIMIT_NOFILE: (soft, hard + 1)}
    )
    with pytest.raises(NotWarmError, match="limits are above"):
        forked(over, tmp_path)


def test_a_limit_of_memory_holds_in_the_fork(processes, tmp_path):
    limits = {resource.RLIMIT_AS: (1 << 32, 1 << 32)}
    program = Program(
        module="timeit",
        arguments=("-n1", "-r1", "bytearray(1 << 33)"),
        cwd=str(tmp_path),
        environ=inherited(),
        limits=limits,
    )
    assert forked(program, tmp_path).wait(60) == 1
    assert "MemoryError" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("kind", ["whole", "assets"])
def test_a_worker_carries_out_a_run_and_its_kernels_are_warm_too(processes, project, kind):
    write_notebook(project / "a.ipynb", [_PARENT if kind == "whole" else f"%%asset pid\n{_PARENT}"])
    with opened(project) as store:
        run = submitted(store, project, whole("a.ipynb")) if kind == "whole" else asset_run(project, store, "pid")
        worker = WarmWorkers().run(("_run", run.id), cwd=str(project), log=project / "worker.log")
        assert isinstance(worker, ForkedProcess)
        assert worker.wait(120) == 0, (project / "worker.log").read_text()
        found, (step,) = store.run(run.id), store.steps(run.id)
        assert found is not None
        assert found.status == "success"
        assert found.worker is not None
        assert found.worker.pid == worker.pid
        assert step.kernel is not None
    assert (project / "parent").read_text() == str(hello(processes).pid)
    assert leftovers(run) == []


def test_a_worker_is_started_afresh_where_nothing_is_warm(project, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    limits = {resource.RLIMIT_CORE: (0, 0)}
    worker = WarmWorkers().run(("--version",), cwd=str(project), log=project / "worker.log", limits=limits)
    assert isinstance(worker, subprocess.Popen)
    assert worker.wait(120) == 0


def test_unseen_is_no_exit_code():
    assert not -signal.NSIG <= UNSEEN <= 255
