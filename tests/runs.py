"""Submit and carry out runs in tests, in this process or in one that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nbpipe import clock
from nbpipe.core.graph import AssetGraph
from nbpipe.core.ports import KernelProvider, StateStore
from nbpipe.core.records import Run
from nbpipe.core.runs.planning import plan_run
from nbpipe.core.runs.plans import Mode, RunPlan, StepPlan
from nbpipe.core.runs.tasks import OutputLimits, RunProgress
from nbpipe.execution.processes import marked
from nbpipe.execution.runner import Runner, Site
from nbpipe.execution.steps import ignore
from nbpipe.execution.submit import submit
from nbpipe.loading.project import LoadedProject, load_project
from nbpipe.storage.open import open_store

LIMITS = OutputLimits()
STATE = "sqlite:///.nbpipe/state.db"

_RUN = """
import sys
from pathlib import Path
from tests.runs import opened, site
from nbpipe.execution.runner import Runner
root, run_id = Path(sys.argv[1]), sys.argv[2]
with opened(root) as store:
    run = Runner(store, site(root)).execute(run_id)
sys.exit(0 if run.status == "success" else 1)
"""


@contextmanager
def opened(root: Path) -> Iterator[StateStore]:
    store = open_store(STATE, root=root)
    try:
        yield store
    finally:
        store.close()


def site(root: Path, *, parallel: int = 4, limits: OutputLimits = LIMITS, state: str = STATE, **about: Any) -> Site:
    values = str(root / ".nbpipe" / "values")
    return Site(root=str(root), state=state, storage=values, parallel=parallel, limits=limits, **about)


def whole(notebook: str, *, index: int = 0, after: tuple[int, ...] = (), **parameters: Any) -> StepPlan:
    return StepPlan(index=index, notebook=notebook, whole=True, after=after, parameters=parameters)


def submitted(store: StateStore, root: Path, *steps: StepPlan) -> Run:
    plan = RunPlan(env="default", selection="", steps=steps)
    return submit(store, plan, root=root, run_id=clock.new_id(), at=clock.now())


def carried_out(
    root: Path,
    *steps: StepPlan,
    on_event: Callable[[RunProgress], None] = ignore,
    kernels: KernelProvider | None = None,
    **about: Any,
) -> Run:
    with opened(root) as store:
        run = submitted(store, root, *steps)
        return Runner(store, site(root, **about), kernels=kernels, on_event=on_event).execute(run.id)


def record(root: Path, run: Run, index: int = 0) -> dict[str, Any]:
    with opened(root) as store:
        content: dict[str, Any] = json.loads((root / store.steps(run.id)[index].output).read_text(encoding="utf-8"))
    return content


def runner_process(root: Path, run: Run) -> subprocess.Popen[bytes]:
    """Carry out a run in another process, which a test may interrupt or kill."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", _RUN, str(root), run.id], env=environ, start_new_session=True)


def leftovers(run: Run) -> list[int]:
    """Return the processes of a run that are still there."""
    return [process.pid for process in marked({"NBPIPE_RUN_ID": run.id})]


def eventually(condition: Callable[[], Any], *, within: float = 60.0) -> Any:
    """Poll until a condition holds, and return what it returned."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {condition}"
        time.sleep(0.02)
    return found


def statuses(cells: Mapping[str, Any]) -> list[str]:
    return [cell["metadata"]["papermill"]["status"] for cell in cells["cells"]]


def planned(
    root: Path, store: StateStore, *keys: str, mode: Mode = "all", **parameters: Any
) -> tuple[RunPlan, LoadedProject]:
    """Plan the execution of assets of the project as it is saved."""
    project = load_project(root)
    states = store.states("default")
    plan = plan_run(
        project.definitions,
        AssetGraph.of(project.definitions),
        keys or tuple(project.definitions.assets),
        env="default",
        materialized={key for key, state in states.items() if state.current is not None},
        mode=mode,
        parameters=parameters,
    )
    return plan, project


def asset_run(root: Path, store: StateStore, *keys: str, mode: Mode = "all", **parameters: Any) -> Run:
    """Queue a run of assets."""
    plan, project = planned(root, store, *keys, mode=mode, **parameters)
    sources = project.sources(plan.notebooks)
    return submit(
        store, plan, root=root, run_id=clock.new_id(), at=clock.now(), definitions=project.definitions, sources=sources
    )


def materialized(root: Path, *keys: str, mode: Mode = "all", parallel: int = 4, **parameters: Any) -> Run:
    """Carry out a run of assets, by default of all."""
    with opened(root) as store:
        run = asset_run(root, store, *keys, mode=mode, **parameters)
        return Runner(store, site(root, parallel=parallel)).execute(run.id)


def outcomes(root: Path, run: Run) -> dict[str, str]:
    with opened(root) as store:
        return {each.asset: each.outcome for each in store.run_assets(run.id)}
