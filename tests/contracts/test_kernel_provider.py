"""What every kernel provider must do."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from nbpipe.core.ports import Kernel, KernelProvider
from nbpipe.core.runs.tasks import OutputLimits
from nbpipe.errors import KernelDiedError, RefusedError
from nbpipe.execution.cells import CellClient
from nbpipe.execution.kernels.plain import PlainKernels
from nbpipe.execution.processes import marked
from nbpipe.execution.requests import NewKernel, stable_hashes
from nbpipe.execution.workers import is_alive
from tests.runs import eventually
from tests.warm import OnlyForked, warm

#: Tests run at the same time, and everything with the same marks is ended with a kernel.
MARKS = {**stable_hashes(), "NBPIPE_RUN_ID": f"contract-{uuid.uuid4()}", "NBPIPE_STEP": "0"}


@pytest.fixture(scope="module")
def warm_process(tmp_path_factory) -> Iterator[None]:
    with warm(tmp_path_factory.mktemp("warm")):
        yield


@pytest.fixture(params=["plain", "forked"])
def provider(request) -> KernelProvider:
    if request.param == "plain":
        return PlainKernels()
    request.getfixturevalue("warm_process")
    return OnlyForked()


@pytest.fixture
def kernel(provider: KernelProvider, tmp_path: Path) -> Iterator[Kernel]:
    folder = tmp_path / "Ordner mit é"
    folder.mkdir()
    found = provider.start(NewKernel(cwd=str(folder), environ={**MARKS, "GREETING": "hi"}))
    yield found
    found.shutdown(0)


@pytest.fixture
def client(kernel: Kernel) -> Iterator[CellClient]:
    found = CellClient(nbformat.v4.new_notebook(), kernel, limits=OutputLimits())
    found.wait_until_ready()
    yield found
    found.close()


def shown(client: CellClient, source: str) -> str:
    client.nb.cells.append(nbformat.v4.new_code_cell(source))
    client.run_cell(len(client.nb.cells) - 1)
    return "".join(output.get("text", "") for output in client.nb.cells[-1].outputs)


def test_a_kernel_is_python_in_its_folder_with_its_variables(kernel: Kernel, client: CellClient, tmp_path: Path):
    text = shown(client, "import os; print(os.getcwd()); print(os.environ['GREETING']); print(os.getpid())")
    assert text.splitlines() == [str(tmp_path / "Ordner mit é"), "hi", str(kernel.worker.pid)]
    assert kernel.language == "python"
    assert kernel.alive()
    assert is_alive(kernel.worker)


def test_an_interrupt_raises_in_the_cell_and_the_kernel_lives_on(kernel: Kernel, client: CellClient, tmp_path: Path):
    stop = (tmp_path / "Ordner mit é" / "started").exists
    client._stopping = stop
    client.nb.cells.append(nbformat.v4.new_code_cell("open('started', 'w').close(); import time; time.sleep(600)"))
    assert client.run_cell(0).status == "canceled"
    assert client.nb.cells[0].outputs[-1]["ename"] == "KeyboardInterrupt"
    client._stopping = lambda: False
    assert shown(client, "print('still here')") == "still here\n"


def test_a_cell_that_takes_too_long_and_cannot_be_interrupted_costs_its_kernel(kernel: Kernel, client: CellClient):
    stubborn = "while True:\n    try:\n        time.sleep(600)\n    except KeyboardInterrupt: print('no', flush=True)"
    source = f"import time\n{stubborn}"
    client.nb.cells.append(nbformat.v4.new_code_cell(source))
    assert client.run_cell(0, timeout=0.5).status == "timeout"
    assert not kernel.alive()
    assert client.nb.cells[0].outputs[0]["text"] == "no\n"


def test_shutdown_ends_everything_that_the_kernel_started_and_may_be_repeated(kernel: Kernel, client: CellClient):
    sleeper = "[sys.executable, '-c', 'import time; time.sleep(600)']"
    shown(
        client,
        f"import os, subprocess, sys\nsleep = {sleeper}\n"
        "subprocess.Popen(sleep); subprocess.Popen(sleep, start_new_session=True)\n"
        "if os.fork() == 0:\n    os.setsid()\n    subprocess.Popen(sleep, start_new_session=True)\n    os._exit(0)",
    )
    eventually(lambda: len(marked(MARKS)) >= 4)
    kernel.shutdown(0)
    kernel.shutdown(0)
    assert not kernel.alive()
    assert not is_alive(kernel.worker)
    assert marked(MARKS) == []


def test_shutdown_waits_for_a_kernel_that_ends_itself(kernel: Kernel, client: CellClient):
    client.send("import os, time; time.sleep(0.2); os._exit(5)")
    kernel.shutdown(60)
    assert "exit status 5" in kernel.obituary()


@pytest.mark.parametrize("death", ["import os; os._exit(3)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_dead_kernel_is_noticed_and_says_how_it_ended(kernel: Kernel, client: CellClient, death: str):
    client.nb.cells.append(
        nbformat.v4.new_code_cell(f"print('so far', flush=True); import time; time.sleep(.3); {death}")
    )
    with pytest.raises(KernelDiedError, match=r"exit status 3|SIGKILL"):
        client.run_cell(0)
    assert client.nb.cells[0].outputs[0]["text"] == "so far\n"
    assert not kernel.alive()


def test_an_unknown_kernel_is_refused_with_those_installed(provider: KernelProvider, tmp_path: Path):
    with pytest.raises(RefusedError, match="there is no kernel 'nope' here"):
        provider.start(NewKernel(kernel_name="nope", cwd=str(tmp_path)))


def test_a_folder_that_is_gone_is_refused(provider: KernelProvider, tmp_path: Path):
    with pytest.raises(RefusedError, match="can't be started in"):
        provider.start(NewKernel(cwd=str(tmp_path / "gone")))


def test_kernels_leave_no_files_and_no_open_pipes(provider: KernelProvider, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = psutil.Process().num_fds()
    kernel = provider.start(NewKernel(cwd=str(tmp_path), environ=stable_hashes()))
    kernel.shutdown(0)
    assert psutil.Process().num_fds() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("nbpipe-")] == []
    assert signal.SIGKILL.name in kernel.obituary()
    assert "--existing" not in kernel.obituary()
