"""What a job costs when its worker and its kernel come from a warm process, beside the bare kernel and papermill."""

from __future__ import annotations

import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest

from nbpipe.core.runs.tasks import OutputLimits
from nbpipe.execution.cells import CellClient
from nbpipe.execution.kernels.plain import PlainKernels
from nbpipe.execution.requests import NewKernel, stable_hashes
from nbpipe.execution.warm.clients import ForkedProcess
from nbpipe.execution.warm.kernels import ForkedKernels
from nbpipe.execution.warm.preloading import USUAL
from nbpipe.execution.warm.workers import WarmWorkers
from tests.benchmarks.figures import alternate, slowness
from tests.notebooks import write_notebook
from tests.runs import opened, submitted, whole
from tests.warm import hello, warm

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(900)]

CELLS = [f"x{n} = {n}" for n in range(10)]
TIMES = 9


@pytest.fixture(scope="module")
def processes(compiled, tmp_path_factory):
    with warm(tmp_path_factory.mktemp("warm"), *USUAL) as found:
        yield found


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "project"
    write_notebook(root / "ten.ipynb", CELLS)
    write_notebook(root / "first.ipynb", ["import time, pathlib; pathlib.Path('seen').write_text(str(time.time()))"])
    (root / "nbpipe.toml").touch()
    return root


def bare(provider, folder, cells=()):
    """Start a kernel, execute cells as they are, and end it."""
    kernel = provider.start(NewKernel(cwd=str(folder), environ=stable_hashes()))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = CellClient(notebook, kernel, limits=OutputLimits())
    client.wait_until_ready()
    for index in range(len(notebook.cells)):
        assert client.run_cell(index).status == "ok"
    client.close()
    kernel.shutdown(0)
    assert getattr(provider, "why_plain", None) is None


def worker(folder: Path, run_id: str) -> None:
    process = WarmWorkers().run(("_run", run_id), cwd=str(folder), log=folder / f"{run_id}.log")
    assert isinstance(process, ForkedProcess)
    assert process.wait(60) == 0, (folder / f"{run_id}.log").read_text()


def test_from_fork_to_ready(figures, processes, folder):
    forked, plain = ForkedKernels(), PlainKernels()
    works = {"forked": lambda: bare(forked, folder), "plain": lambda: bare(plain, folder)}
    alternate(works, times=1)
    found = alternate(works, times=TIMES)
    figures.check("warm: a kernel starts and ends, forked", found["forked"], 200 * slowness())
    figures.note("warm: a kernel starts and ends, fresh", found["plain"])
    memory = psutil.Process(hello(processes).pid).memory_full_info()
    figures.note("warm: memory of the warm process alone", memory.pss / 1e6, "MB")


def test_a_trivial_notebook_as_a_job(figures, processes, folder):
    import papermill

    forked = ForkedKernels()
    with opened(folder) as store:

        def job():
            worker(folder, submitted(store, folder, whole("ten.ipynb")).id)

        def plain():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                papermill.execute_notebook(folder / "ten.ipynb", folder / "out.ipynb", progress_bar=False)

        works = {"job": job, "bare": lambda: bare(forked, folder, CELLS), "papermill": plain}
        alternate(works, times=1)
        found = alternate(works, times=TIMES)
    figures.check("warm: a job of 10 trivial cells, against 3x the bare forked kernel", found["job"], 3 * found["bare"])
    limit = found["papermill"] / 2.5
    figures.check("warm: the same, against papermill within a process / 2.5", found["job"], limit)


def test_from_the_request_to_the_first_line(figures, processes, folder):
    taken = []
    with opened(folder) as store:
        for _ in range(TIMES):
            run = submitted(store, folder, whole("first.ipynb"))
            begin = time.time()
            worker(folder, run.id)
            taken.append((float((folder / "seen").read_text()) - begin) * 1000)
    figures.check("warm: from a queued run to its first line of code", sorted(taken)[TIMES // 2], 500 * slowness())


def test_computing_time_of_many_jobs(figures, processes, folder):
    count = 30

    def used():
        # proc(5), stat: cutime and cstime are the 16th and 17th field; the third comes after the name
        fields = Path(f"/proc/{hello(processes).pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    with opened(folder) as store, ThreadPoolExecutor(2) as two:
        runs = [submitted(store, folder, whole("ten.ipynb")).id for _ in range(count)]
        worker(folder, submitted(store, folder, whole("ten.ipynb")).id)
        before, begin = used(), time.perf_counter()
        list(two.map(lambda run_id: worker(folder, run_id), runs))
        after, end = used(), time.perf_counter()
    figures.check("warm: computing time of a trivial job, 2 at once", (after - before) / count, 0.5 * slowness(), "s")
    figures.note("warm: trivial jobs in a second, 2 at once", count / (end - begin), "/s")
