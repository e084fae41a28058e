"""What every executor must do."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest

from nbpipe import clock
from nbpipe.core.ports import StateStore
from nbpipe.core.runs.plans import StepRequest
from nbpipe.core.runs.tasks import StepOutcome, StepTask
from nbpipe.execution.executors.local import LocalExecutor
from nbpipe.execution.kernels.plain import PlainKernels
from nbpipe.execution.steps import StepTools
from nbpipe.execution.workers import this_worker
from tests.notebooks import write_notebook
from tests.runs import STATE, eventually, opened, submitted, whole


def local(store: StateStore) -> LocalExecutor:
    return LocalExecutor(StepTools(store=store, kernels=PlainKernels()), parallel=2)


@pytest.fixture(params=[local], ids=["local"])
def make(request):
    return request.param


def tasks(store: StateStore, root: Path, *cells: str) -> list[StepTask]:
    """Queue and claim a run with one notebook for each cell, and return its steps."""
    for index, cell in enumerate(cells):
        write_notebook(root / f"n{index}.ipynb", [cell])
    plans = [whole(f"n{index}.ipynb", index=index) for index in range(len(cells))]
    run = submitted(store, root, *plans)
    store.claim_run(run.id, this_worker(), at=clock.now())
    store.advance_run(run.id, "running", at=clock.now())
    made = []
    for plan, step in zip(plans, store.steps(run.id), strict=True):
        request = StepRequest(
            run_id=run.id, root=str(root), env="default", state=STATE, storage="v", notebook=plan.notebook, step=plan
        )
        made.append(StepTask(request=request, output=step.output))
    return made


def test_each_step_is_done_once_with_its_outcome(project: Path, make):
    done: SimpleQueue[StepOutcome] = SimpleQueue()
    with opened(project) as store:
        executor = make(store)
        for task in tasks(store, project, "1", "1 / 0", "2"):
            executor.start(task, done.put)
        executor.close()
        found = sorted((done.get(timeout=1) for _ in range(3)), key=lambda outcome: outcome.index)
        assert [outcome.status for outcome in found] == ["success", "failure", "success"]
        assert "ZeroDivisionError" in str(found[1].error)
        assert all(outcome.record_hash for outcome in found)
        assert done.empty()
        assert [step.status for step in store.steps(store.runs()[0].id)] == ["success", "failure", "success"]


def test_cancel_ends_running_and_waiting_steps(project: Path, make):
    done: SimpleQueue[StepOutcome] = SimpleQueue()
    busy = "from pathlib import Path; import os, time; Path(os.environ['NBPIPE_STEP']).touch(); time.sleep(600)"
    with opened(project) as store:
        executor = make(store)
        for task in tasks(store, project, busy, busy, busy):
            executor.start(task, done.put)
        eventually(lambda: (project / "0").exists() and (project / "1").exists())
        executor.cancel()
        executor.close()
        assert [done.get(timeout=1).status for _ in range(3)] == ["canceled"] * 3


def test_a_task_and_its_outcome_survive_pickling(project: Path):
    import pickle

    with opened(project) as store:
        (task,) = tasks(store, project, "1")
    assert pickle.loads(pickle.dumps(task)) == task
    outcome = StepOutcome(index=0, status="success", outcomes={"a": "success"})
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    assert msgspec.structs.replace(outcome, error="x").error == "x"
