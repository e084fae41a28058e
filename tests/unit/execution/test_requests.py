from __future__ import annotations

from types import SimpleNamespace

import pytest

from nbpipe.core.runs.plans import StepPlan, StepRequest
from nbpipe.core.runs.tasks import StepTask
from nbpipe.execution.requests import executable, kernel_for, needs_nbpipe, stable_hashes


def task(**step) -> StepTask:
    request = StepRequest(
        run_id="r1",
        root="/r",
        env="prod",
        state="s",
        storage="v",
        notebook="a b/n.ipynb",
        step=StepPlan(index=3, notebook="a b/n.ipynb", **step),
    )
    return StepTask(request=request, output="o.ipynb")


def cell(source: str, *tags: str, kind: str = "code") -> SimpleNamespace:
    return SimpleNamespace(cell_type=kind, source=source, metadata={"tags": list(tags)})


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("print(1)", False),
        ("import pandas", False),
        ("%load_ext nbpipe", True),
        ("import nbpipe", True),
        ("%%asset x\n1", True),
        ("my_nbpipe_like = 1", False),
        ("%%time\nx", False),
    ],
)
def test_only_notebooks_that_speak_of_nbpipe_need_it_in_their_kernel(source, needed):
    assert needs_nbpipe(task(), [cell("# text nbpipe", kind="markdown"), cell(source)]) is needed


def test_a_kernel_runs_in_the_notebooks_folder_and_is_marked(monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    kernel = kernel_for(task(kernel="ir"))
    assert (kernel.kernel_name, kernel.cwd) == ("ir", "/r/a b")
    marks = {"NBPIPE_RUN_ID": "r1", "NBPIPE_STEP": "3", "NBPIPE_ENV": "prod", "JPY_SESSION_NAME": "/r/a b/n.ipynb"}
    assert dict(kernel.environ) == marks
    assert kernel_for(task()).kernel_name == "python3"


def test_hashes_are_stable_unless_a_person_has_chosen_otherwise(monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    assert stable_hashes() == {"PYTHONHASHSEED": "0"}
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    assert stable_hashes() == {}


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (cell("1"), True),
        (cell("  \n"), False),
        (cell("1", kind="markdown"), False),
        (cell("1", "skip-execution"), False),
        (cell("1", "nbpipe:skip", "other"), False),
        (cell("1", "raises-exception"), True),
    ],
)
def test_which_cells_may_be_executed(made, found):
    assert executable(made) is found
