"""Cells that take more than their share: the run ends, says why, and nothing is left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from nbpipe import clock
from nbpipe.core.ports import KernelProvider
from nbpipe.core.records import Run
from nbpipe.core.runs.plans import RunPlan
from nbpipe.execution.kernels.plain import PlainKernels
from nbpipe.execution.runner import Runner
from nbpipe.execution.submit import Origin, submit
from tests.notebooks import outputs_text, write_notebook
from tests.runs import (
    asset_run,
    carried_out,
    eventually,
    leftovers,
    opened,
    outcomes,
    record,
    runner_process,
    site,
    submitted,
    whole,
)
from tests.terminal import Terminal
from tests.warm import OnlyForked, warm

pytestmark = pytest.mark.faults

MEMORY = 300_000_000
_BIG = "kept = []\nwhile True:\n    kept.append(bytearray(10_000_000))"
#: Until not even a small object finds room.
_SMALL = "kept = []\nwhile True:\n    kept = [kept, 1.5]"
#: Children that don't listen, one of them in a session of its own; the cell doesn't listen either.
_DEAF = """
import os, signal, time
from pathlib import Path
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
for own_session in (False, True):
    if os.fork() == 0:
        if own_session:
            os.setsid()
        Path(f"child{own_session}").touch()
        while True:
            time.sleep(600)
while not (Path("childTrue").exists() and Path("childFalse").exists()):
    time.sleep(0.01)
"""
_FOREVER = "Path('busy.txt').touch()\nwhile True:\n    time.sleep(600)"


@pytest.fixture(scope="module")
def warm_process(tmp_path_factory) -> Iterator[None]:
    with warm(tmp_path_factory.mktemp("warm")):
        yield


@pytest.fixture(params=["fresh", "forked"])
def kernels(request) -> KernelProvider:
    if request.param == "fresh":
        return PlainKernels()
    request.getfixturevalue("warm_process")
    return OnlyForked()


@pytest.mark.parametrize("cell", [_BIG, _SMALL], ids=["big objects", "small objects"])
def test_a_cell_that_uses_all_its_memory_fails_and_says_how_to_give_it_more(
    project: Path, kernels: KernelProvider, cell: str
) -> None:
    write_notebook(project / "n.ipynb", ["print('first')", cell, "print('never')"])
    run = carried_out(project, whole("n.ipynb"), kernels=kernels, memory=MEMORY)
    assert run.status == "failure"
    assert "n.ipynb, cell 2" in str(run.error)
    assert cell is _SMALL or "MemoryError" in str(run.error)  # with nothing left at all, the kernel may die of it
    assert "may take 300 MB of memory: to give it more, change" in str(run.error)
    assert leftovers(run) == []
    assert outputs_text(record(project, run)["cells"][0]) == "first\n"


def test_an_asset_that_uses_all_its_memory_fails_and_the_next_has_it_again(
    project: Path, kernels: KernelProvider
) -> None:
    greedy = [f"%%asset {name}\n{_BIG.replace('kept', name)}" for name in ("first", "second")]
    write_notebook(project / "n.ipynb", [*greedy, "%%asset modest\nlen(bytearray(100_000_000))"])
    with opened(project) as store:
        run = asset_run(project, store)
        run = Runner(store, site(project, memory=MEMORY), kernels=kernels).execute(run.id)
        states = store.states("default")
    assert run.status == "failure"
    assert "may take 300 MB of memory" in str(run.error)
    assert outcomes(project, run) == {"first": "failed", "second": "failed", "modest": "success"}, run.error
    assert "MemoryError" in str(states["first"].error)


def test_a_kernel_that_dies_while_its_memory_is_limited_names_the_limit(project: Path) -> None:
    write_notebook(project / "n.ipynb", ["import os; os.abort()"])
    run = carried_out(project, whole("n.ipynb"), memory=MEMORY)
    assert "SIGABRT. The notebook may take 300 MB of memory: to give it more, change" in str(run.error)


def test_what_a_job_says_of_memory_counts_more_than_the_configuration(project: Path) -> None:
    write_notebook(project / "n.ipynb", ["x = bytearray(400_000_000)"])
    plan = RunPlan(env="default", selection="", steps=(whole("n.ipynb"),), memory=2 * MEMORY)
    with opened(project) as store:
        run = submit(store, plan, root=project, run_id=clock.new_id(), at=clock.now())
        assert Runner(store, site(project, memory=MEMORY)).execute(run.id).error is None


def test_the_memory_of_a_job_is_that_of_its_retries_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = f"%job greedy report --memory {MEMORY // 10**6}MB --retries 1"
    write_notebook(project / "n.ipynb", [job, "%%asset report\nreport = len(bytearray(1_000_000_000))"])
    assert Terminal(capsys)("job", "run", "greedy").status == 1
    with opened(project) as store:
        runs = store.runs()
        for run in runs:
            assert msgspec.json.decode(store.plan(run.id) or b"", type=RunPlan).memory == MEMORY
            assert "may take 300 MB of memory: to give it more, change `memory` of its job" in str(run.error)
    assert [run.parent for run in runs] == [runs[1].id, None]


@pytest.mark.parametrize(
    ("ending", "status"),
    [("", "success"), ("1 / 0", "failure"), ("os._exit(1)", "failure")],
    ids=["ok", "error", "dead"],
)
def test_children_that_a_cell_forks_are_gone_when_the_run_has_ended(
    project: Path, kernels: KernelProvider, ending: str, status: str
) -> None:
    write_notebook(project / "n.ipynb", [_DEAF + ending])
    run = carried_out(project, whole("n.ipynb"), kernels=kernels)
    assert run.status == status, run.error
    assert leftovers(run) == []


@pytest.mark.parametrize("how", ["canceled", "late"])
def test_a_cell_that_ignores_every_signal_ends_with_its_children(
    project: Path, kernels: KernelProvider, how: str
) -> None:
    write_notebook(project / "n.ipynb", [_DEAF + _FOREVER])
    with opened(project) as store:
        plan = RunPlan(env="default", selection="", steps=(whole("n.ipynb"),))
        limit = Origin(timeout=3.0 if how == "late" else None)
        run = submit(store, plan, root=project, run_id=clock.new_id(), at=clock.now(), origin=limit)
        if how == "canceled":
            threading.Thread(target=_cancel, args=(project, run), daemon=True).start()
        run = Runner(store, site(project), kernels=kernels).execute(run.id)
    assert run.status == ("canceled" if how == "canceled" else "failure")
    assert how == "canceled" or "longer than its time limit of 3 s" in str(run.error)
    assert leftovers(run) == []


def _cancel(project: Path, run: Run) -> None:
    eventually((project / "busy.txt").exists)
    with opened(project) as store:
        store.request_cancel(run.id, at=clock.now())


def test_a_cell_that_prints_100_megabytes_leaves_a_small_record_and_says_what_was_cut(project: Path) -> None:
    write_notebook(project / "n.ipynb", ["for _ in range(100):\n    print('x' * 999_999)", "print('done')"])
    with opened(project) as store:
        run = submitted(store, project, whole("n.ipynb"))
        process = runner_process(project, run)
        most = 0
        try:
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                most = max(most, watched.memory_info().rss)
        finally:
            process.kill()
        ended = store.run(run.id)
        assert ended is not None
        assert ended.status == "success", ended.error
        kept = project / store.steps(run.id)[0].output
    assert kept.stat().st_size < 3_000_000
    text = outputs_text(record(project, run)["cells"][0])
    assert "[nbpipe: 98,000,000 characters of output were cut here]" in text
    assert outputs_text(record(project, run)["cells"][1]) == "done\n"
    assert sum(file.stat().st_size for file in (project / ".nbpipe").glob("state.db*")) < 2_000_000
    assert most < 800_000_000
