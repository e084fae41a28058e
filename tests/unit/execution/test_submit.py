"""A plan becomes a queued run; nothing is queued if it can't be carried out."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from nbpipe.core.definitions import CellDef, CellRef, Definitions, NotebookDef
from nbpipe.core.reading.fingerprints import text_hash
from nbpipe.core.runs.plans import RunPlan, StepPlan
from nbpipe.errors import ParameterError, RefusedError
from nbpipe.execution.submit import Origin, SubmittedPlan, submit
from nbpipe.testing import InMemoryStateStore
from tests import stores
from tests.notebooks import code, parameters, write_notebook


def plan(**step) -> RunPlan:
    return RunPlan(env="default", selection="s", steps=(StepPlan(index=0, notebook="n.ipynb", whole=True, **step),))


def queued(store: InMemoryStateStore, root: Path, plan: RunPlan, **about):
    return submit(store, plan, root=root, run_id="r1", at=stores.NOON, **about)


def test_the_copy_has_no_outputs_and_the_plan_can_be_read_back(tmp_path: Path):
    write_notebook(tmp_path / "n.ipynb", [parameters("n = 1"), code("1", outputs=[{"output_type": "x"}])])
    store = InMemoryStateStore()
    run = queued(store, tmp_path, plan(parameters={"n": 2}), origin=Origin(job="nightly", trigger="schedule:x"))
    assert (run.status, run.job, run.trigger, dict(run.parameters)) == ("queued", "nightly", "schedule:x", {"n": 2})
    (step,) = store.steps("r1")
    assert json.loads((tmp_path / step.output).read_bytes())["cells"][1]["outputs"] == []
    content = store.plan("r1")
    for kind in (RunPlan, SubmittedPlan):
        assert msgspec.json.decode(content, type=kind).steps[0].parameters == {"n": 2}


def test_a_notebook_changed_since_it_was_planned_is_refused(tmp_path: Path):
    cell = CellDef(ref=CellRef("n.ipynb", 0, "c"), kind="setup", source_hash=text_hash("1"))
    known = Definitions(notebooks={"n.ipynb": NotebookDef(path="n.ipynb", cells=(cell,))})
    path = write_notebook(tmp_path / "n.ipynb", [code("1", outputs=[{"output_type": "x"}])])
    queued(InMemoryStateStore(), tmp_path, plan(), definitions=known)
    write_notebook(path, ["2"])
    with pytest.raises(RefusedError, match="changed while the run was planned"):
        queued(InMemoryStateStore(), tmp_path, plan(), definitions=known)


@pytest.mark.parametrize(
    ("cells", "parameters", "error"),
    [(["n = 1"], {"n": 2}, ParameterError), (None, {}, RefusedError)],
    ids=["takes none", "gone"],
)
def test_what_cannot_be_carried_out_is_not_queued(tmp_path: Path, cells, parameters, error):
    if cells is not None:
        write_notebook(tmp_path / "n.ipynb", cells)
    store = InMemoryStateStore()
    with pytest.raises(error):
        queued(store, tmp_path, plan(parameters=parameters))
    assert store.runs() == []
    assert not (tmp_path / ".nbpipe").exists()
