"""Assets as a job: what executes, what is stored, what a failure stops, and what the record shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbpipe.execution.retries import assets_to_retry
from tests.notebooks import code, edit_cell, outputs_text, parameters, replace_in_cell, write_notebook
from tests.runs import leftovers, materialized, opened, outcomes, record, statuses

SHOP = [
    "import json\nLIMIT = 3",
    "%%asset numbers\nnumbers = list(range(LIMIT))",
    "%%asset total\ntotal = sum(numbers)",
    "print('view of', total)",
    "%%asset other\n'alone'",
]


def values(root: Path) -> dict[str, int]:
    """Return the current version of each asset."""
    with opened(root) as store:
        return {key: state.current.version for key, state in store.states("default").items() if state.current}


def shown(root: Path, run, index: int = 0) -> list[str]:
    return [outputs_text(cell) for cell in record(root, run, index)["cells"]]


def test_selected_assets_are_computed_stored_and_shown(project: Path) -> None:
    path = write_notebook(project / "shop.ipynb", SHOP)
    saved = path.read_bytes()
    run = materialized(project)
    assert (run.status, run.error) == ("success", None)
    assert outcomes(project, run) == {"numbers": "success", "total": "success", "other": "success"}
    assert values(project) == {"numbers": 1, "total": 1, "other": 1}
    assert shown(project, run)[3] == "view of 3\n"
    assert path.read_bytes() == saved
    assert leftovers(run) == []
    with opened(project) as store:
        step = store.steps(run.id)[0]
        current = store.materialization("default", "total")
    assert step.executed == ("numbers", "total", "other")
    assert current is not None
    assert current.run_id == run.id
    assert [file.name for file in (project / step.output).parent.iterdir()] == ["0-shop.ipynb"]


def test_cells_that_are_not_selected_stay_empty_and_their_values_are_loaded(project: Path) -> None:
    write_notebook(project / "shop.ipynb", SHOP)
    materialized(project)
    run = materialized(project, "total")
    assert run.status == "success"
    assert values(project) == {"numbers": 1, "total": 2, "other": 1}
    assert statuses(record(project, run)) == ["completed", "pending", "completed", "completed", "pending"]


def test_a_view_of_assets_that_this_run_did_not_make_stays_empty(project: Path) -> None:
    write_notebook(project / "shop.ipynb", SHOP)
    materialized(project)
    run = materialized(project, "other")
    assert shown(project, run)[3] == ""


def test_a_failing_asset_stops_only_what_depends_on_it(project: Path) -> None:
    write_notebook(
        project / "n.ipynb",
        [
            "%%asset good\n1",
            "%%asset bad\nraise ValueError('broken')\nbad = 1",
            "%%asset below\nbad + 1",
            "%%asset further\nbelow + 1",
            "%%asset apart\ngood + 1",
            "print('view', bad)",
        ],
    )
    run = materialized(project)
    assert run.status == "failure"
    assert run.error == "ValueError: broken (n.ipynb, cell 2)"
    assert outcomes(project, run) == {
        "good": "success",
        "bad": "failed",
        "below": "skipped",
        "further": "skipped",
        "apart": "success",
    }
    kept = record(project, run)
    assert statuses(kept) == ["completed", "failed", "pending", "pending", "completed", "pending"]
    assert [cell["outputs"] for cell in kept["cells"][2:4]] == [[], []]
    with opened(project) as store:
        found = store.run(run.id)
        assert found is not None
        assert sorted(assets_to_retry(store, found, from_failure=True)) == ["bad", "below", "further"]
        assert store.states("default", ["bad"])["bad"].failed_run == run.id


def test_old_versions_stay_current_when_an_asset_fails(project: Path) -> None:
    path = write_notebook(project / "n.ipynb", ["%%asset a\n1", "%%asset b\na + 1"])
    materialized(project)
    edit_cell(path, 0, "%%asset a\n1 / 0")
    run = materialized(project)
    assert run.status == "failure"
    assert values(project) == {"a": 1, "b": 1}


def test_a_failing_setup_cell_ends_the_step(project: Path) -> None:
    write_notebook(project / "n.ipynb", ["x = 1 / 0", "%%asset a\nx"])
    run = materialized(project)
    assert run.error == "ZeroDivisionError: division by zero (n.ipynb, cell 1)"
    assert outcomes(project, run) == {"a": "skipped"}


def test_a_failing_view_cell_fails_the_step_but_no_asset(project: Path) -> None:
    write_notebook(project / "n.ipynb", ["%%asset a\n1", "a / 0", "%%asset b\na + 1"])
    run = materialized(project)
    assert run.status == "failure"
    assert outcomes(project, run) == {"a": "success", "b": "success"}


def test_what_a_view_cell_defines_without_assets_is_there_although_it_does_not_run(project: Path) -> None:
    write_notebook(
        project / "n.ipynb",
        [
            "%%asset a\n1",
            "def double(x):\n    return 2 * x\nprint('seen', double(a))",
            "%%asset b\ndouble(4)",
        ],
    )
    materialized(project)
    run = materialized(project, "b")
    assert (run.status, run.error) == ("success", None)
    assert shown(project, run) == ["", "", "8\n"]


def test_an_asset_waits_for_one_that_stands_below_it(project: Path) -> None:
    write_notebook(project / "n.ipynb", ["%%asset late\nearly + 1", "%%asset early\n1"])
    run = materialized(project)
    assert run.status == "success"
    assert [cell["id"] for cell in record(project, run)["cells"]] == ["cell-0", "cell-1"]


def test_notebooks_that_feed_each_other_run_in_steps(project: Path) -> None:
    write_notebook(project / "one.ipynb", ["%%asset a\n1", "%%asset c\nb + 1"])
    write_notebook(project / "two.ipynb", ["%%asset b\na + 1", "%%asset d\n'free'"])
    run = materialized(project)
    assert (run.status, run.error) == ("success", None)
    assert outcomes(project, run) == dict.fromkeys("abcd", "success")
    with opened(project) as store:
        assert len(store.steps(run.id)) == 3


def test_a_step_whose_every_asset_lost_its_upstream_starts_no_kernel(project: Path) -> None:
    write_notebook(project / "one.ipynb", ["%%asset a\n1 / 0"])
    write_notebook(project / "two.ipynb", ["%%asset b\na + 1"])
    run = materialized(project)
    assert outcomes(project, run) == {"a": "failed", "b": "skipped"}
    with opened(project) as store:
        steps = {step.notebook: step for step in store.steps(run.id)}
    assert steps["two.ipynb"].status == "skipped"
    assert steps["two.ipynb"].kernel is None
    assert "upstream a" in str(steps["two.ipynb"].error)


def test_in_a_stale_run_what_proves_unchanged_is_not_executed(project: Path) -> None:
    path = write_notebook(project / "n.ipynb", ["%%asset a\n[1]", "%%asset b\nsum(a)"])
    materialized(project)
    edit_cell(path, 0, "%%asset a\n[0 + 1]")
    run = materialized(project, "a", "b", mode="stale")
    assert (run.status, run.error) == ("success", None)
    assert outcomes(project, run) == {"a": "success", "b": "unchanged"}
    assert values(project) == {"a": 2, "b": 1}
    with opened(project) as store:
        assert store.steps(run.id)[0].executed == ("a",)


def test_parameters_reach_assets_and_are_recorded(project: Path) -> None:
    write_notebook(project / "n.ipynb", [parameters("n = 1"), "%%asset a\nn * 2"])
    run = materialized(project, n=21)
    assert (run.status, run.error) == ("success", None)
    assert shown(project, run)[2] == "42\n"
    with opened(project) as store:
        current = store.materialization("default", "a")
    assert current is not None
    assert dict(current.parameters) == {"n": "21"}
    assert dict(current.parameter_defaults) == {"n": "1"}


def test_a_whole_notebook_with_assets_stores_them_and_loads_what_is_up_to_date(project: Path) -> None:
    from nbpipe import clock
    from nbpipe.core.runs.planning import plan_notebook
    from nbpipe.execution.runner import Runner
    from nbpipe.execution.submit import submit
    from nbpipe.loading.project import load_project
    from tests.runs import site

    def run_all():
        definitions = load_project(project).definitions
        with opened(project) as store:
            plan = plan_notebook(definitions, "shop.ipynb", env="default")
            run = submit(store, plan, root=project, run_id=clock.new_id(), at=clock.now(), definitions=definitions)
            ended = Runner(store, site(project)).execute(run.id)
        assert (ended.status, ended.error) == ("success", None)
        return ended

    path = write_notebook(project / "shop.ipynb", [code("%load_ext nbpipe"), *SHOP])
    assert outcomes(project, run_all()) == {"numbers": "success", "total": "success", "other": "success"}
    assert values(project) == {"numbers": 1, "total": 1, "other": 1}
    again = run_all()
    assert outcomes(project, again) == {"numbers": "unchanged", "total": "unchanged", "other": "unchanged"}
    assert "total: up to date, loaded" in "".join(shown(project, again))
    with opened(project) as store:
        assert store.steps(again.id)[0].executed == ()
    replace_in_cell(path, 3, "sum(numbers)", "sum(numbers) + 1")
    assert outcomes(project, run_all()) == {"numbers": "unchanged", "total": "success", "other": "unchanged"}


@pytest.mark.parametrize("body", ["import os; os._exit(7)", "import time; time.sleep(600)"], ids=["dies", "hangs"])
def test_an_asset_whose_kernel_dies_or_that_never_ends_is_failed(project: Path, body: str) -> None:
    write_notebook(
        project / "n.ipynb", ["%%asset a\n1", f"%%asset b --timeout 1\n{body}\na", "%%asset c\nb", "%%asset d\n2"]
    )
    run = materialized(project)
    assert run.status == "failure"
    found = outcomes(project, run)
    assert (found["a"], found["b"], found["c"]) == ("success", "failed", "skipped")
    assert values(project).keys() >= {"a"}
    assert leftovers(run) == []
    assert ("exit status 7" in str(run.error)) or ("--timeout" in str(run.error))


def test_a_kernel_without_nbpipe_is_refused_with_the_line_that_installs_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide = tmp_path / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(
        "import sys\nclass No:\n    def find_spec(self, name, *_):\n        if name == 'nbpipe':\n"
        "            raise ModuleNotFoundError(\"No module named 'nbpipe'\", name=name)\n"
        "import os\nif 'NBPIPE_STEP' in os.environ:\n    sys.meta_path.insert(0, No())\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(hide))
    write_notebook(project / "n.ipynb", ["%%asset a\n1"])
    write_notebook(project / "plain.ipynb", ["print('fine')"])
    run = materialized(project)
    assert run.status == "failure"
    assert "pip install jupyterlab-nbpipe" in str(run.error)
    from tests.runs import carried_out, whole

    assert carried_out(project, whole("plain.ipynb")).status == "success"
